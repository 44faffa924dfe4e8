use std::pin::Pin;
use std::task::{Context, Poll};

use futures_sink::Sink;
use ringway::SendError;
use ringway::asynchronous::{AsyncConsumer, AsyncProducer};
use ringway::kind::{Kind, Mpmc, Spsc};
use ringway::spsc::Queue;

use super::tools::{Wakes, create, run};
use crate::common::directory;

/// Fills the queue; returns how many fitted.
fn fill<K: Kind>(producer: &mut AsyncProducer<ringway::kind::BytesProducer<K>>) -> u64 {
    (0..).find(|_| matches!(producer.get_mut().try_send(&[7; 64]), Err(SendError::Full))).unwrap()
}

fn a_producer_that_waits_for_room_is_woken<K: Kind>() {
    let dir = directory();
    let queue = create::<K>(&dir.path().join("q"), 4096);
    let mut producer = AsyncProducer::new(queue.producer().unwrap()).unwrap();
    let consumer = queue.consumer().unwrap();
    let fitted = fill(&mut producer);
    let (wakes, waker) = Wakes::waker();
    let mut context = Context::from_waker(&waker);
    let mut polls = 0;
    assert!(producer.poll_send(&mut context, &[8; 64]).is_pending());
    let frames = consumer.try_recv_many(64).unwrap().len() as u64;
    loop {
        polls += 1;
        wakes.wait_for(polls);
        match producer.poll_send(&mut context, &[8; 64]) {
            Poll::Pending => {}
            Poll::Ready(sent) => break sent.unwrap(),
        }
    }
    let rest = std::iter::from_fn(|| consumer.try_recv().ok().map(|frame| frame[0])).collect::<Vec<u8>>();
    assert_eq!(rest.len() as u64, fitted - frames + 1);
    assert_eq!(rest.last(), Some(&8));

    // Closing is an answer, too.
    fill(&mut producer);
    assert!(producer.poll_send(&mut context, &[9; 64]).is_pending());
    let polls = wakes.count();
    queue.close();
    wakes.wait_for(polls + 1);
    assert!(matches!(producer.poll_send(&mut context, &[9; 64]), Poll::Ready(Err(SendError::Closed))));
}

#[test]
fn room_spsc() {
    a_producer_that_waits_for_room_is_woken::<Spsc>();
}

#[test]
fn room_mpmc() {
    a_producer_that_waits_for_room_is_woken::<Mpmc>();
}

/// More messages than fit, in batches and one by one, typed and not.
#[test]
fn all_of_many_are_sent_in_order() {
    let dir = directory();
    // SAFETY: only this test knows the file.
    let queue = unsafe {
        Queue::<u64>::create_with(dir.path().join("typed"), &ringway::CreateOptions::new().ring_bytes(4096))
            .unwrap()
    };
    let bytes = create::<Mpmc>(&dir.path().join("bytes"), 4096);
    run(async move {
        let mut typed_producer = AsyncProducer::new(queue.producer().unwrap()).unwrap();
        let mut typed = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
        let numbers: Vec<u64> = (0..10_000).collect();
        let sent = numbers.clone();
        let sending = tokio::spawn(async move { typed_producer.send_many(&sent).await });
        let mut received: Vec<u64> = Vec::new();
        while received.len() < numbers.len() {
            let frames = typed.recv_many(100).await.unwrap();
            received.extend(frames.iter().map(|number| number.unwrap().to_native()));
        }
        assert_eq!(received, numbers);
        sending.await.unwrap().unwrap();

        let mut producer = AsyncProducer::new(bytes.producer().unwrap()).unwrap();
        let mut consumer = AsyncConsumer::new(bytes.consumer().unwrap()).unwrap();
        let sending = tokio::spawn(async move {
            let messages: Vec<_> = (0..5000_u64).map(u64::to_ne_bytes).collect();
            producer.send_many(&messages).await
        });
        for number in 0..5000_u64 {
            assert_eq!(*consumer.recv().await.unwrap(), number.to_ne_bytes());
        }
        sending.await.unwrap().unwrap();
    });
}

#[test]
fn a_sink_holds_one_message_that_did_not_fit() {
    let dir = directory();
    let queue = create::<Spsc>(&dir.path().join("q"), 4096);
    let mut producer = AsyncProducer::new(queue.producer().unwrap()).unwrap();
    let consumer = queue.consumer().unwrap();
    let fitted = fill(&mut producer);
    let mut sink = producer.into_sink::<Vec<u8>>();
    let (wakes, waker) = Wakes::waker();
    let mut context = Context::from_waker(&waker);
    assert!(Pin::new(&mut sink).poll_ready(&mut context).is_ready());
    Pin::new(&mut sink).start_send(vec![8; 64]).unwrap();
    assert!(Pin::new(&mut sink).poll_ready(&mut context).is_pending());
    assert!(Pin::new(&mut sink).poll_flush(&mut context).is_pending());
    let mut messages: Vec<u8> = (0..fitted).map(|_| consumer.try_recv().unwrap()[0]).collect();
    let mut polls = 0;
    while Pin::new(&mut sink).poll_close(&mut context).is_pending() {
        polls += 1;
        wakes.wait_for(polls);
    }
    messages.push(consumer.try_recv().unwrap()[0]);
    assert!(messages.pop() == Some(8) && messages.iter().all(|message| *message == 7));
    let (producer, held) = sink.into_inner();
    assert!(held.is_none());
    // The queue is open for others.
    drop(producer);
    queue.producer().unwrap().try_send(b"more").unwrap();
}
