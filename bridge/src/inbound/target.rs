//! The queue that a stream is carried into: opened, or created once the first message says of which type it is.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::{Sender, channel};

use anyhow::{Context, anyhow};
use ringway::inspect::QueueKind;
use ringway::kind::RawQueue;
use ringway::schema::Description;
use ringway::{CreateError, OpenError, Sharing};
use tokio::sync::oneshot;

use super::Inbound;
use super::committer::{self, Job, Opened, Work};
use super::ledger::Reached;
use crate::failure::Failure;
use crate::queue::{self, Carried, Visit};
use crate::size;
use crate::stop::Stop;

/// How to create a queue that does not exist.
///
/// As text: `kind=spsc` or `kind=mpmc`, and optionally `capacity=16MiB` (bytes of the ring; MPMC: of each lane),
/// `messages=8192` (MPMC), `checksums=yes`, with commas between.
///
/// ```
/// use ringway_nats::inbound::Create;
///
/// let create: Create = "kind=spsc,capacity=16m".parse()?;
/// assert_eq!(create.ring_bytes, Some(16 << 20));
/// assert!("capacity=16m".parse::<Create>().is_err(), "of which kind?");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create {
    /// Who may receive.
    pub kind: QueueKind,
    /// Bytes of the ring (MPMC: of each lane), instead of the default.
    pub ring_bytes: Option<usize>,
    /// MPMC: the maximum number of messages, instead of the default.
    pub max_messages: Option<usize>,
    /// Whether each message has a checksum.
    pub has_checksums: bool,
}

impl FromStr for Create {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut kind, mut ring_bytes, mut max_messages, mut has_checksums) = (None, None, None, false);
        for part in text.split(',') {
            let known = "kind=spsc, kind=mpmc, capacity=BYTES, messages=COUNT, checksums=yes";
            let wrong = || format!("\"{}\" is not one of {known}", part.escape_debug());
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            match (name.trim(), value.trim()) {
                ("kind", "spsc") => kind = Some(QueueKind::Spsc),
                ("kind", "mpmc") => kind = Some(QueueKind::Mpmc),
                ("capacity", bytes) => ring_bytes = Some(size::parse(bytes)?),
                ("messages", count) => max_messages = Some(count.parse().map_err(|_| wrong())?),
                ("checksums", "yes") => has_checksums = true,
                ("checksums", "no") => has_checksums = false,
                _ => return Err(wrong()),
            }
        }
        let kind = kind.ok_or("kind=spsc or kind=mpmc is needed")?;
        match (kind, max_messages) {
            (QueueKind::Mpmc, _) | (_, None) => Ok(Self { kind, ring_bytes, max_messages, has_checksums }),
            _ => Err("messages= is for kind=mpmc: an SPSC queue is limited by its bytes only".into()),
        }
    }
}

/// The queue of a link, and the thread that commits to it.
pub(crate) struct Target {
    path: PathBuf,
    sharing: Sharing,
    create: Option<Create>,
    takes_over: bool,
    stop: Stop,
    running: Option<Running>,
}

struct Running {
    opened: Opened,
    jobs: Sender<Job>,
    finished: oneshot::Receiver<Result<(), Failure>>,
}

/// What came of an attempt to open a queue.
pub(crate) enum Attempt {
    /// It can be committed to.
    Open,
    /// It does not exist, and is created once its type is known.
    Missing,
    /// The link was asked to end before.
    Stopped,
}

impl Target {
    pub(crate) fn new(link: &Inbound, stop: Stop) -> Self {
        Self {
            path: link.queue.clone(),
            sharing: link.sharing,
            create: link.create,
            takes_over: link.takes_over,
            stop,
            running: None,
        }
    }

