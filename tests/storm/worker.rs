//! One process in the storm: what it does, and its replacement when it is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ringway::mpmc::BytesQueue;
use ringway::{AttachError, RecoverError, WaitStrategy};

use super::consumer::Takes;
use super::producer::Sends;
use super::self_report::{Left, SelfReport};
use crate::process::{Child, End, MessageLog, MpmcKind, Outcome, Random, TestDir, Words, ensure};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
    Recoverer,
}

/// The storm's queue, and what all its processes share.
pub(crate) struct Field {
    pub(crate) kind: MpmcKind,
    pub(crate) place: TestDir,
    pub(crate) message_log: MessageLog,
    /// Participants detach now and then.
    pub(crate) churns: bool,
    /// Not 0: every process ends.
    pub(crate) end: Words,
}

impl Field {
    pub(crate) fn is_over(&self) -> bool {
        self.end[0].load(Ordering::SeqCst) != 0
    }
}

pub(crate) struct Worker {
    pub(crate) role: Role,
    pub(crate) self_report: SelfReport,
    child: Option<Child>,
    generation: u64,
    /// It is stopped until then.
    stopped: Option<Instant>,
    /// Events that its predecessors have noted.
    before: u64,
}

impl Worker {
    pub(crate) fn new(role: Role) -> Self {
        Self { role, self_report: SelfReport::new(), child: None, generation: 0, stopped: None, before: 0 }
    }

    /// Starts a process of that generation, which ends itself if `end` requires it.
    pub(crate) fn start(&mut self, field: &Field, generation: u64, end: Option<End>) {
        let (role, self_report) = (self.role, &self.self_report);
        self.generation = generation;
        self.child = Some(Child::fork(|| live(field, role, generation, self_report, end)));
    }

    /// How far it and its predecessors have got.
    pub(crate) fn events(&self) -> u64 {
        self.before + self.self_report.events()
    }

    /// If its process has ended: whether it was killed, and what it has left.
    pub(crate) fn collect(&mut self, message_log: &MessageLog) -> Outcome<Option<(bool, Left)>> {
        match &self.child {
            Some(child) if child.has_ended()? => self.reap(message_log).map(Some),
            _ => Ok(None),
        }
    }

    /// Waits for the end of its process.
    pub(crate) fn reap(&mut self, message_log: &MessageLog) -> Outcome<(bool, Left)> {
        let child = self.child.take().expect("a process");
        self.stopped = None;
        let was_killed = child
            .collect()
            .map_err(|error| format!("{:?} of generation {}: {error}", self.role, self.generation))?;
        self.before += self.self_report.events();
        Ok((was_killed, self.self_report.clear(message_log, was_killed)))
    }

    pub(crate) fn kill(&self) -> Outcome {
        self.child.as_ref().expect("a process").strike()
    }

    /// Stops it for a time.
    pub(crate) fn stop(&mut self, time: Duration) -> Outcome {
        self.stopped = Some(Instant::now() + time);
        self.child.as_ref().expect("a process").signal(Signal::SIGSTOP)
    }

    /// Continues it if it was stopped and the time is up.
    pub(crate) fn go_on(&mut self, at_once: bool) -> Outcome {
        if self.stopped.is_some_and(|until| at_once || Instant::now() >= until) {
            self.stopped = None;
            self.child.as_ref().expect("a process").signal(Signal::SIGCONT)?;
        }
        Ok(())
    }

    pub(crate) fn describe(&self) -> String {
        let pid = self.child.as_ref().map_or(0, |child| child.pid().as_raw());
        let stopped = if self.stopped.is_some() { ", stopped" } else { "" };
        let events = self.self_report.events();
        format!("{:?} {pid}, generation {}, {events} events{stopped}", self.role, self.generation)
    }
}

/// What the process does.
fn live(field: &Field, role: Role, generation: u64, self_report: &SelfReport, end: Option<End>) -> Outcome {
    let queue = field.place.open_mpmc()?;
    let mut random = Random::new(generation);
    let arm = || {
        if let Some(end) = end {
            end.arm();
        }
    };
    // Some are hit while they attach.
    let is_early = generation.is_multiple_of(3);
    if is_early {
        arm();
    }
    let ready = AtomicBool::new(is_early);
    let ready = || {
        if !ready.swap(true, Ordering::Relaxed) {
            arm();
        }
        self_report.set_ready();
    };
    match role {
        Role::Producer => produce(field, &queue, generation, self_report, &mut random, ready),
        Role::Consumer => consume(field, &queue, self_report, &mut random, ready),
        Role::Recoverer => recover(field, &queue, self_report, ready),
    }
}

fn produce(
    field: &Field,
    queue: &BytesQueue,
    generation: u64,
    self_report: &SelfReport,
    random: &mut Random,
    ready: impl Fn(),
) -> Outcome {
    let mut sends = Sends::new(field.kind.shape, generation, &field.message_log, self_report);
    loop {
        let mut producer = attach(self_report, || queue.producer())?;
        producer.set_wait_strategy(some_wait(random));
        ready();
        let steps = steps(field, random);
        for _ in 0..steps {
            if sends.is_over() || field.is_over() {
                return Ok(());
            }
            sends.step(&mut producer, random)?;
        }
    }
}

fn consume(
    field: &Field,
    queue: &BytesQueue,
    self_report: &SelfReport,
    random: &mut Random,
    ready: impl Fn(),
) -> Outcome {
    let mut takes = Takes::new(field.kind.shape, &field.message_log, self_report);
    loop {
        let consumer = attach(self_report, || queue.consumer())?;
        consumer.set_wait_strategy(some_wait(random));
        ready();
        let mut session = takes.session(&consumer);
        let steps = steps(field, random);
        for _ in 0..steps {
            if field.is_over() {
                break;
            }
            session.step(random)?;
        }
        let forgotten = session.forget();
        drop(consumer);
        forgotten.into_iter().for_each(|noted| self_report.let_go(noted));
        if field.is_over() {
            return Ok(());
        }
    }
}

/// In most cases, parks.
fn some_wait(random: &mut Random) -> WaitStrategy {
    [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park, WaitStrategy::Park]
        [random.below(4) as usize]
}

/// How long a call waits: so short that it is hit at its beginning, or so long that it sleeps more than once.
pub(crate) fn some_time(random: &mut Random) -> Duration {
    Duration::from_micros(if random.below(4) == 0 { 10_000 } else { 200 })
}

/// The number of steps from attach to detach.
fn steps(field: &Field, random: &mut Random) -> u64 {
    if field.churns { random.below(60) } else { u64::MAX }
}

fn recover(field: &Field, queue: &BytesQueue, self_report: &SelfReport, ready: impl Fn()) -> Outcome {
    ready();
    while !field.is_over() {
        match queue.recover() {
            Ok(_) => self_report.progress(),
            Err(RecoverError::Busy { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Retries while all entries are taken: some of them by dead participants that a recovery is just
/// examining.
fn attach<P>(self_report: &SelfReport, attach: impl Fn() -> Result<P, AttachError>) -> Outcome<P> {
    let start = Instant::now();
    loop {
        match attach() {
            Err(AttachError::TooManyParticipants { .. }) => self_report.found_no_place(),
            result => return Ok(result?),
        }
        ensure!(start.elapsed() < Duration::from_secs(15), "there is still no place");
        std::thread::yield_now();
    }
}
