//! Participants are paused at every instruction while the other side goes on, and inspection finds
//! no fault at any step of that; then they go on as well.

use ringway::spsc::{BytesConsumer, BytesProducer};

use super::attempts::{Pause, Step, paused_everywhere};
use super::inspecting::inspect_queue;
use super::tracer::Gate;
use crate::process::{Kind, Outcome, Shape, Test, TestDir, ensure};

const VARIABLE: Kind = Kind::new("variable", 1024, Shape::Same(40));
const FIXED: Kind = Kind::new("fixed", 192, Shape::Fixed(24));

/// Name, queue, and how many messages are in it.
const STATES: [(&str, Kind, u64); 4] = [
    ("empty", VARIABLE, 0),
    ("behind padding", VARIABLE.start(992), 0),
    ("two messages", VARIABLE.start(504), 2),
    ("fixed, wraps", FIXED.start(6), 1),
];

/// Pauses one side in a queue of that kind with the given number of messages.
type Attempt = fn(Kind, u64, Pause<'_>) -> Outcome;

pub(crate) fn tests() -> Vec<Test> {
    // Name, how many instructions lie between pauses, and what is done.
    let sides: [(&str, u64, Attempt); 4] = [
        ("send", 1, |kind, messages, pause| sender(kind, messages, 1, pause)),
        ("try_send_many", 2, |kind, messages, pause| sender(kind, messages, 3, pause)),
        ("take and release", 1, |kind, messages, pause| receiver(kind, messages + 2, false, pause)),
        ("take and reject", 5, |kind, messages, pause| receiver(kind, messages + 2, true, pause)),
    ];
    sides
        .map(|(name, stride, attempt)| {
            Test::new(format!("pausing: {name}"), move || {
                // Debug builds take ten times as many instructions.
                let count = if cfg!(debug_assertions) { 1 } else { STATES.len() };
                for (state, kind, messages) in STATES.into_iter().take(count) {
                    paused_everywhere(state, stride, |pause| attempt(kind, messages, pause))?;
                }
                Ok(())
            })
        })
        .into()
}

/// Takes what is there, and releases it one by one.
fn drain(place: &TestDir, shape: Shape, consumer: &BytesConsumer, next: &mut u64) -> Outcome {
    while let Ok(frame) = consumer.try_recv() {
        inspect_queue(&place.path())?;
        ensure!(shape.is(*next, &frame), "another message than {next} came");
        *next += 1;
        drop(frame);
        inspect_queue(&place.path())?;
    }
    // That published `head`.
    inspect_queue(&place.path())
}

fn fill(producer: &mut BytesProducer, shape: Shape, messages: std::ops::Range<u64>) -> Outcome {
    for seq in messages {
        producer.try_send(&shape.message(seq))?;
    }
    Ok(())
}

fn sender(kind: Kind, messages: u64, count: u64, pause: Pause<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let consumer = queue.consumer()?;
    fill(&mut queue.producer()?, kind.shape, 0..messages)?;
    let mut next = 0;
    let body = |gate: &Gate| {
        let mut producer = place.open()?.producer()?;
        let data: Vec<_> = (messages..messages + count).map(|seq| kind.shape.message(seq)).collect();
        gate.enter()?;
        match &data[..] {
            [message] => producer.send(message)?,
            all => ensure!(producer.try_send_many(all)? == all.len(), "there is room for all"),
        }
        gate.leave()
    };
    pause(Step { file: &place.path(), body: Box::new(body) }, &mut || {
        drain(&place, kind.shape, &consumer, &mut next)
    })?;
    drain(&place, kind.shape, &consumer, &mut next)?;
    ensure!(next == messages + count, "{next} messages came of {messages} + {count}");
    drop(consumer);
    kind.is_whole(&queue)?;
    place.leave()
}

fn receiver(kind: Kind, messages: u64, rejects: bool, pause: Pause<'_>) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let mut producer = queue.producer()?;
    fill(&mut producer, kind.shape, 0..messages)?;
    let body = |gate: &Gate| {
        let consumer = place.open()?.consumer()?;
        gate.enter()?;
        let frame = consumer.try_recv()?;
        ensure!(kind.shape.is(0, &frame), "another message came first");
        if rejects {
            frame.reject();
        } else {
            drop(frame);
        }
        gate.leave()
    };
    pause(Step { file: &place.path(), body: Box::new(body) }, &mut || {
        fill(&mut producer, kind.shape, messages..messages + 2)?;
        inspect_queue(&place.path())
    })?;
    let mut next = u64::from(!rejects);
    let consumer = queue.consumer()?;
    drain(&place, kind.shape, &consumer, &mut next)?;
    ensure!(next == messages + 2, "{next} messages came of {messages} + 2");
    drop((producer, consumer));
    kind.is_whole(&queue)?;
    place.leave()
}
