//! A small explicit-state model checker.
//!
//! A [`Model`] says what the initial state is and which single steps can be taken from a state; each
//! step is one shared-memory access (or one system call) of one participant. [`check`] visits every
//! state that any interleaving of such steps can reach, breadth first, so the first trace to a
//! violation is a shortest one. Two kinds of failure are found:
//!
//! * a **violation**: a step reports a broken promise, or a state breaks the model's invariant;
//! * **stuck** states: the model's goal ("everything committed is delivered, live producers are
//!   done") can no longer be reached unless another participant is killed or attaches. Steps are
//!   either [`Steps::step`], which a fair scheduler takes sooner or later, or
//!   [`Steps::environment`]: kills, attaches and other events that no participant may rely on. A
//!   state is stuck when no path of plain steps leads from it to a goal state; the checker finds
//!   stuck states by going backwards over the plain steps from all goal states. (This finds
//!   deadlocks, lost wakes and lost messages. It does not find a livelock in which the goal always
//!   stays reachable but an adversarial scheduler never goes there.)
//!
//! Visited states are kept as 128-bit fingerprints, not whole; only the frontier holds whole states.
//! At 10^8 states the odds that two of them share a fingerprint are about 10^-23. A trace is
//! found again by replaying the steps from the initial state along the stored parents.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

/// What [`check`] needs to know about a protocol.
pub trait Model {
    type State: Clone + Hash;

    fn initial(&self) -> Self::State;

    /// Passes every step that can be taken from `state` to `steps`.
    fn steps(&self, state: &Self::State, steps: &mut Steps<Self::State>);

    /// What must hold in every state; the error says which invariant is broken.
    fn invariant(&self, state: &Self::State) -> Result<(), String>;

    /// The states that must stay reachable.
    fn goal(&self, state: &Self::State) -> bool;

    /// One line for the end of a trace.
    fn show(&self, state: &Self::State) -> String;
}

/// Collects the steps out of one state.
pub struct Steps<S> {
    next: Vec<Next<S>>,
    /// The first promise that a step breaks, and which step.
    broken: Option<(usize, String)>,
    /// Labels are built only while a trace is replayed.
    labelled: bool,
}

struct Next<S> {
    state: S,
    environment: bool,
    label: String,
}

impl<S> Steps<S> {
    fn new(labelled: bool) -> Self {
        Self { next: Vec::new(), broken: None, labelled }
    }

    /// A step that its participant takes sooner or later, if it stays possible.
    pub fn step(&mut self, state: S, label: impl FnOnce() -> String) {
        self.push(state, false, label);
    }

    /// A kill, an attach, a change of the user's mind: it may happen, but no participant may wait
    /// for it.
    pub fn environment(&mut self, state: S, label: impl FnOnce() -> String) {
        self.push(state, true, label);
    }

    /// Reports a violation in the step that is passed next, unless `holds`.
    pub fn require(&mut self, holds: bool, promise: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some((self.next.len(), promise()));
        }
    }

    fn push(&mut self, state: S, environment: bool, label: impl FnOnce() -> String) {
        let label = if self.labelled { label() } else { String::new() };
        self.next.push(Next { state, environment, label });
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every reachable state visited; no violation, no stuck state.
    Clean,
    /// `promise` is broken at the end of `trace`.
    Violation { promise: String, trace: Vec<String> },
    /// `stuck` states cannot reach the goal; `trace` leads to the nearest one.
    Stuck { stuck: usize, trace: Vec<String> },
    /// The state cap was reached; `expanded` states were followed up, without a violation.
    CapReached { expanded: usize },
}

/// What a run saw.
#[derive(Debug, Clone)]
pub struct Report {
    pub outcome: Outcome,
    pub states: usize,
    pub steps: usize,
    pub time: Duration,
}

/// Visits every reachable state of `model`, but not more than `max_states`.
pub fn check<M: Model>(model: &M, max_states: usize) -> Report {
    let start = Instant::now();
    let mut run = Run { model, graph: Graph::new() };
    let outcome = run.explore(max_states).unwrap_or_else(|| run.find_stuck());
    Report {
        outcome,
        states: run.graph.fingerprints.len(),
        steps: run.graph.edges.len(),
        time: start.elapsed(),
    }
}

