use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_core::{FusedStream, Stream};
use ringway::RecvError;
use ringway::asynchronous::AsyncConsumer;
use ringway::kind::{Kind, Mpmc, Spsc};
use ringway::spsc::{BytesQueue, Queue};

use super::tools::{Wakes, create, run};
use crate::common::{Image, at, directory};

/// The next item of a stream.
async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| pin!(&mut *stream).poll_next(context)).await
}

fn a_stream_ends_when_the_queue_is_closed<K: Kind>() {
    let dir = directory();
    let queue = create::<K>(&dir.path().join("q"), 4096);
    let mut producer = queue.producer().unwrap();
    let mut stream =
        AsyncConsumer::new(queue.consumer().unwrap()).unwrap().into_stream(|frame| frame.to_vec());
    let task = std::thread::spawn(move || {
        run(async move {
            let mut all = Vec::new();
            while let Some(message) = next(&mut stream).await {
                all.push(message.unwrap());
            }
            assert!(next(&mut stream).await.is_none() && stream.is_terminated());
            all
        })
    });
    producer.send_many(&[b"one".as_slice(), b"two"]).unwrap();
    queue.close();
    assert_eq!(task.join().unwrap(), [b"one", b"two"]);
}

#[test]
fn a_stream_ends_spsc() {
    a_stream_ends_when_the_queue_is_closed::<Spsc>();
}

#[test]
fn a_stream_ends_mpmc() {
    a_stream_ends_when_the_queue_is_closed::<Mpmc>();
}

/// All that wait get `Closed`, though a notification wakes one of them.
#[test]
fn all_waiters_are_told() {
    let dir = directory();
    let queue = create::<Mpmc>(&dir.path().join("q"), 4096);
    let consumers: Vec<_> = (0..20).map(|_| AsyncConsumer::new(queue.consumer().unwrap()).unwrap()).collect();
    run(async move {
        let tasks: Vec<_> = consumers
            .into_iter()
            .map(|mut consumer| tokio::spawn(async move { consumer.recv_with(|_| ()).await }))
            .collect();
        tokio::task::yield_now().await;
        queue.close();
        for task in tasks {
            assert!(matches!(task.await.unwrap(), Err(RecvError::Closed)));
        }
    });
}

/// A consumer that ends with its producers learns of the end when the last one goes, also if
/// another one waits there that does not end with them.
#[test]
fn the_last_producer_ends_it() {
    let dir = directory();
    let queue = create::<Mpmc>(&dir.path().join("q"), 4096);
    let producer = queue.producer().unwrap();
    let mut stays = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
    let mut ends = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
    ends.get_ref().end_when_disconnected(true);
    let (_, noop) = Wakes::waker();
    assert!(stays.poll_recv(&mut Context::from_waker(&noop)).is_pending());
    let (wakes, waker) = Wakes::waker();
    assert!(ends.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    drop(producer);
    loop {
        wakes.wait_for(1);
        match ends.poll_recv(&mut Context::from_waker(&waker)) {
            Poll::Pending => {}
            Poll::Ready(result) => return assert!(matches!(result, Err(RecvError::Closed))),
        }
    }
}

/// Typed messages are validated, and one that is not valid does not end the stream.
#[test]
fn errors_do_not_end_a_stream() {
    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: only this test knows the file.
    let queue = unsafe { Queue::<String>::create(&path) }.unwrap();
    let long = "long enough to lie outside of its header".to_owned();
    queue.producer().unwrap().send_many(&[long, "good".to_owned()]).unwrap();
    let mut bytes = Image::of(&path);
    // The root of the first archive, at the end of it: a length and an offset that lead nowhere.
    bytes.put(at::LANE + 128 + 40, &[0xbf; 8]);
    std::os::unix::fs::FileExt::write_all_at(
        &std::fs::OpenOptions::new().write(true).open(&path).unwrap(),
        &bytes.0[at::LANE..at::LANE + 256],
        at::LANE as u64,
    )
    .unwrap();
    let consumer = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
    let mut stream = pin!(consumer.into_stream(|text| text.as_str().to_owned()));
    let mut context = Context::from_waker(Waker::noop());
    let mut next = || stream.as_mut().poll_next(&mut context);
    assert!(matches!(next(), Poll::Ready(Some(Err(RecvError::Invalid(_))))));
    assert!(matches!(next(), Poll::Ready(Some(Ok(text))) if text == "good"));
    assert!(next().is_pending());
    queue.close();
    assert!(matches!(next(), Poll::Ready(None)));
}

/// The compiler checks this: what is awaited may be moved between threads, although consumers are
/// not shared by them.
#[test]
fn futures_may_be_sent() {
    fn may_be_sent<T: Send>(value: T) -> T {
        value
    }
    let dir = directory();
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::create(dir.path().join("q")) }.unwrap();
    let mut consumer = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
    drop(may_be_sent(consumer.recv()));
    drop(may_be_sent(consumer.recv_many(3)));
    drop(may_be_sent(consumer.recv_with(|frame| frame.len())));
    drop(may_be_sent(async { consumer.recv().await.map(|frame| frame.len()) }));
}
