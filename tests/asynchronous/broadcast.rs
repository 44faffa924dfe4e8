use std::time::{Duration, Instant};

use ringway::CreateOptions;
use ringway::asynchronous::AsyncConsumer;
use ringway::broadcast::{BytesQueue, Subscribe};

use super::tools::run;
use crate::common::directory;

/// Each message wakes each task, though they wait at one eventcount of one process: no message waits
/// for the end of a sleep.
#[test]
fn each_message_wakes_each_task() {
    const TASKS: u64 = 5;
    const MESSAGES: u64 = 20;
    let dir = directory();
    let options = CreateOptions::new().max_producers(1);
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::create_with(dir.path().join("q"), &options) }.unwrap();
    let mut producer = queue.producer().unwrap();
    let slowest = run(async move {
        let mut tasks = Vec::new();
        for which in 0..TASKS {
            let subscribe = if which % 2 == 0 { Subscribe::reliable() } else { Subscribe::lossy() };
            let mut consumer = AsyncConsumer::new(queue.consumer_with(&subscribe).unwrap()).unwrap();
            tasks.push(tokio::spawn(async move {
                for expected in 0..MESSAGES {
                    assert_eq!(consumer.recv().await.unwrap().position(), expected);
                }
            }));
        }
        let mut slowest = Duration::ZERO;
        for _ in 0..MESSAGES {
            // Long enough for each task to wait again.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let sent = Instant::now();
            producer.send(b"message").unwrap();
            while queue.stats().received < TASKS * (producer.position()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            slowest = slowest.max(sent.elapsed());
        }
        for task in tasks {
            task.await.unwrap();
        }
        slowest
    });
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
}
