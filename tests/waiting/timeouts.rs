//! Waits with a timeout never end early, whatever happens meanwhile, and not much later; on a clock
//! that cannot be set.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use nix::libc;
use ringway::kind::{BytesConsumer, BytesProducer, Mpmc, Spsc};
use ringway::{RecvError, SendError, WaitStrategy};

use super::asleep::sleeps;
use super::peer::{Peer, Tried, rest, with_queue};
use crate::process::{Outcome, Test, ensure, progress};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("timeouts: never early, SPSC", never_early::<Spsc>),
        Test::new("timeouts: never early, MPMC", never_early::<Mpmc>),
        Test::new("timeouts: never early among rings and signals", among_notifications),
        Test::new("timeouts: the clock is monotonic", the_clock),
        Test::new("timeouts: none at all, and for ever", extremes),
    ]
}

const WAITS: [WaitStrategy; 3] = [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park];

/// Beyond any delay of a machine that is merely busy.
const FAR_TOO_LATE: Duration = Duration::from_secs(10);

/// The longest one takes more than a sleep timeout.
const TIMEOUTS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_micros(30),
    Duration::from_millis(1),
    Duration::from_micros(3_700),
    Duration::from_millis(17),
    Duration::from_millis(130),
];

/// By how much waits were late.
#[derive(Default)]
struct Late(RefCell<Vec<Duration>>);

impl Late {
    fn measure(&self, what: &str, timeout: Duration, wait: impl FnOnce(Instant) -> Outcome) -> Outcome {
        progress();
        let start = Instant::now();
        wait(start + timeout)?;
        let took = start.elapsed();
        ensure!(took >= timeout, "{what}: it took {took:?}, not {timeout:?}");
        ensure!(took < timeout + FAR_TOO_LATE, "{what}: it took {took:?} instead of {timeout:?}");
        self.0.borrow_mut().push(took - timeout);
        Ok(())
    }

    fn say(&self, what: &str) {
        let mut late = self.0.take();
        late.sort();
        let (median, most) = (late[late.len() / 2], late[late.len() - 1]);
        println!("     {what}: {} waits, late by {median:.0?} (median), {most:.0?} (most)", late.len());
    }
}

/// Calls that wait: until a deadline, or for a duration.
type Receive<'c> = &'c dyn Fn(Instant) -> Result<(), RecvError>;
type Send<K> = fn(&mut BytesProducer<K>, Duration, Instant) -> Result<(), SendError>;

