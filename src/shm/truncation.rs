//! A guard against the truncation of files while they are mapped: it ends the queue instead of the process.
//!
//! A load or store after the end of a file raises SIGBUS. The handler here checks whether the
//! address lies in a mapping that is watched; if so it trips that queue's [`Tripwire`], maps a
//! private page of zeros at the address, and lets the instruction continue. Every operation reads
//! the tripwire anyway, because it is also the queue's fork guard, and fails from then on. Any
//! other SIGBUS goes to the handler that was installed before.
//!
//! The handler calls `mmap` and the previous handler, and otherwise reads and writes atomics: no
//! lock, no allocation.
#![allow(unsafe_code, reason = "a signal handler")]

use std::io;
use std::ptr::NonNull;

use memmap2::{MmapOptions, MmapRaw};

use super::children::{wipe_in_children, without_forks};
use super::fork::ForkGuard;
use super::pages::page_size;
use crate::sync::{AtomicPtr, Ordering, PrivateWord};

/// A fork guard of one queue, which a truncation trips too.
pub(crate) struct Tripwire {
    words: &'static Words,
}

/// In a page that the kernel wipes in children, and that is never unmapped.
#[repr(C)]
struct Words {
    /// The word that the fork guard reads: 1 until it is tripped, and 0 in children.
    intact: PrivateWord,
    /// 1 once it was tripped; 0 in children, which tells a truncation from a fork.
    tripped: PrivateWord,
    /// The next unused one.
    next: AtomicPtr<Words>,
    reserved: PrivateWord,
}

/// The list of unused words. It is only accessed within `without_forks`, which also excludes other threads.
static UNUSED: AtomicPtr<Words> = AtomicPtr::new(std::ptr::null_mut());

impl Tripwire {
    /// # Errors
    /// If the handler cannot be installed, or a page cannot be mapped.
    pub(crate) fn new() -> io::Result<Self> {
        install_once()?;
        without_forks(|| {
            let words = match Self::unused() {
                Some(words) => words,
                None => {
                    add_page()?;
                    Self::unused().expect("a page of them was added")
                }
            };
            words.tripped.store(0, Ordering::Relaxed);
            words.intact.store(1, Ordering::Relaxed);
            Ok(Self { words })
        })
    }

    /// Takes one from the list of unused words.
    fn unused() -> Option<&'static Words> {
        // SAFETY: null, or words in a page that is never unmapped.
        let words = unsafe { UNUSED.load(Ordering::Relaxed).as_ref() }?;
        UNUSED.store(words.next.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(words)
    }

    pub(crate) fn guard(&self) -> ForkGuard {
        ForkGuard::of(&self.words.intact)
    }

    pub(crate) fn is_tripped(&self) -> bool {
        self.words.tripped.load(Ordering::Relaxed) != 0
    }

    /// Watches `len` bytes from `start`.
    ///
    /// # Errors
    /// If there are too many watched mappings in this process.
    pub(super) fn watch(&self, start: NonNull<u8>, len: usize, is_writable: bool) -> io::Result<Watch> {
        let start = start.as_ptr() as u64;
        let slot = SLOTS.iter().find(|slot| slot.claim()).ok_or_else(too_many)?;
        slot.start.store(start, Ordering::Release);
        slot.end.store(start + len as u64, Ordering::Release);
        slot.writable.store(is_writable.into(), Ordering::Release);
        slot.words.store(std::ptr::from_ref(self.words).cast_mut(), Ordering::Release);
        slot.publish();
        Ok(Watch { slot })
    }
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        // No one reads the guard any more: each holder of a copy of it keeps the queue open.
        without_forks(|| {
            self.words.next.store(UNUSED.load(Ordering::Relaxed), Ordering::Relaxed);
            UNUSED.store(std::ptr::from_ref(self.words).cast_mut(), Ordering::Relaxed);
        });
    }
}

fn too_many() -> io::Error {
    io::Error::other(format!(
        "more than {MAX_WATCHED} mappings of this process are guarded against truncation"
    ))
}

/// Maps a page and adds its words to the list of unused ones.
fn add_page() -> io::Result<()> {
    const LEN: usize = 4096;
    let page = MmapRaw::from(MmapOptions::new().len(LEN).map_anon()?);
    wipe_in_children(&page);
    let first = page.as_mut_ptr().cast::<Words>();
    // Never unmapped.
    std::mem::forget(page);
    for index in 0..LEN / size_of::<Words>() {
        // SAFETY: the page has room for all of them.
        let words = unsafe { first.add(index) };
        // SAFETY: aligned, in a page of zeros, which are valid words, and never unmapped.
        let words: &'static Words = unsafe { &*words };
        words.next.store(UNUSED.load(Ordering::Relaxed), Ordering::Relaxed);
        UNUSED.store(std::ptr::from_ref(words).cast_mut(), Ordering::Relaxed);
    }
    Ok(())
}

/// Maximum number of watched mappings. Each open queue has one, and each producer and consumer one more.
const MAX_WATCHED: usize = 1024;

static SLOTS: [Slot; MAX_WATCHED] = [const { Slot::new() }; MAX_WATCHED];

/// A watched mapping. The slot of the mapping that faulted does not change while the handler reads
/// it, because the faulting thread uses the mapping; other slots may change, so that the state is
/// read before and after the fields, and counts up with each change. Fields are stored with Release
/// and loaded with Acquire: a thread that sees a new field sees the new count too.
struct Slot {
    /// `count << 2 | FREE, BUSY or WATCHED`
    state: PrivateWord,
    start: PrivateWord,
    end: PrivateWord,
    writable: PrivateWord,
    words: AtomicPtr<Words>,
}

