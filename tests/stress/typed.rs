//! Messages of types, serialised into the file and validated there.

use ringway::spsc::{Consumer, Message, Queue};
use ringway::{CreateOptions, Framing, RecvError};
use rkyv::{Archive, Serialize};

use crate::process::{Child, Outcome, Random, TestDir, ensure, progress};

#[derive(Archive, Serialize, ringway::Message)]
struct Report {
    number: u64,
    name: String,
    values: Vec<u32>,
    next: Option<Box<u128>>,
}

impl Report {
    fn new(number: u64) -> Self {
        let mut random = Random::fixed(number);
        let len = if random.below(50) == 0 { 400 } else { random.below(20) };
        Self {
            number,
            name: format!("report {number}"),
            values: (0..len).map(|_| random.next() as u32).collect(),
            next: (random.below(3) == 0).then(|| Box::new(u128::from(number) << 64 | 1)),
        }
    }
}

impl ArchivedReport {
    fn is(&self, number: u64) -> bool {
        let expected = Report::new(number);
        self.number == number
            && self.name == expected.name.as_str()
            && self.values.len() == expected.values.len()
            && self.values.iter().zip(&expected.values).all(|(found, value)| *found == *value)
            && self.next.as_ref().map(|boxed| boxed.to_native()) == expected.next.map(|boxed| *boxed)
    }
}

#[derive(Archive, Serialize, ringway::Message)]
struct Sample {
    number: u64,
    square: u128,
    flags: [u8; 5],
}

impl Sample {
    fn new(number: u64) -> Self {
        let square = u128::from(number) * u128::from(number);
        Self { number, square, flags: (number ^ 0x5a5a_5a5a).to_ne_bytes()[..5].try_into().expect("five") }
    }
}

impl ArchivedSample {
    fn is(&self, number: u64) -> bool {
        let expected = Sample::new(number);
        self.number == number && self.square == expected.square && self.flags == expected.flags
    }
}

pub(crate) fn any_size(count: u64) -> Outcome {
    for capacity in [8192, 1 << 20] {
        all_arrive(&CreateOptions::new().ring_bytes(capacity), count / 2, Report::new, |found, number| {
            found.is(number)
        })?;
    }
    Ok(())
}

pub(crate) fn fixed_size(count: u64) -> Outcome {
    for capacity in [200, 1 << 18] {
        let options = CreateOptions::new().ring_bytes(capacity).framing(Framing::FixedByType);
        all_arrive(&options, count / 2, Sample::new, |found, number| found.is(number))?;
    }
    Ok(())
}

/// A child sends `count` messages, alone and in batches; this process takes them alone, in runs,
/// and some guards out of order.
fn all_arrive<T: Message>(
    options: &CreateOptions,
    count: u64,
    make: impl Fn(u64) -> T,
    is: impl Fn(&T::Archived, u64) -> bool,
) -> Outcome {
    let place = TestDir::new()?;
    // SAFETY: only this test and its child know the file.
    let queue = unsafe { Queue::<T>::create_with(place.path(), options) }?;
    let consumer = queue.consumer()?;
    let child = Child::fork(|| send(&place, count, &make));
    let (mut next, mut is_idle) = (0, false);
    let mut random = Random::new(5);
    while next < count {
        let before = next;
        let had_ended = is_idle && child.has_ended()?;
        match random.below(3) {
            0 => take_two(&consumer, &mut next, &is)?,
            1 => take_run(&consumer, 1 + random.below(6) as usize, &mut next, &is)?,
            _ => match consumer.try_recv() {
                Ok(frame) => check(is(&frame, next), &mut next)?,
                Err(RecvError::Empty) => {}
                Err(error) => return Err(error.into()),
            },
        }
        is_idle = next == before;
        if is_idle {
            ensure!(!had_ended, "the producer is gone after message {next} of {count}");
            std::thread::yield_now();
        } else if next >> 10 != before >> 10 {
            progress();
        }
    }
    child.join()?;
    ensure!(is_empty(&consumer), "one message more than {count} came");
    println!("     {next} messages through {} bytes", queue.ring_bytes());
    drop((consumer, queue));
    place.leave()
}

fn is_empty<T: Message>(consumer: &Consumer<T>) -> bool {
    matches!(consumer.try_recv(), Err(RecvError::Empty))
}

fn check(is_right: bool, next: &mut u64) -> Outcome {
    ensure!(is_right, "another message than {next} came");
    *next += 1;
    Ok(())
}

/// Two messages, if they are there; the younger one is released first.
fn take_two<T: Message>(
    consumer: &Consumer<T>,
    next: &mut u64,
    is: impl Fn(&T::Archived, u64) -> bool,
) -> Outcome {
    let Ok(first) = consumer.try_recv() else { return Ok(()) };
    check(is(&first, *next), next)?;
    let Ok(second) = consumer.try_recv() else { return Ok(()) };
    check(is(&second, *next), next)?;
    drop(second);
    ensure!(is(&first, *next - 2), "message {} changed while it was held", *next - 2);
    Ok(())
}

fn take_run<T: Message>(
    consumer: &Consumer<T>,
    max: usize,
    next: &mut u64,
    is: impl Fn(&T::Archived, u64) -> bool,
) -> Outcome {
    let Ok(frames) = consumer.try_recv_many(max) else { return Ok(()) };
    ensure!(frames.len() <= max, "{} messages came, {max} at most were asked for", frames.len());
    for frame in frames.iter() {
        check(is(frame?, *next), next)?;
    }
    Ok(())
}

fn send<T: Message>(place: &TestDir, count: u64, make: impl Fn(u64) -> T) -> Outcome {
    // SAFETY: as in `all_arrive`.
    let mut producer = unsafe { Queue::<T>::open(place.path()) }?.producer()?;
    let mut random = Random::new(6);
    let mut next = 0;
    while next < count {
        if random.below(4) == 0 {
            let end = count.min(next + 1 + random.below(6));
            let batch: Vec<T> = (next..end).map(&make).collect();
            producer.send_many(&batch)?;
            next = end;
        } else {
            producer.send(&make(next))?;
            next += 1;
        }
        if random.below(4096) == 0 {
            std::thread::yield_now();
        }
    }
    Ok(())
}
