use ringway::asynchronous::{AsyncConsumer, AsyncProducer};
use ringway::kind::Mpmc;

use super::tools::{create, run};
use crate::common::old_kernel::without_futex_waitv;
use crate::common::{directory, in_child};

/// Three queues, one after the other.
#[test]
fn messages_go_round_on_a_kernel_without_futex_waitv() {
    in_child("asynchronous::old_kernel::messages_go_round_on_a_kernel_without_futex_waitv", || {
        without_futex_waitv();
        let dir = directory();
        let queues = [0, 1, 2].map(|number| create::<Mpmc>(&dir.path().join(number.to_string()), 4096));
        let consumers = queues.each_ref().map(|queue| AsyncConsumer::new(queue.consumer().unwrap()).unwrap());
        let producers = queues.each_ref().map(|queue| AsyncProducer::new(queue.producer().unwrap()).unwrap());
        let [mut first, second, third] = producers;
        let [from_first, from_second, mut from_third] = consumers;
        run(async move {
            for (mut from, mut to) in [(from_first, second), (from_second, third)] {
                tokio::spawn(async move {
                    while let Ok(message) = from.recv_with(|frame| frame.to_vec()).await {
                        to.send(&message).await.unwrap();
                    }
                });
            }
            for round in 0..200_u64 {
                first.send(&round.to_ne_bytes()).await.unwrap();
                assert_eq!(*from_third.recv().await.unwrap(), round.to_ne_bytes());
            }
            queues.iter().for_each(ringway::kind::BytesQueue::close);
        });
    });
}
