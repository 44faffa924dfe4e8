//! Every model is clean and every mistake is caught, at bounds that a test run can afford.

use ringway_bound as _;

use ringway_model::catalog::{Effort, MAX_STATES, Scenario, scenarios};
use ringway_model::checker::Outcome;
use ringway_model::mistake::Mistake;

/// Without optimisation the small ones must do, and whatever a mistake needs.
fn affordable(scenario: &Scenario) -> bool {
    match scenario.effort {
        Effort::Small => true,
        Effort::Quick => !cfg!(debug_assertions) || scenario.mistake.is_some(),
        Effort::Full => false,
    }
}

fn run(model: &str) {
    let mut clean = 0;
    for scenario in scenarios().into_iter().filter(|s| s.model == model && affordable(s)) {
        let report = scenario.run(MAX_STATES);
        let as_expected = scenario.is_as_expected(&report.outcome);
        assert!(as_expected, "{model} {:?} at {}: {:#?}", scenario.mistake, scenario.bounds, report.outcome);
        clean += usize::from(report.outcome == Outcome::Clean);
    }
    assert!(clean > 0, "no clean run of {model}");
}

#[test]
fn claims() {
    run("claims");
}

#[test]
fn lane() {
    run("lane");
}

#[test]
fn waiting() {
    run("waiting");
}

#[test]
fn room() {
    run("room");
}

#[test]
fn weak() {
    run("weak");
}

#[test]
fn broadcast() {
    run("broadcast");
}

#[test]
fn everyone() {
    run("everyone");
}

#[test]
fn every_mistake_has_a_run_that_the_tests_can_afford() {
    let runs = scenarios();
    for &mistake in Mistake::ALL {
        assert!(
            runs.iter().any(|s| s.mistake == Some(mistake) && affordable(s)),
            "{mistake:?} is never made"
        );
    }
}
