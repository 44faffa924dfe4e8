//! The thread that owns a queue's producer and its ledger: commits messages, in order, each once.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use ringway::kind::{BytesProducer, RawQueue};
use ringway::schema::Description;
use ringway::{AttachError, Canceller, SendError};
use tokio::sync::oneshot;

use super::ledger::{Ledger, Reached};
use super::source::{Incoming, SourceName};
use crate::die::die_point;
use crate::failure::Failure;
use crate::pack;
use crate::queue::{self, Carried};
use crate::stop::Stop;

/// An MPMC queue takes no more in one commit.
const MAX_BATCH: usize = 255;

/// How long one attempt to get the producer's role lasts.
const STANDBY: Duration = Duration::from_millis(500);

/// How long after a recovery that failed the queue is tried again.
const RECOVERY_RETRY: Duration = Duration::from_millis(100);

/// What the thread is asked to do, and where the answer goes: how far the stream has come into the queue.
pub(crate) struct Job {
    pub(crate) what: Work,
    pub(crate) reply: oneshot::Sender<Result<Reached, Failure>>,
}

pub(crate) enum Work {
    /// An epoch begins: the server's consumer has acknowledged this much.
    Begin { source: SourceName, acked: u64 },
    /// These come next. Ends early if it is cancelled.
    Commit(Vec<Incoming>),
    /// This message is dealt with, and is not for the queue.
    Pass(u64),
}

/// What the other side of the link needs to know of the queue.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) description: Description,
    pub(crate) fixed_len: Option<usize>,
    pub(crate) max_message: usize,
    /// Whether a message that comes again is dropped, also after a kill.
    pub(crate) is_exact: bool,
    /// Ends a wait for room.
    pub(crate) canceller: Canceller,
}

/// Attaches as the queue's producer: waits as a standby while there is another one. None if it was asked to stop before.
///
/// # Errors
/// If the queue cannot be written to, or its messages cannot be copied into it.
pub(crate) fn attach<K: Carried>(
    queue: &RawQueue<K>,
    stop: &Stop,
) -> Result<Option<BytesProducer<K>>, Failure> {
    check_alignment(queue.archive_alignment(), queue.alignment())?;
    let mut is_told = false;
    loop {
        // SAFETY: for a queue of bytes, any bytes will do. For a typed one, only messages are sent that a bridge stored under
        // the description of the same type (`puller.rs` compares), unchanged, with the alignment checked above: archives of
        // that type, as their producer wrote them. That only bridges can store under the stream's subjects is the contract
        // of the user who runs this one on a typed queue (docs/guide/beyond.md).
        let attached = unsafe { queue.as_bytes() }.producer_timeout(STANDBY);
        match attached {
            Ok(producer) => return Ok(Some(producer)),
            Err(AttachError::RoleTaken { pid, path, .. }) if !stop.is_requested() => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::info!(queue = %path.display(), "standby: process {pid} is the queue's producer");
                }
            }
            Err(AttachError::Interrupted) if !stop.is_requested() => {}
            Err(AttachError::RoleTaken { .. } | AttachError::Interrupted) => return Ok(None),
            Err(error) => return Err(anyhow!(error).context("attaching as the queue's producer").into()),
        }
    }
}

/// Archives depend on their address modulo the greatest alignment in them: they are copied only where it is kept.
pub(crate) fn check_alignment(needed: usize, is: usize) -> Result<(), Failure> {
    match needed <= is {
        true => Ok(()),
        false => Err(Failure::Refused(format!(
            "messages of this type must be aligned to {needed} bytes, and this queue aligns them to {is} only: create it with \
             an alignment of {needed}"
        ))),
    }
}

/// Tells what the queue is.
pub(crate) fn describe<K: Carried>(queue: &RawQueue<K>, producer: &BytesProducer<K>) -> Opened {
    Opened {
        description: queue.description().clone(),
        fixed_len: queue.fixed_len(),
        max_message: producer.max_message(),
        is_exact: !K::HAS_MANY_CONSUMERS,
        canceller: producer.canceller(),
    }
}

