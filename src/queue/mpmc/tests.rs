//! Which participant notifies which, where only eventcounts can tell: sleepers also make an attempt
//! when their sleep timeouts end. And for how much room a producer waits.

use std::cell::Cell;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, gettid};

use super::participant::Participant;
use super::sender::MpmcSender;
use crate::error::{AttachError, RecvError, SendError};
use crate::lane::Refusal;
use crate::layout::order::{EntryRole, EntryWord};
use crate::layout::{REGISTRY_OFFSET, RegistryEntry};
use crate::order_ring::{CursorGuess, EntrySet};
use crate::park::EventCount;
use crate::queue::kind::{Mpmc, Receiver as _, Sender as _};
use crate::queue::producer::AMPLE_ROOM_WAIT;
use crate::queue::{BytesConsumer, BytesQueue, CreateOptions, Shared};
use crate::shm::RecoveryLock;
use crate::sync::Ordering;
use crate::wait::{Attempt, Until, WaitStrategy};

#[test]
fn room_is_ample_when_a_quarter_has_come_back() {
    let positions = |sender: &MpmcSender| sender.has_ample_positions();
    let room = |sender: &MpmcSender| sender.has_ample_room();
    for (options, is_ample) in [
        (CreateOptions::new().max_messages(16), &positions as &dyn Fn(&_) -> _),
        (CreateOptions::new().max_messages(1 << 12).ring_bytes(1 << 16), &room),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let queue = create(dir.path(), &options);
        let mut sender = MpmcSender::attach(Arc::clone(queue.shared())).unwrap();
        let consumer = queue.consumer().unwrap();
        let fill = |sender: &mut MpmcSender| {
            let mut sent = 0;
            while let Ok(slot) = sender.reserve(64)
                && sender.commit(slot, 64).is_ok()
            {
                sent += 1;
            }
            sent
        };
        let take = |count| (0..count).for_each(|_| drop(consumer.try_recv().unwrap()));
        assert!(is_ample(&sender), "all of it");
        let all = fill(&mut sender);
        take(all / 2);
        assert_eq!(fill(&mut sender), all / 2);
        take(all / 4);
        assert!(!is_ample(&sender));
        take(1);
        assert!(is_ample(&sender));
    }
}

/// A producer that waits for ample room tries for any room after a while, and immediately if there
/// is little time or it is about to sleep.
#[test]
fn time_limit_ends() {
    let dir = tempfile::tempdir().unwrap();
    let queue = create(dir.path(), &CreateOptions::new());
    let mut producer = queue.producer().unwrap();
    let in_a_minute = Until::after(Duration::from_secs(60));
    let soon = Until::after(Duration::from_micros(100));
    for (wait_config, until, is_patient) in [
        (WaitStrategy::Spin, Until::Forever, true),
        (WaitStrategy::Spin, in_a_minute, true),
        (WaitStrategy::Spin, soon, false),
        (WaitStrategy::SpinThenPark, Until::Forever, true),
        (WaitStrategy::Park, Until::Forever, false),
    ] {
        producer.set_wait_strategy(wait_config);
        let asked = Cell::new(0);
        let is_ample = |_: &MpmcSender| {
            asked.set(asked.get() + 1);
            false
        };
        let began = Instant::now();
        producer.wait(1, until, is_ample, |_, _| Ok(())).unwrap();
        assert_eq!(asked.get() > 0, is_patient, "{wait_config:?}");
        // It may sleep before.
        assert!(!is_patient || wait_config != WaitStrategy::Spin || began.elapsed() > AMPLE_ROOM_WAIT);
    }
}

/// A caller whose time has run out makes one more exact attempt: it may have been suspended
/// meanwhile.
#[test]
fn the_last_attempt_comes_after_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let queue = create(dir.path(), &CreateOptions::new());
    let mut producer = queue.producer().unwrap();
    producer.set_wait_strategy(WaitStrategy::Spin);
    let until = Until::after(Duration::from_millis(2));
    let closely =
        |_: &mut MpmcSender, which: Attempt| if which.is_before_park() { Ok(()) } else { Err(Refusal::Full) };
    producer.wait(1, until, |_| false, closely).unwrap();
    let never = |_: &mut MpmcSender, _| Err::<(), _>(Refusal::Full);
    assert!(matches!(producer.wait(1, until, |_| false, never), Err(SendError::Timeout { .. })));
}

