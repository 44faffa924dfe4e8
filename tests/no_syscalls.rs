//! Proves that sending and receiving make no system call while no participant sleeps: a process
//! attaches, warms up, and has the kernel kill it for any system call but read, write, exit and
//! sigreturn (SECCOMP_MODE_STRICT); then it moves hundreds of thousands of messages.
//! `RINGWAY_STRICT_MESSAGES=1000000000 cargo test --release --test no_syscalls` runs it longer.

mod process;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use process::{
    Child, Kind, Outcome, Shape, Test, TestDir, Words, ensure, number_from, progress, run, short_or_long,
};
use ringway::spsc::{BytesConsumer, BytesProducer};
use ringway::{RecvError, SendError, WaitStrategy};

const KINDS: [Kind; 4] = [
    Kind::new("variable, 4 KiB", 4096, Shape::Mixed { min: 0, max: 500 }),
    Kind::new("variable, 1 MiB", 1 << 20, Shape::Mixed { min: 0, max: 500 }),
    Kind::new("fixed, 8 bytes", 4096, Shape::Fixed(8)),
    Kind::new("fixed, 100 bytes", 1 << 16, Shape::Fixed(100)),
];

/// Messages before the kernel watches.
const WARM_UP: u64 = 1000;
/// A number that is not zero, for a byte in a pipe.
const DONE: u8 = 42;
/// Messages are made in advance: making them is not what is tested.
const VARIETY: u64 = 512;

fn main() -> ExitCode {
    let count = number_from("RINGWAY_STRICT_MESSAGES", short_or_long(200_000, 1_000_000));
    let mut tests = vec![Test::new("the kernel watches", the_kernel_watches)];
    for kind in KINDS {
        tests.push(Test::new(format!("sending: {}", kind.name), move || sending(kind, count)));
        tests.push(Test::new(format!("receiving: {}", kind.name), move || receiving(kind, count)));
    }
    tests.push(Test::new("MPMC: both ends", move || both_ends_mpmc(count)));
    tests.push(Test::new("broadcast: both ends", move || both_ends_broadcast(count)));
    run(tests)
}

/// The child has two producers and two consumers of an MPMC queue, and keeps it from being empty or
/// full: a dead-peer scan takes system calls.
fn both_ends_mpmc(count: u64) -> Outcome {
    let place = TestDir::new()?;
    let options = ringway::CreateOptions::new().max_messages(64).ring_bytes(1 << 14);
    // SAFETY: only this test and its child know the file.
    let queue = unsafe { ringway::mpmc::BytesQueue::create_with(place.path(), &options) }?;
    let messages = messages(KINDS[0]);
    let body = |pipe| {
        // SAFETY: as above.
        let queue = unsafe { ringway::mpmc::BytesQueue::open(place.path()) }?;
        let mut producers = [queue.producer()?, queue.producer()?];
        let consumers = [queue.consumer()?, queue.consumer()?];
        let mut exchange = |seq: u64| -> Outcome {
            let (side, batch) = (seq as usize % 2, seq as usize % (VARIETY as usize - 3));
            if seq.is_multiple_of(3) {
                producers[side].send_many(&messages[batch..batch + 3])?;
                ensure!(consumers[1 - side].try_recv_many(3)?.len() == 3, "a batch came in parts");
            } else {
                producers[side].try_send(&messages[batch])?;
                ensure!(*consumers[side].try_recv()? == messages[batch][..], "another message came");
            }
            Ok(())
        };
        (0..WARM_UP).try_for_each(&mut exchange)?;
        enter_strict_mode()?;
        (0..count).try_for_each(exchange)?;
        say_done(pipe)
    };
    watched(body, || Ok(()))?;
    // The child's entries and its liveness lock are in the file no more than in the kernel.
    ensure!(queue.recover()?.entries_freed == 4, "the child's four participants were not recovered");
    place.leave()
}

