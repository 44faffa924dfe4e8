//! Signals: handlers that run while a participant sleeps, and processes that are stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal::{SIGCONT, SIGSTOP, SIGUSR1};
use ringway::kind::{Mpmc, Spsc};
use ringway::{RecvError, SendError, WaitStrategy};

use super::asleep::{HANGS, until};
use super::peer::{Peer, Tried, number_of, open, with_queue};
use crate::process::{Outcome, Test, ensure};

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for (flags, name) in [(0, "without SA_RESTART"), (libc::SA_RESTART, "with SA_RESTART")] {
        tests.push(Test::new(format!("signals: interruptible, {name}, SPSC"), move || {
            interrupted::<Spsc>(flags)
        }));
        tests.push(Test::new(format!("signals: interruptible, {name}, MPMC"), move || {
            interrupted::<Mpmc>(flags)
        }));
        tests.push(Test::new(format!("signals: not interruptible, {name}, SPSC"), move || {
            ignored::<Spsc>(flags)
        }));
        tests.push(Test::new(format!("signals: not interruptible, {name}, MPMC"), move || {
            ignored::<Mpmc>(flags)
        }));
    }
    tests.extend([
        Test::new("signals: a sleeper is stopped and continued, SPSC", stopped_sleeper::<Spsc>),
        Test::new("signals: a sleeper is stopped and continued, MPMC", stopped_sleeper::<Mpmc>),
        Test::new("signals: time passes for the stopped", time_passes),
        Test::new("signals: a stopped sleeper keeps no message from others", stopped_is_passed_over),
    ]);
    tests
}

static NOTED: AtomicU64 = AtomicU64::new(0);

extern "C" fn note_signal(_: i32) {
    NOTED.fetch_add(1, Ordering::SeqCst);
}

/// From now on SIGUSR1 is counted in this process.
pub(crate) fn note_signals(flags: i32) -> Outcome {
    // SAFETY: all zeros is a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = note_signal as *const () as usize;
    action.sa_flags = flags;
    // SAFETY: the handler only changes an atomic.
    let result = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    ensure!(result == 0, "sigaction: {}", std::io::Error::last_os_error());
    Ok(())
}

pub(crate) fn noted() -> u64 {
    NOTED.load(Ordering::SeqCst)
}

