//! The dead-letter queue: where it is, what becomes of its file, and what a dead letter contains.

use ringway::mpmc::{BytesConsumer, BytesProducer, BytesQueue};
use ringway::{AttachError, CreateOptions, DeadLetterCause, OpenError, RecvError, Warning};

use crate::{drain, queue, small};

fn options() -> CreateOptions {
    CreateOptions::new().max_messages(16).ring_bytes(4096).max_participants(8).max_redeliveries(1)
}

/// Sends a message and rejects it until it is a dead letter, or should be.
fn dead_letter(producer: &mut BytesProducer, consumer: &BytesConsumer, message: &[u8]) {
    producer.try_send(message).unwrap();
    (0..2).for_each(|_| consumer.try_recv().unwrap().reject());
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)), "it is dead-lettered");
}

fn letters(queue: &BytesQueue) -> Vec<Vec<u8>> {
    drain(&queue.dead_letters().unwrap().consumer().unwrap())
}

#[test]
fn letters_are_found_after_their_queue_was_unlinked() {
    let (dir, queue) = queue(&options());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let path = dir.path().join("q.dead");
    dead_letter(&mut producer, &consumer, b"one");
    ringway::unlink(&path).unwrap();
    dead_letter(&mut producer, &consumer, b"two");
    assert_eq!(letters(&queue), [b"two"]);
    // Other processes remove files without notice.
    std::fs::remove_file(&path).unwrap();
    dead_letter(&mut producer, &consumer, b"three");
    assert_eq!(letters(&queue), [b"three"]);
    std::fs::rename(&path, dir.path().join("aside")).unwrap();
    dead_letter(&mut producer, &consumer, b"four");
    assert_eq!(letters(&queue), [b"four"]);
    let stats = queue.stats();
    assert_eq!((stats.dead_letters, stats.dead_letters_failed), (4, 0));
}

/// As many letters as the queue may hold messages, also if its slots are more.
#[test]
fn the_dead_letter_queue_has_the_maximum_of_its_queue() {
    let (_dir, queue) = queue(&options().max_messages(5));
    assert_eq!((queue.room(), queue.dead_letters().unwrap().room()), (5, 5));
}

/// The error of an attach when `make` has created a file at the dead-letter queue's path.
fn wrong_file(make: impl FnOnce(&std::path::Path)) -> AttachError {
    let (dir, queue) = queue(&options());
    let path = dir.path().join("q.dead");
    make(&path);
    let error = queue.consumer().unwrap_err();
    assert!(matches!(&error, AttachError::DeadLetters { path: found, .. } if *found == path), "{error:?}");
    assert!(queue.stats().participants.is_empty(), "no entry was taken");
    queue.producer().unwrap().try_send(b"producers need none").unwrap();
    ringway::unlink(&path).unwrap_or_else(|_| std::fs::remove_file(&path).unwrap());
    queue.consumer().unwrap().try_recv().unwrap();
    error
}

#[test]
fn what_cannot_be_the_dead_letter_queue_is_told_when_a_consumer_attaches() {
    let text = wrong_file(|path| std::fs::write(path, b"something else").unwrap()).to_string();
    let queue = text.split("q.dead").nth(1).expect("the letters' file first");
    for words in ["cannot be the dead-letter queue of ", "/q,", "`ringway peek ", "`mv "] {
        assert!(text.contains(words), "{words}: {queue} of {text}");
    }
    // SAFETY: only this test knows the files.
    wrong_file(|path| drop(unsafe { ringway::spsc::BytesQueue::create(path) }.unwrap()));
    // SAFETY: as above.
    let typed = |path: &std::path::Path| unsafe { ringway::mpmc::Queue::<u32>::create(path) };
    let text = wrong_file(|path| drop(typed(path).unwrap())).to_string();
    assert!(text.contains("u32"), "{text}");
    // SAFETY: as above.
    let shared = |path: &std::path::Path| unsafe {
        BytesQueue::create_with(path, &CreateOptions::new().sharing(ringway::Sharing::Everybody))
    };
    wrong_file(|path| drop(shared(path).unwrap()));
}

#[test]
fn a_queue_without_dead_letters_does_not_search_for_them() {
    let (dir, queue) = queue(&small());
    std::fs::write(dir.path().join("q.dead"), b"something else").unwrap();
    queue.consumer().unwrap();
    std::fs::remove_file(dir.path().join("q.dead")).unwrap();
    assert!(matches!(queue.dead_letters(), Err(OpenError::NotFound { .. })));
}

