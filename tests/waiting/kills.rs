//! The waker is killed, or the woken participant: no participant sleeps through what was committed.

use std::cell::Cell;
use std::time::{Duration, Instant};

use nix::libc;
use ringway::Framing;
use ringway::WaitStrategy;
use ringway::kind::{Mpmc, Spsc};

use super::asleep::{EventCounts, HANGS, OneProcessor, is_asleep, until};
use super::peer::{Peer, Tried, create, open, with_queue};
use crate::attempts::{Kill, Step, at_events, everywhere, paused_everywhere};
use crate::process::{Outcome, ProducerNotes, Test, TestDir, ensure};
use crate::tracer::Gate;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("kills: a sender that wakes, after each instruction, SPSC", || {
            killed_waker::<Spsc>(1, None)
        }),
        Test::new("kills: the same, fixed size", || killed_waker::<Spsc>(1, Some(8))),
        Test::new("kills: the same, a batch", || killed_waker::<Spsc>(3, None)),
        Test::new("kills: the same, MPMC", || killed_waker::<Mpmc>(1, None)),
        Test::new("kills: the same, MPMC, a batch", || killed_waker::<Mpmc>(3, None)),
        Test::new("kills: one that was woken and has taken nothing", woken_and_killed),
        Test::new("stops: a sender that wakes, after many instructions, SPSC", stopped_waker::<Spsc>),
        Test::new("stops: the same, MPMC", stopped_waker::<Mpmc>),
    ]
}

/// A consumer sleeps; the sender is killed after each instruction of its call. What was committed
/// is delivered within a sleep timeout.
fn killed_waker<K: Tried>(count: u64, fixed: Option<usize>) -> Outcome {
    let _one = OneProcessor::take()?;
    let latest = Cell::new(Duration::ZERO);
    let attempt = |kill: Kill<'_>| -> Outcome {
        let took = attempt_to_wake::<K>(count, fixed, kill)?;
        latest.set(latest.get().max(took.unwrap_or_default()));
        Ok(())
    };
    if count > 1 { at_events(K::NAME, attempt) } else { everywhere(K::NAME, attempt) }?;
    println!("     what was committed came {:.1?} after the kill at the latest", latest.get());
    Ok(())
}

/// The time from the kill to the delivery of the last message that was committed.
fn attempt_to_wake<K: Tried>(count: u64, fixed: Option<usize>, kill: Kill<'_>) -> Outcome<Option<Duration>> {
    let place = TestDir::new()?;
    let options = fixed.map_or(K::options(), |len| K::options().framing(Framing::Fixed(len)));
    let queue = create::<K>(&place, &options)?;
    let peer = Peer::consumer::<K>(&place, WaitStrategy::Park);
    peer.wait_until_asleep()?;
    let notes = ProducerNotes::new();
    notes.reset(0);
    let body = |gate: &Gate| {
        let mut producer = open::<K>(&place)?.producer()?;
        let data: Vec<_> = (0..count).map(u64::to_ne_bytes).collect();
        // Attaching has woken it.
        until("the peer asleep again", || is_asleep(peer.pid()))?;
        gate.enter()?;
        notes.set_about(count, false);
        match &data[..] {
            [one] => producer.send(one)?,
            many => producer.send_many(many)?,
        }
        notes.set_sent(count);
        gate.leave()
    };
    kill(Step { file: &place.path(), body: Box::new(body) })?;
    let killed = Instant::now();
    let doubt = notes.doubt();
    // When it has armed twice since, it has made an attempt in between: what is there has been
    // delivered.
    let event_counts = EventCounts::of(&place)?;
    let armed = event_counts.consumers_armed()?;
    let mut came = None;
    until("another attempt", || {
        if came.is_none() && peer.notes.count() == doubt.about {
            came = Some(killed.elapsed());
        }
        Ok(came.is_some() || event_counts.consumers_armed()? >= armed + 2)
    })?;
    let first = peer.notes.count();
    ensure!(first >= doubt.sent, "{first} came, {doubt:?}");
    let is_whole = K::NAME == Spsc::NAME;
    ensure!(first <= doubt.about && (!is_whole || first.is_multiple_of(count)), "{first} came, {doubt:?}");
    // Others go on; and had there been more, it would be delivered now.
    let mut producer = queue.producer()?;
    producer.send_many(&[100_u64.to_ne_bytes(), 101_u64.to_ne_bytes()])?;
    queue.close();
    let expected: Vec<_> = (0..first).chain(100..102).collect();
    peer.ends_with(&expected)?;
    drop((producer, queue));
    place.leave()?;
    Ok(came)
}

