//! Where membarrier is refused, wakers fence: processes that live under a seccomp filter which has
//! no membarrier sleep and wake like all others, whichever side they are on.

use std::time::{Duration, Instant};

use nix::libc;
use ringway::WaitStrategy;
use ringway::kind::{Mpmc, Spsc};

use super::asleep::{EventCounts, HANGS, until};
use super::peer::{Peer, Tried, number_of, open, with_queue};
use crate::process::{Outcome, Test, TestDir, ensure, progress};

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = vec![Test::new("fences: the filter refuses", the_filter_refuses)];
    for (name, refused) in
        [("both", [true, true]), ("the consumer's", [true, false]), ("the producer's", [false, true])]
    {
        tests.push(Test::new(format!("fences: membarrier refused, {name}, SPSC"), move || {
            without_membarrier::<Spsc>(refused)
        }));
        tests.push(Test::new(format!("fences: membarrier refused, {name}, MPMC"), move || {
            without_membarrier::<Mpmc>(refused)
        }));
    }
    tests
}

/// From now on membarrier does not exist for this process.
fn refuse_membarrier() -> Outcome {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let mut filter = [
        // The number of the system call is first.
        step(LOAD, 0, 0, 0),
        step(JUMP_IF_EQUAL, 0, 1, libc::SYS_membarrier as u32),
        step(RETURN, 0, 0, refused),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    ensure!(result == 0, "no_new_privs: {}", std::io::Error::last_os_error());
    // SAFETY: the kernel copies the program, which lives until then.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) };
    ensure!(result == 0, "seccomp: {} (is it forbidden here?)", std::io::Error::last_os_error());
    Ok(())
}

/// The test of the test.
fn the_filter_refuses() -> Outcome {
    Peer::start(|_| {
        refuse_membarrier()?;
        // SAFETY: queries the supported commands.
        let result = unsafe { libc::syscall(libc::SYS_membarrier, 0, 0, 0) };
        let error = std::io::Error::last_os_error();
        ensure!(result == -1 && error.raw_os_error() == Some(libc::ENOSYS), "membarrier: {result}, {error}");
        Ok(())
    })
    .child
    .join_within(HANGS)
}

/// A consumer sleeps for each of many messages, and then a producer for room, many times. Checks
/// whether the words say that fences are needed; and that most of it took no longer than wakes do.
fn without_membarrier<K: Tried>([consumers, producers]: [bool; 2]) -> Outcome {
    with_queue::<K>(|place, queue| {
        let event_counts = EventCounts::of(place)?;
        ensure!(event_counts.need_fence()? == [false; 2], "nobody takes part yet");
        let count = if cfg!(debug_assertions) { 1000 } else { 5000_u64 };
        let (sender, back) = exchange::<K>(place, count, consumers, producers);
        let start = Instant::now();
        until_over(&sender, &back, count)?;
        let took = start.elapsed();
        ensure!(
            event_counts.need_fence()? == [true; 2],
            "wakers were not told to fence: {:?}",
            event_counts.need_fence()?
        );
        let slept = [event_counts.consumers_armed()?, event_counts.producers_armed()?];
        println!("     {count} messages in {took:.1?}, armed {slept:?} times");
        ensure!(slept.iter().sum::<u64>() > 0, "nobody slept");
        sender.child.join_within(HANGS)?;
        back.child.join_within(HANGS)?;
        // It stays so: participants that attach later fence as well.
        drop(queue.producer()?);
        ensure!(event_counts.need_fence()? == [true; 2], "it was forgotten");
        Ok(())
    })
}

/// Sender and receiver; both sleep as many times as they can.
fn exchange<K: Tried>(place: &TestDir, count: u64, refused_there: bool, refused_here: bool) -> (Peer, Peer) {
    let consumer = Peer::start(|notes| {
        if refused_there {
            refuse_membarrier()?;
        }
        let consumer = open::<K>(place)?.consumer()?;
        consumer.set_wait_strategy(WaitStrategy::Park);
        for number in 0..count {
            ensure!(number_of(&consumer.recv()?)? == number, "another message than {number}");
            if number % 64 == 63 {
                // Until the queue is full, and its producer asleep.
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        notes.note(count);
        Ok(())
    });
    let producer = Peer::start(|notes| {
        if refused_here {
            refuse_membarrier()?;
        }
        let mut producer = open::<K>(place)?.producer()?;
        producer.set_wait_strategy(WaitStrategy::Park);
        for number in 0..count {
            producer.send(&number.to_ne_bytes())?;
            if number % 3 == 0 {
                std::thread::sleep(Duration::from_micros(1));
            }
        }
        notes.note(count);
        Ok(())
    });
    (producer, consumer)
}

fn until_over(one: &Peer, other: &Peer, count: u64) -> Outcome {
    progress();
    until("the exchange", || {
        let is_over = |peer: &Peer| peer.notes.count() == 1 && peer.notes.numbers() == [count];
        for peer in [one, other] {
            ensure!(is_over(peer) || !peer.child.has_ended()?, "a peer has ended");
        }
        Ok(is_over(one) && is_over(other))
    })
}