/// Works until no more jobs come, or one fails.
///
/// # Errors
/// If the ledger cannot be opened.
pub(crate) fn run<K: Carried>(
    queue: &RawQueue<K>,
    producer: BytesProducer<K>,
    takes_over: bool,
    jobs: &Receiver<Job>,
) -> Result<(), Failure> {
    let (uuid, path) = queue::identity(queue);
    // An MPMC queue has other producers, which move its positions, and its commits are not all or nothing.
    let ledger = if K::HAS_MANY_CONSUMERS { None } else { Some(Ledger::open(&path, uuid)?) };
    let mut committer = Committer { producer, ledger, takes_over, state: None };
    while let Ok(Job { what, reply }) = jobs.recv() {
        let done = match what {
            Work::Begin { source, acked } => committer.begin(source, acked),
            Work::Commit(messages) => committer.commit(&messages),
            Work::Pass(sequence) => committer.pass(sequence),
        };
        let is_over = done.is_err();
        let _ = reply.send(done);
        if is_over {
            break;
        }
    }
    Ok(())
}

struct Committer<K: Carried> {
    producer: BytesProducer<K>,
    ledger: Option<Ledger>,
    takes_over: bool,
    /// Since the first epoch: the source, and how far it has come.
    state: Option<(SourceName, Reached)>,
}

impl<K: Carried> Committer<K> {
    fn begin(&mut self, source: SourceName, acked: u64) -> Result<Reached, Failure> {
        if let Some((known, reached)) = &self.state {
            return match *known == source {
                true => Ok(*reached),
                false => Err(Failure::Refused(format!(
                    "stream {} was deleted and made anew while it was carried; to go on with the new one, start the bridge with \
                     --takeover",
                    source.stream
                ))),
            };
        }
        let position = self.producer.position();
        let recorded = match &self.ledger {
            Some(ledger) => ledger.reached(&source, position),
            None => Ok(None),
        };
        let reached = match recorded {
            Err(Failure::Refused(why)) if self.takes_over => {
                tracing::warn!("taking over: {why}");
                None
            }
            recorded => recorded?,
        };
        let reached = reached.unwrap_or(Reached::through(acked));
        if let Some(ledger) = &mut self.ledger {
            ledger.settle(&source, reached, position)?;
        }
        self.state = Some((source, reached));
        Ok(reached)
    }

    fn commit(&mut self, messages: &[Incoming]) -> Result<Reached, Failure> {
        let (_, reached) = self.state()?;
        let mut frames = Vec::with_capacity(messages.len());
        for message in messages {
            unpack(message, &mut frames)?;
        }
        let mut left = &frames[frames.partition_point(|(place, _)| *place <= reached)..];
        while let Some(first) = left.first() {
            let mut count =
                if self.ledger.is_some() { self.commit_some(left)? } else { self.commit_many(left)? };
            if count == 0 {
                let Some(waited) = self.wait_for_room(first)? else { break };
                count = waited;
            }
            left = &left[count..];
        }
        Ok(self.state()?.1)
    }

    /// Commits as many as there is room for, without a ledger.
    fn commit_many(&mut self, frames: &[(Reached, Bytes)]) -> Result<usize, Failure> {
        let payloads: Vec<_> = frames.iter().take(MAX_BATCH).map(|(_, bytes)| bytes).collect();
        let count = match self.producer.try_send_many(&payloads) {
            Ok(count) => count,
            // The wait for room tells what is in the way.
            Err(SendError::Full | SendError::RecoveryFailed(_)) => 0,
            Err(error) => return Err(failed(error)),
        };
        if let Some((after, _)) = count.checked_sub(1).and_then(|last| frames.get(last)) {
            self.committed(*after);
        }
        Ok(count)
    }

    /// Records what is in the queue, which has no ledger.
    fn committed(&mut self, after: Reached) {
        die_point("in.committed");
        if let Some((_, reached)) = &mut self.state {
            *reached = after;
        }
        die_point("in.settled");
    }

