//! The storm: processes are killed, stopped, continued and replaced, then it is calm, then
//! everything is counted.

use std::time::{Duration, Instant};

use ringway::mpmc::BytesQueue;

use super::audit::{Sums, judge};
use super::self_report::Left;
use super::worker::{Field, Role, Worker};
use crate::process::{
    BackgroundInspector, End, MessageLog, MpmcKind, Outcome, Random, TestDir, Words, ensure, progress,
};

/// The maximum time without progress of a living process.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Kills before everything is counted.
const KILLS_A_ROUND: u64 = 250;
/// Generations of senders that one message_log has room for.
const GENERATIONS: u64 = 2048;
/// The number of steps by which each process must progress in the calm.
const CALM_EVENTS: u64 = 40;

/// How many processes of each sort take part.
#[derive(Clone, Copy)]
pub(crate) struct Crew {
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
    /// Processes that only recover.
    pub(crate) recoverers: usize,
    /// Participants detach now and then.
    pub(crate) churns: bool,
}

struct Storm {
    field: Field,
    queue: BytesQueue,
    workers: Vec<Worker>,
    random: Random,
    /// The number of the next process.
    generation: u64,
    first: u64,
    kills: u64,
    stops: u64,
    left: Left,
    all_left: Left,
}

/// Kills, stops and replaces processes until the number of kills is reached.
pub(crate) fn rage(kind: MpmcKind, crew: Crew, kills: u64) -> Outcome {
    let place = TestDir::new()?;
    let background_inspector = BackgroundInspector::start(&place);
    let queue = kind.create(&place)?;
    let field =
        Field { kind, place, message_log: MessageLog::new(1, 1), churns: crew.churns, end: Words::new(1) };
    let roles = [
        (Role::Producer, crew.producers),
        (Role::Consumer, crew.consumers),
        (Role::Recoverer, crew.recoverers),
    ];
    let workers =
        roles.into_iter().flat_map(|(role, count)| (0..count).map(move |_| Worker::new(role))).collect();
    let mut storm = Storm {
        field,
        queue,
        workers,
        random: Random::new(kind.slots as u64),
        generation: 1,
        first: 1,
        kills: 0,
        stops: 0,
        left: Left::default(),
        all_left: Left::default(),
    };
    let start = Instant::now();
    let mut sums = Sums::default();
    let mut rounds = 0_u64;
    while storm.kills < kills {
        let result = storm.round(kills, rounds, &mut sums).and_then(|()| background_inspector.check());
        result.map_err(|error| format!("{error}\n{}", storm.describe()))?;
        rounds += 1;
    }
    let stats = storm.queue.stats();
    println!(
        "     {} kills in {rounds} rounds, {:.0} a second, {} stops; {} messages were held by the dead\n     {sums}\n     \
         {} recoveries, {} deaths, {} tombstones, {} requeued, {} letters, {} times no place",
        storm.kills,
        storm.kills as f64 / start.elapsed().as_secs_f64(),
        storm.stops,
        storm.all_left.held,
        stats.recoveries,
        stats.deaths,
        stats.tombstones,
        stats.requeued,
        stats.dead_letters,
        storm.all_left.no_place,
    );
    let Storm { queue, field, .. } = storm;
    drop((background_inspector, queue));
    field.place.leave()
}

impl Storm {
    fn round(&mut self, kills: u64, number: u64, sums: &mut Sums) -> Outcome {
        self.first = self.generation;
        self.field.message_log = MessageLog::new(self.first, GENERATIONS);
        self.field.end[0].store(0, std::sync::atomic::Ordering::SeqCst);
        self.left = Left::default();
        for index in 0..self.workers.len() {
            self.replace(index);
        }
        let goal = kills.min(self.kills + KILLS_A_ROUND);
        while self.kills < goal && self.generation < self.first + GENERATIONS - 100 {
            progress();
            std::thread::sleep(Duration::from_nanos(self.random.below(1_000_000)));
            self.replace_ended()?;
            self.strike()?;
        }
        self.calm()?;
        self.end()?;
        self.all_left += self.left;
        let is_recovered_first = number.is_multiple_of(2);
        judge(&self.field, &self.queue, self.first..self.generation, self.left, is_recovered_first, sums)
    }

