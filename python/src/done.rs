//! How many objects of a `JoinableQueue` are done: one word in a file without a name, which no
//! process can keep locked, since there is no lock.
#![allow(unsafe_code, reason = "maps a page, and waits for its first word")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use pyo3::prelude::*;

use crate::exit;
use crate::link::Wait;

const LEN: usize = 4096;

/// The count of what is done.
#[pyclass(frozen, module = "ringway._core")]
pub(crate) struct DoneCount {
    file: File,
    words: NonNull<Words>,
}

/// At the beginning of the page; zeros at first.
#[repr(C)]
struct Words {
    done: AtomicU64,
    /// Changes with each object that is done: the word to wait for.
    changes: AtomicU32,
    waiters: AtomicU32,
}

// SAFETY: the words are atomics in a page that is mapped as long as the object lives.
unsafe impl Send for DoneCount {}
// SAFETY: as above.
unsafe impl Sync for DoneCount {}

impl DoneCount {
    fn words(&self) -> &Words {
        // SAFETY: mapped, aligned to a page, at least as long as `self`; atomics, for which any bytes
        // are valid.
        unsafe { self.words.as_ref() }
    }

    fn map(file: File) -> io::Result<Self> {
        if file.metadata()?.len() != LEN as u64 {
            return Err(io::Error::other("this is no count of a JoinableQueue"));
        }
        let (access, fd) = (libc::PROT_READ | libc::PROT_WRITE, file.as_raw_fd());
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), LEN, access, libc::MAP_SHARED, fd, 0) };
        match NonNull::new(page.cast::<Words>()) {
            Some(words) if page != libc::MAP_FAILED => Ok(Self { file, words }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn create() -> io::Result<Self> {
        // SAFETY: the name ends with a zero.
        let fd = unsafe {
            libc::memfd_create(c"ringway-done".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and known to no other code.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(LEN as u64)?;
        // SAFETY: touches no memory. A page that no process can cut off is never missing.
        if unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Self::map(file)
    }

    /// Sleeps until `changes` differs from `seen`, or the time is up.
    fn sleep(&self, seen: u32, timeout: Duration) {
        let words = self.words();
        words.waiters.fetch_add(1, Ordering::SeqCst);
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(timeout.subsec_nanos() as i32),
        };
        // SAFETY: the word is mapped and stays so during the call, and the kernel only compares it.
        unsafe {
            libc::syscall(libc::SYS_futex, words.changes.as_ptr(), libc::FUTEX_WAIT, seen, &raw const timeout)
        };
        words.waiters.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for DoneCount {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and not used any more.
        unsafe { libc::munmap(self.words.as_ptr().cast(), LEN) };
    }
}

#[pymethods]
impl DoneCount {
    /// A new count; with `path`, one that leads to a descriptor, an existing one.
    #[new]
    #[pyo3(signature = (path = None))]
    fn new(path: Option<PathBuf>) -> PyResult<Self> {
        Ok(match path {
            None => Self::create()?,
            Some(path) => Self::map(File::options().read(true).write(true).open(path)?)?,
        })
    }

    fn fileno(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// How many are done.
    #[getter]
    fn done(&self) -> u64 {
        self.words().done.load(Ordering::SeqCst)
    }

    /// Counts one, if fewer than `most` are done. False: as many are.
    fn add(&self, most: u64) -> bool {
        let words = self.words();
        let counted = words
            .done
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |done| (done < most).then_some(done + 1));
        if counted.is_err() {
            return false;
        }
        words.changes.fetch_add(1, Ordering::SeqCst);
        // A waiter that was killed is counted for ever: then this is a system call too many.
        if words.waiters.load(Ordering::SeqCst) > 0 {
            // SAFETY: the kernel only looks up who waits for the word's address.
            unsafe { libc::syscall(libc::SYS_futex, words.changes.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
        }
        true
    }

    /// Waits until `is_done()` is true, asking after each object that is done.
    fn wait(&self, py: Python<'_>, is_done: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut seen = self.words().changes.load(Ordering::SeqCst);
        if is_done.call0()?.is_truthy()? {
            return Ok(());
        }
        let done = Wait::new(true, None)?.repeat(py, |slice| {
            exit::detached(py, || self.sleep(seen, slice));
            seen = self.words().changes.load(Ordering::SeqCst);
            Ok(is_done.call0()?.is_truthy()?.then_some(()))
        })?;
        debug_assert!(done.is_some(), "it waits for ever");
        Ok(())
    }
}
