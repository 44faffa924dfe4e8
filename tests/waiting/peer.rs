//! Processes that wait, and what they note for the process that observes them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::unistd::Pid;
use ringway::kind::{BytesConsumer, BytesProducer, BytesQueue, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, RecvError, SendError, WaitStrategy};

use super::asleep::{is_asleep, until};
use crate::process::{Child, Outcome, TestDir, Words, ensure};

/// The queues with which both kinds are tested: little room.
pub(crate) trait Tried: Kind {
    const NAME: &'static str;

    fn options() -> CreateOptions;

    /// Messages of eight bytes that a full queue holds.
    const FULL: u64;
}

impl Tried for Spsc {
    const NAME: &'static str = "SPSC";
    /// Frames of 16 bytes; one granule stays free.
    const FULL: u64 = 63;

    fn options() -> CreateOptions {
        CreateOptions::new().ring_bytes(1024)
    }
}

impl Tried for Mpmc {
    const NAME: &'static str = "MPMC";
    const FULL: u64 = 4;

    fn options() -> CreateOptions {
        CreateOptions::new().max_messages(4).ring_bytes(4096).max_participants(16)
    }
}

pub(crate) fn create<K: Kind>(place: &TestDir, options: &CreateOptions) -> Outcome<BytesQueue<K>> {
    // SAFETY: only this test and its children know the file.
    Ok(unsafe { BytesQueue::create_with(place.path(), options) }?)
}

pub(crate) fn open<K: Kind>(place: &TestDir) -> Outcome<BytesQueue<K>> {
    // SAFETY: as above.
    Ok(unsafe { BytesQueue::open(place.path()) }?)
}

pub(crate) fn with_queue<K: Tried>(body: impl FnOnce(&TestDir, &BytesQueue<K>) -> Outcome) -> Outcome {
    let place = TestDir::new()?;
    let queue = create(&place, &K::options())?;
    body(&place, &queue)?;
    drop(queue);
    place.leave()
}

/// What a peer notes.
pub(crate) struct Notes(Words);

const COUNT: usize = 0;
const ENDED: usize = 1;
const GO: usize = 2;
const STATE: usize = 3;
const NUMBERS: usize = 4;
const MOST: usize = 4096;

impl Notes {
    pub(crate) fn new() -> Self {
        Self(Words::new(NUMBERS + MOST))
    }

    fn get(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::SeqCst)
    }

    /// It received, or sent, this number. Threads may note concurrently.
    pub(crate) fn note(&self, number: u64) {
        let index = self.0[COUNT].fetch_add(1, Ordering::SeqCst) as usize;
        self.0[NUMBERS + index % MOST].store(number + 1, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> u64 {
        self.get(COUNT)
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        let numbers = &self.0[NUMBERS..NUMBERS + self.count() as usize];
        numbers.iter().map(|number| number.load(Ordering::SeqCst).wrapping_sub(1)).collect()
    }

    /// One of its ends got `Closed`.
    pub(crate) fn end(&self) {
        self.0[ENDED].fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn ended(&self) -> u64 {
        self.get(ENDED)
    }

    pub(crate) fn set_state(&self, state: u64) {
        self.0[STATE].store(state, Ordering::SeqCst);
    }

    pub(crate) fn state(&self) -> u64 {
        self.get(STATE)
    }

    pub(crate) fn wait_for_state(&self, state: u64) -> Outcome {
        until(&format!("state {state}"), || Ok(self.state() == state))
    }

    /// In the parent: lets the child continue.
    pub(crate) fn go(&self) {
        self.0[GO].fetch_add(1, Ordering::SeqCst);
    }

    /// In the child: waits until it may continue for the `count`th time.
    pub(crate) fn wait_for_go(&self, count: u64) {
        while self.get(GO) < count {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// In a child that is going to be killed.
pub(crate) fn rest() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// A process that waits.
pub(crate) struct Peer {
    pub(crate) child: Child,
    pub(crate) notes: Notes,
}

impl Peer {
    pub(crate) fn start(body: impl FnOnce(&Notes) -> Outcome) -> Self {
        let notes = Notes::new();
        let child = Child::fork(|| body(&notes));
        Self { child, notes }
    }

    /// One that receives until the queue is closed.
    pub(crate) fn consumer<K: Kind>(place: &TestDir, wait: WaitStrategy) -> Self {
        Self::start(|notes| {
            let consumer = open::<K>(place)?.consumer()?;
            consumer.set_wait_strategy(wait);
            receive_all(&consumer, notes)
        })
    }

    /// One that sends numbers from `first` on until the queue is closed.
    pub(crate) fn producer<K: Kind>(place: &TestDir, wait: WaitStrategy, first: u64) -> Self {
        Self::start(|notes| {
            let mut producer = open::<K>(place)?.producer()?;
            producer.set_wait_strategy(wait);
            send_all(&mut producer, notes, first)
        })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.child.pid()
    }

    pub(crate) fn wait_until_asleep(&self) -> Outcome {
        until("a peer asleep", || {
            ensure!(!self.child.has_ended()?, "the peer has ended");
            is_asleep(self.pid())
        })
    }

    pub(crate) fn wait_for_count(&self, count: u64) -> Outcome {
        until(&format!("number {count}"), || {
            ensure!(!self.child.has_ended()? || self.notes.count() >= count, "the peer has ended");
            Ok(self.notes.count() >= count)
        })
        .map_err(|error| format!("{error}; it has {:?}", self.notes.numbers()).into())
    }

    /// It ends by itself, and has noted exactly this.
    pub(crate) fn ends_with(self, numbers: &[u64]) -> Outcome {
        self.child.join_within(super::asleep::HANGS)?;
        let found = self.notes.numbers();
        ensure!(found == numbers, "it noted {found:?}, not {numbers:?}");
        ensure!(self.notes.ended() == 1, "it was not told that the queue is closed");
        Ok(())
    }
}

pub(crate) fn number_of(bytes: &[u8]) -> Outcome<u64> {
    Ok(u64::from_ne_bytes(bytes.try_into()?))
}

pub(crate) fn receive_all<K: Kind>(consumer: &BytesConsumer<K>, notes: &Notes) -> Outcome {
    loop {
        match consumer.recv() {
            Ok(frame) => notes.note(number_of(&frame)?),
            Err(RecvError::Closed) => {
                notes.end();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn send_all<K: Kind>(producer: &mut BytesProducer<K>, notes: &Notes, first: u64) -> Outcome {
    for number in first.. {
        match producer.send(&number.to_ne_bytes()) {
            Ok(()) => notes.note(number),
            Err(SendError::Closed) => {
                notes.end();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    unreachable!("numbers do not end")
}
