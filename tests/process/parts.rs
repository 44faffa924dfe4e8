//! Runs the parts of a test in processes of their own, at the same time: a test that waits, or has
//! more than one processor, ends sooner.

use std::time::Duration;

use super::{Child, Outcome, watchdog};

/// Runs `part` for each number below `count`, each in a child process. The first failure ends the
/// others.
pub(crate) fn in_parallel(count: usize, part: impl Fn(usize) -> Outcome) -> Outcome {
    let mut children: Vec<Child> = (0..count).map(|index| Child::fork(|| part(index))).collect();
    let mut pulse = watchdog::pulse();
    while !children.is_empty() {
        let mut running = Vec::new();
        for child in children {
            match child.has_ended()? {
                true => child.join()?,
                false => running.push(child),
            }
        }
        children = running;
        // The parts report their progress, and this process's minute begins anew with it.
        let now = watchdog::pulse();
        if now != pulse {
            pulse = now;
            watchdog::progress();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
