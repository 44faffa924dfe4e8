//! A failure on one side of a queue ends the other side, which would wait for it for ever.

/// Does something if the thread panics while this is there.
pub(crate) struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

/// To be kept by each side of what waits for one another: mostly, `on_panic(|| queue.close())`. Then whoever waits at the
/// queue is told that it is closed, and the test's output has the cause first.
pub(crate) fn on_panic<F: Fn()>(end: F) -> OnPanic<F> {
    OnPanic(end)
}
