//! Consumers that end when the producers are gone, and consumers that wait for one.

use std::time::{Duration, Instant};

use ringway::kind::{Kind, Mpmc, Spsc};
use ringway::{RecvError, WaitStrategy};

use super::asleep::{HANGS, until};
use super::peer::{Notes, Peer, Tried, number_of, open, receive_all, rest, with_queue};
use crate::process::{Outcome, Test, TestDir, ensure};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("ends: with the death of the last producer, SPSC", || with_the_last::<Spsc>(1, End::Death)),
        Test::new("ends: with the death of the last producer, MPMC", || with_the_last::<Mpmc>(3, End::Death)),
        Test::new("ends: when the last producer detaches, SPSC", || {
            with_the_last::<Spsc>(1, End::Detachment)
        }),
        Test::new("ends: when the last producer detaches, MPMC", || {
            with_the_last::<Mpmc>(3, End::Detachment)
        }),
        Test::new("ends: not while the producer is stopped", not_while_stopped),
        Test::new("ends: at once without producers, SPSC", without_producers::<Spsc>),
        Test::new("ends: at once without producers, MPMC", without_producers::<Mpmc>),
        Test::new("ends: wait for a producer, SPSC", wait_for_one::<Spsc>),
        Test::new("ends: wait for a producer, MPMC", wait_for_one::<Mpmc>),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Death,
    Detachment,
}

/// A consumer that ends when the producers are gone, and receives until then.
fn ending<K: Kind>(place: &TestDir) -> Peer {
    Peer::start(|notes| {
        let consumer = open::<K>(place)?.consumer()?;
        consumer.set_wait_strategy(WaitStrategy::Park);
        consumer.end_when_disconnected(true);
        consumer.wait_for_producer(HANGS)?;
        receive_all(&consumer, notes)
    })
}

/// Attaches, sends one message, and detaches when it may.
fn sender<K: Kind>(place: &TestDir, number: u64) -> Peer {
    Peer::start(|notes| {
        let mut producer = open::<K>(place)?.producer()?;
        notes.note(number);
        notes.wait_for_go(1);
        producer.send(&number.to_ne_bytes())?;
        notes.note(number);
        notes.wait_for_go(2);
        drop(producer);
        rest()
    })
}

/// One producer after the other detaches or dies. The consumer sleeps until the last one has, and
/// then learns of the end; what was sent is delivered first.
fn with_the_last<K: Tried>(count: u64, end: End) -> Outcome {
    let mut latest = Duration::ZERO;
    for _ in 0..5 {
        with_queue::<K>(|place, _| {
            let consumer = ending::<K>(place);
            let senders: Vec<_> = (0..count).map(|number| sender::<K>(place, number)).collect();
            for sender in &senders {
                sender.wait_for_count(1)?;
            }
            for sender in &senders {
                sender.notes.go();
                sender.wait_for_count(2)?;
            }
            consumer.wait_for_count(count)?;
            consumer.wait_until_asleep()?;
            let mut gone = Instant::now();
            let last = senders.len() - 1;
            let mut senders = senders.into_iter().enumerate().collect::<Vec<_>>();
            for (index, sender) in &mut senders {
                ensure!(consumer.notes.ended() == 0, "it ended, and producer {index} is there");
                gone = Instant::now();
                match end {
                    End::Death => sender.child.strike()?,
                    End::Detachment => sender.notes.go(),
                }
                if *index < last {
                    // The consumer registers that a producer is gone, and does not take it for the
                    // end.
                    consumer.wait_until_asleep()?;
                }
            }
            let mut numbers = consumer.notes.numbers();
            numbers.sort_unstable();
            ensure!(numbers == (0..count).collect::<Vec<_>>(), "{numbers:?} came");
            until("the end", || Ok(consumer.notes.ended() == 1))?;
            latest = latest.max(gone.elapsed());
            consumer.child.join_within(HANGS)?;
            for (_, sender) in senders {
                sender.child.kill()?;
            }
            Ok(())
        })?;
    }
    println!("     told {latest:.1?} later at most");
    Ok(())
}

