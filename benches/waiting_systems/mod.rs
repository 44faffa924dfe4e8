//! Ways to send a number to a process that sleeps until it arrives.
#![allow(unsafe_code, reason = "futexes, and queue files that only this benchmark knows")]

pub(crate) mod exchange;
pub(crate) mod idle;
mod processes;

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ringway::kind::{BytesConsumer, BytesProducer, BytesQueue, Kind};
use ringway::{CreateOptions, WaitStrategy};

use processes::Shared;

/// One way from process to process, made before they part.
pub(crate) trait System {
    fn way(&self, name: &str) -> Box<dyn Way>;
}

/// Each process becomes an end of it for itself.
pub(crate) trait Way {
    fn sender(&self) -> Box<dyn FnMut(u64) + '_>;
    fn receiver(&self) -> Box<dyn FnMut() -> u64 + '_>;
}

/// A word in shared memory and the futex that signals its change, nothing else: one message at a
/// time.
pub(crate) struct Futex;

struct FutexWay(Shared<FutexWords>);

#[derive(Default)]
struct FutexWords {
    message: AtomicU64,
    count: AtomicU32,
}

impl System for Futex {
    fn way(&self, _name: &str) -> Box<dyn Way> {
        Box::new(FutexWay(Shared::default()))
    }
}

impl Way for FutexWay {
    fn sender(&self) -> Box<dyn FnMut(u64) + '_> {
        let words = &*self.0;
        Box::new(|message| {
            words.message.store(message, Ordering::Relaxed);
            words.count.fetch_add(1, Ordering::Release);
            // SAFETY: wakes the sleepers on a word that lives.
            unsafe { libc::syscall(libc::SYS_futex, words.count.as_ptr(), libc::FUTEX_WAKE, 1) };
        })
    }

    fn receiver(&self) -> Box<dyn FnMut() -> u64 + '_> {
        let words = &*self.0;
        let mut seen = 0;
        Box::new(move || {
            while words.count.load(Ordering::Acquire) == seen {
                let forever = std::ptr::null::<libc::timespec>();
                // SAFETY: sleeps while a word that lives has this value.
                unsafe {
                    libc::syscall(libc::SYS_futex, words.count.as_ptr(), libc::FUTEX_WAIT, seen, forever)
                };
            }
            seen += 1;
            words.message.load(Ordering::Relaxed)
        })
    }
}

/// A queue whose ends sleep immediately.
pub(crate) struct Ringway<K>(PhantomData<K>);

struct RingwayWay<K: Kind> {
    path: PathBuf,
    queue: BytesQueue<K>,
}

impl<K: Kind> Ringway<K> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K: Kind> System for Ringway<K> {
    fn way(&self, name: &str) -> Box<dyn Way> {
        let path = PathBuf::from(format!("/dev/shm/ringway-benches-{}-{name}", std::process::id()));
        let options = CreateOptions::new().ring_bytes(1 << 16);
        // SAFETY: only this benchmark knows the file.
        let queue = unsafe { BytesQueue::create_with(&path, &options) }.unwrap();
        Box::new(RingwayWay::<K> { path, queue })
    }
}

impl<K: Kind> RingwayWay<K> {
    /// Anew: handles are one process's.
    fn open(&self) -> BytesQueue<K> {
        // SAFETY: only this benchmark knows the file.
        unsafe { BytesQueue::open(&self.path) }.unwrap()
    }
}

impl<K: Kind> Way for RingwayWay<K> {
    fn sender(&self) -> Box<dyn FnMut(u64) + '_> {
        let mut producer: BytesProducer<K> = self.open().producer().unwrap();
        Box::new(move |message| producer.send(&message.to_ne_bytes()).unwrap())
    }

    fn receiver(&self) -> Box<dyn FnMut() -> u64 + '_> {
        let consumer: BytesConsumer<K> = self.open().consumer().unwrap();
        consumer.set_wait_strategy(WaitStrategy::Park);
        Box::new(move || u64::from_ne_bytes((*consumer.recv().unwrap()).try_into().unwrap()))
    }
}

impl<K: Kind> Drop for RingwayWay<K> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.queue.path());
    }
}
