use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringway::RecvError;
use ringway::asynchronous::{AsyncConsumer, AsyncProducer};
use ringway::kind::{Kind, Mpmc, Spsc};

use super::tools::{create, run};
use crate::common::directory;

const MESSAGES: u64 = 20_000;

/// What a task receives that waits for both queues and a timer all the time, and drops what is not
/// ready first.
async fn selects<K: Kind>(
    mut first: AsyncConsumer<ringway::kind::BytesConsumer<K>>,
    mut second: AsyncConsumer<ringway::kind::BytesConsumer<K>>,
    drops: Arc<AtomicU64>,
) -> Vec<u64> {
    let mut all = Vec::new();
    let (mut is_first_open, mut is_second_open) = (true, true);
    while is_first_open || is_second_open {
        tokio::select! {
            result = first.recv_with(|frame| u64::from_ne_bytes(frame[..].try_into().unwrap())), if is_first_open => {
                match result {
                    Ok(number) => all.push(number),
                    Err(RecvError::Closed) => is_first_open = false,
                    Err(error) => panic!("{error}"),
                }
            }
            result = second.recv_many(3), if is_second_open => match result {
                Ok(frames) => all.extend(frames.iter().map(|frame| u64::from_ne_bytes(frame.try_into().unwrap()))),
                Err(RecvError::Closed) => is_second_open = false,
                Err(error) => panic!("{error}"),
            },
            () = tokio::time::sleep(Duration::from_micros(50)) => { drops.fetch_add(1, Ordering::Relaxed); }
            () = tokio::task::yield_now() => { drops.fetch_add(1, Ordering::Relaxed); }
        }
    }
    all
}

/// Messages go to tasks that begin to wait and give up all the time; each is delivered once.
fn nothing_is_lost_or_doubled<K: Kind>(tasks: usize) {
    let dir = directory();
    let queues = ["first", "second"].map(|name| create::<K>(&dir.path().join(name), 4096));
    let drops = Arc::new(AtomicU64::new(0));
    let dropped = Arc::clone(&drops);
    let all = run(async move {
        let receiving: Vec<_> = (0..tasks)
            .map(|_| {
                let [first, second] =
                    queues.each_ref().map(|queue| AsyncConsumer::new(queue.consumer().unwrap()).unwrap());
                tokio::spawn(selects(first, second, Arc::clone(&dropped)))
            })
            .collect();
        let sending = queues.each_ref().map(|queue| {
            let mut producer = AsyncProducer::new(queue.producer().unwrap()).unwrap();
            let (queue, dropped) = (queue.clone(), Arc::clone(&dropped));
            tokio::spawn(async move {
                // While no message is there, tasks can do nothing but give up: however fast the
                // rest goes, some have.
                while dropped.load(Ordering::Relaxed) < 100 * tasks as u64 {
                    tokio::task::yield_now().await;
                }
                for number in 0..MESSAGES {
                    let message = number.to_ne_bytes();
                    // A send that is dropped has sent nothing.
                    loop {
                        tokio::select! {
                            biased;
                            sent = producer.send(&message) => break sent.unwrap(),
                            () = tokio::task::yield_now() => {}
                        }
                    }
                    if number % 64 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                queue.close();
            })
        });
        for task in sending {
            task.await.unwrap();
        }
        let mut all = Vec::new();
        for task in receiving {
            all.push(task.await.unwrap());
        }
        all
    });
    assert_eq!(all.iter().map(Vec::len).sum::<usize>() as u64, 2 * MESSAGES);
    // Each queue carried the same numbers: each number was delivered twice in all.
    let all: Vec<u64> = all.into_iter().flatten().collect();
    let (mut once, mut twice) = (HashSet::new(), HashSet::new());
    for number in all {
        assert!(once.insert(number) || twice.insert(number), "{number} came more than twice");
    }
    assert_eq!(twice.len() as u64, MESSAGES);
    let drops = drops.load(Ordering::Relaxed);
    println!("{tasks} tasks: {drops} times given up for another branch");
    assert!(drops >= 100 * tasks as u64, "nothing was cancelled: this tests nothing");
}

#[test]
fn spsc() {
    nothing_is_lost_or_doubled::<Spsc>(1);
}

#[test]
fn mpmc() {
    nothing_is_lost_or_doubled::<Mpmc>(5);
}
