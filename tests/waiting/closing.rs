//! Queues are closed by any participant, which may be killed while it closes. No participant waits
//! for ever, and nothing that was sent is lost.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringway::kind::{BytesQueue, Kind, Mpmc, Spsc};
use ringway::{RecvError, SendError, WaitStrategy};

use super::asleep::{EventCounts, HANGS, OneProcessor, until};
use super::peer::{Peer, Tried, number_of, open, with_queue};
use crate::attempts::{Kill, Step, everywhere};
use crate::process::{Child, Outcome, Random, Test, TestDir, Words, ensure, progress};
use crate::tracer::Gate;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("close: by the producer, the consumer, a third, SPSC", closers::<Spsc>),
        Test::new("close: by a producer, a consumer, a third, MPMC", closers::<Mpmc>),
        Test::new("close: everything is delivered first, SPSC", drained_first::<Spsc>),
        Test::new("close: everything is delivered first, MPMC", drained_first::<Mpmc>),
        Test::new("close: try, timeouts, batches, SPSC", forwarding::<Spsc>),
        Test::new("close: try, timeouts, batches, MPMC", forwarding::<Mpmc>),
        Test::new("close: the closer is killed, consumers sleep, SPSC", killed_closer::<Spsc>),
        Test::new("close: the closer is killed, consumers sleep, MPMC", killed_closer::<Mpmc>),
        Test::new("close: the closer is killed, a producer sleeps, SPSC", killed_closer_when_full::<Spsc>),
        Test::new("close: the closer is killed, a producer sleeps, MPMC", killed_closer_when_full::<Mpmc>),
        Test::new("close: at random among senders, SPSC", || at_random::<Spsc>(1, 1)),
        Test::new("close: at random among senders, MPMC", || at_random::<Mpmc>(3, 2)),
        Test::new("close: behind a dead claim", after_a_dead_claim),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closer {
    Producer,
    Consumer,
    Third,
}

