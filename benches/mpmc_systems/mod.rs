//! What the MPMC bench moves, and through what: ringway between threads or processes, and
//! in-process queues between threads, each waiting as suits it best.
//!
//! ```text
//! run      one run of one system: workers on their cores for some time        control  check  shape
//! floor    no queue: lines from core to core
//! rivals   ArrayQueue and kanal, by value                                     waiting
//! ringway  the library
//! report   tables and JSON
//! ```

mod check;
mod control;
mod floor;
pub(crate) mod report;
mod ringway;
mod rivals;
mod run;
pub(crate) mod shape;
mod waiting;

use std::time::Duration;

use ::ringway::CreateOptions;

use self::check::Check;
use self::floor::Floor;
use self::ringway::{Ringway, Way};
use self::rivals::{Array, Kanal, SpinningKanal};
use self::run::{Workers, run, run_in_one_thread};
use self::shape::{MOST, Shape};
use self::waiting::{Pause, SpinThenYield};

/// Messages in a batch.
const BATCH: usize = 32;

/// Something that moves messages of one size between workers.
trait System: Sync {
    fn sender(&self) -> impl Send;
    fn receiver(&self) -> impl Receive;
}

trait Send {
    /// Sends messages `first`, `first + 1`, …, a multiple of [`BATCH`] of them; waits for room.
    fn send(&mut self, first: u64, count: u64);

    /// Sends a message if there is room.
    fn try_send(&mut self, seq: u64);
}

trait Receive {
    /// Waits for a message, or several, and has them checked.
    fn receive(&mut self, check: &mut Check);
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ringway,
    ArrayQueue,
    Kanal,
    Floor,
}

/// A system, ready to be run.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    /// Runs it once for about this time; returns messages a second.
    pub(crate) run: Box<dyn Fn(Duration) -> f64>,
}

/// What is the same for all contestants of a case.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// None: one thread sends and receives by turns.
    pub(crate) shape: Option<Shape>,
    /// Messages that a queue holds.
    pub(crate) capacity: usize,
    /// Bytes of each producer's lane.
    pub(crate) lane: usize,
}

impl Setup {
    fn options(&self) -> CreateOptions {
        CreateOptions::new().max_messages(self.capacity).ring_bytes(self.lane)
    }

    fn contestant<S: System>(
        self,
        name: &'static str,
        family: Family,
        workers: Workers,
        make: impl Fn() -> S + 'static,
    ) -> Contestant {
        let run = move |length| match self.shape {
            Some(shape) => run(&make(), shape, workers, length),
            None => run_in_one_thread(&make(), length),
        };
        Contestant { name, family, run: Box::new(run) }
    }

    fn ringway<const W: usize>(self, name: &'static str, workers: Workers, way: Way) -> Contestant {
        self.contestant(name, Family::Ringway, workers, move || {
            Ringway::<W>::new(&self.options(), way, workers)
        })
    }
}

/// All contestants, for messages of `W` words.
pub(crate) fn contestants<const W: usize>(setup: Setup) -> Vec<Contestant> {
    use Workers::{Processes, Threads};
    let Setup { capacity, .. } = setup;
    let all = vec![
        setup.contestant("array_queue/spin", Family::ArrayQueue, Threads, move || {
            Array::<W, SpinThenYield>::new(capacity)
        }),
        setup.contestant("array_queue/pause", Family::ArrayQueue, Threads, move || {
            Array::<W, Pause>::new(capacity)
        }),
        setup.contestant("kanal/blocking", Family::Kanal, Threads, move || Kanal::<W>::new(capacity)),
        setup.contestant("kanal/spin", Family::Kanal, Threads, move || {
            SpinningKanal(Kanal::<W>::new(capacity))
        }),
        setup.contestant("floor", Family::Floor, Threads, move || Floor::<W>::new(capacity)),
        setup.ringway::<W>("ringway/processes/single", Processes, Way::Single),
        setup.ringway::<W>("ringway/processes/batch", Processes, Way::Batch),
        setup.ringway::<W>("ringway/threads/single", Threads, Way::Single),
        setup.ringway::<W>("ringway/threads/batch", Threads, Way::Batch),
    ];
    let one_and_one = setup.shape.is_some_and(|shape| shape.producers + shape.consumers == 2);
    let fits = |contestant: &Contestant| match contestant.family {
        Family::Floor => one_and_one,
        _ => setup.shape.is_some() || !contestant.name.contains("processes"),
    };
    all.into_iter().filter(fits).collect()
}

/// Ringway with and without participants that do nothing.
pub(crate) fn idle_contestants<const W: usize>(setup: Setup) -> Vec<Contestant> {
    const IDLE: usize = 64;
    let one = |name, workers, idle| {
        let options = setup.options().max_participants(IDLE + 2 * MOST);
        let make = move || Ringway::<W>::new(&options, Way::Single, workers).with_idle(idle);
        setup.contestant(name, Family::Ringway, workers, make)
    };
    vec![
        one("ringway/processes/no_idle", Workers::Processes, 0),
        one("ringway/processes/64_idle", Workers::Processes, IDLE),
        one("ringway/threads/no_idle", Workers::Threads, 0),
        one("ringway/threads/64_idle", Workers::Threads, IDLE),
    ]
}
