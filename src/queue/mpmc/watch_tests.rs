//! What an idle consumer learns of the others, and when it gives up a failure.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::participant::Participant;
use super::recovery::ASKING;
use super::tests::{die_attached, wait_until_asleep};
use super::watch::Watch;
use crate::layout::order::EntryRole;
use crate::order_ring::{EntrySet, LivenessProbe};
use crate::queue::kind::{Mpmc, Receiver as _};
use crate::queue::{BytesConsumer, BytesQueue, CreateOptions, KernelProbe};
use crate::wait::WaitStrategy;

fn create(participants: usize) -> (tempfile::TempDir, BytesQueue<Mpmc>) {
    let dir = tempfile::tempdir().unwrap();
    let options = CreateOptions::new().max_messages(16).max_participants(participants);
    #[allow(unsafe_code)]
    // SAFETY: only this test has the file.
    let queue = unsafe { BytesQueue::create_with(dir.path().join("q"), &options) }.unwrap();
    (dir, queue)
}

/// Makes the attempts after which one scan is due, once.
fn scan(consumer: &BytesConsumer<Mpmc>) {
    std::thread::sleep(Duration::from_millis(2));
    (0..64).for_each(|_| assert!(consumer.try_recv().is_err()));
}

/// The scan after another consumer has attached finds it, however many entries there are; and that it
/// has gone within a round over the entries.
#[test]
fn another_consumer_is_noticed_by_the_next_scan() {
    let (_dir, queue) = create(1000);
    let _producers: Vec<_> = (0..100).map(|_| queue.producer().unwrap()).collect();
    let first = queue.consumer().unwrap();
    scan(&first);
    let alone = first.receiver().watch_slice();
    assert_eq!(alone, Duration::from_millis(100), "it watches no other");
    let second = queue.consumer().unwrap();
    scan(&first);
    let watching = first.receiver().watch_slice();
    assert!(watching <= Duration::from_millis(20), "{watching:?}");
    drop(second);
    (0..1000_usize.div_ceil(64)).for_each(|_| scan(&first));
    assert_eq!(first.receiver().watch_slice(), alone, "it is alone again");
}

/// A consumer that sleeps for long because it is alone is woken when another one attaches.
#[test]
fn a_sleeping_consumer_is_told_of_another() {
    let (_dir, queue) = create(8);
    let event = &queue.shared().events().messages;
    let (sender, threads) = channel();
    std::thread::scope(|scope| {
        let consumer = queue.consumer().unwrap();
        consumer.set_wait_strategy(WaitStrategy::Park);
        let canceller = consumer.canceller();
        scope.spawn(move || {
            sender.send(nix::unistd::gettid()).unwrap();
            drop(consumer.recv());
        });
        wait_until_asleep(&[threads.recv().unwrap()], event);
        let before = event.epoch();
        let _second = queue.consumer().unwrap();
        let after = event.epoch();
        // First, so that a failure does not wait for the other thread.
        canceller.cancel();
        assert_eq!(after, before + 1);
    });
}

/// A probe that gets no answers: the kernel refuses questions through such a descriptor.
fn refused() -> std::fs::File {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH).open("/dev/null").unwrap()
}

/// Only an answer shows that the kernel answers again.
#[test]
fn a_scan_without_questions_ends_no_trouble() {
    let (_dir, queue) = create(8);
    let participant: Participant =
        Participant::attach(Arc::clone(queue.shared()), EntryRole::Consumer).unwrap();
    let (file, failures) = (refused(), participant.recovery_failures());
    let cause = || failures.cause(queue.shared()).map(|cause| cause.to_string());
    let probe = KernelProbe::new(&file);
    assert!(probe.is_alive(3), "in doubt it is alive");
    let done = participant.conclude(&probe, EntrySet::EMPTY);
    assert!(!done.has_answers && cause().is_some());
    let done = participant.conclude(&participant.probe(), EntrySet::EMPTY);
    assert!(done.has_answers && cause().is_some(), "nothing was asked");
    let probe = participant.probe();
    assert!(!probe.is_alive(3));
    participant.conclude(&probe, EntrySet::EMPTY);
    assert_eq!(cause(), None);
}

/// A consumer that is the only participant has no other to ask about.
#[test]
fn a_scan_by_a_lone_consumer_ends_trouble_that_is_over() {
    let (_dir, queue) = create(8);
    let participant: Participant =
        Participant::attach(Arc::clone(queue.shared()), EntryRole::Consumer).unwrap();
    let (watch, failures) = (Watch::new(participant.ring()), participant.recovery_failures());
    let refused = std::io::Error::from_raw_os_error(libc::ENOLCK);
    failures.note(queue.shared(), ASKING, refused, &EntrySet::EMPTY);
    assert!(failures.cause(queue.shared()).is_some());
    std::thread::sleep(Duration::from_millis(2));
    watch.attempt(&participant);
    assert!(failures.cause(queue.shared()).is_none());
}

/// Answers about others do not end the failures with one that is dead still; that it was recovered
/// from, by whichever participant, does.
#[test]
fn trouble_ends_with_the_participant_that_it_is_about() {
    let (_dir, queue) = create(8);
    let participant: Participant =
        Participant::attach(Arc::clone(queue.shared()), EntryRole::Consumer).unwrap();
    let shared = queue.shared();
    let cause = || participant.recovery_failures().cause(shared).map(|cause| cause.to_string());
    let entry = shared.ring().candidates(EntryRole::Consumer)[0];
    let other = shared.ring().candidates(EntryRole::Consumer)[1];
    die_attached(shared, entry);
    let mut dead = EntrySet::EMPTY;
    dead.insert(entry);
    let denied = || std::io::Error::from_raw_os_error(libc::EACCES);
    participant.recovery_failures().note(shared, "recovering", denied(), &dead);
    // The scan asks another one only, and recovers from the one that it could not recover from before.
    let probe = participant.probe();
    assert!(!probe.is_alive(other));
    assert!(participant.conclude(&probe, EntrySet::EMPTY).has_recovered);
    assert_eq!((cause(), queue.stats().deaths), (None, 1));
    participant.recovery_failures().note(shared, "recovering", denied(), &dead);
    assert!(cause().is_some());
    participant.conclude(&participant.probe(), EntrySet::EMPTY);
    assert_eq!(cause(), None, "another participant recovered from it");
}
