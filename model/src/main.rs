//! Runs the models and prints a table. Fails if a clean model is not clean, or a mistake not caught.

#[cfg(test)]
use ringway_bound as _;

use ringway_model::catalog::{Effort, MAX_STATES, Scenario, scenarios};
use ringway_model::checker::{Outcome, Report};
use ringway_model::mistake::Mistake;
use std::process::ExitCode;

const USAGE: &str = "\
usage: ringway-model [all | list | MODEL] [--mistake NAME] [--quick] [--max-states N]

  all (the default)  every model, as it should be and with every mistake
  list               the models, their bounds and the mistakes, without running anything
  MODEL              claims, lane, waiting, room, weak, broadcast or everyone
  --mistake NAME     only what plants this mistake; prints the trace that catches it
  --quick            leave out what takes longer than a few seconds
  --max-states N     give up on a run beyond N states (the checker needs about 80 bytes a state)";

struct Wanted {
    what: String,
    mistake: Option<Mistake>,
    quick: bool,
    max_states: usize,
}

fn main() -> ExitCode {
    let wanted = match arguments(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(wrong) => {
            eprintln!("{wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<Scenario> =
        scenarios().into_iter().filter(|scenario| wanted.includes(scenario)).collect();
    if chosen.is_empty() {
        eprintln!("nothing to run: no model {:?} with these options\n\n{USAGE}", wanted.what);
        return ExitCode::from(2);
    }
    if wanted.what == "list" {
        list(&chosen);
        return ExitCode::SUCCESS;
    }
    println!("{:9} {:26} {:>10}  {:22} {:>7}  bounds", "model", "mistake", "states", "result", "seconds");
    let mut failures = 0;
    for scenario in &chosen {
        let report = scenario.run(wanted.max_states);
        let expected = scenario.is_as_expected(&report.outcome);
        failures += usize::from(!expected);
        print_row(scenario, &report, expected);
        if wanted.mistake.is_some() || !expected {
            print_trace(&report.outcome);
        }
    }
    println!("{} runs, {failures} not as expected", chosen.len());
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments(arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { what: "all".into(), mistake: None, quick: false, max_states: MAX_STATES };
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => wanted.quick = true,
            "--mistake" => {
                let name = arguments.next().ok_or("--mistake needs a name")?;
                let found = Mistake::ALL.iter().find(|mistake| format!("{mistake:?}") == name);
                wanted.mistake = Some(*found.ok_or(format!("no mistake is called {name:?}: see `list`"))?);
            }
            "--max-states" => {
                let number = arguments.next().ok_or("--max-states needs a number")?;
                wanted.max_states = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option:?}")),
            what => wanted.what = what.into(),
        }
    }
    Ok(wanted)
}

impl Wanted {
    fn includes(&self, scenario: &Scenario) -> bool {
        let model = matches!(self.what.as_str(), "all" | "list") || self.what == scenario.model;
        let mistake = self.mistake.is_none() || self.mistake == scenario.mistake;
        model && mistake && !(self.quick && scenario.effort == Effort::Full)
    }
}

fn name(mistake: Option<Mistake>) -> String {
    mistake.map_or("-".into(), |mistake| format!("{mistake:?}"))
}

fn list(chosen: &[Scenario]) {
    for Scenario { model, bounds, mistake, effort, .. } in chosen {
        println!("{model:9} {:26} {:6} {bounds}", name(*mistake), format!("{effort:?}"));
    }
    println!();
    for mistake in Mistake::ALL {
        println!("{:26} {}", format!("{mistake:?}"), mistake.about());
    }
}

fn print_row(scenario: &Scenario, report: &Report, expected: bool) {
    let result = match &report.outcome {
        Outcome::Clean => "clean".into(),
        Outcome::Violation { promise, .. } => {
            format!("caught: {}", promise.split(':').next().unwrap_or_default())
        }
        Outcome::Stuck { stuck, .. } => format!("caught: {stuck} stuck"),
        Outcome::CapReached { expanded } => format!("cap, {expanded} expanded"),
    };
    let result = match (expected, scenario.mistake) {
        (true, _) => result,
        (false, None) => format!("NOT CLEAN: {result}"),
        (false, Some(_)) => format!("NOT CAUGHT: {result}"),
    };
    println!(
        "{:9} {:26} {:>10}  {:22} {:>7.2}  {}",
        scenario.model,
        name(scenario.mistake),
        report.states,
        result,
        report.time.as_secs_f64(),
        scenario.bounds
    );
}

fn print_trace(outcome: &Outcome) {
    let (what, trace) = match outcome {
        Outcome::Violation { promise, trace } => (promise.clone(), trace),
        Outcome::Stuck { stuck, trace } => {
            (format!("{stuck} states cannot reach the goal without further kills; the nearest:"), trace)
        }
        Outcome::Clean | Outcome::CapReached { .. } => return,
    };
    println!("    {what}");
    for line in trace {
        println!("      {line}");
    }
}
