//! Who rings for whom, where only rings can tell: sleepers also look when their slices end.

use crate::park::Listen;
use crate::queue::kind::Spsc;
use crate::queue::{BytesQueue, Options};

/// Room that is given back before a sixteenth of the ring has come together rings when the consumer finds nothing, whoever
/// looks for it: itself, or a set that it waits in.
#[test]
fn whoever_finds_nothing_rings_for_the_room_of_before() {
    for in_a_set in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        #[allow(unsafe_code)]
        // SAFETY: only this test has the file.
        let queue =
            unsafe { BytesQueue::<Spsc>::create_with(dir.path().join("q"), &Options::new()) }.unwrap();
        let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.try_send(b"little").unwrap();
        let room = &queue.shared().bells().room;
        room.arm();
        drop(consumer.try_recv().unwrap());
        assert_eq!(room.rings(), 0);
        if in_a_set {
            assert!(!consumer.is_ready(0));
        } else {
            consumer.try_recv().unwrap_err();
        }
        assert_eq!(room.rings(), 1, "in a set: {in_a_set}");
    }
}
