//! Broadcast queues in the storm: consumers of all modes beside producers, all of them killed,
//! stopped, continued and replaced at random. Each consumer checks each frame, twice, and that what it
//! has received and what it has missed are exactly the positions that it has passed.

mod participants;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ringway::CreateOptions;
use ringway::broadcast::BytesQueue;

use crate::process::{Child, Outcome, Random, Shape, TestDir, Words, ensure, progress};
use participants::{Role, live};

const SHAPE: Shape = Shape::Mixed { min: 8, max: 900 };
/// The maximum time without progress of a living process.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// The number of steps by which each process must progress in the calm.
const CALM_STEPS: u64 = 20;

const ROLES: [Role; 6] =
    [Role::Reliable, Role::Lossy, Role::InPlace, Role::Reliable, Role::Lossy, Role::InPlace];

/// What all processes share.
struct Field {
    place: TestDir,
    /// With one producer, a message's number is its position.
    one_writer: bool,
    /// Not 0: every process ends.
    end: Words,
    /// Steps of each worker.
    steps: Words,
    /// Messages received; positions missed; positions without a message.
    sums: Words,
}

impl Field {
    fn open(&self) -> Outcome<BytesQueue> {
        // SAFETY: only this test and its children know the file.
        Ok(unsafe { BytesQueue::open(self.place.path()) }?)
    }

    fn is_over(&self) -> bool {
        self.end[0].load(Ordering::SeqCst) != 0
    }

    fn step(&self, worker: usize) {
        self.steps[worker].fetch_add(1, Ordering::Relaxed);
    }
}

struct Worker {
    role: Role,
    child: Child,
    stopped: Option<Instant>,
}

/// Kills that many participants of a queue with this many producers.
pub(crate) fn rage(producers: usize, kills: u64) -> Outcome {
    let place = TestDir::new()?;
    let options = CreateOptions::new()
        .max_messages(16)
        .ring_bytes(8192)
        .max_participants(producers + ROLES.len() + 1)
        .max_producers(producers)
        .start_position((1 << 32) - 3000);
    // SAFETY: only this test and its children know the file.
    let queue = unsafe { BytesQueue::create_with(place.path(), &options) }?;
    let roles: Vec<Role> = std::iter::repeat_n(Role::Producer, producers).chain(ROLES).collect();
    let (steps, sums) = (Words::new(roles.len()), Words::new(3));
    let field = Field { place, one_writer: producers == 1, end: Words::new(1), steps, sums };
    let mut random = Random::new(producers as u64);
    let start = |index: usize, role: Role, salt: u64| Worker {
        role,
        child: Child::fork(|| live(&field, index, role, salt)),
        stopped: None,
    };
    let mut workers: Vec<_> =
        roles.iter().enumerate().map(|(index, role)| start(index, *role, random.next())).collect();
    let (mut killed, mut stops) = (0, 0);
    while killed < kills {
        progress();
        std::thread::sleep(Duration::from_nanos(random.below(1_500_000)));
        for worker in &mut workers {
            ensure!(!worker.child.has_ended()?, "{:?} ended by itself", worker.role);
            go_on(worker, false)?;
        }
        let index = random.below(workers.len() as u64) as usize;
        if random.below(3) == 0 {
            stops += 1;
            workers[index].child.signal(Signal::SIGSTOP)?;
            workers[index].stopped = Some(Instant::now() + Duration::from_nanos(random.below(4_000_000)));
        } else {
            killed += 1;
            let next = start(index, roles[index], random.next());
            std::mem::replace(&mut workers[index], next).child.kill()?;
        }
    }
    calm(&field, &mut workers)?;
    field.end[0].store(1, Ordering::SeqCst);
    workers.into_iter().try_for_each(|worker| worker.child.join_within(TIME_LIMIT))?;
    let [received, lagged, passed] = [0, 1, 2].map(|index| field.sums[index].load(Ordering::SeqCst));
    let stats = queue.stats();
    println!(
        "     {killed} kills, {stops} stops; {} sent, {received} received, {lagged} missed, {passed} passed; {} tombstones",
        stats.newest - ((1 << 32) - 3000),
        stats.tombstones
    );
    ensure!(received > 0 && lagged > 0, "all modes had something to do");
    ensure!(producers > 1 || stats.tombstones == 0, "one writer leaves no tombstones");
    ensure!(stats.consumers.is_empty(), "consumers are left: {:?}", stats.consumers);
    queue.recover()?;
    let more = queue.recover()?;
    ensure!(more == ringway::Recovery::default(), "a second recovery found {more:?}");
    drop(queue);
    field.place.leave()
}

fn go_on(worker: &mut Worker, at_once: bool) -> Outcome {
    if worker.stopped.is_some_and(|until| at_once || Instant::now() >= until) {
        worker.stopped = None;
        worker.child.signal(Signal::SIGCONT)?;
    }
    Ok(())
}

/// No process is killed any more: every process makes progress.
fn calm(field: &Field, workers: &mut [Worker]) -> Outcome {
    workers.iter_mut().try_for_each(|worker| go_on(worker, true))?;
    let steps = |index: usize| field.steps[index].load(Ordering::Relaxed);
    let goals: Vec<_> = (0..workers.len()).map(|index| steps(index) + CALM_STEPS).collect();
    let begun = Instant::now();
    loop {
        progress();
        for worker in workers.iter() {
            ensure!(!worker.child.has_ended()?, "{:?} ended by itself", worker.role);
        }
        let late: Vec<_> = (0..goals.len()).filter(|index| steps(*index) < goals[*index]).collect();
        if late.is_empty() {
            return Ok(());
        }
        let roles: Vec<_> = late.iter().map(|index| workers[*index].role).collect();
        ensure!(begun.elapsed() < TIME_LIMIT, "no progress for {TIME_LIMIT:?}: {roles:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
}