fn create(directory: &Path, options: &CreateOptions) -> BytesQueue<Mpmc> {
    #[allow(unsafe_code)]
    // SAFETY: only this test has the file.
    unsafe { BytesQueue::create_with(directory.join("q"), options) }.unwrap()
}

/// Receives once, asleep, and holds the message until each consumer has one and the notifications
/// were counted: detaching notifies as well.
fn receive(consumer: BytesConsumer<Mpmc>, threads: &Sender<Pid>, taken: &Barrier) {
    consumer.set_wait_strategy(WaitStrategy::Park);
    threads.send(gettid()).unwrap();
    let _frame = consumer.recv().unwrap();
    taken.wait();
    taken.wait();
}

/// Waits until the threads sleep at `eventcount` as it is now.
pub(super) fn wait_until_asleep(threads: &[Pid], event: &EventCount) {
    let sleeps = |thread: &Pid| {
        let call = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).unwrap();
        let words: Vec<_> = call.split(' ').collect();
        let is_futex = words[0].parse() == Ok(libc::SYS_futex);
        is_futex && words[3] == format!("{:#x}", event.epoch())
    };
    while !threads.iter().all(sleeps) {
        std::thread::yield_now();
    }
}

/// Two consumers sleep. The second message is committed before the first, so that the consumer that
/// is woken for it cannot take it. Returns how many times the eventcount is notified for the first.
fn notifications_for_two() -> u32 {
    let dir = tempfile::tempdir().unwrap();
    let queue = create(dir.path(), &CreateOptions::new());
    let event = &queue.shared().events().messages;
    // Its lane stays ready, and its entry is the first to be taken again.
    drop(MpmcSender::attach(Arc::clone(queue.shared())).unwrap());
    let claimer = Participant::attach(Arc::clone(queue.shared()), EntryRole::Producer).unwrap();
    let mut producer = queue.producer().unwrap();
    let guess = CursorGuess::new(claimer.ring());
    let claimer = claimer.entry().producer(&guess);
    let first = claimer.claim(1, 1).unwrap().first;
    let (sender, receiver) = channel();
    let taken = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let consumer = queue.consumer().unwrap();
            scope.spawn(|| receive(consumer, &sender, &taken));
        }
        let threads = [receiver.recv().unwrap(), receiver.recv().unwrap()];
        wait_until_asleep(&threads, event);
        producer.try_send(b"second").unwrap();
        wait_until_asleep(&threads, event);
        let before = event.epoch();
        claimer.commit(first, claimer.frame_ref(0, 0));
        event.notify(1);
        taken.wait();
        let epoch = event.epoch() - before;
        taken.wait();
        epoch
    })
}

#[test]
fn a_wake_is_passed_on_for_what_could_not_be_taken() {
    // If a sleep timeout ends at the wrong moment both are awake, and there is nothing to pass on.
    assert!((0..50).any(|_| notifications_for_two() == 2));
}

#[test]
fn dead_letters_wake_their_consumers() {
    let dir = tempfile::tempdir().unwrap();
    let queue = create(dir.path(), &CreateOptions::new().max_redeliveries(1));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let mut dead_letter = || {
        producer.try_send(b"unwanted").unwrap();
        (0..2).for_each(|_| consumer.try_recv().unwrap().reject());
        assert!(consumer.try_recv().is_err(), "it is moved");
    };
    dead_letter();
    let letters = queue.dead_letters().unwrap();
    let event = &letters.shared().events().messages;
    let reader = letters.consumer().unwrap();
    drop(reader.try_recv().unwrap());
    let (sender, receiver) = channel();
    let taken = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| receive(reader, &sender, &taken));
        wait_until_asleep(&[receiver.recv().unwrap()], event);
        let before = event.epoch();
        dead_letter();
        taken.wait();
        let epoch = event.epoch() - before;
        taken.wait();
        assert_eq!(epoch, 1);
    });
}

