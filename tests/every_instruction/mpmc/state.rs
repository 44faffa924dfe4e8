//! Queues with messages in them, and what living participants must find there afterwards.

use std::sync::atomic::Ordering;

use ringway::mpmc::{BytesConsumer, BytesQueue};

use crate::process::{Child, Doubt, MpmcKind, Outcome, Shape, Stream, TestDir, Words, ensure};

/// Two entries: the living participant receives, and the one that is killed sends from the one lane
/// that there is, or the other way round.
pub(super) const SMALL: MpmcKind = MpmcKind::new("4 slots", 4, 4096, Shape::Same(40)).max_participants(2);
/// Three of these fit into a lane, the third after padding or at the end.
pub(super) const LARGE: MpmcKind =
    MpmcKind::new("4 slots, large", 4, 4096, Shape::Same(1300)).max_participants(2);
pub(super) const FIXED: MpmcKind =
    MpmcKind::new("2 slots, fixed", 2, 4096, Shape::Fixed(24)).max_participants(2);

/// Fewer messages than slots: four of the one, two of the other.
pub(super) const BOUND: MpmcKind = MpmcKind::new("3 messages", 3, 4096, Shape::Same(40)).max_participants(2);
pub(super) const ONE: MpmcKind = MpmcKind::new("1 message", 1, 4096, Shape::Same(40)).max_participants(2);

/// A queue to which some messages were sent, the first of which were taken.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) name: &'static str,
    pub(super) kind: MpmcKind,
    pub(super) sent: u64,
    pub(super) taken: u64,
    /// Also tried with operations that differ little from others, or take many instructions.
    pub(super) is_special: bool,
}

pub(super) const fn state(name: &'static str, kind: MpmcKind, sent: u64, taken: u64) -> State {
    State { name, kind, sent, taken, is_special: false }
}

pub(super) const fn special(name: &'static str, kind: MpmcKind, sent: u64, taken: u64) -> State {
    State { name, kind, sent, taken, is_special: true }
}

impl State {
    pub(super) fn full_name(&self) -> String {
        format!("{}, {}", self.kind.name, self.name)
    }

    /// The messages in the queue have the numbers from `taken` to `sent`. There is no participant.
    pub(super) fn create(&self, place: &TestDir) -> Outcome<BytesQueue> {
        let queue = self.kind.create(place)?;
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        for seq in 0..self.sent {
            producer.try_send(&self.kind.shape.message(seq))?;
            if seq < self.taken {
                ensure!(self.kind.shape.is(seq, &consumer.try_recv()?), "message {seq} was changed");
            }
        }
        drop((producer, consumer));
        Ok(queue)
    }
}

/// All messages before `next` were sent.
pub(super) fn no_doubt(next: u64) -> Doubt {
    Doubt { sent: next, about: next, resume: next, whole: true }
}

/// A producer is gone: all that it sent is delivered, in order, and what is in doubt as `doubt`
/// says; then others go on, and the whole queue can be used.
pub(super) fn survive_sender(
    kind: MpmcKind,
    queue: &BytesQueue,
    consumer: BytesConsumer,
    first: u64,
    doubt: Doubt,
) -> Outcome {
    let mut stream = Stream::new(kind.shape, first);
    stream.doubt(doubt)?;
    let mut held = Vec::new();
    // Numbers from those in doubt up to `resume` were never sent.
    let mut sent = first;
    // `recover` is not called: the consumer finds which participants are dead.
    while let Ok(frame) = consumer.try_recv() {
        ensure!(frame.redeliveries() == 0, "a message came again");
        stream.accept(&frame)?;
        sent += 1;
        held.push(frame);
    }
    // Nothing is released yet, so that the successor finds all residue of the dead producer.
    let mut producer = queue.producer()?;
    let mut next = doubt.resume;
    while next < doubt.resume + 2 && producer.try_send(&kind.shape.message(next)).is_ok() {
        next += 1;
    }
    while let Ok(frame) = consumer.try_recv() {
        stream.accept(&frame)?;
        sent += 1;
        held.push(frame);
    }
    drop(held);
    for _ in 0..20 {
        producer.try_send(&kind.shape.message(next))?;
        stream.accept(&consumer.try_recv()?)?;
        sent += 1;
        next += 1;
    }
    let settled = stream.settle()?;
    ensure!(settled == next, "message {settled} would come next, but {next} is to be sent next");
    drop((producer, consumer));
    counts_exactly(kind, queue, sent)?;
    kind.is_whole(queue)
}

