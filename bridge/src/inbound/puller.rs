//! The task that pulls from a source, judges messages, has them committed, and acknowledges them, epoch after epoch.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::committer::Work;
use super::judge::{Compared, DAMAGED_TAG, Verdict, judge};
use super::ledger::Reached;
use super::source::{Incoming, Origin, Source, Tag};
use super::target::{Attempt, Target};
use super::{Inbound, OnBad};
use crate::backoff::Backoff;
use crate::die::die_point;
use crate::engine::{Cause, EpochEnd};
use crate::failure::Failure;
use crate::stats::Stats;
use crate::stop::Stop;

/// How long an epoch may take to begin.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// A shorter interval would only keep the server busy, and a timer has none of zero.
const MIN_KEEP_INTERVAL: Duration = Duration::from_millis(10);

pub(crate) struct Puller<S> {
    link: String,
    source: S,
    target: Target,
    compared: Compared,
    on_bad: OnBad,
    drain: Duration,
    keep_interval: Duration,
    stats: Arc<Stats>,
    /// What the last epoch that began has acknowledged.
    acked: u64,
    /// How far the stream has come into the queue; none before the first epoch.
    reached: Option<Reached>,
}

/// Why an epoch ended.
enum End {
    /// The link was asked to end, and has.
    Stopped,
    Epoch(EpochEnd),
    Failed(Failure),
}