/// The child has a producer and consumers of all modes of a broadcast queue, whose oldest messages it
/// overwrites all the time.
fn both_ends_broadcast(count: u64) -> Outcome {
    use ringway::broadcast::{BytesQueue, Subscribe};
    let place = TestDir::new()?;
    let options = ringway::CreateOptions::new().max_messages(64).ring_bytes(1 << 14);
    // SAFETY: only this test and its child know the file.
    let queue = unsafe { BytesQueue::create_with(place.path(), &options) }?;
    let messages = messages(KINDS[0]);
    let body = |pipe| {
        // SAFETY: as above.
        let queue = unsafe { BytesQueue::open(place.path()) }?;
        let mut producers = [queue.producer()?, queue.producer()?];
        let subscribes = [Subscribe::reliable(), Subscribe::lossy(), Subscribe::lossy().in_place(true)];
        let consumers = subscribes.map(|subscribe| queue.consumer_with(&subscribe));
        let [reliable, lossy, in_place] = consumers;
        let consumers = [reliable?, lossy?, in_place?];
        let mut exchange = |seq: u64| -> Outcome {
            let message = &messages[seq as usize % VARIETY as usize];
            producers[seq as usize % 2].try_send(message)?;
            for consumer in &consumers {
                ensure!(*consumer.try_recv()? == message[..], "another message came");
            }
            Ok(())
        };
        (0..WARM_UP).try_for_each(&mut exchange)?;
        enter_strict_mode()?;
        (0..count).try_for_each(exchange)?;
        say_done(pipe)
    };
    watched(body, || Ok(()))?;
    ensure!(queue.recover()?.entries_freed == 5, "the child's five participants were not recovered");
    place.leave()
}

/// From now on any system call but read, write, exit and sigreturn kills this process.
fn enter_strict_mode() -> Outcome {
    // SAFETY: restricts this process, and touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    ensure!(result == 0, "seccomp: {} (is it forbidden here?)", std::io::Error::last_os_error());
    Ok(())
}

/// Reports success through the pipe, and ends in the one way that strict mode permits.
fn say_done(pipe: i32) -> ! {
    let byte = DONE;
    // SAFETY: writes a byte of a local variable.
    unsafe { libc::write(pipe, (&raw const byte).cast(), 1) };
    // SAFETY: ends the only thread of this process.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("the process has ended")
}

/// The test of the test: a process that reads the time of day by a system call is killed.
fn the_kernel_watches() -> Outcome {
    let mut child = Child::fork(|| {
        enter_strict_mode()?;
        // SAFETY: has no arguments.
        unsafe { libc::syscall(libc::SYS_getppid) };
        Ok(())
    });
    let status = child.wait()?;
    ensure!(
        matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _)),
        "a system call was not noticed: {status:?}"
    );
    Ok(())
}

/// Runs `body` in a child that must end with [`say_done`], while this process does `work`.
fn watched(body: impl FnOnce(i32) -> Outcome, work: impl FnOnce() -> Outcome) -> Outcome {
    let (reader, writer) = std::io::pipe()?;
    let pipe = std::os::fd::AsRawFd::as_raw_fd(&writer);
    let mut child = Child::fork(|| body(pipe));
    drop(writer);
    let worked = work();
    if worked.is_err() {
        let killed = child.has_ended()?;
        return worked.map_err(|error| format!("{error} (the child has ended: {killed})").into());
    }
    let mut said = [0];
    let status = child.wait()?;
    ensure!(matches!(status, WaitStatus::Exited(_, 0)), "it made a system call, or failed: {status:?}");
    std::io::Read::read_exact(&mut { reader }, &mut said)?;
    ensure!(said == [DONE], "it said {said:?}");
    Ok(())
}

fn messages(kind: Kind) -> Vec<Vec<u8>> {
    (0..VARIETY).map(|seq| kind.shape.message(seq)).collect()
}

/// Polls until it succeeds, but not for ever. Even reading the time would be a system call on some
/// machines.
fn until<R>(mut attempt: impl FnMut() -> Outcome<Option<R>>) -> Outcome<R> {
    for _ in 0..1_u64 << 35 {
        if let Some(found) = attempt()? {
            return Ok(found);
        }
        std::hint::spin_loop();
    }
    Err("nothing moves any more".into())
}

/// The child sends.
fn sending(kind: Kind, count: u64) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let consumer = queue.consumer()?;
    // Were it asleep, the child would have to wake it.
    consumer.set_wait_strategy(WaitStrategy::Spin);
    let messages = messages(kind);
    let taken = Words::new(1);
    let body = |pipe| {
        let mut producer = place.open()?.producer()?;
        let mut next = 0;
        while next < WARM_UP {
            send_some(&mut producer, &messages, &mut next, &taken[0])?;
        }
        enter_strict_mode()?;
        while next < WARM_UP + count {
            send_some(&mut producer, &messages, &mut next, &taken[0])?;
        }
        say_done(pipe)
    };
    let mut next = 0;
    watched(body, || {
        while next < WARM_UP + count {
            let frame = next_frame(&consumer)?;
            ensure!(*frame == messages[(next % VARIETY) as usize][..], "another message than {next} came");
            drop(frame);
            next += 1;
            taken[0].store(next, Ordering::Release);
        }
        Ok(())
    })?;
    println!("     {count} messages sent");
    // What the last batch sent beyond `count`.
    while consumer.try_recv().is_ok() {}
    drop(consumer);
    kind.is_whole(&queue)?;
    place.leave()
}

