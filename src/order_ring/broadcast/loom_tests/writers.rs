//! Producers among themselves.

use loom::thread;

use super::*;

/// No producer laps a position that another one has claimed and not committed.
#[test]
fn a_claim_is_not_lapped() {
    explore(3, || {
        let queue = Queue::new(2, 1, 2);
        let (mut one, mut other) = (queue.writer(), queue.writer());
        let sends = thread::spawn(move || {
            let _ = one.send(&[1]);
        });
        for message in [2, 3, 4] {
            let _ = other.send(&[message]);
        }
        sends.join().unwrap();
        queue.check_slots();
    });
}
