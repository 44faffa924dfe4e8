//! Asking links to end: SIGTERM and SIGINT do, and a program that uses the library may.

use tokio::sync::watch;

/// Asks all links that hold its [`Stop`] to end. Dropping it asks too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Whether a link has been asked to end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// A pair: what asks, and what is asked.
#[must_use]
pub fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks. Links stop taking messages, wait for what is on its way, and give back the rest.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it was asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it is asked.
    pub async fn requested(&mut self) {
        // An error means that the stopper is gone, which asks too.
        let _ = self.0.wait_for(|is_requested| *is_requested).await;
    }
}