struct Run<'a, M: Model> {
    model: &'a M,
    graph: Graph,
}

impl<M: Model> Run<'_, M> {
    /// Breadth first. `None`: everything visited, nothing wrong yet.
    fn explore(&mut self, max_states: usize) -> Option<Outcome> {
        let mut frontier = VecDeque::new();
        let mut steps = Steps::new(false);
        let initial = self.model.initial();
        self.graph.insert(fingerprint(&initial), NO_PARENT, self.model.goal(&initial));
        frontier.push_back(initial);

        let mut expanded = 0;
        while let Some(state) = frontier.pop_front() {
            let from = id(expanded);
            self.model.steps(&state, &mut steps);
            if let Some((step, promise)) = steps.broken.take() {
                let to = steps.next.swap_remove(step).state;
                let mut trace = self.trace(from);
                trace.push(format!("then: {}", self.label(&state, &to)));
                return Some(Outcome::Violation { promise, trace });
            }
            for next in steps.next.drain(..) {
                let print = fingerprint(&next.state);
                let to = match self.graph.find(print) {
                    Some(to) => to,
                    None => {
                        let to = self.graph.insert(print, from, self.model.goal(&next.state));
                        if let Err(promise) = self.model.invariant(&next.state) {
                            return Some(Outcome::Violation { promise, trace: self.trace(to) });
                        }
                        frontier.push_back(next.state);
                        to
                    }
                };
                if !next.environment && to != from {
                    self.graph.edges.push(to);
                }
            }
            self.graph.ends.push(id(self.graph.edges.len()));
            expanded += 1;
            if self.graph.fingerprints.len() > max_states {
                return Some(Outcome::CapReached { expanded });
            }
        }
        None
    }

    fn find_stuck(&self) -> Outcome {
        let hopeful = self.graph.can_reach_goal();
        let stuck = hopeful.iter().filter(|&&hope| !hope).count();
        match hopeful.iter().position(|&hope| !hope) {
            Some(first) => Outcome::Stuck { stuck, trace: self.stuck_trace(id(first)) },
            None => Outcome::Clean,
        }
    }

    /// The shortest path to the numbered state: the steps' labels, and the state in words.
    fn trace(&self, to: u32) -> Vec<String> {
        let mut trace = Vec::new();
        let state = self.replay(to, &mut trace);
        trace.push(format!("=> {}", self.model.show(&state)));
        trace
    }

    /// The shortest path to a point of no return, and an example of some steps from there.
    fn stuck_trace(&self, to: u32) -> Vec<String> {
        let mut trace = Vec::new();
        let mut state = self.replay(to, &mut trace);
        trace.push("-- from here the goal is out of reach; for instance:".into());
        let mut seen = vec![fingerprint(&state)];
        while seen.len() < 25 {
            let new = |step: &Next<_>| !step.environment && !seen.contains(&fingerprint(&step.state));
            let Some(step) = self.labelled(&state).into_iter().find(new) else { break };
            seen.push(fingerprint(&step.state));
            trace.push(step.label);
            state = step.state;
        }
        trace.push(format!("=> {}", self.model.show(&state)));
        trace
    }

    fn replay(&self, to: u32, labels: &mut Vec<String>) -> M::State {
        let mut path = Vec::new();
        let mut at = to;
        while self.graph.parents[at as usize] != NO_PARENT {
            path.push(at);
            at = self.graph.parents[at as usize];
        }
        let mut state = self.model.initial();
        for &next in path.iter().rev() {
            let wanted = self.graph.fingerprints[next as usize];
            let taken = self.labelled(&state).into_iter().find(|step| fingerprint(&step.state) == wanted);
            let taken = taken.expect("a model must offer the same steps each time it is asked");
            labels.push(taken.label);
            state = taken.state;
        }
        state
    }

    fn label(&self, from: &M::State, to: &M::State) -> String {
        let taken = self.labelled(from).into_iter().find(|step| fingerprint(&step.state) == fingerprint(to));
        taken.map_or(String::new(), |step| step.label)
    }

    fn labelled(&self, state: &M::State) -> Vec<Next<M::State>> {
        let mut steps = Steps::new(true);
        self.model.steps(state, &mut steps);
        steps.next
    }
}

