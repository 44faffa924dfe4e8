//! What a producer waits for.

use std::time::Duration;

use super::{Claimed, Sender as _};
use crate::broadcast::{BytesProducer, BytesQueue, Subscribe};
use crate::error::SendError;
use crate::queue::CreateOptions;
use crate::wait::WaitStrategy;

/// The commit notifies consumers, not producers: a producer that waits for it must not sleep for long.
#[test]
fn a_wait_for_the_commit_of_another_producer_sleeps_briefly() {
    let dir = tempfile::tempdir().unwrap();
    let options = CreateOptions::new().max_messages(8).max_producers(2);
    // SAFETY: only this test has the file.
    let queue = unsafe { BytesQueue::create_with(dir.path().join("q"), &options) }.unwrap();
    let (mut slow, mut waiting) = (queue.producer().unwrap(), queue.producer().unwrap());
    waiting.set_wait_strategy(WaitStrategy::Park);
    let refused = |waiting: &mut BytesProducer| {
        let error = waiting.send_timeout(b"message", Duration::from_millis(5)).unwrap_err();
        assert!(matches!(error, SendError::Timeout { .. }), "{error}");
        waiting.wait_config.is_blocked()
    };

    let sender = &mut slow.sender;
    let reserved = sender.reserve(7).unwrap();
    let Claimed { first, .. } = sender.claim(1, 1).unwrap();
    (0..7).for_each(|_| waiting.try_send(b"message").unwrap());
    assert!(refused(&mut waiting), "the first position is not committed");

    let frame = sender.writer.complete(reserved, 7);
    sender.producer().commit(first, sender.frame_ref(frame));
    sender.writer.track(first, &[frame]);
    let consumer = queue.consumer_with(&Subscribe::reliable()).unwrap();
    while waiting.try_send(b"message").is_ok() {}
    assert!(!refused(&mut waiting), "a consumer notifies when it releases");
    drop(consumer);
    waiting.try_send(b"message").unwrap();
}
