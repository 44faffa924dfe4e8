//! Waits that are ended from outside: by another thread, by a signal handler.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal::SIGUSR1;
use ringway::kind::{BytesConsumer, Kind, Mpmc, Spsc};
use ringway::{Canceller, RecvError, SendError, WaitStrategy};

use super::asleep::{HANGS, until};
use super::peer::{Notes, Peer, Tried, number_of, open, with_queue};
use crate::process::{Outcome, Random, Test, TestDir, ensure};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("cancel: by a thread, SPSC", by_a_thread::<Spsc>),
        Test::new("cancel: by a thread, MPMC", by_a_thread::<Mpmc>),
        Test::new("cancel: by a signal handler, SPSC", by_a_handler::<Spsc>),
        Test::new("cancel: by a signal handler, MPMC", by_a_handler::<Mpmc>),
        Test::new("cancel: a reset keeps an interrupt", a_reset_keeps_an_interrupt),
        Test::new("cancel: at random moments, no cancel and no message is lost", at_random),
        Test::new("cancel: only the one that is meant", only_one),
    ]
}

const WAITS: [WaitStrategy; 3] = [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park];

/// Each call that waits is ended by a thread, whether it spins or sleeps; after a reset all goes on.
fn by_a_thread<K: Tried>() -> Outcome {
    for wait in WAITS {
        with_queue::<K>(|place, _| {
            let peer = Peer::start(|notes| cancel_each::<K>(place, wait, notes));
            peer.wait_for_count(7)?;
            peer.child.join_within(HANGS)
        })?;
    }
    Ok(())
}

/// Some call that waits.
type Call<K> = fn(&BytesConsumer<K>, Duration) -> Result<(), RecvError>;

fn cancel_each<K: Tried>(place: &TestDir, wait: WaitStrategy, notes: &Notes) -> Outcome {
    let queue = open::<K>(place)?;
    let (consumer, mut producer) = (queue.consumer()?, queue.producer()?);
    consumer.set_wait_strategy(wait);
    producer.set_wait_strategy(wait);
    let canceller = consumer.canceller();
    let long = Duration::from_secs(600);
    let calls: [Call<K>; 4] = [
        |consumer, _| consumer.recv().map(drop),
        |consumer, time| consumer.recv_timeout(time).map(drop),
        |consumer, _| consumer.recv_many(2).map(drop),
        |consumer, _| consumer.iter().next().expect("no end").map(drop),
    ];
    for call in calls {
        let result = cancelled_by_another(&canceller, || call(&consumer, long));
        ensure!(matches!(result, Err(RecvError::Cancelled)), "{wait:?}: {result:?}");
        // It stays cancelled, but what need not wait goes on.
        ensure!(matches!(consumer.recv(), Err(RecvError::Cancelled)), "it waited");
        ensure!(matches!(consumer.try_recv(), Err(RecvError::Empty)), "try_recv does not wait");
        producer.send(&1_u64.to_ne_bytes())?;
        ensure!(number_of(&consumer.recv()?)? == 1, "another message");
        canceller.reset();
        let timeout = consumer.recv_timeout(Duration::from_millis(1));
        ensure!(matches!(timeout, Err(RecvError::Timeout)), "after the reset: {timeout:?}");
        notes.note(1);
    }
    while producer.try_send(&[0; 8]).is_ok() {}
    let canceller = producer.canceller();
    for many in [false, true] {
        let result = cancelled_by_another(&canceller, || {
            if many { producer.send_many(&[[0; 8]]) } else { producer.send(&[0; 8]) }
        });
        ensure!(matches!(result, Err(SendError::Cancelled)), "{wait:?}: {result:?}");
        canceller.reset();
        notes.note(1);
    }
    let result = cancelled_by_another(&canceller, || producer.reserve(8)?.commit());
    ensure!(matches!(result, Err(SendError::Cancelled)), "{wait:?}: {result:?}");
    notes.note(1);
    Ok(())
}

/// The other thread waits until the call has begun.
fn cancelled_by_another<R>(canceller: &Canceller, call: impl FnOnce() -> R) -> R {
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !begun.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(3));
            canceller.cancel();
        });
        begun.store(true, Ordering::SeqCst);
        call()
    })
}

/// A signal that arrives while the handle is cancelled, or just before it is reset, still ends a call.
fn a_reset_keeps_an_interrupt() -> Outcome {
    with_queue::<Spsc>(|place, _| {
        let consumer = open::<Spsc>(place)?.consumer()?;
        let canceller = consumer.canceller();
        canceller.cancel();
        canceller.interrupt();
        ensure!(matches!(consumer.recv(), Err(RecvError::Cancelled)), "the cancel comes first");
        canceller.reset();
        let timeout = Duration::from_millis(1);
        let result = consumer.recv_timeout(timeout).map(drop);
        ensure!(matches!(result, Err(RecvError::Interrupted)), "after the reset: {result:?}");
        let result = consumer.recv_timeout(timeout).map(drop);
        ensure!(matches!(result, Err(RecvError::Timeout)), "one interrupt ends one call: {result:?}");
        Ok(())
    })
}

