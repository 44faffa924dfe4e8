use ringway::asynchronous::AsyncConsumer;
use ringway::kind::Mpmc;
use ringway::mpmc::BytesQueue;
use ringway::{CreateOptions, RecvError};

use super::tools::{create, run};
use crate::common::{directory, in_child};

/// How many threads of this process sleep for tasks.
fn reactor_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|name| name.trim() == "ringway-async").count()
}

async fn count(mut consumer: AsyncConsumer<ringway::mpmc::BytesConsumer>) -> u64 {
    for count in 0.. {
        match consumer.recv().await {
            Ok(frame) => assert_eq!(frame.len(), 8),
            Err(RecvError::Closed) => return count,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!()
}

const QUEUES: u64 = 4;
const TASKS: u64 = 250;
const MESSAGES: u64 = 5000;

/// A thousand tasks wait for four queues: all messages are delivered, and there is one thread for
/// all of them.
#[test]
fn a_thousand_tasks_wait_for_four_queues() {
    in_child("asynchronous::many_tasks::a_thousand_tasks_wait_for_four_queues", || {
        let dir = directory();
        let options = CreateOptions::new().ring_bytes(1 << 12).max_participants(TASKS as usize + 8);
        let received = run(async move {
            let (mut receiving, mut sending) = (Vec::new(), Vec::new());
            for queue in 0..QUEUES {
                let path = dir.path().join(queue.to_string());
                // SAFETY: only this test knows the file.
                let queue = unsafe { BytesQueue::create_with(path, &options).unwrap() };
                for _ in 0..TASKS {
                    let consumer = AsyncConsumer::new(queue.consumer().unwrap()).unwrap();
                    receiving.push(tokio::spawn(count(consumer)));
                }
                sending.push(std::thread::spawn(move || {
                    let mut producer = queue.producer().unwrap();
                    for number in 0..MESSAGES {
                        producer.send(&number.to_ne_bytes()).unwrap();
                    }
                    queue.close();
                }));
            }
            let mut received = 0;
            for task in receiving {
                received += task.await.unwrap();
            }
            sending.into_iter().for_each(|thread| thread.join().unwrap());
            received
        });
        assert_eq!(received, QUEUES * MESSAGES);
        assert_eq!(reactor_threads(), 1);
    });
}

/// More queues than one thread can sleep on.
#[test]
fn there_is_a_thread_more_for_each_127_queues() {
    in_child("asynchronous::many_tasks::there_is_a_thread_more_for_each_127_queues", || {
        let dir = directory();
        let queues: Vec<_> =
            (0..300).map(|queue| create::<Mpmc>(&dir.path().join(queue.to_string()), 1024)).collect();
        run(async move {
            let consumers: Vec<_> =
                queues.iter().map(|queue| AsyncConsumer::new(queue.consumer().unwrap()).unwrap()).collect();
            assert!(reactor_threads() <= 1, "nobody waits yet");
            let tasks: Vec<_> = consumers.into_iter().map(|consumer| tokio::spawn(count(consumer))).collect();
            // As soon as all of them wait.
            while reactor_threads() < 3 {
                tokio::task::yield_now().await;
            }
            for queue in &queues {
                queue.producer().unwrap().send(&[7; 8]).unwrap();
                queue.close();
            }
            for task in tasks {
                assert_eq!(task.await.unwrap(), 1);
            }
            assert_eq!(reactor_threads(), 3);
        });
    });
}