const NO_PARENT: u32 = u32::MAX;
const EMPTY: u64 = u64::MAX;

fn id(index: usize) -> u32 {
    u32::try_from(index).expect("more than 2^32 states or steps")
}

/// The visited states and the plain steps between them.
struct Graph {
    fingerprints: Vec<u128>,
    parents: Vec<u32>,
    goal: Vec<bool>,
    /// Plain steps: those out of state `i` are `edges[ends[i - 1]..ends[i]]`.
    edges: Vec<u32>,
    ends: Vec<u32>,
    /// Open addressing: half a fingerprint above, the state's number below.
    table: Vec<u64>,
}

impl Graph {
    fn new() -> Self {
        Self {
            fingerprints: Vec::new(),
            parents: Vec::new(),
            goal: Vec::new(),
            edges: Vec::new(),
            ends: Vec::new(),
            table: vec![EMPTY; 1 << 12],
        }
    }

    fn find(&self, print: u128) -> Option<u32> {
        let tag = tag(print);
        let mut at = tag as usize & (self.table.len() - 1);
        while self.table[at] != EMPTY {
            let found = self.table[at] as u32;
            if self.table[at] >> 32 == tag && self.fingerprints[found as usize] == print {
                return Some(found);
            }
            at = (at + 1) & (self.table.len() - 1);
        }
        None
    }

    /// Only after `find` said `None`.
    fn insert(&mut self, print: u128, parent: u32, goal: bool) -> u32 {
        if self.fingerprints.len() * 3 > self.table.len() * 2 {
            let old = std::mem::take(&mut self.table);
            self.table = vec![EMPTY; old.len() * 2];
            for entry in old.into_iter().filter(|&entry| entry != EMPTY) {
                place(&mut self.table, entry);
            }
        }
        let new = id(self.fingerprints.len());
        self.fingerprints.push(print);
        self.parents.push(parent);
        self.goal.push(goal);
        place(&mut self.table, tag(print) << 32 | u64::from(new));
        new
    }

    /// For each state: is a goal state reachable by plain steps? States far from the start have high
    /// numbers and are nearer to the goal, so sweeping downwards settles most in the first sweep.
    fn can_reach_goal(&self) -> Vec<bool> {
        let mut hope = self.goal.clone();
        let mut changed = true;
        while changed {
            changed = false;
            for i in (0..hope.len()).rev() {
                if !hope[i] {
                    let begin = if i == 0 { 0 } else { self.ends[i - 1] as usize };
                    let mut next = self.edges[begin..self.ends[i] as usize].iter();
                    hope[i] = next.any(|&to| hope[to as usize]);
                    changed |= hope[i];
                }
            }
        }
        hope
    }
}

fn tag(print: u128) -> u64 {
    print as u64 >> 32
}

fn place(table: &mut [u64], entry: u64) {
    let mut at = (entry >> 32) as usize & (table.len() - 1);
    while table[at] != EMPTY {
        at = (at + 1) & (table.len() - 1);
    }
    table[at] = entry;
}

fn fingerprint<S: Hash>(state: &S) -> u128 {
    let mut hasher =
        Fingerprint { low: 0x243f_6a88_85a3_08d3, high: 0x1319_8a2e_0370_7344, word: 0, bits: 0 };
    state.hash(&mut hasher);
    hasher.mix();
    u128::from(scramble(hasher.high)) << 64 | u128::from(scramble(hasher.low))
}

/// Two multiplicative hashes side by side. Model states are made of bytes, bools and enums without
/// content, of a shape that is the same in every state; so every write is taken as one byte, and
/// the length of an array need not be mixed in.
struct Fingerprint {
    low: u64,
    high: u64,
    word: u64,
    bits: u32,
}

