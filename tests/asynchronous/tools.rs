//! Queues and runtimes for these tests.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Wake, Waker};
use std::time::Duration;

use ringway::CreateOptions;
use ringway::kind::{BytesQueue, Kind};

use crate::common::HANGS;

/// A new queue with this number of ring bytes.
pub(crate) fn create<K: Kind>(path: &Path, capacity: usize) -> BytesQueue<K> {
    // SAFETY: only this test and its children know the file.
    unsafe { BytesQueue::create_with(path, &CreateOptions::new().ring_bytes(capacity)) }.unwrap()
}

/// Opens an existing queue.
pub(crate) fn open<K: Kind>(path: &Path) -> BytesQueue<K> {
    // SAFETY: as in `create`.
    unsafe { BytesQueue::open(path) }.unwrap()
}

/// Runs the future on two threads; fails if it hangs.
pub(crate) fn run<F: Future + Send + 'static>(future: F) -> F::Output
where
    F::Output: Send,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async { tokio::spawn(within(HANGS, future)).await.unwrap() })
}

/// Fails if the future takes longer than that.
pub(crate) async fn within<F: Future>(time: Duration, future: F) -> F::Output {
    tokio::time::timeout(time, future).await.expect("it hangs")
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Wakes {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Wakes {
    pub(crate) fn waker() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    pub(crate) fn count(&self) -> u64 {
        *self.count.lock().unwrap()
    }

    /// Waits, asleep, until the count is reached.
    pub(crate) fn wait_for(&self, count: u64) {
        let found = self.count.lock().unwrap();
        let (found, waited) = self.changed.wait_timeout_while(found, HANGS, |found| *found < count).unwrap();
        assert!(!waited.timed_out(), "{found} wakes, expected {count}");
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        *self.count.lock().unwrap() += 1;
        self.changed.notify_all();
    }
}