static CANCELLER: OnceLock<Canceller> = OnceLock::new();

extern "C" fn cancel(_: i32) {
    if let Some(canceller) = CANCELLER.get() {
        canceller.cancel();
    }
}

/// As Ctrl-C would: the handler cancels, and the call ends, though interruption by signals was not
/// enabled; wherever the signal hits, also between the last attempt and the sleep.
fn by_a_handler<K: Tried>() -> Outcome {
    for wait in WAITS {
        with_queue::<K>(|place, _| {
            let peer = Peer::start(|notes| {
                let consumer = open::<K>(place)?.consumer()?;
                consumer.set_wait_strategy(wait);
                let canceller = CANCELLER.get_or_init(|| consumer.canceller());
                // SAFETY: all zeros is a valid action.
                let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
                action.sa_sigaction = cancel as *const () as usize;
                action.sa_flags = libc::SA_RESTART;
                // SAFETY: what the handler calls may be called from one.
                let result =
                    unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
                ensure!(result == 0, "sigaction: {}", std::io::Error::last_os_error());
                for _ in 0..ROUNDS {
                    notes.set_state(notes.count() + 1);
                    let result = consumer.recv();
                    ensure!(matches!(result, Err(RecvError::Cancelled)), "{result:?}");
                    canceller.reset();
                    notes.note(1);
                }
                Ok(())
            });
            const ROUNDS: u64 = if cfg!(debug_assertions) { 100 } else { 500 };
            let mut random = Random::new(3);
            for round in 1..=ROUNDS {
                peer.notes.wait_for_state(round)?;
                std::thread::sleep(Duration::from_nanos(random.below(300_000)));
                peer.child.signal(SIGUSR1)?;
                peer.wait_for_count(round)?;
            }
            let Peer { child, .. } = peer;
            child.join_within(HANGS)
        })?;
    }
    Ok(())
}

/// Messages and cancels come at random: a cancelled consumer has lost no message, and none is
/// delivered twice.
fn at_random() -> Outcome {
    with_queue::<Mpmc>(|place, queue| {
        let count = if cfg!(debug_assertions) { 500 } else { 3000_u64 };
        let peer = Peer::start(|notes| {
            let consumer = open::<Mpmc>(place)?.consumer()?;
            consumer.set_wait_strategy(WaitStrategy::Park);
            let canceller = consumer.canceller();
            let is_over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut random = Random::fixed(5);
                    while !is_over.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_nanos(random.below(200_000)));
                        canceller.cancel();
                    }
                });
                let result = receive_despite(&consumer, &canceller, notes);
                is_over.store(true, Ordering::SeqCst);
                result
            })
        });
        let mut producer = queue.producer()?;
        let mut random = Random::new(4);
        for number in 0..count {
            crate::process::progress();
            std::thread::sleep(Duration::from_nanos(random.below(200_000)));
            producer.send(&number.to_ne_bytes())?;
        }
        peer.wait_for_count(count)?;
        queue.close();
        println!("     {count} messages, {} cancels", peer.notes.state());
        peer.ends_with(&(0..count).collect::<Vec<_>>())
    })
}

fn receive_despite<K: Kind>(consumer: &BytesConsumer<K>, canceller: &Canceller, notes: &Notes) -> Outcome {
    loop {
        match consumer.recv() {
            Ok(frame) => notes.note(number_of(&frame)?),
            Err(RecvError::Cancelled) => {
                ensure!(canceller.is_cancelled(), "nobody cancelled it");
                notes.set_state(notes.state() + 1);
                canceller.reset();
            }
            Err(RecvError::Closed) => {
                notes.end();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Others sleep on.
fn only_one() -> Outcome {
    with_queue::<Mpmc>(|place, queue| {
        let other = Peer::consumer::<Mpmc>(place, WaitStrategy::Park);
        let cancelled = Peer::start(|notes| {
            let consumer = open::<Mpmc>(place)?.consumer()?;
            consumer.set_wait_strategy(WaitStrategy::Park);
            let result = cancelled_by_another(&consumer.canceller(), || consumer.recv().map(drop));
            ensure!(matches!(result, Err(RecvError::Cancelled)), "{result:?}");
            notes.note(1);
            Ok(())
        });
        cancelled.wait_for_count(1)?;
        cancelled.child.join_within(HANGS)?;
        other.wait_until_asleep()?;
        queue.producer()?.send(&7_u64.to_ne_bytes())?;
        until("the message", || Ok(other.notes.count() == 1))?;
        queue.close();
        other.ends_with(&[7])
    })
}