/// A producer that is stopped lives.
fn not_while_stopped() -> Outcome {
    use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
    with_queue::<Spsc>(|place, _| {
        let consumer = ending::<Spsc>(place);
        let sender = sender::<Spsc>(place, 1);
        sender.wait_for_count(1)?;
        consumer.wait_until_asleep()?;
        sender.child.signal(SIGSTOP)?;
        let event_counts = super::asleep::EventCounts::of(place)?;
        let armed = event_counts.consumers_armed()?;
        until("some attempts", || Ok(event_counts.consumers_armed()? >= armed + 3))?;
        ensure!(consumer.notes.ended() == 0, "it ended");
        sender.child.signal(SIGCONT)?;
        sender.notes.go();
        consumer.wait_for_count(1)?;
        sender.notes.go();
        consumer.ends_with(&[1])?;
        sender.child.kill()
    })
}

/// No producer has ever attached: that is the end too, for a consumer that does not wait for one;
/// what was sent before is delivered first.
fn without_producers<K: Tried>() -> Outcome {
    with_queue::<K>(|_, queue| {
        let consumer = queue.consumer()?;
        ensure!(matches!(consumer.try_recv(), Err(RecvError::Empty)), "it does not end with them yet");
        consumer.end_when_disconnected(true);
        ensure!(matches!(consumer.recv(), Err(RecvError::Closed)), "it waited for no producer");
        ensure!(matches!(consumer.try_recv(), Err(RecvError::Closed)), "try_recv says otherwise");
        ensure!(consumer.iter().next().is_none(), "something came");
        let mut producer = queue.producer()?;
        ensure!(matches!(consumer.try_recv(), Err(RecvError::Empty)), "there is a producer");
        producer.send(&5_u64.to_ne_bytes())?;
        drop(producer);
        ensure!(number_of(&consumer.recv()?)? == 5, "another message");
        ensure!(matches!(consumer.recv(), Err(RecvError::Closed)), "no producer is left");
        // And when a producer attaches again, there is no end any more.
        queue.producer()?.send(&6_u64.to_ne_bytes())?;
        ensure!(number_of(&consumer.recv()?)? == 6, "another message");
        consumer.end_when_disconnected(false);
        let nothing = consumer.recv_timeout(Duration::from_millis(1));
        ensure!(matches!(nothing, Err(RecvError::Timeout)), "{nothing:?}");
        Ok(())
    })
}

/// Sleeps until a producer attaches; a process that has only opened the queue is no producer, nor
/// is a dead one.
fn wait_for_one<K: Tried>() -> Outcome {
    with_queue::<K>(|place, queue| {
        let dead = sender::<K>(place, 1);
        dead.wait_for_count(1)?;
        dead.child.kill()?;
        let consumer = queue.consumer()?;
        for wait in [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park] {
            consumer.set_wait_strategy(wait);
            let timeout = Duration::from_millis(5);
            let start = Instant::now();
            let without = consumer.wait_for_producer(timeout);
            ensure!(matches!(without, Err(RecvError::Timeout)), "{wait:?}: {without:?}");
            ensure!(start.elapsed() >= timeout, "{wait:?}: the wait ended early");
        }
        drop(consumer);
        let mut latest = Duration::ZERO;
        for wait in [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park] {
            let waiting = Peer::start(|notes: &Notes| {
                let consumer = open::<K>(place)?.consumer()?;
                consumer.set_wait_strategy(wait);
                notes.set_state(1);
                consumer.wait_for_producer(HANGS)?;
                notes.note(1);
                Ok(())
            });
            waiting.notes.wait_for_state(1)?;
            if wait != WaitStrategy::Spin {
                waiting.wait_until_asleep()?;
            }
            ensure!(waiting.notes.count() == 0, "{wait:?}: there is no producer");
            let producer = queue.producer()?;
            let attached = Instant::now();
            waiting.wait_for_count(1)?;
            latest = latest.max(attached.elapsed());
            ensure!(producer.has_consumer().is_ok(), "the kernel cannot be asked");
            drop(producer);
            waiting.child.join_within(HANGS)?;
        }
        println!("     {latest:.1?} after it had attached at the latest");
        Ok(())
    })
}