#[test]
fn what_keeps_a_message_from_becoming_a_letter_is_said() {
    let (dir, queue) = queue(&options());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let path = dir.path().join("q.dead");
    std::fs::write(&path, b"something else").unwrap();
    producer.try_send(b"bad").unwrap();
    (0..3).for_each(|_| consumer.try_recv().unwrap().reject());
    let stats = queue.stats();
    assert_eq!((stats.dead_letters, stats.dead_letters_failed), (0, 1));
    let failure = stats.dead_letter_failure.unwrap();
    assert_eq!((failure.cause, failure.errno), (DeadLetterCause::WrongFile, None));
    assert!(failure.at.elapsed().unwrap() < std::time::Duration::from_secs(60));
    let warnings = queue.warnings();
    assert!(
        matches!(&warnings[..], [Warning::NoDeadLetters { path: found, .. }] if *found == path),
        "{warnings:?}"
    );
    let seen = ringway::inspect::Snapshot::read(queue.path()).unwrap();
    assert_eq!(seen.counters.unwrap().dead_letter_failure, Some(failure));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    assert_eq!(letters(&queue), [b"bad"]);
}

#[test]
fn letters_of_an_earlier_queue_are_told_from_those_of_this_one() {
    let (dir, old) = queue(&options());
    let (mut producer, consumer) = (old.producer().unwrap(), old.consumer().unwrap());
    producer.try_send(b"before").unwrap();
    dead_letter_next(&consumer);
    ringway::unlink(old.path()).unwrap();
    // SAFETY: only this test knows the file.
    let new = unsafe { BytesQueue::create_with(dir.path().join("q"), &options()) }.unwrap();
    assert_ne!(old.uuid(), new.uuid());
    let (mut producer, consumer) = (new.producer().unwrap(), new.consumer().unwrap());
    producer.try_send(b"now").unwrap();
    dead_letter_next(&consumer);
    let reader = new.dead_letters().unwrap().consumer().unwrap();
    let (first, second) = (reader.try_recv().unwrap(), reader.try_recv().unwrap());
    let (first_origin, second_origin) = (first.dead_letter().unwrap(), second.dead_letter().unwrap());
    assert_eq!((&*first, first_origin.queue, first_origin.position), (&b"before"[..], old.uuid(), 0));
    assert_eq!((&*second, second_origin.queue, second_origin.position), (&b"now"[..], new.uuid(), 0));
}

fn dead_letter_next(consumer: &BytesConsumer) {
    (0..2).for_each(|_| consumer.try_recv().unwrap().reject());
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)), "it is dead-lettered");
}

#[test]
fn a_letter_says_how_often_and_by_whom_and_when() {
    let (_dir, queue) = queue(&options().max_redeliveries(3));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.try_send(b"bad").unwrap();
    (0..4).for_each(|_| consumer.try_recv().unwrap().reject());
    assert!(consumer.try_recv().is_err());
    let reader = queue.dead_letters().unwrap().consumer().unwrap();
    let about = reader.try_recv().unwrap().dead_letter().unwrap();
    assert_eq!((about.queue, about.position, about.redeliveries), (queue.uuid(), 0, 4));
    assert_eq!(about.last_holder, Some(std::process::id()));
    assert!(about.at.elapsed().unwrap() < std::time::Duration::from_secs(60));
    let text = about.to_string();
    assert!(text.contains(&queue.uuid().to_string()), "{text}");
}

#[test]
fn the_first_letter_can_be_waited_for() {
    let (_dir, queue) = queue(&options());
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let reader = queue.dead_letters().unwrap().consumer().unwrap();
    std::thread::scope(|scope| {
        let waits = scope
            .spawn(move || reader.recv_timeout(std::time::Duration::from_secs(20)).map(|it| it.to_vec()));
        dead_letter(&mut producer, &consumer, b"first");
        assert_eq!(waits.join().unwrap().unwrap(), b"first");
    });
}

#[test]
fn consumers_of_one_process_take_one_place_among_the_letters() {
    let (_dir, queue) = queue(&options());
    drop(queue.dead_letters().unwrap());
    let mut producer = queue.producer().unwrap();
    let consumers: Vec<_> = (0..5).map(|_| queue.consumer().unwrap()).collect();
    for consumer in &consumers {
        dead_letter(&mut producer, consumer, b"bad");
    }
    let letters = queue.dead_letters().unwrap();
    assert_eq!(letters.stats().participants.len(), 1);
    drop(consumers);
    assert!(letters.stats().participants.is_empty());
    assert_eq!(letters.stats().backlog, 5);
}

#[test]
fn a_queue_is_unlinked_with_its_letters() {
    let (dir, queue) = queue(&options());
    let (name, dead) = (dir.path().join("q"), dir.path().join("q.dead"));
    assert!(!ringway::unlink_with_letters(&name).unwrap());
    assert!(matches!(
        ringway::unlink_with_letters(&name),
        Err(ringway::UnlinkError::Open(OpenError::NotFound { .. }))
    ));
    // SAFETY: only this test knows the file.
    let again = || unsafe { BytesQueue::create_with(&name, &options()) }.unwrap();
    drop(again().dead_letters().unwrap());
    assert!(ringway::unlink_with_letters(&name).unwrap());
    assert!(!name.exists() && !dead.exists());
    // Left over from an unlink without.
    drop(again().dead_letters().unwrap());
    ringway::unlink(&name).unwrap();
    assert!(dead.exists());
    assert!(ringway::unlink_with_letters(&name).unwrap());
    assert!(!dead.exists());
    drop(queue);
}
