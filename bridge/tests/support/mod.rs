//! Real servers, real bridges, and messages that are checked: shared by the test programs.
#![allow(dead_code, reason = "no test program uses all of it")]

pub(crate) mod bridge;
pub(crate) mod messages;
pub(crate) mod proxy;
pub(crate) mod scene;
pub(crate) mod server;
pub(crate) mod stream;

use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine: what takes longer hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