fn next_frame(consumer: &BytesConsumer) -> Outcome<ringway::spsc::BytesFrame<'_>> {
    progress();
    Ok(consumer.recv_timeout(Duration::from_secs(30))?)
}

/// Each way to send, in turn. `send`, which may wait and then yields the processor to other
/// threads, only when it need not: when everything before was `taken`.
fn send_some(
    producer: &mut BytesProducer,
    messages: &[Vec<u8>],
    next: &mut u64,
    taken: &AtomicU64,
) -> Outcome {
    let index = (*next % VARIETY) as usize;
    let message = &messages[index][..];
    *next += match *next % 64 {
        0 => {
            until(|| Ok((taken.load(Ordering::Acquire) == *next).then_some(())))?;
            producer.send(message).map(|()| 1)?
        }
        8 => {
            until(|| when_room(producer.try_reserve(message.len()).map(|claim| claim.abort())))?;
            until(|| when_room(producer.try_send(message)))?;
            1
        }
        16 => until(|| {
            let mut claim = match producer.try_reserve(message.len()) {
                Ok(claim) => claim,
                Err(error) => return when_room(Err(error)),
            };
            claim.copy_from_slice(message);
            claim.commit()?;
            Ok(Some(1))
        })?,
        32 => until(|| when_room(producer.try_send_many(&messages[index..index + 8])))? as u64,
        _ => until(|| when_room(producer.try_send(message))).map(|()| 1)?,
    };
    Ok(())
}

fn when_room<R>(result: Result<R, SendError>) -> Outcome<Option<R>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(SendError::Full) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The child receives.
fn receiving(kind: Kind, count: u64) -> Outcome {
    let place = TestDir::new()?;
    let queue = kind.create(&place)?;
    let mut producer = queue.producer()?;
    // See `send`: it would have to be woken.
    producer.set_wait_strategy(WaitStrategy::Spin);
    let messages = messages(kind);
    let words = Words::new(2);
    let (done, sent) = (&words[0], &words[1]);
    let body = |pipe| {
        let consumer = place.open()?.consumer()?;
        let mut next = 0;
        while next < WARM_UP {
            receive_some(&consumer, &messages, &mut next, sent)?;
        }
        enter_strict_mode()?;
        while next < WARM_UP + count {
            receive_some(&consumer, &messages, &mut next, sent)?;
        }
        done.store(next, Ordering::Release);
        say_done(pipe)
    };
    watched(body, || {
        let mut next = 0_u64;
        // It takes some more if the last was a run.
        while done.load(Ordering::Acquire) == 0 {
            progress();
            let message = &messages[(next % VARIETY) as usize];
            match producer.send_timeout(message, Duration::from_millis(100)) {
                Ok(()) => {
                    next += 1;
                    sent.store(next, Ordering::Release);
                }
                Err(SendError::Timeout { .. }) => {
                    ensure!(producer.has_consumer()?, "the consumer ended before message {next}");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })?;
    println!("     {count} messages received");
    drop(producer);
    let consumer = queue.consumer()?;
    while consumer.try_recv().is_ok() {}
    drop(consumer);
    kind.is_whole(&queue)?;
    place.leave()
}

/// Each way to receive, in turn; two guards are held together and dropped in order. `recv`, which
/// may wait and then yields the processor to other threads, only when something was `sent` that is
/// not taken yet.
fn receive_some(consumer: &BytesConsumer, messages: &[Vec<u8>], next: &mut u64, sent: &AtomicU64) -> Outcome {
    let check = |bytes: &[u8], next: &mut u64| -> Outcome {
        ensure!(*bytes == messages[(*next % VARIETY) as usize][..], "another message than {next} came");
        *next += 1;
        Ok(())
    };
    match *next % 64 {
        0..8 => {
            let frames = until(|| when_there(consumer.try_recv_many(8)))?;
            for bytes in frames.iter() {
                check(bytes, next)?;
            }
        }
        8..16 => {
            until(|| Ok((sent.load(Ordering::Acquire) > *next).then_some(())))?;
            check(&consumer.recv()?, next)?;
        }
        _ => {
            let first = until(|| when_there(consumer.try_recv()))?;
            let second = consumer.try_recv().ok();
            check(&first, next)?;
            drop(first);
            if let Some(second) = second {
                check(&second, next)?;
            }
        }
    }
    Ok(())
}

fn when_there<R>(result: Result<R, RecvError>) -> Outcome<Option<R>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(RecvError::Empty) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