/// Consumers sleep, and then a producer does: each of them gets `Closed`.
fn closers<K: Tried>() -> Outcome {
    for closer in [Closer::Producer, Closer::Consumer, Closer::Third] {
        // A consumer of an SPSC queue cannot close it asleep; its process can, which is the third's
        // case.
        if closer != Closer::Consumer || K::NAME == Mpmc::NAME {
            with_queue::<K>(|place, queue| {
                let peer = Peer::consumer::<K>(place, WaitStrategy::default());
                peer.wait_until_asleep()?;
                close_as(closer, place, queue)?;
                peer.ends_with(&[])
            })?;
        }
        if closer != Closer::Producer || K::NAME == Mpmc::NAME {
            with_queue::<K>(|place, queue| {
                let peer = Peer::producer::<K>(place, WaitStrategy::default(), 0);
                peer.wait_for_count(K::FULL)?;
                peer.wait_until_asleep()?;
                close_as(closer, place, queue)?;
                peer.ends_with(&(0..K::FULL).collect::<Vec<_>>())?;
                let consumer = queue.consumer()?;
                let found: Vec<_> =
                    consumer.iter().map(|frame| number_of(&frame?)).collect::<Outcome<_>>()?;
                ensure!(found == (0..K::FULL).collect::<Vec<_>>(), "{found:?} were delivered");
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn close_as<K: Kind>(closer: Closer, place: &TestDir, queue: &BytesQueue<K>) -> Outcome {
    ensure!(!queue.is_closed(), "it is closed already");
    Child::fork(|| {
        let queue = open::<K>(place)?;
        let producer = (closer == Closer::Producer).then(|| queue.producer()).transpose()?;
        let consumer = (closer == Closer::Consumer).then(|| queue.consumer()).transpose()?;
        queue.close();
        drop((producer, consumer));
        Ok(())
    })
    .join_within(HANGS)?;
    ensure!(queue.is_closed(), "it is not closed");
    Ok(())
}

/// What is in the queue when it is closed is delivered, then every call returns Closed, again and
/// again.
fn drained_first<K: Tried>() -> Outcome {
    with_queue::<K>(|place, queue| {
        let mut producer = queue.producer()?;
        let mut sent = 0_u64;
        while producer.try_send(&sent.to_ne_bytes()).is_ok() {
            sent += 1;
        }
        queue.close();
        queue.close();
        ensure!(matches!(producer.try_send(&[0; 8]), Err(SendError::Closed)), "it takes messages");
        let first = queue.consumer()?;
        ensure!(number_of(&first.try_recv()?)? == 0, "another message");
        drop(first);
        let peer = Peer::consumer::<K>(place, WaitStrategy::default());
        peer.ends_with(&(1..sent).collect::<Vec<_>>())?;
        let last = queue.consumer()?;
        for _ in 0..3 {
            ensure!(matches!(last.recv(), Err(RecvError::Closed)), "something came");
        }
        Ok(())
    })
}

/// Every call of an empty, closed queue returns Closed, and none waits.
fn forwarding<K: Tried>() -> Outcome {
    with_queue::<K>(|_, queue| {
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        queue.close();
        progress();
        let long = Duration::from_secs(600);
        let later = std::time::Instant::now() + long;
        for wait in [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park] {
            consumer.set_wait_strategy(wait);
            producer.set_wait_strategy(wait);
            macro_rules! says_closed {
                ($call:expr, $error:path) => {
                    let result = $call.map(|_| ());
                    ensure!(matches!(result, Err($error)), "{}: {result:?}", stringify!($call));
                };
            }
            says_closed!(consumer.try_recv(), RecvError::Closed);
            says_closed!(consumer.recv(), RecvError::Closed);
            says_closed!(consumer.recv_timeout(long), RecvError::Closed);
            says_closed!(consumer.recv_deadline(later), RecvError::Closed);
            says_closed!(consumer.try_recv_many(3), RecvError::Closed);
            says_closed!(consumer.recv_many(3), RecvError::Closed);
            says_closed!(consumer.recv_many_timeout(3, long), RecvError::Closed);
            says_closed!(consumer.recv_many_deadline(3, later), RecvError::Closed);
            says_closed!(consumer.wait_for_producer(long), RecvError::Closed);
            ensure!(consumer.iter().next().is_none(), "something came");
            says_closed!(producer.try_send(&[0; 8]), SendError::Closed);
            says_closed!(producer.send(&[0; 8]), SendError::Closed);
            says_closed!(producer.send_timeout(&[0; 8], long), SendError::Closed);
            says_closed!(producer.send_deadline(&[0; 8], later), SendError::Closed);
            says_closed!(producer.try_send_many(&[[0; 8]]), SendError::Closed);
            says_closed!(producer.send_many(&[[0; 8]]), SendError::Closed);
            says_closed!(producer.try_reserve(8), SendError::Closed);
            says_closed!(producer.reserve(8), SendError::Closed);
            says_closed!(producer.batch(), SendError::Closed);
        }
        Ok(())
    })
}

/// Two messages are there and taken, consumers sleep; the closer is killed after each instruction
/// of its call. Either the queue is closed and consumers end, or it is open and works.
fn killed_closer<K: Tried>() -> Outcome {
    let _one = OneProcessor::take()?;
    let consumers = if K::NAME == Mpmc::NAME { 2 } else { 1 };
    everywhere(K::NAME, |kill: Kill<'_>| {
        with_queue::<K>(|place, queue| {
            let mut producer = queue.producer()?;
            let peers: Vec<_> =
                (0..consumers).map(|_| Peer::consumer::<K>(place, WaitStrategy::Park)).collect();
            peers.iter().try_for_each(Peer::wait_until_asleep)?;
            let is_complete = kill(close_step::<K>(place))?;
            let got = || peers.iter().map(|peer| peer.notes.count()).sum::<u64>();
            if queue.is_closed() {
                ensure!(
                    matches!(producer.send(&[0; 8]), Err(SendError::Closed)),
                    "closed, and takes messages"
                );
            } else {
                ensure!(!is_complete, "it was closed, and is open");
                producer.send(&1_u64.to_ne_bytes())?;
                until("a message on the open queue", || Ok(got() == 1))?;
                queue.close();
            }
            let expected = got();
            let mut sum = 0;
            for Peer { child, notes } in peers {
                child.join_within(HANGS)?;
                ensure!(notes.ended() == 1, "a consumer was not told");
                sum += notes.count();
            }
            ensure!(sum == expected, "{sum} came, not {expected}");
            Ok(())
        })
    })
}

/// The queue is full, and a producer sleeps; the closer is killed. Either that producer gets
/// `Closed`, or it goes on when there is room; all that it sent is delivered.
fn killed_closer_when_full<K: Tried>() -> Outcome {
    let _one = OneProcessor::take()?;
    everywhere(K::NAME, |kill: Kill<'_>| {
        with_queue::<K>(|place, queue| {
            let sender = Peer::producer::<K>(place, WaitStrategy::Park, 0);
            sender.wait_for_count(K::FULL)?;
            sender.wait_until_asleep()?;
            let is_complete = kill(close_step::<K>(place))?;
            let is_closed = queue.is_closed();
            ensure!(is_closed || !is_complete, "it was closed, and is open");
            let consumer = queue.consumer()?;
            let mut next = 0;
            if !is_closed {
                while next < 3 {
                    ensure!(number_of(&consumer.recv()?)? == next, "another message than {next} came");
                    next += 1;
                }
                sender.wait_for_count(K::FULL + 2)?;
                queue.close();
            }
            let Peer { child, notes } = sender;
            child.join_within(HANGS)?;
            ensure!(notes.ended() == 1, "the producer was not told");
            for frame in consumer.iter() {
                ensure!(number_of(&frame?)? == next, "another message than {next} came");
                next += 1;
            }
            ensure!(next == notes.count(), "{next} came, {} were sent", notes.count());
            Ok(())
        })
    })
}

fn close_step<K: Kind>(place: &TestDir) -> Step<'static> {
    let path = place.path();
    let file: &'static std::path::Path = Box::leak(path.into_boxed_path());
    let body = move |gate: &Gate| {
        // SAFETY: only this test and its children know the file.
        let queue = unsafe { BytesQueue::<K>::open(file) }?;
        gate.enter()?;
        queue.close();
        gate.leave()
    };
    Step { file, body: Box::new(body) }
}

/// Processes send as fast as they can until they get `Closed`; the queue is closed at a random
/// moment. All that they sent is delivered. SPSC: what passed its check before may be delivered to
/// the next consumer.
fn at_random<K: Tried>(producers: u64, consumers: usize) -> Outcome {
    let mut random = Random::new(producers);
    let rounds = if cfg!(debug_assertions) { 60 } else { 300 };
    let (mut sum, mut late) = (0, 0);
    for round in 0..rounds {
        with_queue::<K>(|place, queue| {
            let sent = Words::new(producers as usize);
            let senders: Vec<_> = (0..producers)
                .map(|index| {
                    let sent = &sent[index as usize];
                    Child::fork(|| {
                        let mut producer = open::<K>(place)?.producer()?;
                        for number in 0.. {
                            match producer.send(&(index << 32 | number).to_ne_bytes()) {
                                Ok(()) => sent.store(number + 1, Ordering::SeqCst),
                                Err(SendError::Closed) => return Ok(()),
                                Err(error) => return Err(error.into()),
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            let got = Words::new(consumers * producers as usize);
            let takers: Vec<_> = (0..consumers)
                .map(|test_consumer| {
                    let got = &got[test_consumer * producers as usize..];
                    Child::fork(|| {
                        let consumer = open::<K>(place)?.consumer()?;
                        for frame in consumer.iter() {
                            got[(number_of(&frame?)? >> 32) as usize].fetch_add(1, Ordering::SeqCst);
                        }
                        Ok(())
                    })
                })
                .collect();
            until("senders that send", || Ok(sent.iter().all(|sent| sent.load(Ordering::SeqCst) > 0)))?;
            std::thread::sleep(Duration::from_nanos(random.below(1_000_000)));
            queue.close();
            senders.into_iter().try_for_each(|sender| sender.join_within(HANGS))?;
            takers.into_iter().try_for_each(|test_consumer| test_consumer.join_within(HANGS))?;
            let last = queue.consumer()?;
            let mut left = vec![0_u64; producers as usize];
            for frame in last.iter() {
                left[(number_of(&frame?)? >> 32) as usize] += 1;
            }
            late += left.iter().sum::<u64>();
            ensure!(K::NAME == Spsc::NAME || left.iter().all(|left| *left == 0), "{left:?} came late");
            for index in 0..producers as usize {
                let came = (0..consumers)
                    .map(|test_consumer| {
                        got[test_consumer * producers as usize + index].load(Ordering::SeqCst)
                    })
                    .sum::<u64>()
                    + left[index];
                let sent = sent[index].load(Ordering::SeqCst);
                ensure!(came == sent, "round {round}: of sender {index} {came} came, {sent} were sent");
                sum += sent;
            }
            Ok(())
        })?;
    }
    println!("     {rounds} times, {sum} messages, of which {late} came behind the end");
    Ok(())
}

/// A producer died between claim and commit; then the queue is closed. Consumers that sleep end all the same.
fn after_a_dead_claim() -> Outcome {
    with_queue::<Mpmc>(|place, queue| {
        let gate = Gate::new();
        let peers = [
            Peer::consumer::<Mpmc>(place, WaitStrategy::Park),
            Peer::consumer::<Mpmc>(place, WaitStrategy::Park),
        ];
        let claimer = super::passed_on::stopped_after_its_claim(place, &gate)?;
        let event_counts = EventCounts::of(place)?;
        let armed = event_counts.consumers_armed()?;
        queue.close();
        // It lives, and may still commit: no consumer ends.
        until("consumers that sleep again", || {
            let both = peers.iter().all(|peer| super::asleep::is_asleep(peer.pid()).unwrap_or(false));
            Ok(both && event_counts.consumers_armed()? >= armed + 4)
        })?;
        ensure!(
            peers.iter().all(|peer| peer.notes.ended() == 0),
            "a consumer did not wait for what may come"
        );
        claimer.kill()?;
        let dead = Instant::now();
        for peer in peers {
            peer.ends_with(&[])?;
        }
        println!("     told {:.1?} after its end", dead.elapsed());
        Ok(())
    })
}