/// Two consumers sleep, a message wakes one, which is killed before it runs: the other one gets the
/// message.
fn woken_and_killed() -> Outcome {
    let _one = OneProcessor::take()?;
    let rounds = if cfg!(debug_assertions) { 10 } else { 40 };
    let mut latest = Duration::ZERO;
    let (mut hits, mut tries) = (0, 0);
    while hits < rounds {
        tries += 1;
        ensure!(tries < 20 * rounds, "in {tries} tries only {hits} were killed before they ran");
        with_queue::<Mpmc>(|place, queue| {
            let peer = || {
                Peer::start(|notes| {
                    run_after_others()?;
                    let consumer = open::<Mpmc>(place)?.consumer()?;
                    consumer.set_wait_strategy(WaitStrategy::Park);
                    super::peer::receive_all(&consumer, notes)
                })
            };
            let peers = [peer(), peer()];
            let mut producer = queue.producer()?;
            peers.iter().try_for_each(Peer::wait_until_asleep)?;
            producer.send(&7_u64.to_ne_bytes())?;
            let asleep = [is_asleep(peers[0].pid())?, is_asleep(peers[1].pid())?];
            let woken = if asleep[0] { 1 } else { 0 };
            peers[woken].child.strike()?;
            let killed = Instant::now();
            let [mut victim, mut other] = peers;
            if woken == 1 {
                std::mem::swap(&mut victim, &mut other);
            }
            let Peer { child, notes } = victim;
            child.reap()?;
            // It may have been faster, or the other one may have woken up by itself just then.
            if asleep[0] != asleep[1] && notes.count() == 0 {
                other.wait_for_count(1)?;
                latest = latest.max(killed.elapsed());
                hits += 1;
            }
            let found = [notes.numbers(), other.notes.numbers()].concat();
            queue.close();
            other.child.join_within(HANGS)?;
            ensure!(found.is_empty() || found == [7], "{found:?} came");
            queue.recover()?;
            Ok(())
        })?;
    }
    println!(
        "     {hits} of {tries} were killed before they ran; the message came {latest:.1?} later at most"
    );
    Ok(())
}

/// The thread that wakes this process goes on running on its processor.
fn run_after_others() -> Outcome {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: reads the local variable; of this process only the policy changes.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    ensure!(result == 0, "sched_setscheduler: {}", std::io::Error::last_os_error());
    Ok(())
}

/// A consumer sleeps; the sender is stopped after an instruction of its call, for as long as it
/// takes the consumer to make another attempt, and then goes on. What was committed when it stopped
/// is delivered without it.
fn stopped_waker<K: Tried>() -> Outcome {
    let _one = OneProcessor::take()?;
    paused_everywhere(K::NAME, 7, |pause| {
        with_queue::<K>(|place, queue| {
            let peer = Peer::consumer::<K>(place, WaitStrategy::Park);
            peer.wait_until_asleep()?;
            let body = |gate: &Gate| {
                let mut producer = open::<K>(place)?.producer()?;
                until("the peer asleep again", || is_asleep(peer.pid()))?;
                gate.enter()?;
                producer.send(&1_u64.to_ne_bytes())?;
                gate.leave()
            };
            let event_counts = EventCounts::of(place)?;
            let mut meanwhile = || {
                let armed = event_counts.consumers_armed()?;
                until("another attempt", || {
                    Ok(peer.notes.count() == 1 || event_counts.consumers_armed()? >= armed + 2)
                })
            };
            pause(Step { file: &place.path(), body: Box::new(body) }, &mut meanwhile)?;
            peer.wait_for_count(1)?;
            queue.close();
            peer.ends_with(&[1])
        })
    })
}