fn never_early<K: Tried>() -> Outcome {
    with_queue::<K>(|_, queue| {
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        for wait in WAITS {
            consumer.set_wait_strategy(wait);
            let late = Late::default();
            for timeout in TIMEOUTS {
                let calls: [(&str, Receive<'_>); 4] = [
                    ("recv_timeout", &|_| consumer.recv_timeout(timeout).map(drop)),
                    ("recv_deadline", &|end| consumer.recv_deadline(end).map(drop)),
                    ("recv_many_timeout", &|_| consumer.recv_many_timeout(3, timeout).map(drop)),
                    ("recv_many_deadline", &|end| consumer.recv_many_deadline(3, end).map(drop)),
                ];
                for (name, call) in calls {
                    late.measure(&format!("{wait:?}, {name}"), timeout, |end| match call(end) {
                        Err(RecvError::Timeout) => Ok(()),
                        other => Err(format!("{name}: {other:?}").into()),
                    })?;
                }
            }
            late.say(&format!("for a message, {wait:?}"));
        }
        while producer.try_send(&[0; 8]).is_ok() {}
        let calls: [(&str, Send<K>); 4] = [
            ("send_timeout", |producer, time, _| producer.send_timeout(&[0; 8], time)),
            ("send_deadline", |producer, _, end| producer.send_deadline(&[0; 8], end)),
            ("reserve_timeout", |producer, time, _| producer.reserve_timeout(8, time)?.commit()),
            ("reserve_deadline", |producer, _, end| producer.reserve_deadline(8, end)?.commit()),
        ];
        for wait in WAITS {
            producer.set_wait_strategy(wait);
            let late = Late::default();
            for timeout in TIMEOUTS {
                for (name, call) in calls {
                    late.measure(&format!("{wait:?}, {name}"), timeout, |end| {
                        match call(&mut producer, timeout, end) {
                            Err(SendError::Timeout { .. }) => Ok(()),
                            other => Err(format!("{name}: {other:?}").into()),
                        }
                    })?;
                }
            }
            late.say(&format!("for room, {wait:?}"));
        }
        Ok(())
    })
}

/// Notifications and signals arrive every few microseconds: waits last as long as they should all
/// the same.
fn among_notifications() -> Outcome {
    with_queue::<Mpmc>(|place, queue| {
        super::signals::note_signals(libc::SA_RESTART)?;
        let consumer = queue.consumer()?;
        let this = nix::unistd::getpid();
        // Another consumer's canceller notifies all sleepers.
        let other = Peer::start(|_| {
            let other = super::peer::open::<Mpmc>(place)?.consumer()?;
            let canceller = other.canceller();
            loop {
                canceller.cancel();
                nix::sys::signal::kill(this, nix::sys::signal::Signal::SIGUSR1)?;
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        for wait in WAITS {
            consumer.set_wait_strategy(wait);
            let late = Late::default();
            for timeout in TIMEOUTS {
                late.measure("recv_timeout", timeout, |_| match consumer.recv_timeout(timeout) {
                    Err(RecvError::Timeout) => Ok(()),
                    other => Err(format!("{other:?}").into()),
                })?;
            }
            late.say(&format!("{wait:?}"));
        }
        ensure!(super::signals::noted() > 0, "no signal came");
        other.child.kill()
    })
}

/// A participant sleeps by FUTEX_WAIT, whose timeout is relative: the kernel counts it on
/// CLOCK_MONOTONIC, unless FUTEX_CLOCK_REALTIME is set, which it must not be. The rest is done by
/// `Instant`, the same clock. So no wait is affected when the time of day is set. Nor may the futex
/// be a private one: other processes share it.
fn the_clock() -> Outcome {
    with_queue::<Spsc>(|place, _| {
        let peer = Peer::consumer::<Spsc>(place, WaitStrategy::Park);
        peer.wait_until_asleep()?;
        let found = sleeps(peer.pid())?;
        ensure!(
            found.iter().all(|sleep| sleep.operation == libc::FUTEX_WAIT as u64),
            "it sleeps so: {found:x?}; flags: {:#x} real time, {:#x} private",
            libc::FUTEX_CLOCK_REALTIME,
            libc::FUTEX_PRIVATE_FLAG
        );
        peer.child.kill()
    })
}

/// A duration of zero is one attempt; so is an expired deadline; a time that no clock can count is
/// for ever.
fn extremes() -> Outcome {
    with_queue::<Spsc>(|place, queue| {
        let mut producer = queue.producer()?;
        producer.send(&[0; 8])?;
        let consumer = queue.consumer()?;
        consumer.recv_timeout(Duration::ZERO)?;
        producer.send(&[0; 8])?;
        consumer.recv_deadline(Instant::now())?;
        drop((producer, consumer));
        let waiting = |wait: fn(&BytesConsumer<Spsc>)| -> Outcome {
            let peer = Peer::start(|_| {
                let consumer = super::peer::open::<Spsc>(place)?.consumer()?;
                consumer.set_wait_strategy(WaitStrategy::Park);
                wait(&consumer);
                rest()
            });
            peer.wait_until_asleep()?;
            let Peer { child, .. } = peer;
            child.kill()
        };
        waiting(|consumer| drop(consumer.recv_timeout(Duration::MAX)))?;
        waiting(|consumer| drop(consumer.recv_many_timeout(2, Duration::MAX)))?;
        waiting(|consumer| drop(consumer.wait_for_producer(Duration::MAX)))
    })
}
