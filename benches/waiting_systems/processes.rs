//! Two processes, and memory that both see.

use std::fs::File;
use std::marker::PhantomData;
use std::ops::Deref;

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use crate::common::cores::pin;

/// Zeroed words that forked children share.
pub(super) struct Shared<T>(MmapRaw, PhantomData<T>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        let file: File = tempfile::tempfile_in("/dev/shm").unwrap();
        file.set_len(size_of::<T>().next_multiple_of(4096) as u64).unwrap();
        Self(MmapOptions::new().populate().map_raw(&file).unwrap(), PhantomData)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: mapped, aligned to a page and large enough; what is placed here consists of
        // atomics, for which zero is valid.
        unsafe { &*self.0.as_ptr().cast::<T>() }
    }
}

/// Runs one in a child on core 0, the other here on core 1, if there is one.
pub(super) fn in_two<R>(child: impl FnOnce(), parent: impl FnOnce() -> R) -> R {
    let two = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            if two {
                pin(0);
            }
            child();
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            if two {
                pin(1);
            }
            let result = parent();
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            result
        }
    }
}