/// `sent` messages were ever sent, and none was declared done: exactly so many are unfinished.
pub(super) fn counts_exactly(kind: MpmcKind, queue: &BytesQueue, sent: u64) -> Outcome {
    if !kind.is_at_most_once {
        queue.recover()?;
        let unfinished = queue.unfinished()?;
        ensure!(unfinished == sent, "{unfinished} messages are unfinished, and {sent} were sent");
    }
    Ok(())
}

/// The last thing that a consumer noted about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    /// It was delivered.
    Taken,
    /// It is about to be released.
    Releasing,
    Released,
    /// It is about to be rejected, or was.
    Rejecting,
}

/// What a consumer notes about each message; still there when it is dead.
pub(super) struct Marks(Words);

impl Marks {
    pub(super) fn new() -> Self {
        Self(Words::new(64))
    }

    pub(super) fn set(&self, seq: u64, mark: Mark) {
        self.0[seq as usize].store(mark as u64, Ordering::SeqCst);
    }

    fn get(&self, seq: u64) -> Mark {
        let marks = [Mark::None, Mark::Taken, Mark::Releasing, Mark::Released, Mark::Rejecting];
        marks[self.0[seq as usize].load(Ordering::SeqCst) as usize]
    }
}

/// A consumer is gone that may have got some of the first messages.
pub(super) struct Gone<'m> {
    pub(super) marks: &'m Marks,
    pub(super) may_take: u64,
    /// The number of messages after them that were taken by a consumer that died before it held
    /// them: they are new, and in no order.
    pub(super) unseen: u64,
    /// How many times the first ones had been delivered before.
    pub(super) before: u64,
}

/// What it did not release is redelivered, once and whole; the rest is delivered in order; then
/// others go on, and the whole queue can be used. A producer may be alive, and the queue holds the
/// messages of `state`.
pub(super) fn survive_receiver(state: State, queue: &BytesQueue, gone: &Gone<'_>) -> Outcome {
    let State { kind, sent, taken, .. } = state;
    let consumer = queue.consumer()?;
    let mut seen = Vec::new();
    let mut held = Vec::new();
    while let Ok(frame) = consumer.try_recv() {
        let seq =
            Shape::number(&frame).filter(|seq| kind.shape.is(*seq, &frame)).ok_or("a torn message came")?;
        seen.push((seq, frame.redeliveries()));
        held.push(frame);
    }
    let new: Vec<_> =
        seen.iter().map(|(seq, _)| *seq).filter(|seq| *seq >= taken + gone.may_take + gone.unseen).collect();
    ensure!(new.is_sorted(), "messages that nobody had taken come out of order: {seen:?}");
    for seq in taken..sent {
        let found: Vec<_> = seen.iter().filter(|(one, _)| *one == seq).map(|(_, count)| *count).collect();
        let may_be_gone = gone.may_take > seq - taken;
        let mark = gone.marks.get(seq - taken);
        let is_right = match (mark, &found[..]) {
            (Mark::Released, []) | (Mark::Releasing, []) => true,
            (Mark::None, [0]) => true,
            // Dropped.
            (Mark::None, []) => kind.is_at_most_once && may_be_gone,
            (_, []) => kind.is_at_most_once,
            (Mark::None, [count]) => !kind.is_at_most_once && may_be_gone && *count <= gone.before + 1,
            (Mark::Taken | Mark::Releasing | Mark::Rejecting, [count]) => {
                !kind.is_at_most_once && *count == gone.before + 1
            }
            _ => false,
        };
        ensure!(is_right, "message {seq}: its dead consumer noted {mark:?}, and it came so: {found:?}");
    }
    ensure!(
        seen.iter().all(|(seq, _)| (taken..sent).contains(seq)),
        "a message that was not there: {seen:?}"
    );
    drop(held);
    drop(consumer);
    kind.is_whole(queue)
}

/// A process that does this and is then killed.
pub(super) fn die(body: impl FnOnce() -> Outcome) -> Outcome {
    die_while(body, || Ok(()))
}

/// A process that does this and stays until `meanwhile` is done, and is then killed.
pub(super) fn die_while(body: impl FnOnce() -> Outcome, meanwhile: impl FnOnce() -> Outcome) -> Outcome {
    let words = Words::new(1);
    let child = Child::fork(|| {
        let _guard = std::mem::ManuallyDrop::new(body()?);
        words[0].store(1, Ordering::SeqCst);
        loop {
            std::thread::yield_now();
        }
    });
    while words[0].load(Ordering::SeqCst) == 0 {
        ensure!(!child.has_ended()?, "a child failed");
        std::thread::yield_now();
    }
    meanwhile()?;
    child.kill()
}
