//! Random sequences of operations by producers and consumers of all modes, which die between any two
//! steps, against a `Vec` of what was committed.

use proptest::prelude::*;

use super::super::{BroadcastRing, ProducerState, Raise, Seen};
use super::world::{TestEntry, World};
use crate::layout::order::{EntryRole, position_limit};
use crate::order_ring::crash_point::until_crash;
use crate::order_ring::{FrameRef, NotClaimed, Registry as _};

/// As many as there are of each role.
const OWNERS: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Enter,
    /// As many messages, in one batch.
    Send(u64),
    /// Joins at the position this far back from the newest.
    Join(u64),
    /// Releases as many messages as are there, up to this many.
    Read(u64),
    Unpin,
    Leave,
    Die,
    Recover,
}

fn act() -> impl Strategy<Value = (usize, Act, u32)> {
    let act = prop_oneof![
        4 => Just(Act::Enter),
        9 => (1..4_u64).prop_map(Act::Send),
        4 => (0..12_u64).prop_map(Act::Join),
        7 => (1..6_u64).prop_map(Act::Read),
        3 => Just(Act::Unpin),
        1 => Just(Act::Leave),
        1 => Just(Act::Die),
        2 => Just(Act::Recover),
    ];
    (0..OWNERS, act, prop_oneof![9 => Just(0), 1 => 1..6_u32])
}

struct Consumer {
    entry: TestEntry,
    next: u64,
    is_pinned: bool,
}

struct Run {
    world: World,
    start: u64,
    limit: u64,
    max: u64,
    one_writer: bool,
    /// By position from `start` on: what was committed; `None`: a tombstone, or not yet.
    log: Vec<Option<u64>>,
    next_id: u64,
    producers: Vec<Option<(TestEntry, ProducerState)>>,
    consumers: Vec<Option<Consumer>>,
    /// Every lossy consumer's position, and what it has received and missed since it began at `start`.
    lossy: [(u64, u64, u64); 2],
}

impl Run {
    fn new(slots: usize, max: u64, producers: usize, start: u64) -> Self {
        let limit = position_limit(slots.trailing_zeros());
        Self {
            world: World::new(slots, max, producers + OWNERS, producers, start),
            start,
            limit,
            max,
            one_writer: producers == 1,
            log: Vec::new(),
            next_id: 1,
            producers: (0..producers).map(|_| None).collect(),
            consumers: (0..OWNERS).map(|_| None).collect(),
            lossy: [(start, 0, 0); 2],
        }
    }

    fn ring(&self) -> &BroadcastRing {
        &self.world.ring
    }

    fn act(&mut self, who: usize, act: &Act, dies_at: u32) {
        let producer = who % self.producers.len();
        match act {
            Act::Enter => self.enter(who, producer),
            Act::Send(count) => self.send(producer, (*count).min(self.max), dies_at),
            Act::Join(back) => self.join(who, *back, dies_at),
            Act::Read(most) => self.read(who, *most),
            Act::Unpin => {
                if let Some(consumer) = &mut self.consumers[who] {
                    consumer.entry.cursor().remove();
                    consumer.is_pinned = false;
                }
            }
            Act::Leave => {
                if let Some(consumer) = self.consumers[who].take() {
                    self.world.leave(consumer.entry);
                }
            }
            Act::Die => {
                if let Some(consumer) = self.consumers[who].take() {
                    self.world.kill(consumer.entry.index());
                }
            }
            Act::Recover => self.recover(dies_at),
        }
        self.fall_short(who % 2);
        self.check();
    }

    fn enter(&mut self, who: usize, producer: usize) {
        if self.consumers[who].is_none() && !self.ring().candidates(EntryRole::Consumer).is_empty() {
            let entry = self.world.attach(EntryRole::Consumer);
            assert_eq!(self.ring().cursor_of(entry.index()), None, "CLEAN without a cursor");
            self.consumers[who] = Some(Consumer { entry, next: 0, is_pinned: false });
        }
        if self.producers[producer].is_none()
            && self.ring().candidates(EntryRole::Producer).contains(&producer)
        {
            let (entry, state) = self.world.producer();
            let index = entry.index();
            self.producers[index] = Some((entry, state));
            self.settle();
        }
    }

