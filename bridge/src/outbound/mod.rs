//! From a queue into a stream: everything that is sent to the queue is stored in the stream, in the order of positions,
//! each message once; and nothing is released in the queue that is not stored.
//!
//! A thread (`taker.rs`) owns the queue's consumer and its guards, which do not leave it. It copies messages out, and
//! passes them to a task (`publisher.rs`), which submits them to an [`Engine`]. What is acknowledged comes back as one
//! number (`releaser.rs`): how many messages, from the first one on, are stored. `resume.rs` says what happens between
//! epochs, and why nothing is lost or stored twice.

mod copy;
mod held;
mod publisher;
mod releaser;
mod resume;
mod standby;
mod stored;
mod taker;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use ringway::Sharing;
use ringway::inspect::Inspector;
use ringway::kind::RawQueue;
use tokio::sync::{mpsc, oneshot};

use crate::engine::Engine;
use crate::failure::Failure;
use crate::queue::{self, Carried, Visit};
use crate::stats::Stats;
use crate::stop::Stop;
use publisher::Publisher;
use releaser::Releaser;
use resume::Progress;
use taker::{Started, Taker};

/// How much may be taken from the queue and not acknowledged: no more than either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Messages.
    pub messages: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { messages: 1024, bytes: 8 << 20 }
    }
}

/// A link from a queue into a stream.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The queue: a bare name is a file in /dev/shm, anything with a slash is a path.
    pub queue: PathBuf,
    /// Which users may write to the queue's file, and are therefore trusted.
    pub sharing: Sharing,
    /// See [`InFlight`].
    pub in_flight: InFlight,
    /// Packs messages that are taken together into one of the stream, of at most this many bytes. Only a bridge can read
    /// those: see [`pack`](crate::pack).
    pub pack: Option<usize>,
    /// An epoch ends if nothing is acknowledged for so long.
    pub ack_deadline: Duration,
    /// When the link is asked to end: how long it waits for acknowledgements.
    pub drain: Duration,
    /// Goes on in a stream whose last message is not of this queue, or is gone.
    pub takes_over: bool,
    /// Whether other consumers may take messages too. Only with an engine that shares its stream.
    pub allows_other_consumers: bool,
}

impl Outbound {
    /// A link from this queue, with the defaults.
    pub fn new(queue: impl Into<PathBuf>) -> Self {
        Self {
            queue: queue.into(),
            sharing: Sharing::Owner,
            in_flight: InFlight::default(),
            pack: None,
            ack_deadline: Duration::from_secs(15),
            drain: Duration::from_secs(10),
            takes_over: false,
            allows_other_consumers: false,
        }
    }

    /// Carries messages until the queue is closed and everything is stored, or until `stop` asks to end; outages do not
    /// end it.
    ///
    /// # Errors
    /// [`Failure::Refused`] if going on would lose or repeat messages, [`Failure::Failed`] if the queue cannot be read.
    pub async fn run<E: Engine>(&self, engine: E, stats: Arc<Stats>, stop: Stop) -> Result<(), Failure> {
        let mut stop = stop;
        let _only = match self.allows_other_consumers {
            true => None,
            false => match standby::wait(&self.queue, &mut stop).await? {
                Some(only) => Some(only),
                None => return Ok(()),
            },
        };
        let releaser = Arc::new(Releaser::default());
        let (batches, received) = mpsc::unbounded_channel();
        let (started, start) = oneshot::channel();
        let (finished, finish) = oneshot::channel();
        let taker = Taker {
            releaser: Arc::clone(&releaser),
            stats: Arc::clone(&stats),
            in_flight: self.in_flight,
            pack: self.pack,
            batches,
            started,
        };
        let (queue, sharing) = (self.queue.clone(), self.sharing);
        let thread = std::thread::Builder::new().name("ringway-taker".into());
        let spawned = thread.spawn(move || {
            let taken = queue::open(&queue, sharing, TakeFrom(taker)).map_err(Failure::Failed);
            let taken = taken.and_then(|taken| taken);
            let _ = finished.send(taken.map_err(|failure| failure.context(&queue.display().to_string())));
        });
        spawned.context("starting a thread")?;
        let published = match start.await {
            Ok(started) => self.publish(engine, received, releaser, stats, started, stop).await,
            // The taker failed before; it says why.
            Err(_) => Ok(()),
        };
        let panicked = || anyhow!("the thread that reads the queue panicked");
        let taken = finish.await.unwrap_or_else(|_| Err(panicked().into()));
        published?;
        taken
    }

