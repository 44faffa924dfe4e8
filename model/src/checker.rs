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

mod fingerprint;
mod graph;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::{Duration, Instant};

use fingerprint::fingerprint;
use graph::{Graph, id};

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
