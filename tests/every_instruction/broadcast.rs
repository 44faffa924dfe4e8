//! Participants of broadcast queues are killed, or paused, at every instruction of what they do.

mod consumers;
mod pausing;
mod producers;

use std::time::Duration;

use ringway::broadcast::{BytesConsumer, BytesQueue, Start, Subscribe};
use ringway::{CreateOptions, RecvError};

use crate::process::{Outcome, Shape, Test, TestDir, ensure};

const SLOTS: u64 = 4;
const SHAPE: Shape = Shape::Same(40);
/// Far more than it takes to recover.
const SOON: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Reliable,
    Lossy,
    InPlace,
}

const MODES: [Mode; 3] = [Mode::Reliable, Mode::Lossy, Mode::InPlace];

impl Mode {
    fn from(self, start: Start) -> Subscribe {
        match self {
            Self::Reliable => Subscribe::reliable().from(start),
            Self::Lossy => Subscribe::lossy().from(start),
            Self::InPlace => Subscribe::lossy().in_place(true).from(start),
        }
    }
}

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = producers::tests();
    tests.extend(consumers::tests());
    tests.extend(pausing::tests());
    tests
}

/// A queue for this many producers, whose positions begin at `start`.
fn create(place: &TestDir, producers: usize, start: u64) -> Outcome<BytesQueue> {
    let options = CreateOptions::new()
        .max_messages(SLOTS as usize)
        .ring_bytes(4096)
        .max_participants(producers + 3)
        .max_producers(producers)
        .start_position(start);
    // SAFETY: only this test and its children know the file.
    Ok(unsafe { BytesQueue::create_with(place.path(), &options) }?)
}

fn open(place: &TestDir) -> Outcome<BytesQueue> {
    // SAFETY: as above.
    Ok(unsafe { BytesQueue::open(place.path()) }?)
}

/// The next message, or what was missed before it.
fn next(consumer: &BytesConsumer) -> Outcome<Option<(u64, Vec<u8>)>> {
    loop {
        match consumer.try_recv() {
            Ok(frame) => return Ok(Some((frame.position(), frame.to_vec()))),
            Err(RecvError::Empty) => return Ok(None),
            Err(RecvError::Lagged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// All residue of the dead is removed, and nothing is in a living producer's way: a new producer
/// sends, and a new consumer of each mode finds what it sends.
fn is_whole(queue: &BytesQueue) -> Outcome {
    let mut producer = queue.producer_timeout(SOON)?;
    let first = queue.newest();
    for seq in 0..3 * SLOTS {
        producer.send_timeout(&SHAPE.message(seq), SOON)?;
    }
    ensure!(queue.newest() == first + 3 * SLOTS, "{} after {first}", queue.newest());
    for mode in MODES {
        let consumer = queue.consumer_with(&mode.from(Start::Oldest))?;
        let oldest = consumer.next_position();
        ensure!(oldest == queue.oldest() && oldest > first, "it begins at {oldest}");
        for position in oldest..first + 3 * SLOTS {
            let found = next(&consumer)?;
            ensure!(
                found == Some((position, SHAPE.message(position - first))),
                "{mode:?}: not what was sent at {position}: {found:?}"
            );
        }
        ensure!(next(&consumer)?.is_none(), "a message came that was not sent");
    }
    drop(producer);
    let more = queue.recover()?;
    ensure!(more == ringway::Recovery::default(), "another recovery found {more:?}");
    let stats = queue.stats();
    ensure!(stats.consumers.is_empty(), "consumers are left: {:?}", stats.consumers);
    Ok(())
}