/// The good frames of a run are received, and then the loss of one among them is reported.
#[test]
fn a_corrupted_frame_in_a_batch_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let queue = create(dir.path(), &CreateOptions::new());
    drop(MpmcSender::attach(Arc::clone(queue.shared())).unwrap());
    let claimer = Participant::attach(Arc::clone(queue.shared()), EntryRole::Producer).unwrap();
    let consumer = queue.consumer().unwrap();
    let guess = CursorGuess::new(claimer.ring());
    let claimer = claimer.entry().producer(&guess);
    let first = claimer.claim(3, 3).unwrap().first;
    let frame = |len| claimer.frame_ref(0, len);
    claimer.commit_run(first, [frame(0), frame(1 << 26), frame(0)].into_iter());
    assert_eq!(consumer.try_recv_many(3).unwrap().len(), 2);
    let error = consumer.try_recv_many(3).unwrap_err();
    assert!(
        matches!(&error, RecvError::Corrupted(corruption) if corruption.position == first + 1),
        "{error:?}"
    );
    assert!(matches!(consumer.try_recv_many(3), Err(RecvError::Empty)));
}

/// Another process had the recovery lock for a moment, when it was wanted here. What the wait was
/// for arrived, and nothing that happens later has to do with it.
#[test]
fn a_recovery_that_was_another_s_is_no_cause_later() {
    let dir = tempfile::tempdir().unwrap();
    let queue = create(dir.path(), &CreateOptions::new().max_messages(16));
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.sender().recovery_failures().unwrap().note_busy(&EntrySet::EMPTY);
    consumer.receiver().recovery_failures().unwrap().note_busy(&EntrySet::EMPTY);
    producer.try_send(b"there is room").unwrap();
    drop(consumer.try_recv().unwrap());
    std::thread::sleep(Duration::from_millis(1100));
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    let timeout = Duration::from_millis(1);
    assert!(matches!(consumer.recv_timeout(timeout), Err(RecvError::Timeout)));
    while producer.try_send(b"").is_ok() {}
    let error = producer.try_send(b"").unwrap_err();
    assert!(matches!(error, SendError::Full), "{error:?}");
    let error = producer.send_timeout(b"", timeout).unwrap_err();
    assert!(matches!(error, SendError::Timeout { .. }), "{error:?}");
}

/// A lock that is held for long is a cause, for calls that wait and for those that do not.
#[test]
fn a_recovery_that_does_not_end_is_a_cause() {
    let dir = tempfile::tempdir().unwrap();
    let queue = create(dir.path(), &CreateOptions::new());
    let consumer = queue.consumer().unwrap();
    let (failures, began) = (consumer.receiver().recovery_failures().unwrap(), Instant::now());
    while began.elapsed() < Duration::from_millis(1100) {
        failures.note_busy(&EntrySet::EMPTY);
        std::thread::sleep(Duration::from_millis(20));
    }
    failures.note_busy(&EntrySet::EMPTY);
    assert!(failures.cause(queue.shared()).is_some() && failures.lasting_cause(queue.shared()).is_some());
}

/// A dead participant has the only entry, and the process that recovers from it is stopped.
#[test]
fn a_stopped_recovery_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let queue = create(dir.path(), &CreateOptions::new().max_participants(2));
    let _alive = queue.producer().unwrap();
    let shared = queue.shared();
    let held = |attach: &dyn Fn()| {
        let lock = RecoveryLock::open(shared.file(), shared.path()).unwrap();
        lock.run(shared.file(), shared.path(), attach).unwrap().expect("it is free");
    };
    let alive = queue.consumer().unwrap();
    held(&|| {
        let error = queue.consumer().unwrap_err();
        assert!(matches!(error, AttachError::TooManyParticipants { .. }), "all are alive: {error}");
    });
    drop(alive);
    let entry = shared.ring().candidates(EntryRole::Consumer)[0];
    die_attached(shared, entry);
    held(&|| {
        let error = queue.consumer().unwrap_err();
        assert!(matches!(error, AttachError::RecoveryBusy { .. }), "{error}");
        for words in ["does not go on", "continue or kill"] {
            assert!(error.to_string().contains(words), "{error}");
        }
    });
    drop(queue.consumer().unwrap());
}

/// Leaves an entry as a consumer leaves it that is killed once it is attached: without its liveness
/// lock.
pub(super) fn die_attached(shared: &Shared, entry: usize) {
    let words = shared.many_words::<RegistryEntry>(REGISTRY_OFFSET, shared.ring().entry_count());
    let word = EntryWord(words[entry].word.load(Ordering::Relaxed)).attached(EntryRole::Consumer);
    words[entry].word.store(word.0, Ordering::Relaxed);
}
