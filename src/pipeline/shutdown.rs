//! How the gateway's tasks learn that they should end.

use tokio::sync::watch;

/// The side that says so. Dropping it says so too.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// The side that listens; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A pair that belongs together.
pub fn channel() -> (Stop, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Stop(sender), Shutdown(receiver))
}

impl Stop {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns once the gateway should end.
    pub async fn requested(&mut self) {
        // An error means that the other side is gone, which ends us as well.
        let _ended = self.0.wait_for(|stop| *stop).await;
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}
