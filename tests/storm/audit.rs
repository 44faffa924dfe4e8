//! Counts every message, when all processes are gone.

use std::collections::HashSet;
use std::ops::Range;

use ringway::mpmc::BytesQueue;

use super::consumer::Takes;
use super::self_report::{Left, SelfReport};
use super::worker::Field;
use crate::process::{MessageLog, Outcome, Random, Record, Shape, ensure, gets_nothing_more};

/// What has been counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    sent: u64,
    /// Not known to be sent, and delivered, or not.
    came: u64,
    vanished: u64,
    /// Deliveries of what had been delivered before.
    again: u64,
    /// At most once: sent and never delivered.
    dropped: u64,
    letters: u64,
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sent, came, vanished, again, dropped, letters } = self;
        write!(
            f,
            "{sent} messages sent; of those in doubt {came} came and {vanished} did not; {again} came again, {dropped} \
             were dropped, {letters} are dead letters"
        )
    }
}

/// Takes what is left and checks that nothing is lost, invented, or delivered more often than it may be.
pub(crate) fn judge(
    field: &Field,
    queue: &BytesQueue,
    generations: Range<u64>,
    left: Left,
    is_recovered_first: bool,
    sums: &mut Sums,
) -> Outcome {
    if is_recovered_first {
        queue.recover()?;
    }
    let self_report = SelfReport::new();
    let consumer = queue.consumer()?;
    let mut takes = Takes::new(field.kind.shape, &field.message_log, &self_report).without_rejects();
    takes.session(&consumer).drain(&mut Random::new(generations.end))?;
    drop(consumer);
    let dead_letters = letters(field, queue)?;
    sums.letters += dead_letters.len() as u64;
    let mut unexplained = 0;
    for generation in generations {
        let first = generation * MessageLog::RANGE;
        unexplained += one_sender(field, first..first + MessageLog::RANGE, &dead_letters, sums)?;
    }
    let may_be_unseen = left.taking;
    ensure!(unexplained <= may_be_unseen, "{unexplained} messages are gone, {may_be_unseen} at most may be");
    ensure!(
        left.late <= may_be_unseen,
        "{} messages came out of order, {may_be_unseen} at most may have",
        left.late
    );
    gets_nothing_more(queue)?;
    field.kind.is_whole(queue)
}

/// Counts the messages of one sender. Returns how many are gone that no consumer is known to have held.
fn one_sender(
    field: &Field,
    numbers: Range<u64>,
    dead_letters: &HashSet<u64>,
    sums: &mut Sums,
) -> Outcome<u64> {
    let mut unexplained = 0;
    let mut has_ended = false;
    for number in numbers {
        let record = field.message_log.record(number);
        if !record.is_begun {
            break;
        }
        let Record { is_sent, deliveries, rejects, deaths, .. } = record;
        let is_dead_letter = dead_letters.contains(&number);
        let came = deliveries > 0 || is_dead_letter;
        if is_sent {
            sums.sent += 1;
        } else {
            *if came { &mut sums.came } else { &mut sums.vanished } += 1;
        }
        if field.kind.is_at_most_once {
            ensure!(deliveries <= 1, "message {number:#x} came twice: {record:?}");
            if is_sent && !came {
                sums.dropped += 1;
                unexplained += u64::from(deaths == 0);
            }
            continue;
        }
        ensure!(came || !is_sent, "message {number:#x} is lost: {record:?}");
        // Batches are committed in order.
        ensure!(!came || !has_ended, "message {number:#x} came, and one before it did not: {record:?}");
        has_ended |= !came;
        sums.again += deliveries.saturating_sub(1);
        ensure!(
            deliveries.saturating_sub(1) <= deaths + rejects,
            "message {number:#x} came too often: {record:?}"
        );
    }
    Ok(unexplained)
}

/// The messages in the dead-letter queue, each with an origin of its own.
fn letters(field: &Field, queue: &BytesQueue) -> Outcome<HashSet<u64>> {
    let mut dead_letters = HashSet::new();
    if field.kind.max_redeliveries.is_none() {
        return Ok(dead_letters);
    }
    let Ok(letters) = queue.dead_letters() else { return Ok(dead_letters) };
    let consumer = letters.consumer()?;
    let mut origins = HashSet::new();
    while let Ok(frame) = consumer.try_recv() {
        let number = Shape::number(&frame).filter(|number| field.kind.shape.is(*number, &frame));
        let number = number.ok_or("a torn letter")?;
        let origin = frame.dead_letter().ok_or("a letter that does not say where it comes from")?;
        let record = field.message_log.record(number);
        ensure!(record.is_begun, "letter {number:#x} was never sent: {record:?}");
        // The consumer that dead-lettered it may have died before it could note that: then it is
        // there twice, from one origin.
        let is_new = origins.insert(origin.position);
        ensure!(dead_letters.insert(number) == is_new, "letter {number:#x} comes from two positions");
    }
    drop(consumer);
    gets_nothing_more(&letters)?;
    Ok(dead_letters)
}
