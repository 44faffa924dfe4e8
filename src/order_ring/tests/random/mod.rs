//! Random sequences of operations by several participants, which die between any two steps, against
//! the reference: every result, every state word and every byte that is in use.

mod checks;
mod sides;

use proptest::prelude::*;

use super::reference::{At, Claim, Reference};
use super::*;
use crate::order_ring::crash_point::until_crash;

const ENTRIES: usize = 5;

/// What the owner of an entry does. It is generated with the crash point at which the owner dies on
/// the way; 0: it does not die.
#[derive(Clone, Debug)]
enum Act {
    Enter(EntryRole),
    Claim { lens: Vec<usize>, least: usize },
    Commit,
    Take,
    TakeMany(u64),
    Mark,
    TakeRedelivery,
    Release(usize),
    Reject(usize),
    PutBack(usize),
    TaskDone,
    Leave,
    Die,
    Recover,
}

fn act() -> impl Strategy<Value = (usize, Act, u32)> {
    let lens = proptest::collection::vec(1..=24_usize, 1..5);
    let role = prop_oneof![Just(EntryRole::Producer), Just(EntryRole::Consumer)];
    let act = prop_oneof![
        4 => role.prop_map(Act::Enter),
        6 => (lens, 1..3_usize).prop_map(|(lens, least)| Act::Claim { least: least.min(lens.len()), lens }),
        9 => Just(Act::Commit),
        4 => Just(Act::Take),
        3 => (1..6_u64).prop_map(Act::TakeMany),
        5 => Just(Act::Mark),
        3 => Just(Act::TakeRedelivery),
        7 => any::<usize>().prop_map(Act::Release),
        1 => any::<usize>().prop_map(Act::Reject),
        1 => any::<usize>().prop_map(Act::PutBack),
        3 => Just(Act::TaskDone),
        1 => Just(Act::Leave),
        1 => Just(Act::Die),
        2 => Just(Act::Recover),
    ];
    (0..ENTRIES, act, prop_oneof![9 => Just(0), 1 => 1..5_u32])
}

enum Owner {
    Vacant,
    Producer(Producer),
    Consumer(Consumer),
    Dead,
}

struct Run {
    world: World,
    owners: Vec<Owner>,
    reference: Reference,
    messages: u8,
    /// How many messages were declared done.
    tasks_done: u64,
    /// The state words before the last operation.
    before: Vec<SlotState>,
}

impl Run {
    fn new(shape: Shape) -> Self {
        let world = World::new(shape);
        let before = (0..shape.ring).map(|slot| world.ring.state(slot)).collect();
        Self {
            owners: (0..shape.entries).map(|_| Owner::Vacant).collect(),
            reference: Reference::new(shape.start, shape.ring, shape.at_most_once),
            world,
            messages: 0,
            tasks_done: 0,
            before,
        }
    }

    fn act(&mut self, me: usize, act: Act, dies_at: u32) {
        if let Act::Recover = act {
            self.recover(dies_at);
            return self.check();
        }
        let owner = std::mem::replace(&mut self.owners[me], Owner::Vacant);
        let survivor = match (owner, act) {
            (Owner::Producer(_) | Owner::Consumer(_), Act::Die) => {
                self.world.kill(me);
                None
            }
            (Owner::Consumer(consumer), Act::TaskDone) => {
                let committed = self.reference.claims.iter().filter(|claim| claim.committed).count() as u64;
                let before = self.tasks_done;
                self.tasks_done += u64::from(before < committed);
                let (world, ring) = (self.world.clone(), self.world.ring.clone());
                let counted = world.until_crash(me, dies_at, || ring.task_done());
                assert!(counted.is_none_or(|counted| counted == (before < committed)));
                counted.map(|_| Owner::Consumer(consumer))
            }
            (Owner::Vacant, Act::Enter(role)) => Some(self.attach(me, role, dies_at)),
            (Owner::Dead, Act::Enter(_)) => {
                assert!(self.world.producer(me).is_none() && self.world.consumer(me).is_none());
                Some(Owner::Dead)
            }
            (Owner::Producer(producer), act) => self.produce(producer, act, dies_at),
            (Owner::Consumer(consumer), act) => self.consume(consumer, act, dies_at),
            (owner, _) => Some(owner),
        };
        self.owners[me] = survivor.unwrap_or(Owner::Dead);
        self.check();
    }

    fn attach(&mut self, me: usize, role: EntryRole, dies_at: u32) -> Owner {
        let (world, reference) = (self.world.clone(), &self.reference);
        let entered = until_crash(dies_at, || match role {
            EntryRole::Producer => Owner::Producer(world.producer(me).expect("it is clean")),
            EntryRole::Consumer => Owner::Consumer(world.consumer(me).expect("it is clean")),
        });
        match entered {
            // The participant died before the entry was its own.
            None => self.world.probe.unlock(me),
            Some(Owner::Producer(producer)) => {
                lanes::check_adopted(&producer, &live_in(reference, me), &self.world);
                return Owner::Producer(producer);
            }
            Some(owner) => return owner,
        }
        Owner::Vacant
    }