    /// Whether the queue's other consumers let a link run, without attaching to it. Returns what is worth knowing.
    ///
    /// # Errors
    /// [`Failure::Refused`] if they do not, [`Failure::Failed`] if that cannot be found out.
    pub fn check_consumers(&self) -> Result<Option<String>, Failure> {
        if self.allows_other_consumers {
            return Ok(None);
        }
        let path = Inspector::open(&self.queue).map_err(anyhow::Error::from)?.path().to_path_buf();
        let pids = queue::live_consumers(&path)?;
        if standby::is_carried(&path)? && pids.len() <= 1 {
            return Ok(Some(
                "another bridge carries the queue: this one would stand by until that one ends".into(),
            ));
        }
        match pids.is_empty() {
            true => Ok(None),
            false => Err(Failure::Refused(format!(
                "{} has consumers besides a bridge (among processes {pids:?}); in strict order the bridge must be the only one",
                path.display()
            ))),
        }
    }

    async fn publish<E: Engine>(
        &self,
        mut engine: E,
        batches: mpsc::UnboundedReceiver<Vec<crate::engine::Outgoing>>,
        releaser: Arc<Releaser>,
        stats: Arc<Stats>,
        started: Started,
        stop: Stop,
    ) -> Result<(), Failure> {
        let Started { uuid, path, description, has_many_consumers, attached_at, redelivered } = started;
        engine.describe(&description);
        let is_checked = has_many_consumers && !self.allows_other_consumers;
        let publisher = Publisher {
            link: self.queue.display().to_string(),
            engine,
            batches,
            in_flight: redelivered.into(),
            submitted: 0,
            acked: 0,
            is_run_acked: false,
            progress: Progress::new(uuid, attached_at, self.takes_over, has_many_consumers),
            releaser,
            stats,
            ack_deadline: self.ack_deadline,
            drain: self.drain,
            check: Box::new(move || if is_checked { refuse_others(&path) } else { Ok(()) }),
            has_all: false,
        };
        publisher.run(stop).await
    }
}

/// In strict order the bridge must be the only consumer: a message that another one took and dropped by dying could come
/// after later ones were stored, and be taken for stored.
fn refuse_others(path: &std::path::Path) -> Result<(), String> {
    let pids = queue::live_consumers(path).map_err(|error| format!("{error:#}"))?;
    if pids.len() <= 1 {
        return Ok(());
    }
    Err(format!(
        "{} has {} consumers (processes {pids:?}); in strict order the bridge must be the only one. Stop the others, or \
         say --order shared, which keeps no order and may repeat messages",
        path.display(),
        pids.len(),
    ))
}

/// Copies of archives are valid where their parts are aligned as in the queue, which places messages at multiples of `is`.
fn check_alignment(needed: usize, is: usize) -> Result<(), Failure> {
    match needed <= is {
        true => Ok(()),
        false => Err(Failure::Refused(format!(
            "messages have parts that are aligned to {needed} bytes, but the queue aligns messages to {is} only, so that copies \
             would not be valid. Create it with CreateOptions::align({needed})"
        ))),
    }
}

struct TakeFrom(Taker);

impl Visit for TakeFrom {
    type Out = Result<(), Failure>;

    fn visit<K: Carried>(self, queue: RawQueue<K>) -> Self::Out {
        check_alignment(queue.archive_alignment(), queue.alignment())?;
        let consumer = taker::attach(&queue)?;
        Ok(taker::run(&queue, &consumer, self.0)?)
    }
}