    fn replace(&mut self, index: usize) {
        // Some die by a timer of their own, so that the signal hits what they do.
        let end = match self.random.below(4) {
            0 => Some(End::Timer { after: Duration::from_nanos(self.random.below(1_000_000)), alone: false }),
            1 => Some(End::Timer { after: Duration::from_nanos(self.random.below(30_000)), alone: false }),
            _ => None,
        };
        self.workers[index].start(&self.field, self.generation, end);
        self.generation += 1;
    }

    fn replace_ended(&mut self) -> Outcome {
        for index in 0..self.workers.len() {
            self.workers[index].go_on(false)?;
            if let Some((was_killed, left)) = self.workers[index].collect(&self.field.message_log)? {
                self.kills += u64::from(was_killed);
                self.left += left;
                self.replace(index);
            }
        }
        Ok(())
    }

    /// Does one random thing to a random process.
    fn strike(&mut self) -> Outcome {
        let index = self.random.below(self.workers.len() as u64) as usize;
        let worker = &mut self.workers[index];
        match self.random.below(8) {
            0..=1 => worker.kill(),
            // Processes that have begun are the better victims.
            2..=3 if worker.self_report.is_ready() => worker.kill(),
            // A process that is stopped between two stores seems dead to participants that do not
            // probe its liveness lock.
            4..=6 => {
                self.stops += 1;
                worker.stop(Duration::from_nanos(self.random.below(3_000_000)))
            }
            _ => Ok(()),
        }
    }

    /// No process is killed any more: every process makes progress.
    fn calm(&mut self) -> Outcome {
        self.workers.iter_mut().try_for_each(|worker| worker.go_on(true))?;
        let goals: Vec<_> = self.workers.iter().map(|worker| worker.events() + CALM_EVENTS).collect();
        let mut last = (0, Instant::now());
        loop {
            progress();
            for index in 0..self.workers.len() {
                if let Some((was_killed, left)) = self.workers[index].collect(&self.field.message_log)? {
                    self.kills += u64::from(was_killed);
                    self.left += left;
                    self.workers[index].start(&self.field, self.generation, None);
                    self.generation += 1;
                }
            }
            let late: Vec<_> =
                (0..goals.len()).filter(|index| self.workers[*index].events() < goals[*index]).collect();
            if late.is_empty() {
                return Ok(());
            }
            let sum = late.iter().map(|index| self.workers[*index].events()).sum();
            if sum != last.0 {
                last = (sum, Instant::now());
            }
            let names: Vec<_> = late.iter().map(|index| self.workers[*index].describe()).collect();
            ensure!(last.1.elapsed() < TIME_LIMIT, "no progress for {TIME_LIMIT:?}: {names:#?}");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Half of them are killed, the others come to their end.
    fn end(&mut self) -> Outcome {
        for worker in &self.workers {
            if self.random.below(2) == 0 {
                worker.kill()?;
            }
        }
        self.field.end[0].store(1, std::sync::atomic::Ordering::SeqCst);
        let start = Instant::now();
        let mut gone = vec![false; self.workers.len()];
        while gone.contains(&false) {
            for (worker, gone) in self.workers.iter_mut().zip(&mut gone).filter(|(_, gone)| !**gone) {
                if let Some((was_killed, left)) = worker.collect(&self.field.message_log)? {
                    self.kills += u64::from(was_killed);
                    self.left += left;
                    *gone = true;
                }
            }
            ensure!(start.elapsed() < TIME_LIMIT, "a participant does not end in time: {gone:?}");
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let workers: Vec<_> = self.workers.iter().map(Worker::describe).collect();
        format!("{workers:#?}\n{}", self.field.kind.dump(&self.queue))
    }
}
