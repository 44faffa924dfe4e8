//! One kill.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use workload::first_of;

use super::marks::{MAX_MESSAGES, Marker, Marks, Sent};
use crate::case::{Shape, Victim};
use crate::measure::crew::{CAUGHT, child, pin};
use crate::measure::{Scope, Task};
use crate::shared::Shared;
use crate::systems::{Receiver, Sender, System};

/// If no message arrives for this long, none will.
const TIME_LIMIT: Duration = Duration::from_secs(1);
/// How long the last messages may take.
const REST: Duration = Duration::from_millis(100);
/// For the workers to begin.
const START: Duration = Duration::from_secs(5);
/// Messages that the victim has sent or received when it may be killed ...
const BEFORE: u64 = 200;
/// ... and the maximum time that it lives after that.
const LONGEST_LIFE_NS: u64 = 300_000;
/// The maximum number of messages on their way: a producer waits a little if there are more.
const WINDOW: u64 = 64;
const LITTLE: Duration = Duration::from_micros(200);
/// Between two reads of the marks.
const PAUSE: Duration = Duration::from_micros(10);

pub(super) struct Trial {
    /// From the kill to the first message that was sent after it.
    pub(super) time: Option<Duration>,
    pub(super) torn: u64,
    pub(super) lost: u64,
    pub(super) again: u64,
    pub(super) last_words: Option<String>,
}

/// The workers; killed when dropped.
struct Crowd(Vec<Pid>);

impl Crowd {
    fn end(&mut self, pid: Pid) -> Result<()> {
        self.0.retain(|other| *other != pid);
        let _ = kill(pid, Signal::SIGKILL);
        waitpid(pid, None).context("waiting for the one that was killed")?;
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        for pid in &self.0 {
            let _ = waitpid(*pid, None);
        }
    }
}

/// `most`: the maximum numbers of producers and consumers that the system takes.
pub(super) fn run<S: System>(
    task: &Task,
    victim: Victim,
    most: Shape,
    number: usize,
    random: u64,
) -> Result<Trial> {
    ensure!(task.scope == Scope::Processes, "threads of one process die together");
    let has_second = match victim {
        Victim::Producer => most.producers > 1,
        Victim::Consumer => most.consumers > 1,
    };
    let mut setup = task.setup(number);
    setup.shape = match (victim, has_second) {
        (_, false) => Shape::new(most.producers.min(2), 1),
        (Victim::Producer, true) => Shape::new(2, 1),
        (Victim::Consumer, true) => Shape::new(1, most.consumers.min(2)),
    };
    if most == Shape::PAIR {
        setup.shape = Shape::PAIR;
    }
    let system = S::new(&setup)?;
    let marks = Shared::<Marks>::new()?;
    let scene = Scene { system: &system, marks: &marks, cores: task.cores };
    let mut crowd = Crowd(Vec::new());
    let consumer = scene.consumer(0)?;
    crowd.0.push(consumer);
    let producer = scene.producer(0)?;
    crowd.0.push(producer);
    if has_second {
        let second = match victim {
            Victim::Producer => scene.producer(1)?,
            Victim::Consumer => scene.consumer(1)?,
        };
        crowd.0.push(second);
    }
    wait_for(START, || marks.sent[0].received.load(Ordering::Acquire) >= BEFORE)
        .with_context(|| format!("no messages came: {:?}", marks.last_words()))?;
    let life = Duration::from_nanos(random % LONGEST_LIFE_NS);
    let born = Instant::now();
    while born.elapsed() < life {
        std::hint::spin_loop();
    }
    let killed = Instant::now();
    crowd.end(if victim == Victim::Producer { producer } else { consumer })?;
    if !has_second {
        let second = match victim {
            Victim::Producer => scene.producer(1)?,
            Victim::Consumer => scene.consumer(1)?,
        };
        crowd.0.push(second);
    }
    // The worker whose messages must go on: what it sends from now on is sent after the death.
    let survivor = &marks.sent[usize::from(victim == Victim::Producer)];
    let before = survivor.done.load(Ordering::Acquire);
    let goes_on = wait_for(TIME_LIMIT, || survivor.latest.load(Ordering::Acquire) > before + 1);
    let time = goes_on.is_ok().then(|| killed.elapsed());
    Ok(settle(&marks, time))
}

struct Scene<'s, S> {
    system: &'s S,
    marks: &'s Shared<Marks>,
    cores: [usize; 2],
}

impl<S: System> Scene<'_, S> {
    fn producer(&self, index: usize) -> Result<Pid> {
        let work = move || {
            pin(self.cores[0]);
            let mut sender = self.system.sender(index)?;
            self.begin();
            produce(&mut sender, index, self.marks);
            Ok(())
        };
        self.start(work)
    }

    fn consumer(&self, index: usize) -> Result<Pid> {
        let work = move || {
            pin(self.cores[1]);
            let mut receiver = self.system.receiver(index)?;
            self.begin();
            loop {
                receiver.receive(&mut Marker(self.marks));
            }
        };
        self.start(work)
    }

    /// Both a consumer and a producer must be there first.
    fn begin(&self) {
        self.marks.ready.fetch_add(1, Ordering::AcqRel);
        while self.marks.ready.load(Ordering::Acquire) < 2 {
            std::thread::yield_now();
        }
    }

    /// A worker that fails leaves an error text, not an answer.
    fn start(&self, work: impl FnOnce() -> Result<()> + Send) -> Result<Pid> {
        let marks = self.marks;
        child(move || {
            CAUGHT.store(true, Ordering::Relaxed);
            let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let words = match worked {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => format!("{error:#}"),
                Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| {
                    panic.downcast_ref::<&str>().map_or_else(String::new, ToString::to_string)
                }),
            };
            marks.say(&words);
            Ok(())
        })
    }
}

fn produce(sender: &mut impl Sender, index: usize, marks: &Marks) {
    let mine = &marks.sent[index];
    for number in 0..MAX_MESSAGES as u64 {
        let since = Instant::now();
        while number.saturating_sub(mine.received.load(Ordering::Acquire)) > WINDOW
            && since.elapsed() < LITTLE
        {
            std::thread::yield_now();
        }
        if marks.stop.load(Ordering::Acquire) != 0 {
            break;
        }
        sender.send(first_of(index) + number, 1);
        mine.done.store(number + 1, Ordering::Release);
    }
    // Its side of the queue stays open until it is killed.
    loop {
        std::thread::sleep(TIME_LIMIT);
    }
}

fn wait_for(time_limit: Duration, has_come: impl Fn() -> bool) -> Result<()> {
    let start = Instant::now();
    while !has_come() {
        ensure!(start.elapsed() < time_limit, "waited for {time_limit:?}");
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Stops the producers and counts.
fn settle(marks: &Marks, time: Option<Duration>) -> Trial {
    marks.stop.store(1, Ordering::Release);
    let missing = || marks.sent.iter().map(Sent::missing).sum::<u64>();
    // Twice in a row: a producer may have been sending when it was stopped.
    if time.is_some() {
        let _ = wait_for(REST, || missing() == 0);
        std::thread::sleep(PAUSE);
        let _ = wait_for(REST, || missing() == 0);
    }
    Trial {
        time,
        torn: marks.torn.load(Ordering::Acquire),
        // Stuck workers have lost nothing yet.
        lost: if time.is_some() { missing() } else { 0 },
        again: marks.again.load(Ordering::Acquire),
        last_words: marks.last_words(),
    }
}
