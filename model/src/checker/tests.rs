//! The checker on small models whose answer is known.

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
        todo.extend(steps.next.into_iter().map(|next| next.state).filter(|state| seen.insert(state.clone())));
    }
    assert_eq!(check(&model, usize::MAX).states, seen.len());
}