    fn recover(&mut self, dies_at: u32) {
        let dead: Vec<_> = self.owners.iter().map(|owner| matches!(owner, Owner::Dead)).collect();
        let world = self.world.clone();
        let done = until_crash(dies_at, || world.recover().expect("nobody else recovers"));
        let mut moved = (0, 0);
        for index in 0..self.reference.claims.len() {
            let at = self.reference.claims[index].at;
            let next = self.reference.recovered(at, |owner| dead[owner]);
            if at == next {
                continue;
            }
            self.reference.claims[index].at = next;
            let position = self.reference.start + index as u64;
            let slot = position % self.world.ring.count();
            if done.is_none() && self.world.ring.state(slot as usize) != self.reference.word(slot) {
                // The pass died before it reached this slot.
                self.reference.claims[index].at = at;
                continue;
            }
            if matches!(at, At::Claimed(_)) { moved.0 += 1 } else { moved.1 += 1 }
        }
        if let Some(done) = done {
            assert_eq!(done.deaths, dead.iter().filter(|dead| **dead).count() as u64);
            assert_eq!((done.tombstones, done.requeued), moved);
        }
        let mut cleaned = 0;
        for (entry, owner) in self.owners.iter_mut().enumerate() {
            if matches!(owner, Owner::Dead) && !self.world.ring.entry_word(entry).is_dirty() {
                *owner = Owner::Vacant;
                cleaned += 1;
            }
        }
        if let Some(done) = done {
            assert_eq!(done.cleaned, cleaned);
            let meant = |entry: usize| {
                let own = &self.world.ring.entries[entry].own;
                let claim_intent = Intent(own.claim_intent.load(Ordering::Relaxed)).positions();
                let take_intent = Intent(own.take_intent.load(Ordering::Relaxed)).positions();
                let state = |position| self.reference.claims.get((position - self.reference.start) as usize);
                claim_intent.into_iter().any(|at| matches!(state(at), Some(Claim { at: At::Claimed(_), .. })))
                    || take_intent
                        .into_iter()
                        .any(|at| matches!(state(at), Some(Claim { at: At::TakenPositions(_), .. })))
            };
            for (entry, owner) in self.owners.iter().enumerate() {
                assert!(!matches!(owner, Owner::Dead) || meant(entry), "entry {entry} could be clean");
            }
        }
    }

    /// Every owner finishes what it has begun; the rest is recovered and drained.
    fn finish(mut self) {
        assert!(self.world.is_within_bound());
        for entry in 0..ENTRIES {
            while matches!(&self.owners[entry], Owner::Producer(producer) if producer.claimed.is_some()) {
                self.act(entry, Act::Commit, 0);
            }
            self.act(entry, Act::Mark, 0);
        }
        self.act(0, Act::Recover, 0);
        assert_eq!(dead_entries(&self.world), 0, "with everybody else idle, all entries can be cleaned");
        for entry in 0..ENTRIES {
            self.act(entry, Act::Leave, 0);
        }
        self.act(2, Act::Enter(EntryRole::Consumer), 0);
        loop {
            let ring = &self.world.ring;
            let is_left = self.reference.claims.iter().any(|claim| claim.at != At::Over);
            if !is_left && ring.backlog() == 0 {
                break;
            }
            let before = self.reference.claims.iter().filter(|claim| claim.at == At::Over).count();
            self.act(2, Act::TakeRedelivery, 0);
            self.act(2, Act::Take, 0);
            self.act(2, Act::Release(0), 0);
            self.act(2, Act::Release(0), 0);
            let after = self.reference.claims.iter().filter(|claim| claim.at == At::Over).count();
            assert!(after > before || self.world.ring.backlog() == 0, "stuck");
        }
        while self.world.ring.unfinished() != Ok(0) {
            self.act(2, Act::TaskDone, 0);
        }
        assert!(!self.world.ring.task_done(), "more are done than were sent");
        self.act(2, Act::Leave, 0);
        for claim in &self.reference.claims {
            assert!(!claim.committed || claim.delivered > 0, "lost: {claim:?}");
            assert!(claim.committed || claim.delivered == 0, "it never was: {claim:?}");
            assert!(!self.world.ring.policy.at_most_once || claim.delivered <= 1, "twice: {claim:?}");
        }
        for entry in 0..ENTRIES {
            let producer = self.world.producer(entry).expect("it is clean");
            lanes::check_all_room(producer);
        }
    }
}

fn dead_entries(world: &World) -> usize {
    let is_dead = |entry: &usize| world.ring.entry_word(*entry).is_dirty() && !world.probe.is_alive(*entry);
    (0..ENTRIES).filter(is_dead).count()
}

/// Positions whose frames are in `lane` and may still be read.
fn live_in(reference: &Reference, lane: usize) -> Vec<u64> {
    let is_live = |claim: &Claim| claim.lane == lane && !matches!(claim.at, At::Over | At::Claimed(_));
    (reference.start..).zip(&reference.claims).filter(|(_, claim)| is_live(claim)).map(|(at, _)| at).collect()
}

fn start() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0_u64), Just((1 << 31) - 5), Just((1 << 32) - 5), Just(u64::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_core_does_what_the_reference_does(
        ring in prop_oneof![Just(1_usize), Just(2), Just(4), Just(8)],
        start in start(),
        at_most_once in any::<bool>(),
        acts in proptest::collection::vec(act(), 1..120),
    ) {
        // The last 20 positions before the limit.
        let start = if start == u64::MAX { position_limit(ring.trailing_zeros()) - 20 } else { start };
        let mut run = Run::new(Shape { ring, entries: ENTRIES, start, at_most_once, ..SHAPE });
        for (entry, act, dies_at) in acts {
            run.act(entry, act, dies_at);
        }
        run.finish();
    }
}
