//! Weakens one ordering, or drops one rule, of the protocols at a time in a copy of the sources,
//! and runs the loom models of that part on it: every mistake must be noticed. The list is
//! mutants.toml, beside this crate's manifest.

mod list;
mod trial;

use std::path::PathBuf;

use crate::run::{Outcome, root};
use list::Mutant;
use trial::Verdict;

fn path() -> PathBuf {
    root().join("xtask/mutants.toml")
}

fn all() -> Outcome<Vec<Mutant>> {
    let text = std::fs::read_to_string(path()).map_err(|error| format!("{}: {error}", path().display()))?;
    list::parse(&text).map_err(|error| format!("{}: {error}", path().display()))
}

/// Checks whether the sources have everything that the list would change.
pub(crate) fn check() -> Outcome {
    let mutants = all()?;
    let problems: Vec<String> =
        mutants.iter().filter_map(|mutant| mutant.in_sources(&root()).err()).collect();
    match problems.is_empty() {
        true => {
            println!("{} mutants apply", mutants.len());
            Ok(())
        }
        false => Err(format!("of {}:\n{}", path().display(), problems.join("\n"))),
    }
}

/// Makes these mistakes, or all of them, one by one.
pub(crate) fn run_models(names: &[&str]) -> Outcome {
    let mutants = all()?;
    if let Some(unknown) = names.iter().find(|name| mutants.iter().all(|mutant| mutant.name != **name)) {
        return Err(format!("{} has no mutant {unknown}", path().display()));
    }
    let mut missed = 0;
    for mutant in mutants.iter().filter(|mutant| names.is_empty() || names.contains(&&*mutant.name)) {
        let verdict = trial::run(mutant)?;
        let name = &mutant.name;
        match &verdict {
            Verdict::Caught(model) => println!("caught {name}: {model}"),
            Verdict::Missed => println!("MISSED {name}"),
            Verdict::Undecided => println!("UNDECIDED {name} (took too long)"),
            Verdict::Broken => {
                println!("BROKEN {name} (does not compile, has no models, or the models do not end)")
            }
        }
        missed += usize::from(!matches!(verdict, Verdict::Caught(_)));
    }
    if missed == 0 { Ok(()) } else { Err(format!("{missed} mutants were not caught")) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_mutant_is_in_the_sources() {
        super::check().unwrap();
    }
}