    /// What was committed is known by the slots, for each position that is retained.
    fn settle(&mut self) {
        let tail = self.ring().newest();
        while self.start + (self.log.len() as u64) < tail {
            self.log.push(None);
        }
    }

    fn send(&mut self, producer: usize, count: u64, dies_at: u32) {
        let Some((entry, state)) = self.producers[producer].take() else { return };
        let ids: Vec<_> = (self.next_id..self.next_id + count).collect();
        self.next_id += count;
        let before = self.ring().newest();
        let mut claimed = None;
        let result = until_crash(dies_at, || {
            let producer = entry.producer(&state);
            loop {
                match producer.claim(count, count) {
                    Ok(found) => {
                        claimed = Some(found.first);
                        let frame = |id: &u64| FrameRef { lane: entry.index(), offset: 0, len: *id };
                        let frames: Vec<_> = ids.iter().map(frame).collect();
                        producer.commit_run(found.first, frames.into_iter());
                        return Ok(found.first);
                    }
                    Err(NotClaimed::Full(target)) => match producer.raise(target) {
                        Raise::Done => {}
                        held => return Err((Some(held), target)),
                    },
                    Err(NotClaimed::PositionsExhausted) => return Err((None, 0)),
                    Err(NotClaimed::Closed) => panic!("it is open"),
                }
            }
        });
        match result {
            Some(Ok(first)) => {
                self.settle();
                for (at, id) in (first..).zip(&ids) {
                    self.committed(at, *id);
                }
            }
            Some(Err((Some(Raise::Held(gate)), target))) => {
                assert_eq!(target, before + count - self.max);
                let found = self.ring().cursor_of(gate.entry).expect("the cursor in the way");
                assert!(found < target, "nothing is in the way: {gate:?}");
            }
            Some(Err((Some(Raise::Uncommitted(position)), target))) => {
                assert!(position < target && !self.ring().is_settled(position) && !self.one_writer);
            }
            Some(Err((None, _))) => assert!(before + count > self.limit, "{before}"),
            Some(Err(other)) => panic!("{other:?}"),
            None => {
                self.died(claimed, &ids, before);
                self.world.kill(entry.index());
                return;
            }
        }
        self.producers[producer] = Some((entry, state));
    }

    /// A producer died: what it had committed is in the slots.
    fn died(&mut self, claimed: Option<u64>, ids: &[u64], before: u64) {
        let Some(first) = claimed.or_else(|| (self.ring().newest() > before).then_some(before)) else {
            return;
        };
        let is_there = |at: u64, id: u64| self.world.id(at) == Some(id);
        let there: Vec<_> = (first..).zip(ids).map(|(at, id)| is_there(at, *id)).collect();
        if self.one_writer {
            assert!(there.iter().skip(1).all(|is_there| *is_there || !there[0]), "not whole: {there:?}");
            if !there[0] {
                return;
            }
            while self.start + (self.log.len() as u64) < first + ids.len() as u64 {
                self.log.push(None);
            }
        } else {
            assert!(there.is_sorted_by(|one, next| one >= next), "a prefix is committed: {there:?}");
            self.settle();
        }
        for ((at, id), is_there) in (first..).zip(ids).zip(there) {
            if is_there {
                self.committed(at, *id);
            }
        }
    }

    fn committed(&mut self, position: u64, id: u64) {
        let at = (position - self.start) as usize;
        assert_eq!(self.log[at].replace(id), None, "a position has one message for ever");
    }

    fn join(&mut self, who: usize, back: u64, dies_at: u32) {
        let newest = self.ring().newest();
        let Some(mut consumer) = self.consumers[who].take() else { return };
        let wanted = newest.saturating_sub(back).max(self.start);
        match until_crash(dies_at, || consumer.entry.cursor().join(wanted)) {
            None => self.world.kill(consumer.entry.index()),
            Some(begin) => {
                assert_eq!(begin, wanted.max(self.ring().oldest()));
                assert_eq!(self.ring().cursor_of(consumer.entry.index()), Some(begin));
                (consumer.next, consumer.is_pinned) = (begin, true);
                self.consumers[who] = Some(consumer);
            }
        }
    }