const FREE: u64 = 0;
const BUSY: u64 = 1;
const WATCHED: u64 = 2;

impl Slot {
    const fn new() -> Self {
        Self {
            state: PrivateWord::new(FREE),
            start: PrivateWord::new(0),
            end: PrivateWord::new(0),
            writable: PrivateWord::new(0),
            words: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    fn claim(&self) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        let busy = ((state & !3) + 4) | BUSY;
        state & 3 == FREE
            && self.state.compare_exchange(state, busy, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn publish(&self) {
        let state = self.state.load(Ordering::Relaxed);
        self.state.store(state & !3 | WATCHED, Ordering::Release);
    }

    fn free(&self) {
        let state = self.state.load(Ordering::Relaxed);
        self.state.store(state & !3 | FREE, Ordering::Release);
    }

    /// If the address lies in the mapping: whether it is writable, and the words of its queue.
    fn covers(&self, address: u64) -> Option<(bool, &'static Words)> {
        let state = self.state.load(Ordering::Acquire);
        if state & 3 != WATCHED {
            return None;
        }
        let (start, end) = (self.start.load(Ordering::Acquire), self.end.load(Ordering::Acquire));
        let is_writable = self.writable.load(Ordering::Acquire) != 0;
        let words = self.words.load(Ordering::Acquire);
        let is_same = self.state.load(Ordering::Relaxed) == state;
        if !is_same || !(start..end).contains(&address) {
            return None;
        }
        // SAFETY: stored by `watch`, and in a page that is never unmapped.
        Some((is_writable, unsafe { words.as_ref() }?))
    }
}

/// Ends the watch when dropped, which must be before the unmapping.
pub(super) struct Watch {
    slot: &'static Slot,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.slot.free();
    }
}

/// The previous handler of the signal; set before the handler here can be called.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());
/// Bytes of a page; likewise.
static PAGE: PrivateWord = PrivateWord::new(0);

fn install_once() -> io::Result<()> {
    without_forks(|| {
        if !BEFORE.load(Ordering::Acquire).is_null() {
            return Ok(());
        }
        PAGE.store(page_size() as u64, Ordering::Relaxed);
        // SAFETY: all zeros is a valid sigaction.
        let mut before: Box<libc::sigaction> = Box::new(unsafe { std::mem::zeroed() });
        // SAFETY: reads the present one into the box.
        let result = unsafe { libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut *before) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
        ours.sa_sigaction = handler as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        let before = Box::into_raw(before);
        BEFORE.store(before, Ordering::Release);
        // SAFETY: the handler keeps to what signal handlers may do.
        let result = unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut()) };
        if result != 0 {
            let error = io::Error::last_os_error();
            BEFORE.store(std::ptr::null_mut(), Ordering::Release);
            // SAFETY: from the box above, and no handler has seen it.
            drop(unsafe { Box::from_raw(before) });
            return Err(error);
        }
        Ok(())
    })
}

extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the address of this thread's errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: valid in this thread.
    let saved = unsafe { *errno };
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid one.
    let details = unsafe { &*info };
    let reason = details.si_code;
    // SAFETY: for a fault it holds an address, and otherwise the value is not used.
    let address = unsafe { details.si_addr() } as u64;
    let is_ours = reason == libc::BUS_ADRERR && put_zeros(address);
    // SAFETY: as above.
    unsafe { *errno = saved };
    if !is_ours {
        pass_on(signal, info, context, reason);
    }
}

/// Trips the queue whose mapping contains the address, and maps zeros there; false if no watched
/// mapping does.
fn put_zeros(address: u64) -> bool {
    let Some((is_writable, words)) = SLOTS.iter().find_map(|slot| slot.covers(address)) else { return false };
    // In this order: a thread that has read the zeros and then checks the tripwire finds it tripped.
    words.tripped.store(1, Ordering::Relaxed);
    words.intact.store(0, Ordering::Release);
    let page = PAGE.load(Ordering::Relaxed);
    let start = (address & !(page - 1)) as *mut libc::c_void;
    let access = if is_writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the page belongs to a mapping of this library, which the faulting thread keeps
    // mapped; the file had no bytes there any more.
    unsafe { libc::mmap(start, page as usize, access, flags, -1, 0) != libc::MAP_FAILED }
}

/// Does what would have happened without the handler here.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void, reason: libc::c_int) {
    // SAFETY: set before the handler was installed, and never freed then.
    let before = unsafe { &*BEFORE.load(Ordering::Acquire) };
    let is_fault = reason > 0;
    match before.sa_sigaction {
        // A fault cannot be ignored: the kernel would end the process too.
        libc::SIG_IGN if !is_fault => {}
        libc::SIG_DFL | libc::SIG_IGN => end_by(signal, is_fault),
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: its installer declared with SA_SIGINFO that it has this signature.
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: as above.
            let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}

/// Lets the signal end the process, as it does without a handler.
fn end_by(signal: libc::c_int, is_fault: bool) {
    // SAFETY: all zeros is a valid sigaction, and means the default.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: sigaction may be called in handlers; the previous action is not needed.
    unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
    if !is_fault {
        // A fault happens again by itself.
        // SAFETY: raise may be called in handlers. The signal is delivered when the handler has
        // returned.
        unsafe { libc::raise(signal) };
    }
}