    /// Commits as many as there is room for, together: all of them or none, as the ledger says.
    fn commit_some(&mut self, frames: &[(Reached, Bytes)]) -> Result<usize, Failure> {
        let position = self.producer.position();
        let mut batch = self.producer.batch().map_err(failed)?;
        let mut last = None;
        for (at, (place, bytes)) in frames.iter().take(MAX_BATCH).enumerate() {
            match batch.try_reserve(bytes.len()) {
                Ok(payload) => payload.copy_from_slice(bytes),
                Err(SendError::Full | SendError::RecoveryFailed(_)) => break,
                Err(error) => return Err(failed(error)),
            }
            last = Some((at + 1, *place));
        }
        let (Some((count, after)), Some((source, before))) = (last, &mut self.state) else { return Ok(0) };
        if let Some(ledger) = &mut self.ledger {
            die_point("in.staged");
            ledger.intend(source, *before, after, position)?;
            die_point("in.intended");
        }
        match batch.commit() {
            Ok(_) => {}
            Err(SendError::Full) => return Ok(0),
            Err(error) => return Err(failed(error)),
        }
        die_point("in.committed");
        *before = after;
        if let Some(ledger) = &mut self.ledger {
            ledger.settle(source, after, self.producer.position())?;
        }
        die_point("in.settled");
        Ok(count)
    }

    fn pass(&mut self, sequence: u64) -> Result<Reached, Failure> {
        let position = self.producer.position();
        let Some((source, reached)) = &mut self.state else { return Err(unbegun()) };
        *reached = (*reached).max(Reached::through(sequence));
        if let Some(ledger) = &mut self.ledger {
            ledger.settle(source, *reached, position)?;
        }
        Ok(*reached)
    }

    /// Waits for room for the first frame, and returns how many were committed; `None` if the wait was cancelled.
    ///
    /// Without a ledger the frame is committed: an MPMC queue may have bytes for it and no position, which only its commit
    /// waits for.
    fn wait_for_room(&mut self, (after, bytes): &(Reached, Bytes)) -> Result<Option<usize>, Failure> {
        let mut is_told = false;
        loop {
            let done = match self.producer.reserve(bytes.len()) {
                Ok(_) if self.ledger.is_some() => return Ok(Some(0)),
                Ok(mut frame) => {
                    frame.copy_from_slice(bytes);
                    frame.commit()
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => {
                    self.committed(*after);
                    return Ok(Some(1));
                }
                Err(SendError::Cancelled) => return Ok(None),
                Err(SendError::Interrupted) => {}
                Err(SendError::RecoveryFailed(error)) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!("a dead participant may hold the queue's room: {error}");
                    }
                    // The error comes without a wait, and as long as its cause lasts.
                    if self.producer.canceller().is_cancelled() {
                        return Ok(None);
                    }
                    std::thread::sleep(RECOVERY_RETRY);
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn state(&self) -> Result<(&SourceName, Reached), Failure> {
        self.state.as_ref().map(|(source, reached)| (source, *reached)).ok_or_else(unbegun)
    }
}

fn unbegun() -> Failure {
    anyhow!("a message came before the epoch began").into()
}

fn failed(error: SendError) -> Failure {
    let is_closed = matches!(error, SendError::Closed);
    let error = anyhow!(error).context("committing messages to the queue");
    let advice = "the queue is closed and takes no more; create it anew, or stop carrying into it";
    Failure::Failed(if is_closed { error.context(advice) } else { error })
}

/// The queue's messages in one of the stream's, and the place after each.
fn unpack(message: &Incoming, frames: &mut Vec<(Reached, Bytes)>) -> Result<(), Failure> {
    let sequence = message.sequence;
    let Some(count) = message.packed else {
        frames.push((Reached::through(sequence), message.payload.clone()));
        return Ok(());
    };
    let parts = pack::unpack(&message.payload, count).context("a damaged pack was not refused before")?;
    for (at, part) in parts.into_iter().enumerate() {
        let is_last = at as u64 + 1 == u64::from(count);
        let place = Reached { sequence, frames: at as u64 + 1 };
        frames.push((if is_last { Reached::through(sequence) } else { place }, part));
    }
    Ok(())
}
