//! Dead letters.

use ringway::mpmc::BytesQueue;
use ringway::{AttachError, DeadLetterCause};

use super::{comes, holder, living, nothing_comes, small, with_queue};
use crate::process::{Outcome, TestDir, ensure, gets_nothing_more};

const UUID: [u8; 16] = [9; 16];

fn options() -> ringway::CreateOptions {
    small().max_redeliveries(2).uuid(UUID)
}

/// The dead letter is there, once for each origin, and names its origin; the queue itself is empty.
fn is_dead_letter(queue: &BytesQueue, message: &[u8], position: u64) -> Outcome {
    let letters = queue.dead_letters()?;
    let reader = letters.consumer()?;
    let letter = reader.try_recv()?;
    ensure!(*letter == *message, "expected {message:?}, found {:?}", &*letter);
    let origin = letter.dead_letter().ok_or("it does not say where it comes from")?;
    ensure!((origin.queue, origin.position) == (UUID.into(), position), "{origin:?}");
    drop(letter);
    ensure!(reader.try_recv().is_err(), "another letter is there");
    drop(reader);
    gets_nothing_more(&letters)
}

pub(crate) fn rejected() -> Outcome {
    with_queue(&options(), |_, queue| {
        let (mut producer, one, two) = (queue.producer()?, queue.consumer()?, queue.consumer()?);
        for position in 0..10 {
            producer.send(b"bad")?;
            one.recv()?.reject();
            two.recv()?.reject();
            one.recv()?.reject();
            nothing_comes(&two)?;
            nothing_comes(&one)?;
            is_dead_letter(queue, b"bad", position)?;
        }
        let stats = queue.stats();
        ensure!((stats.dead_letters, stats.dead_letters_failed, stats.backlog) == (10, 0, 0), "{stats:?}");
        producer.try_send_many(&[b"a", b"b", b"c", b"d"])?;
        for expected in [b"a", b"b", b"c", b"d"] {
            comes(&one, expected, 0)?;
        }
        Ok(())
    })
}

/// A message kills every consumer that takes it, three times.
pub(crate) fn killed() -> Outcome {
    with_queue(&options(), |place, queue| {
        let mut producer = queue.producer()?;
        for position in 0..5 {
            producer.send(b"deadly")?;
            for _ in 0..3 {
                holder(place, 1)?.kill()?;
            }
            let consumer = queue.consumer()?;
            nothing_comes(&consumer)?;
            is_dead_letter(queue, b"deadly", position)?;
        }
        let stats = queue.stats();
        ensure!((stats.dead_letters, stats.deaths, stats.backlog) == (5, 15, 0), "{stats:?}");
        gets_nothing_more(queue)
    })
}

/// A consumer that has dead-lettered a message is killed when it takes the next: what it left in
/// either queue is found.
pub(crate) fn dead_lettering_dies() -> Outcome {
    with_queue(&options(), |place, queue| {
        let mut producer = queue.producer()?;
        producer.send(b"bad")?;
        for _ in 0..3 {
            holder(place, 1)?.kill()?;
        }
        producer.send(b"good")?;
        living(|ready| {
            let consumer = place.open_mpmc()?.consumer()?;
            ensure!(*consumer.recv()? == *b"good", "the bad one is dead-lettered");
            ready()
        })?
        .kill()?;
        let letters = queue.dead_letters()?;
        ensure!(
            letters.stats().participants.len() == 1,
            "the consumer that dead-lettered it took part there"
        );
        is_dead_letter(queue, b"bad", 0)?;
        ensure!(letters.stats().deaths == 1, "{:?}", letters.stats());
        let consumer = queue.consumer()?;
        nothing_comes(&consumer)?;
        drop(consumer);
        gets_nothing_more(queue)
    })
}

/// Another file has the name, or a queue of another framing is full: the message is delivered like
/// any other, and counted.
pub(crate) fn there_can_be_none() -> Outcome {
    with_queue(&options(), |place, queue| {
        let path = letters_of(place);
        let mut producer = queue.producer()?;
        producer.send(b"bad")?;
        for _ in 0..3 {
            holder(place, 1)?.kill()?;
        }
        // Otherwise attaching would report it.
        let consumer = queue.consumer()?;
        std::fs::write(&path, b"not a queue")?;
        ensure!(matches!(queue.consumer(), Err(AttachError::DeadLetters { .. })), "attaching does not tell");
        let frame = consumer.recv()?;
        ensure!(frame.redeliveries() == 3, "{}", frame.redeliveries());
        ensure!(queue.stats().dead_letters_failed == 1, "{:?}", queue.stats());
        frame.reject();
        std::fs::remove_file(path)?;
        nothing_comes(&consumer)?;
        ensure!(queue.stats().dead_letters == 1, "{:?}", queue.stats());
        is_dead_letter(queue, b"bad", 0)
    })
}

/// A consumer that has no descriptor left moves a message all the same if there was a dead-letter
/// queue when it attached. If there was none, the message is delivered once more, and the cause is
/// reported.
pub(crate) fn no_descriptors() -> Outcome {
    for has_letters in [true, false] {
        with_queue(&options(), |place, queue| {
            let mut producer = queue.producer()?;
            producer.send_many(&[b"bad".as_slice(), b"good"])?;
            if has_letters {
                drop(queue.dead_letters()?);
            }
            living(|ready| {
                let queue = place.open_mpmc()?;
                let consumer = queue.consumer()?;
                (0..3).try_for_each(|_| consumer.try_recv().map(|frame| frame.reject()))?;
                let mut all = Vec::new();
                let error = loop {
                    match std::fs::File::open("/dev/null") {
                        Ok(file) => all.push(file),
                        Err(error) => break error,
                    }
                };
                let message = consumer.try_recv()?;
                let (stats, warnings) = (queue.stats(), queue.warnings());
                if has_letters {
                    ensure!(
                        *message == *b"good" && stats.dead_letters == 1 && warnings.is_empty(),
                        "{stats:?}"
                    );
                } else {
                    ensure!(*message == *b"bad" && message.redeliveries() == 3, "{stats:?}");
                    let failure = stats.dead_letter_failure.ok_or("nothing is told")?;
                    let expected = (DeadLetterCause::System, error.raw_os_error());
                    ensure!((failure.cause, failure.errno) == expected, "{failure:?}");
                    ensure!(warnings.len() == 1, "{warnings:?}");
                }
                ready()
            })?
            .kill()?;
            gets_nothing_more_but(queue, 1)
        })?;
    }
    Ok(())
}

/// What the dead child held is delivered, and nothing else.
fn gets_nothing_more_but(queue: &BytesQueue, messages: usize) -> Outcome {
    let consumer = queue.consumer()?;
    for _ in 0..messages {
        consumer.try_recv()?;
    }
    Ok(())
}

fn letters_of(place: &TestDir) -> std::path::PathBuf {
    place.directory().join("queue.dead")
}
