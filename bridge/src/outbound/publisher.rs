//! The task that submits messages to the engine and takes its acknowledgements, epoch after epoch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::releaser::Releaser;
use super::resume::Progress;
use crate::backoff::Backoff;
use crate::die::die_point;
use crate::engine::{Ack, Cause, Engine, EpochEnd, Outgoing};
use crate::failure::Failure;
use crate::stats::Stats;
use crate::stop::Stop;

/// How long an epoch may take to begin.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// How often, and for how long altogether, other consumers are waited for.
const CHECKS: u32 = 20;
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

pub(crate) struct Publisher<E> {
    pub(crate) link: String,
    pub(crate) engine: E,
    pub(crate) batches: mpsc::UnboundedReceiver<Vec<Outgoing>>,
    pub(crate) in_flight: VecDeque<Outgoing>,
    /// How many of those were submitted in this epoch.
    pub(crate) submitted: usize,
    /// How many messages are acknowledged, since the beginning.
    pub(crate) acked: u64,
    /// Whether the taker may release more than it was told of.
    pub(crate) is_run_acked: bool,
    pub(crate) progress: Progress,
    pub(crate) releaser: Arc<Releaser>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) ack_deadline: Duration,
    pub(crate) drain: Duration,
    /// Whether the queue may be carried by this bridge, asked before each epoch.
    pub(crate) check: Box<dyn Fn() -> Result<(), String> + Send>,
    /// Whether the taker has ended: no more batches come.
    pub(crate) has_all: bool,
}

/// Ends the taker, however the publisher ends.
struct EndTaker(Arc<Releaser>);

impl Drop for EndTaker {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn no_answer() -> EpochEnd {
    EpochEnd::lost(Cause::Connect, "the server did not answer in time")
}

impl<E: Engine> Publisher<E> {
    /// Works until everything of an ended queue is stored, until it is asked to stop and has drained, or until going on
    /// makes no sense.
    pub(crate) async fn run(mut self, mut stop: Stop) -> Result<(), Failure> {
        let _end = EndTaker(Arc::clone(&self.releaser));
        let (releaser, drain, link) = (Arc::clone(&self.releaser), self.drain, self.link.clone());
        let outcome = {
            let epochs = self.epochs();
            tokio::pin!(epochs);
            tokio::select! {
                outcome = &mut epochs => Some(outcome),
                () = stop.requested() => {
                    releaser.stop_taking();
                    timeout(drain, &mut epochs).await.ok()
                }
            }
        };
        let outcome = outcome.unwrap_or_else(|| {
            let left = self.in_flight.len();
            tracing::warn!(link, "{left} messages are not acknowledged in time; the queue gets them back");
            Ok(())
        });
        self.stats.set_connected(false);
        outcome
    }

    async fn epochs(&mut self) -> Result<(), Failure> {
        let mut backoff = Backoff::default();
        loop {
            self.collect();
            if self.has_all && self.in_flight.is_empty() {
                return Ok(());
            }
            self.check().await.map_err(Failure::Refused)?;
            let acked = self.acked;
            let end = self.epoch().await;
            self.stats.set_connected(false);
            if self.acked > acked {
                backoff.reset();
            }
            match end {
                Ok(()) => return Ok(()),
                Err(EpochEnd::Refused(why) | EpochEnd::Misconfigured(why)) => {
                    return Err(Failure::Refused(why));
                }
                Err(EpochEnd::Lost { cause, error }) => {
                    self.stats.count_end(cause);
                    let delay = backoff.next();
                    tracing::warn!(
                        link = self.link,
                        cause = cause.word(),
                        "{error}; next attempt in {delay:.0?}"
                    );
                    // The queue is not read any more: what could be stored at once, is.
                    if self.releaser.has_failed() {
                        return Ok(());
                    }
                    sleep(delay).await;
                }
            }
        }
    }

    /// A consumer that is just ending is given time for it.
    async fn check(&self) -> Result<(), String> {
        for _ in 0..CHECKS {
            if (self.check)().is_ok() {
                return Ok(());
            }
            sleep(CHECK_INTERVAL).await;
        }
        (self.check)()
    }

    /// Takes over the batches that wait.
    fn collect(&mut self) {
        loop {
            match self.batches.try_recv() {
                Ok(batch) => self.in_flight.extend(batch),
                Err(mpsc::error::TryRecvError::Empty) => return,
                Err(mpsc::error::TryRecvError::Disconnected) => return self.has_all = true,
            }
        }
    }

