//! A failure on one side of a queue ends the other side, which would otherwise wait for it for
//! ever.

/// Calls a function if the thread panics while this value lives.
pub(crate) struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

/// To be kept by each side of a test whose sides wait for one another. Mostly it is
/// `on_panic(|| queue.close())`: then the side that waits at the queue gets `Closed`, and the test's
/// output has the cause first.
pub(crate) fn on_panic<F: Fn()>(end: F) -> OnPanic<F> {
    OnPanic(end)
}