    /// Under a cursor each message is there, and none is passed.
    fn read(&mut self, who: usize, most: u64) {
        let Some(mut consumer) = self.consumers[who].take().filter(|consumer| consumer.is_pinned) else {
            return;
        };
        for _ in 0..most {
            let at = consumer.next;
            match self.ring().see(at) {
                Seen::Frame(frame) => assert_eq!(Some(frame.len), self.at(at), "at {at}"),
                Seen::Tombstone => assert_eq!(self.at(at), None),
                Seen::Nothing => break,
                Seen::Over => panic!("{at} was kept"),
            }
            consumer.next += 1;
            consumer.entry.cursor().release(consumer.next);
        }
        self.consumers[who] = Some(consumer);
    }

    fn at(&self, position: u64) -> Option<u64> {
        self.log.get((position - self.start) as usize).copied().flatten()
    }

    /// A lossy consumer takes one message, or finds out how many it has missed.
    fn fall_short(&mut self, which: usize) {
        let (next, received, lagged) = self.lossy[which];
        let ring = self.ring();
        let seen = ring.see(next);
        self.lossy[which] = match seen {
            Seen::Nothing => return,
            Seen::Frame(frame) if ring.is_intact(next) => {
                assert_eq!(Some(frame.len), self.at(next));
                (next + 1, received + 1, lagged)
            }
            Seen::Tombstone if ring.is_intact(next) => {
                assert_eq!(self.at(next), None);
                (next + 1, received + 1, lagged)
            }
            _ => {
                let oldest = ring.oldest();
                assert!(oldest > next, "{seen:?} at {next}, and {oldest} is the oldest");
                (oldest, received, lagged + oldest - next)
            }
        };
        let (next, received, lagged) = self.lossy[which];
        assert_eq!(received + lagged, next - self.start);
    }

    fn recover(&mut self, dies_at: u32) {
        let locks = self.world.locks.clone();
        let done = until_crash(dies_at, || self.ring().recover(&locks, None));
        if done.is_some() {
            let tail = self.ring().newest();
            let is_alive = |owner: &Option<_>| owner.is_some();
            if !self.one_writer && !self.producers.iter().any(is_alive) {
                assert!((self.ring().oldest()..tail).all(|at| self.ring().is_settled(at)));
            }
            let left = (0..self.producers.len()).filter(|entry| self.producers[*entry].is_none());
            assert!(left.clone().all(|entry| self.ring().candidates(EntryRole::Producer).contains(&entry)));
        }
    }

    fn check(&self) {
        let ring = self.ring();
        assert_eq!(ring.check(), Ok(()));
        let (free, floor, tail) = (ring.free(), ring.oldest(), ring.newest());
        assert!(free <= floor && floor <= tail && tail - free <= self.max, "{free}, {floor}, {tail}");
        for consumer in self.consumers.iter().flatten().filter(|consumer| consumer.is_pinned) {
            assert!(free <= consumer.next, "{free} passes a cursor at {}", consumer.next);
        }
        for position in floor..tail {
            match ring.see(position) {
                Seen::Frame(frame) => assert_eq!(Some(frame.len), self.at(position), "at {position}"),
                _ => assert_eq!(self.at(position), None, "lost: {position}"),
            }
        }
    }
}

/// Where a queue of that many slots begins: anywhere near where arithmetic of fewer bits, or the limit,
/// would show.
fn starts(slots: usize) -> impl Strategy<Value = u64> {
    let limit = position_limit(slots.trailing_zeros());
    prop_oneof![
        Just(0_u64),
        (0..20_u64).prop_map(|before| (1 << 31) - before),
        (0..20_u64).prop_map(|before| (1 << 32) - before),
        (0..40_u64).prop_map(move |before| limit - before),
    ]
}

fn shapes() -> impl Strategy<Value = (usize, u64, u64)> {
    let sizes = prop_oneof![Just((2, 2)), Just((4, 4)), Just((4, 3)), Just((8, 8)), Just((8, 5))];
    sizes.prop_flat_map(|(slots, max)| (Just(slots), Just(max), starts(slots)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 4_000 }))]
    #[test]
    fn it_is_like_a_log(
        (slots, max, start) in shapes(),
        producers in 1..=OWNERS,
        acts in proptest::collection::vec(act(), 1..150),
    ) {
        let mut run = Run::new(slots, max, producers, start);
        for who in 0..OWNERS {
            run.act(who, &Act::Enter, 0);
        }
        for (who, act, dies_at) in acts {
            run.act(who, &act, dies_at);
        }
    }
}