    /// What is known of the queue; none before it is open.
    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.running.as_ref().map(|running| &running.opened)
    }

    /// Opens the queue, if it exists.
    ///
    /// # Errors
    /// If it exists and cannot be committed to, or if it does not and should not be created.
    pub(crate) async fn open(&mut self) -> Result<Attempt, Failure> {
        self.spawn(None).await
    }

    /// Creates the queue for messages of this type, or of bytes.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) async fn create(&mut self, described: Option<Description>) -> Result<Attempt, Failure> {
        self.spawn(Some(described)).await
    }

    async fn spawn(&mut self, described: Option<Option<Description>>) -> Result<Attempt, Failure> {
        let (jobs, received) = channel();
        let (started, start) = oneshot::channel();
        let (finished, mut finish) = oneshot::channel();
        let (path, sharing, create) = (self.path.clone(), self.sharing, self.create);
        let commit = Commit { takes_over: self.takes_over, stop: self.stop.clone(), started, jobs: received };
        let thread = std::thread::Builder::new().name("ringway-commit".into());
        let spawned = thread.spawn(move || {
            let outcome = open_and_commit(&path, sharing, create, described, commit);
            let _ = finished.send(outcome.map_err(|failure| failure.context(&path.display().to_string())));
        });
        spawned.context("starting a thread")?;
        match start.await {
            Ok(Some(opened)) => {
                self.running = Some(Running { opened, jobs, finished: finish });
                Ok(Attempt::Open)
            }
            Ok(None) => Ok(Attempt::Missing),
            Err(_) => match (&mut finish).await {
                Ok(outcome) => outcome.map(|()| Attempt::Stopped),
                Err(_) => Err(panicked()),
            },
        }
    }

    /// Has a job begun; its answer comes through what is returned.
    ///
    /// # Errors
    /// If the queue is not open.
    pub(crate) fn begin(&self, what: Work) -> Result<oneshot::Receiver<Result<Reached, Failure>>, Failure> {
        let (reply, answer) = oneshot::channel();
        let Some(running) = &self.running else { return Err(anyhow!("the queue is not open").into()) };
        // If the thread has ended, the answer never comes, and `why_ended` tells.
        let _ = running.jobs.send(Job { what, reply });
        Ok(answer)
    }

    /// Why the thread gave no answer.
    pub(crate) async fn why_ended(&mut self) -> Failure {
        let Some(running) = &mut self.running else { return panicked() };
        match (&mut running.finished).await {
            Ok(Err(failure)) => failure,
            Ok(Ok(())) | Err(_) => panicked(),
        }
    }

    /// Ends a wait for room in the queue.
    pub(crate) fn cancel(&self) {
        if let Some(running) = &self.running {
            running.opened.canceller.cancel();
        }
    }

    /// Ends the thread, and waits until the queue is detached from.
    pub(crate) async fn close(&mut self) {
        if let Some(Running { jobs, finished, .. }) = self.running.take() {
            drop(jobs);
            let _ = finished.await;
        }
    }
}

fn panicked() -> Failure {
    anyhow!("the thread that commits to the queue panicked").into()
}

fn open_and_commit(
    path: &Path,
    sharing: Sharing,
    create: Option<Create>,
    described: Option<Option<Description>>,
    commit: Commit,
) -> Result<(), Failure> {
    let (Some(create), true) = (create, is_missing(path)) else {
        return queue::open(path, sharing, commit)?;
    };
    let Some(described) = described else {
        let _ = commit.started.send(None);
        return Ok(());
    };
    match queue::create(path, sharing, &create, described.as_ref()) {
        // Another process was faster: its queue is compared as any other.
        Ok(()) | Err(CreateError::AlreadyExists { .. }) => queue::open(path, sharing, commit)?,
        Err(error) => Err(anyhow!(error).context("creating the queue").into()),
    }
}

fn is_missing(path: &Path) -> bool {
    matches!(ringway::schema::Description::recorded(path), Err(OpenError::NotFound { .. }))
}

/// Attaches to the queue and commits to it.
struct Commit {
    takes_over: bool,
    stop: Stop,
    started: oneshot::Sender<Option<Opened>>,
    jobs: std::sync::mpsc::Receiver<Job>,
}

impl Visit for Commit {
    type Out = Result<(), Failure>;

    fn visit<K: Carried>(self, queue: RawQueue<K>) -> Self::Out {
        let Some(producer) = committer::attach(&queue, &self.stop)? else { return Ok(()) };
        let _ = self.started.send(Some(committer::describe(&queue, &producer)));
        committer::run(&queue, producer, self.takes_over, &self.jobs)
    }
}
