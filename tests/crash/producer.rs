//! A producer is killed at a random point; another takes over while the consumer goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::process::{
    Child, Doubt, End, Giver, GiverNotes, Kind, Looker, Outcome, Place, Random, Shape, Stream, Taker, ensure,
};

/// Kills come within so long after the attach.
pub(crate) const SPREAD: Duration = Duration::from_micros(200);

/// Messages that came though their producer died before it noted that it had sent them, over all kinds of queues.
static CAME: AtomicU64 = AtomicU64::new(0);
/// How often some messages did not come that a producer was about to send.
static VANISHED: AtomicU64 = AtomicU64::new(0);

/// Among so many kills some must have hit just before a commit, and some just after.
pub(crate) fn kills_hit_sends() -> Outcome {
    let (came, vanished) = (CAME.load(Ordering::Relaxed), VANISHED.load(Ordering::Relaxed));
    println!("     {came} messages in doubt came, {vanished} times some did not");
    ensure!(came > 0 && vanished > 0, "no kill hit a send: nothing was tested");
    Ok(())
}

/// Nothing that was committed is lost, nothing else is delivered, and batches are whole or not there.
pub(crate) fn dies(kind: Kind, kills: u64) -> Outcome {
    let place = Place::new()?;
    let looker = Looker::start(&place);
    let queue = kind.create(&place)?;
    let consumer = queue.consumer()?;
    let notes = GiverNotes::new();
    let mut random = Random::new(kind.name.len() as u64);
    let stream = Stream::new(kind.shape, 0);
    let mut taker = Taker::new(&consumer, stream, &(), 4, Random::new(1));
    let (mut first, mut inside) = (0, 0);
    for round in 0..kills {
        looker.check()?;
        notes.reset(first);
        let end = End::random(&mut random, SPREAD);
        let child = Child::fork(|| produce(&place, kind.shape, &notes, first, round, end));
        end.carry_out(child, || notes.is_ready(), || taker.step())?;
        ensure!(!consumer.has_producer()?, "a dead producer was taken for a live one");
        let doubt = notes.doubt();
        inside += u64::from(doubt.sent != doubt.about);
        first = doubt.resume;
        taker.stream.doubt(doubt)?;
        match random.below(4) {
            0 => {
                taker.drain()?;
                let next = taker.stream.settle()?;
                ensure!(next == first, "the stream goes on with {next}, not with {first}");
            }
            1 => first = succeed(&place, kind.shape, &mut taker, first)?,
            // The next child finds a queue with messages in it.
            _ => {}
        }
    }
    taker.drain()?;
    let next = taker.stream.settle()?;
    ensure!(next == first, "the stream goes on with {next}, not with {first}");
    println!(
        "     {kills} kills, {inside} of them inside a send ({} messages in doubt came, {} times some did not), {} \
         messages",
        taker.stream.came, taker.stream.vanished, taker.taken
    );
    CAME.fetch_add(taker.stream.came, Ordering::Relaxed);
    VANISHED.fetch_add(taker.stream.vanished, Ordering::Relaxed);
    drop(taker);
    drop(consumer);
    kind.is_whole(&queue)?;
    place.leave()
}

/// What the child does until it is killed.
pub(crate) fn produce(
    place: &Place,
    shape: Shape,
    notes: &GiverNotes,
    first: u64,
    salt: u64,
    end: End,
) -> Outcome {
    let producer = place.open()?.producer()?;
    let mut giver = Giver::new(producer, shape, first, notes, Random::new(salt));
    notes.set_ready();
    end.arm();
    loop {
        if !giver.step()? && salt.is_multiple_of(4) {
            giver.one()?;
        }
    }
}

/// This process takes over itself, and sends a little.
fn succeed(place: &Place, shape: Shape, taker: &mut Taker<'_, ()>, first: u64) -> Outcome<u64> {
    let notes = GiverNotes::new();
    let mut giver = Giver::new(place.open()?.producer()?, shape, first, &notes, Random::new(first));
    for _ in 0..20 {
        if !giver.step()? {
            taker.drain()?;
        }
    }
    // A producer that was detached leaves no doubt.
    let next = giver.next();
    let doubt = Doubt { sent: next, about: next, resume: next.next_multiple_of(8), whole: true };
    taker.stream.doubt(doubt)?;
    Ok(doubt.resume)
}