    /// One epoch. Returns when everything is stored that there will be.
    async fn epoch(&mut self) -> Result<(), EpochEnd> {
        self.submitted = 0;
        let place = match timeout(OPEN_TIMEOUT, self.engine.open()).await {
            Ok(place) => place?,
            Err(_) => return Err(no_answer()),
        };
        let resumed = self.progress.resume(&place, &self.in_flight).map_err(EpochEnd::Refused)?;
        if resumed.lost > 0 {
            self.stats.lost_tail.add(resumed.lost);
            tracing::error!(
                link = self.link,
                "the stream has lost its last {} messages, which it had acknowledged: they are released here and cannot be sent \
                 again. See `sync_interval` and replicas in the server's documentation",
                resumed.lost
            );
        }
        let mut stored = resumed.stored;
        if stored > 0 {
            let last = timeout(OPEN_TIMEOUT, self.engine.look_back(stored)).await;
            let last = last.unwrap_or_else(|_| Err(no_answer()))?;
            stored = self.progress.confirm(stored, &self.in_flight, &last).map_err(EpochEnd::Refused)?;
        }
        self.progress.stored(place.last_sequence);
        for _ in 0..stored {
            self.pop(false);
        }
        self.releaser.acked(self.acked);
        self.stats.epochs.add(1);
        self.stats.set_connected(true);
        tracing::info!(link = self.link, "connected; the stream has come to message {}", place.last_sequence);
        die_point("out.opened");
        self.publish(place.max_payload).await
    }

    async fn publish(&mut self, max_payload: usize) -> Result<(), EpochEnd> {
        self.submit_waiting(max_payload).await?;
        // Since when nothing has been acknowledged although something was submitted.
        let mut waits_since = Instant::now();
        let deadline = sleep_until(waits_since + self.ack_deadline);
        tokio::pin!(deadline);
        loop {
            if self.has_all && self.in_flight.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                ack = self.engine.acked() => {
                    self.ack(ack?);
                    // Those that are there already, before the taker is told.
                    while self.submitted > 0 && let Some(ack) = self.engine.acked().now_or_never() {
                        self.ack(ack?);
                    }
                    if std::mem::take(&mut self.is_run_acked) {
                        self.releaser.acked(self.acked);
                    }
                    waits_since = Instant::now();
                    if self.submitted == 0 {
                        self.submit_waiting(max_payload).await?;
                    }
                }
                batch = self.batches.recv(), if !self.has_all => {
                    if self.submitted == 0 {
                        waits_since = Instant::now();
                        deadline.as_mut().reset(waits_since + self.ack_deadline);
                    }
                    match batch {
                        Some(batch) => self.in_flight.extend(batch),
                        None => self.has_all = true,
                    }
                    self.submit_waiting(max_payload).await?;
                }
                () = &mut deadline, if self.submitted > 0 => {
                    let due = waits_since + self.ack_deadline;
                    if Instant::now() >= due {
                        let waited = self.ack_deadline;
                        return Err(EpochEnd::lost(Cause::Deadline, format!("no acknowledgement for {waited:?}")));
                    }
                    deadline.as_mut().reset(due);
                }
            }
        }
    }

    async fn submit_waiting(&mut self, max_payload: usize) -> Result<(), EpochEnd> {
        while let Some(message) = self.in_flight.get(self.submitted) {
            if message.payload.len() > max_payload {
                // Those before it are stored first.
                if self.submitted > 0 {
                    return Ok(());
                }
                self.stats.too_large.add(1);
                return Err(EpochEnd::Refused(format!(
                    "the message at position {} has {} bytes{}, and the server takes {max_payload} at most (its max_payload, less \
                     what headers need). Raise `max_payload` in the server's configuration, or send smaller messages; the \
                     message stays in the queue",
                    message.id.position,
                    message.payload.len(),
                    if message.count > 1 { ", packed (--pack takes a smaller limit)" } else { "" }
                )));
            }
            die_point("out.submit");
            let submit = timeout(self.ack_deadline, self.engine.submit(message)).await;
            submit.unwrap_or_else(|_| {
                Err(EpochEnd::lost(Cause::Deadline, "the connection takes no more messages"))
            })?;
            self.submitted += 1;
            die_point("out.submitted");
        }
        Ok(())
    }

    fn ack(&mut self, ack: Ack) {
        self.submitted -= 1;
        self.progress.stored(ack.sequence);
        self.pop(ack.is_duplicate);
    }

    /// The oldest message in flight is stored.
    fn pop(&mut self, is_duplicate: bool) {
        let Some(message) = self.in_flight.pop_front() else { return };
        self.acked += message.count;
        self.is_run_acked |= message.ends_run;
        self.stats.messages.add(message.count);
        self.stats.bytes.add(message.payload.len() as u64);
        if is_duplicate {
            self.stats.duplicates.add(1);
        }
    }
}