/// A consumer and a producer with interruptible waits: each signal ends a call that sleeps, and the
/// next call goes on.
fn interrupted<K: Tried>(flags: i32) -> Outcome {
    with_queue::<K>(|place, queue| {
        let peer = Peer::start(|notes| {
            note_signals(flags)?;
            let consumer = open::<K>(place)?.consumer()?;
            consumer.set_wait_strategy(WaitStrategy::Park);
            consumer.set_interruptible(true);
            loop {
                match consumer.recv() {
                    Ok(frame) => notes.note(number_of(&frame)?),
                    Err(RecvError::Interrupted) => notes.set_state(noted()),
                    Err(RecvError::Closed) => {
                        notes.end();
                        return Ok(());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        });
        each_is_told(&peer)?;
        let mut producer = queue.producer()?;
        producer.send(&1_u64.to_ne_bytes())?;
        peer.wait_for_count(1)?;
        queue.close();
        peer.ends_with(&[1])
    })?;
    with_queue::<K>(|place, queue| {
        let peer = Peer::start(|notes| {
            note_signals(flags)?;
            let mut producer = open::<K>(place)?.producer()?;
            producer.set_wait_strategy(WaitStrategy::Park);
            producer.set_interruptible(true);
            loop {
                match producer.send(&notes.count().to_ne_bytes()) {
                    Ok(()) => notes.note(notes.count()),
                    Err(SendError::Interrupted) => notes.set_state(noted()),
                    Err(SendError::Closed) => {
                        notes.end();
                        return Ok(());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        });
        peer.wait_for_count(K::FULL)?;
        each_is_told(&peer)?;
        queue.close();
        peer.ends_with(&(0..K::FULL).collect::<Vec<_>>())
    })
}

/// The state of the peer is the number of signals that its calls have reported.
fn each_is_told(peer: &Peer) -> Outcome {
    for signal in 1..=5 {
        // One that is awake just then, between two sleeps, only counts it: the next signal ends its
        // call.
        until("a call that was interrupted", || {
            peer.wait_until_asleep()?;
            peer.child.signal(SIGUSR1)?;
            std::thread::sleep(Duration::from_millis(1));
            Ok(peer.notes.state() >= signal)
        })?;
    }
    Ok(())
}

/// Participants whose waits are not interruptible sleep on.
fn ignored<K: Tried>(flags: i32) -> Outcome {
    with_queue::<K>(|place, queue| {
        let peer = Peer::start(|notes| {
            note_signals(flags)?;
            let consumer = open::<K>(place)?.consumer()?;
            consumer.set_wait_strategy(WaitStrategy::Park);
            let received = consumer.recv().map(|frame| number_of(&frame));
            // Signals that came together count as one.
            notes.set_state(noted());
            notes.note(received??);
            Ok(())
        });
        peer.wait_until_asleep()?;
        for _ in 0..20 {
            peer.child.signal(SIGUSR1)?;
            peer.wait_until_asleep()?;
        }
        ensure!(peer.notes.count() == 0, "it got a message that nobody sent");
        queue.producer()?.send(&1_u64.to_ne_bytes())?;
        peer.wait_for_count(1)?;
        ensure!(peer.notes.state() > 0, "no signal came");
        let Peer { child, .. } = peer;
        child.join_within(HANGS)
    })
}

/// It sleeps, is stopped, a message arrives, it is continued: before the arrival, or after it.
fn stopped_sleeper<K: Tried>() -> Outcome {
    with_queue::<K>(|place, queue| {
        let mut producer = queue.producer()?;
        let peer = Peer::consumer::<K>(place, WaitStrategy::Park);
        let rounds = if cfg!(debug_assertions) { 50 } else { 200 };
        for round in 0..rounds {
            peer.wait_until_asleep()?;
            peer.child.signal(SIGSTOP)?;
            if round % 2 == 0 {
                producer.send(&u64::to_ne_bytes(round))?;
                peer.child.signal(SIGCONT)?;
            } else {
                peer.child.signal(SIGCONT)?;
                producer.send(&u64::to_ne_bytes(round))?;
            }
            peer.wait_for_count(round + 1)?;
        }
        queue.close();
        peer.ends_with(&(0..rounds).collect::<Vec<_>>())
    })
}

/// A timeout that expires while a process is stopped has expired when it is continued: not earlier,
/// and it does not begin again.
fn time_passes() -> Outcome {
    with_queue::<Spsc>(|place, _| {
        let timeout = Duration::from_millis(60);
        let peer = Peer::start(|notes| {
            let consumer = open::<Spsc>(place)?.consumer()?;
            consumer.set_wait_strategy(WaitStrategy::Park);
            let start = Instant::now();
            let result = consumer.recv_timeout(timeout);
            ensure!(matches!(result, Err(RecvError::Timeout)), "{result:?}");
            notes.note(start.elapsed().as_micros() as u64);
            Ok(())
        });
        peer.wait_until_asleep()?;
        let start = Instant::now();
        peer.child.signal(SIGSTOP)?;
        while start.elapsed() < 2 * timeout {
            std::thread::sleep(timeout);
        }
        ensure!(peer.notes.count() == 0, "it was stopped, and went on");
        peer.child.signal(SIGCONT)?;
        let continued = Instant::now();
        peer.wait_for_count(1)?;
        let took = Duration::from_micros(peer.notes.numbers()[0]);
        println!("     the wait took {took:.1?}, and ended {:.1?} after SIGCONT", continued.elapsed());
        ensure!(took >= timeout, "it took {took:?}, not {timeout:?}");
        let Peer { child, .. } = peer;
        child.join_within(HANGS)
    })
}

/// Two sleep, one of them is stopped: a message goes to the other one, at the latest when its sleep
/// timeout ends.
fn stopped_is_passed_over() -> Outcome {
    with_queue::<Mpmc>(|place, queue| {
        let mut producer = queue.producer()?;
        let peers = [
            Peer::consumer::<Mpmc>(place, WaitStrategy::Park),
            Peer::consumer::<Mpmc>(place, WaitStrategy::Park),
        ];
        let mut latest = Duration::ZERO;
        let mut numbers = [vec![], vec![]];
        for round in 0..40 {
            peers.iter().try_for_each(Peer::wait_until_asleep)?;
            let (stopped, other) = (&peers[round as usize % 2], &peers[(round as usize + 1) % 2]);
            stopped.child.signal(SIGSTOP)?;
            // From now on it is stopped, and no longer in the call.
            until("a stopped process", || is_stopped(stopped))?;
            let before = other.notes.count();
            let sent = Instant::now();
            producer.send(&u64::to_ne_bytes(round))?;
            other.wait_for_count(before + 1)?;
            latest = latest.max(sent.elapsed());
            numbers[(round as usize + 1) % 2].push(round);
            stopped.child.signal(SIGCONT)?;
        }
        println!("     {latest:.1?} at the latest");
        queue.close();
        let [one, two] = peers;
        one.ends_with(&numbers[0])?;
        two.ends_with(&numbers[1])
    })
}

fn is_stopped(peer: &Peer) -> Outcome<bool> {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", peer.pid()))?;
    let state = text.rsplit(") ").next().and_then(|rest| rest.chars().next());
    Ok(state == Some('T'))
}
