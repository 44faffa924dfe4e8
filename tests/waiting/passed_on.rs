//! A message after a position that is claimed and not committed: the consumer that it wakes cannot take
//! it, and the wake reaches another consumer later.

use ringway::WaitStrategy;
use ringway::kind::Mpmc;

use super::asleep::{OneProcessor, is_asleep, until};
use super::calls::{Call, Watched, mark};
use super::peer::{Notes, number_of, open, rest, with_queue};
use crate::process::{Outcome, TestDir, ensure};
use crate::tracer::{Gate, Traced};

/// A producer is between claim and commit; another one's message after that position wakes a
/// consumer, which cannot take it and sleeps again. When the first producer commits, each message
/// must reach a consumer, though each consumer keeps what it has for any length of time. Both
/// consumers must have been woken for that, not have woken up by themselves.
pub(super) fn after_another() -> Outcome {
    // Blocked consumers make an attempt every millisecond: one may wake up by itself in just that
    // moment. But not each time.
    for round in 1.. {
        let last_sleeps = one_after_another()?;
        if last_sleeps.iter().all(|was_notified| *was_notified) {
            break;
        }
        ensure!(round < 200, "in {round} rounds one woke up by itself: {last_sleeps:?}");
    }
    Ok(())
}

/// Whether the last sleep of each consumer was ended by a wake.
fn one_after_another() -> Outcome<Vec<bool>> {
    let mut last_sleeps = Vec::new();
    with_queue::<Mpmc>(|place, queue| {
        let notes = [Notes::new(), Notes::new()];
        let consumer = |notes: &Notes| -> Outcome {
            let consumer = open::<Mpmc>(place)?.consumer()?;
            consumer.set_wait_strategy(WaitStrategy::Park);
            mark();
            let frame = consumer.recv()?;
            mark();
            notes.note(number_of(&frame)?);
            rest()
        };
        let mut consumers =
            [Watched::start(|| consumer(&notes[0]))?, Watched::start(|| consumer(&notes[1]))?];
        let gate = Gate::new();
        let mut first = stopped_after_its_claim(place, &gate)?;
        let mut second = queue.producer()?;
        let record = |consumers: &mut [Watched; 2]| consumers.iter_mut().try_for_each(Watched::record);
        let slept = |one: &Watched| one.calls().iter().filter(|call| call.was_notified().is_some()).count();
        until("consumers that sleep", || {
            record(&mut consumers)?;
            Ok(is_asleep(consumers[0].pid())? && is_asleep(consumers[1].pid())?)
        })?;
        second.send(&2_u64.to_ne_bytes())?;
        let before = consumers.each_ref().map(slept);
        until("consumers that have made an attempt and sleep again", || {
            record(&mut consumers)?;
            let have_slept = consumers.iter().zip(before).any(|(one, before)| slept(one) > before);
            Ok(have_slept && is_asleep(consumers[0].pid())? && is_asleep(consumers[1].pid())?)
        })?;
        ensure!(notes.iter().all(|notes| notes.count() == 0), "a message came out of order");
        first.finish()?;
        until("both messages", || {
            record(&mut consumers)?;
            Ok(notes.iter().all(|notes| notes.count() == 1))
        })?;
        last_sleeps.extend(
            consumers.iter().map(|one| one.calls().iter().rev().find_map(Call::was_notified) == Some(true)),
        );
        first.kill()?;
        consumers.into_iter().try_for_each(Watched::kill)
    })?;
    Ok(last_sleeps)
}

/// A producer that has claimed a position for its message 1, and not committed it.
pub(crate) fn stopped_after_its_claim<'g>(place: &TestDir, gate: &'g Gate) -> Outcome<Traced<'g>> {
    let _one = OneProcessor::take()?;
    let mut producer = Traced::start(gate, |gate| {
        let mut producer = open::<Mpmc>(place)?.producer()?;
        gate.enter()?;
        producer.send(&1_u64.to_ne_bytes())?;
        gate.leave()
    })?;
    while claimed(place)? == 0 {
        ensure!(producer.step()?, "it is complete, and nothing was claimed");
    }
    Ok(producer)
}

/// The number of claimed positions, according to the file.
fn claimed(place: &TestDir) -> Outcome<u64> {
    use std::os::unix::fs::FileExt;
    let mut bytes = [0; 8];
    std::fs::File::open(place.path())?.read_exact_at(&mut bytes, 0x500)?;
    Ok(u64::from_ne_bytes(bytes) >> 2)
}
