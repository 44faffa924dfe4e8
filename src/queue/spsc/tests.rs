//! Which participant notifies which, where only eventcounts can tell: sleepers also make an attempt
//! when their sleep timeouts end.

use crate::park::Waitable;
use crate::queue::kind::Spsc;
use crate::queue::{BytesQueue, CreateOptions};

/// Room that is released before a sixteenth of the ring has accumulated is notified when an attempt
/// of the consumer finds nothing: its own, or that of a set in which it waits.
#[test]
fn an_empty_consumer_notifies_of_room_released_before() {
    for in_a_set in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        #[allow(unsafe_code)]
        // SAFETY: only this test has the file.
        let queue =
            unsafe { BytesQueue::<Spsc>::create_with(dir.path().join("q"), &CreateOptions::new()) }.unwrap();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_send(b"little").unwrap();
        let room = &queue.shared().events().room;
        room.arm();
        drop(consumer.try_recv().unwrap());
        assert_eq!(room.epoch(), 0);
        if in_a_set {
            assert!(!consumer.is_ready(crate::wait::Attempt::FIRST));
        } else {
            consumer.try_recv().unwrap_err();
        }
        assert_eq!(room.epoch(), 1, "in a set: {in_a_set}");
    }
}
