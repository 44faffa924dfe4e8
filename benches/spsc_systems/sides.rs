//! Producer on core 0, consumer on core 1.
#![allow(unsafe_code, reason = "forks")]

use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use crate::common::cores::pin;

/// Two threads.
pub(super) fn threads(produce: impl FnOnce() + Send, consume: impl FnOnce() -> Duration) -> Duration {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(0);
            produce();
        });
        pin(1);
        consume()
    })
}

/// Two processes.
pub(super) fn processes(produce: impl FnOnce(), consume: impl FnOnce() -> Duration) -> Duration {
    // SAFETY: this process has one thread here.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            pin(0);
            produce();
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            pin(1);
            let elapsed = consume();
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            elapsed
        }
    }
}