impl From<EpochEnd> for End {
    fn from(end: EpochEnd) -> Self {
        Self::Epoch(end)
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<S: Source> Puller<S> {
    pub(crate) fn new(link: &Inbound, source: S, target: Target, stats: Arc<Stats>) -> Self {
        Self {
            link: link.queue.display().to_string(),
            source,
            target,
            compared: Compared::new(link.create.is_some()),
            on_bad: link.on_bad.clone(),
            drain: link.drain,
            keep_interval: link.keep_interval.max(MIN_KEEP_INTERVAL),
            stats,
            acked: 0,
            reached: None,
        }
    }

    /// Works until it is asked to stop, or until going on makes no sense.
    pub(crate) async fn run(mut self, mut stop: Stop) -> Result<(), Failure> {
        let outcome = self.epochs(&mut stop).await;
        self.stats.set_connected(false);
        self.target.cancel();
        self.target.close().await;
        outcome
    }

    async fn epochs(&mut self, stop: &mut Stop) -> Result<(), Failure> {
        let mut backoff = Backoff::default();
        // Errors of the queue are told at once, not only once the server can be reached.
        if let Attempt::Stopped = self.target.open().await? {
            return Ok(());
        }
        loop {
            let reached = self.reached;
            let end = self.epoch(stop).await;
            self.stats.set_connected(false);
            if self.reached > reached {
                backoff.reset();
            }
            match end {
                Ok(never) => match never {},
                Err(End::Stopped) => return Ok(()),
                Err(End::Failed(failure)) => return Err(failure),
                Err(End::Epoch(EpochEnd::Refused(why) | EpochEnd::Misconfigured(why))) => {
                    return Err(Failure::Refused(why));
                }
                Err(End::Epoch(EpochEnd::Lost { cause, error })) => {
                    self.stats.count_end(cause);
                    let delay = backoff.next();
                    tracing::warn!(
                        link = self.link,
                        cause = cause.word(),
                        "{error}; next attempt in {delay:.0?}"
                    );
                    tokio::select! {
                        () = sleep(delay) => {}
                        () = stop.requested() => return Ok(()),
                    }
                }
            }
        }
    }

    async fn epoch(&mut self, stop: &mut Stop) -> Result<std::convert::Infallible, End> {
        let open = timeout(OPEN_TIMEOUT, self.source.open());
        let origin = tokio::select! {
            origin = open => origin.unwrap_or_else(|_| {
                Err(EpochEnd::lost(Cause::Connect, "the server did not answer in time"))
            })?,
            () = stop.requested() => return Err(End::Stopped),
        };
        self.acked = origin.acked;
        let mut after = origin.acked;
        if self.target.opened().is_some() {
            let reached = self.begin(&origin).await?;
            // A message of which a part is in the queue is needed again.
            after = reached.whole();
        }
        self.source.start(after).await?;
        self.stats.epochs.add(1);
        self.stats.set_connected(true);
        tracing::info!(link = self.link, "connected; the queue has everything up to message {after}");
        die_point("in.opened");
        // What an earlier process committed, and was killed before it acknowledged.
        self.acknowledge().await?;
        loop {
            let messages = tokio::select! {
                messages = self.source.pull() => messages?,
                () = stop.requested() => return Err(self.end().await),
            };
            die_point("in.pulled");
            self.stats.in_flight.set(messages.len() as u64);
            if self.target.opened().is_none() {
                // A damaged tag says nothing of the type.
                match messages.iter().find(|message| message.tag != Tag::Invalid) {
                    Some(first) => self.create(first, &origin).await?,
                    None => {
                        self.set_aside(messages).await?;
                        continue;
                    }
                }
            }
            self.carry(messages, stop).await?;
            self.acknowledge().await?;
            self.stats.in_flight.set(0);
            if stop.is_requested() {
                return Err(self.end().await);
            }
        }
    }

    /// Ends in order: what is committed is acknowledged.
    async fn end(&mut self) -> End {
        match timeout(self.drain, self.source.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(link = self.link, "the last acknowledgements may not have arrived: {error}")
            }
            Err(_) => tracing::warn!(
                link = self.link,
                "the server did not confirm the last acknowledgements in time"
            ),
        }
        End::Stopped
    }

    async fn begin(&mut self, origin: &Origin) -> Result<Reached, End> {
        let begin = Work::Begin { source: origin.name.clone(), acked: origin.acked };
        let answer = self.target.begin(begin)?;
        let reached = self.answer(answer).await?;
        self.reached = Some(reached);
        Ok(reached)
    }

    async fn answer(&mut self, answer: oneshot::Receiver<Result<Reached, Failure>>) -> Result<Reached, End> {
        match answer.await {
            Ok(reached) => Ok(reached?),
            Err(_) => Err(self.target.why_ended().await.into()),
        }
    }

    /// Creates the queue, for messages of the first one's type.
    async fn create(&mut self, first: &Incoming, origin: &Origin) -> Result<(), End> {
        let described = match first.tag {
            Tag::Type(tag) => {
                let described = self.source.describe(tag).await?;
                Some(described.ok_or_else(|| {
                    EpochEnd::Refused(format!(
                        "the queue cannot be created: messages are of type {tag}, whose description is not in stream {}",
                        crate::types::STREAM
                    ))
                })?)
            }
            Tag::None | Tag::Invalid => None,
        };
        match self.target.create(described).await? {
            Attempt::Open => {
                tracing::info!(link = self.link, "the queue was created");
                self.begin(origin).await.map(|_| ())
            }
            Attempt::Missing | Attempt::Stopped => Err(End::Stopped),
        }
    }

    /// Commits the good ones, in order, and deals with the others.
    async fn carry(&mut self, messages: Vec<Incoming>, stop: &mut Stop) -> Result<(), End> {
        for message in &messages {
            if let Tag::Type(tag) = message.tag
                && self.compared.is_unknown(tag)
            {
                let described = match self.source.describe(tag).await {
                    Err(EpochEnd::Refused(why)) => Err(why),
                    described => Ok(described?),
                };
                let opened = self.target.opened().expect("the queue is open while messages are carried");
                self.compared.compare(opened, tag, described);
            }
        }
        let mut good = Vec::with_capacity(messages.len());
        for message in messages {
            let opened = self.target.opened().expect("the queue is open while messages are carried");
            match judge(opened, &self.compared, &message) {
                Verdict::Good => good.push(message),
                Verdict::Bad(why) => {
                    self.commit(std::mem::take(&mut good), stop).await?;
                    if !stop.is_requested() {
                        self.bad(message, &why).await?;
                    }
                }
                Verdict::Refused(why) => {
                    self.commit(std::mem::take(&mut good), stop).await?;
                    self.refuse(&message, &why).await?;
                }
            }
        }
        self.commit(good, stop).await
    }

    /// Has messages committed, for as long as that takes: a full queue holds everything up.
    async fn commit(&mut self, messages: Vec<Incoming>, stop: &mut Stop) -> Result<(), End> {
        let before = self.reached;
        let is_new =
            |message: &&Incoming| before.is_none_or(|before| Reached::through(message.sequence) > before);
        let (mut count, mut bytes, mut again) = (0, 0, 0);
        for message in &messages {
            match is_new(&message) {
                true => {
                    (count, bytes) =
                        (count + message.packed.map_or(1, u64::from), bytes + message.payload.len())
                }
                false => again += 1,
            }
        }
        self.stats.redelivered.add(again);
        if count == 0 {
            return Ok(());
        }
        // What is repeated after a kill is what was not acknowledged: this batch, and none before it.
        if self.target.opened().is_some_and(|opened| !opened.is_exact) {
            self.source.flush().await?;
        }
        let answer = self.target.begin(Work::Commit(messages))?;
        tokio::pin!(answer);
        let mut keep = interval_at(Instant::now() + self.keep_interval, self.keep_interval);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_cancelled = false;
        let reached = loop {
            tokio::select! {
                biased;
                answer = &mut answer => match answer {
                    Ok(reached) => break reached?,
                    Err(_) => return Err(self.target.why_ended().await.into()),
                },
                // The job goes on if the epoch ends here; the next one begins after it.
                _ = keep.tick() => self.source.keep().await?,
                () = stop.requested(), if !is_cancelled => {
                    self.target.cancel();
                    is_cancelled = true;
                }
            }
        };
        self.reached = Some(reached);
        self.stats.messages.add(count);
        self.stats.bytes.add(bytes as u64);
        Ok(())
    }

    async fn bad(&mut self, message: Incoming, why: &str) -> Result<(), End> {
        self.move_away(&message, why).await?;
        let answer = self.target.begin(Work::Pass(message.sequence))?;
        self.reached = Some(self.answer(answer).await?);
        Ok(())
    }

    /// Deals with messages whose tags are damaged, while there is no queue yet.
    async fn set_aside(&mut self, messages: Vec<Incoming>) -> Result<(), End> {
        for message in messages {
            self.move_away(&message, DAMAGED_TAG).await?;
            self.source.ack(message.sequence).await?;
            self.acked = message.sequence;
        }
        self.stats.in_flight.set(0);
        Ok(())
    }

    /// Stores a message that the queue cannot take elsewhere, or ends the link.
    async fn move_away(&mut self, message: &Incoming, why: &str) -> Result<(), End> {
        self.stats.too_large.add(1);
        let OnBad::DeadLetter(subject) = &self.on_bad else {
            return self.refuse(message, why).await;
        };
        if let Err(end) = self.source.dead_letter(subject, message, why).await {
            if matches!(end, EpochEnd::Refused(_)) {
                self.settle().await?;
            }
            return Err(end.into());
        }
        die_point("in.dead_letter");
        tracing::warn!(link = self.link, "message {} was moved to {subject}: {why}", message.sequence);
        Ok(())
    }

    /// Ends the link; what came before the message is acknowledged.
    async fn refuse(&mut self, message: &Incoming, why: &str) -> Result<(), End> {
        self.settle().await?;
        Err(EpochEnd::Refused(format!(
            "message {} of the stream (subject {}) is not for this queue: {why}. It stays in the stream, not acknowledged; \
             `on_bad` can move messages that do not fit to another subject",
            message.sequence, message.subject.escape_debug()
        ))
        .into())
    }

    /// Before the link ends: what came before is acknowledged.
    async fn settle(&mut self) -> Result<(), End> {
        self.acknowledge().await?;
        let _ = timeout(self.drain, self.source.flush()).await;
        Ok(())
    }

    async fn acknowledge(&mut self) -> Result<(), End> {
        let Some(reached) = self.reached else { return Ok(()) };
        if reached.whole() > self.acked {
            self.source.ack(reached.whole()).await?;
            self.acked = reached.whole();
            die_point("in.acked");
        }
        Ok(())
    }
}
