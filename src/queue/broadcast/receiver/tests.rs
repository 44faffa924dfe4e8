//! What producers are told of a cursor that comes and goes.

use crate::broadcast::{BytesQueue, Subscribe};
use crate::park::Waitable;
use crate::queue::CreateOptions;

fn create() -> (tempfile::TempDir, BytesQueue) {
    let dir = tempfile::tempdir().unwrap();
    let options = CreateOptions::new().max_messages(8).max_producers(1);
    // SAFETY: only this test has the file.
    let queue = unsafe { BytesQueue::create_with(dir.path().join("q"), &options) }.unwrap();
    (dir, queue)
}

/// Between the store of the cursor and its removal a producer may have read it and gone to sleep.
#[test]
fn a_pin_that_fails_wakes_producers() {
    let (_dir, queue) = create();
    let consumer = queue.consumer_with(&Subscribe::lossy().in_place(true)).unwrap();
    let mut producer = queue.producer().unwrap();
    (0..20).for_each(|_| producer.try_send(b"message").unwrap());
    let room = &queue.shared().events().room;
    room.arm();
    let before = room.epoch();
    assert!(!consumer.receiver().pin(0), "it is over");
    assert_eq!(queue.stats().consumers[0].holds_from, None);
    assert_ne!(room.epoch(), before, "a producer that waits is woken");
}
