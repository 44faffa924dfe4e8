//! Messages of bytes.

use std::time::Instant;

use crate::process::{
    Child, Giver, GiverNotes, Kind, Outcome, Place, Random, Stream, Taker, ensure, progress,
};

/// A child sends `count` messages in every way there is, and this process takes them in every way there is.
pub(crate) fn all_arrive(kind: Kind, count: u64) -> Outcome {
    let place = Place::new()?;
    let queue = kind.create(&place)?;
    let notes = GiverNotes::new();
    let consumer = queue.consumer()?;
    let start = Instant::now();
    let child = Child::fork(|| send(&place, kind, &notes, count));
    let mut taker = Taker::new(&consumer, Stream::new(kind.shape, 0), &(), 5, Random::new(1)).with_rejects();
    let mut random = Random::new(2);
    while taker.stream.next() < count {
        progress();
        let (before, had_ended) = (taker.stream.next(), child.has_ended()?);
        take_for_a_while(&mut taker, &mut random, count)?;
        let next = taker.stream.next();
        ensure!(next > before || !had_ended, "the producer is gone after message {next} of {count}");
    }
    taker.drain()?;
    child.join()?;
    let next = taker.stream.settle()?;
    ensure!(next >= count, "{next} messages of {count} came");
    ensure!(next == notes.sent(), "{next} messages came, {} were sent", notes.sent());
    let rate = next as f64 / start.elapsed().as_secs_f64() / 1e6;
    println!("     {next} messages, {} of them rejected once or more, {rate:.2} million/s", taker.again);
    drop(taker);
    drop(consumer);
    kind.is_whole(&queue)?;
    place.leave()
}

fn take_for_a_while(taker: &mut Taker<'_, ()>, random: &mut Random, count: u64) -> Outcome {
    let mut idle = 0_u32;
    for _ in 0..10_000 {
        if taker.stream.next() >= count {
            break;
        }
        if taker.step()? {
            idle = 0;
        } else {
            // The guards held may be all that the producer waits for.
            taker.release_all()?;
            idle += 1;
        }
        if idle > 1000 || random.below(4096) == 0 {
            std::thread::yield_now();
        }
    }
    Ok(())
}

fn send(place: &Place, kind: Kind, notes: &GiverNotes, count: u64) -> Outcome {
    let mut giver = Giver::new(place.open()?.producer()?, kind.shape, 0, notes, Random::new(3));
    let mut random = Random::new(4);
    while giver.next() < count {
        if !giver.step()? && giver.next() < count {
            giver.one()?;
        }
        if random.below(4096) == 0 {
            std::thread::yield_now();
        }
    }
    Ok(())
}