impl Fingerprint {
    fn mix(&mut self) {
        self.low = (self.low ^ self.word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.low ^= self.low >> 29;
        self.high = (self.high ^ self.word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.high ^= self.high >> 32;
        self.word = 0;
        self.bits = 0;
    }
}

impl Hasher for Fingerprint {
    fn write_u8(&mut self, byte: u8) {
        self.word |= u64::from(byte) << self.bits;
        self.bits += 8;
        if self.bits == 64 {
            self.mix();
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u8(byte);
        }
    }

    /// An enum's discriminant.
    fn write_isize(&mut self, value: isize) {
        debug_assert!((0..256).contains(&value));
        self.write_u8(value as u8);
    }

    /// The length of an array.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.low
    }
}

fn scramble(mut x: u64) -> u64 {
    x ^= x >> 32;
    x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^= x >> 32;
    x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ x >> 29
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Two threads that add 1 to a counter, by load and store or in one go; `stop` may come between.
    struct Counter {
        atomic: bool,
        may_stop: bool,
    }

    impl Model for Counter {
        /// The counter; for each thread, what it loaded plus one, or 9 when done; stopped?
        type State = (u8, [u8; 2], bool);

        fn initial(&self) -> Self::State {
            (0, [0; 2], false)
        }

        fn steps(&self, &(counter, threads, stopped): &Self::State, steps: &mut Steps<Self::State>) {
            if self.may_stop && !stopped {
                steps.environment((counter, threads, true), || "stop".into());
            }
            for i in (0..2).filter(|_| !stopped) {
                let mut next = threads;
                match threads[i] {
                    9 => {}
                    0 if !self.atomic => {
                        next[i] = counter + 1;
                        steps.step((counter, next, stopped), || format!("{i} loads"));
                    }
                    loaded => {
                        next[i] = 9;
                        let sum = if self.atomic { counter + 1 } else { loaded };
                        steps.step((sum, next, stopped), || format!("{i} stores"));
                    }
                }
            }
        }

        fn invariant(&self, &(counter, threads, _): &Self::State) -> Result<(), String> {
            if threads == [9, 9] && counter != 2 { Err("an addition is lost".into()) } else { Ok(()) }
        }

        fn goal(&self, state: &Self::State) -> bool {
            state.1 == [9, 9]
        }

        fn show(&self, state: &Self::State) -> String {
            format!("counter {}", state.0)
        }
    }

    #[test]
    fn a_clean_model_is_clean() {
        let report = check(&Counter { atomic: true, may_stop: false }, 100);
        assert_eq!((report.outcome, report.states, report.steps), (Outcome::Clean, 4, 4));
    }

    #[test]
    fn a_violation_has_a_shortest_trace() {
        let report = check(&Counter { atomic: false, may_stop: false }, 100);
        let Outcome::Violation { promise, trace } = report.outcome else { panic!("{report:?}") };
        assert_eq!(promise, "an addition is lost");
        assert_eq!(trace, ["0 loads", "1 loads", "0 stores", "1 stores", "=> counter 1"]);
    }

    #[test]
    fn what_the_environment_makes_impossible_is_stuck() {
        let report = check(&Counter { atomic: true, may_stop: true }, 100);
        let Outcome::Stuck { stuck, trace } = report.outcome else { panic!("{report:?}") };
        assert_eq!((stuck, trace[0].as_str(), report.states), (3, "stop", 8));
    }

    #[test]
    fn the_cap_is_reported() {
        let report = check(&Counter { atomic: true, may_stop: true }, 3);
        assert!(matches!(report.outcome, Outcome::CapReached { .. }), "{report:?}");
    }

    /// Whole states instead of fingerprints give the same number.
    #[test]
    fn fingerprints_tell_states_apart() {
        use crate::claims::{Bounds, Claims};
        let (slots, producers, consumers, messages, send_k, recv_k, guards) = (2, 1, 2, 1, 1, 1, 1);
        let bounds = Bounds {
            slots,
            producers,
            consumers,
            messages,
            send_k,
            recv_k,
            guards,
            kills: 1,
            ..Bounds::default()
        };
        let model = Claims { bounds, mistake: None };
        let mut seen = HashSet::from([model.initial()]);
        let mut todo = vec![model.initial()];
        while let Some(state) = todo.pop() {
            let mut steps = Steps::new(false);
            model.steps(&state, &mut steps);
            todo.extend(
                steps.next.into_iter().map(|next| next.state).filter(|state| seen.insert(state.clone())),
            );
        }
        assert_eq!(check(&model, usize::MAX).states, seen.len());
    }
}
