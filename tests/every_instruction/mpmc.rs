//! For MPMC queues: participants, and those that recover after a death, are killed at every
//! instruction.

mod attaching;
mod pausing;
mod receiving;
mod recovering;
mod sending;
mod state;
mod tasks;

use crate::process::Test;

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = sending::tests();
    tests.extend(receiving::tests());
    tests.extend(attaching::tests());
    tests.extend(recovering::tests());
    tests.extend(pausing::tests());
    tests.extend(tasks::tests());
    tests
}
