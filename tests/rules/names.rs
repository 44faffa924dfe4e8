//! Names of the code use the terms of docs/glossary.md.

use std::path::{Path, PathBuf};

use super::source::Code;

/// Words that docs/glossary.md retired and that no name contains any more, and the term that
/// replaced each. The plural counts as well.
const RETIRED: [(&str, &str); 31] = [
    ("bell", "eventcount"),
    ("buried", "dead letter"),
    ("burier", "dead letter"),
    ("bury", "dead letter"),
    ("damage", "corruption"),
    ("doorbell", "eventcount"),
    ("dying", "exiting"),
    ("extent", "live frames"),
    ("giver", "producer"),
    ("handing", "delivery"),
    ("keeper", "store"),
    ("lease", "liveness lock"),
    ("ledger", "release tracker"),
    ("look", "attempt"),
    ("looker", "inspector"),
    ("making", "creation"),
    ("nap", "backoff"),
    ("nobody", "no participant"),
    ("notice", "warning"),
    ("patience", "time limit"),
    ("redo", "redelivery"),
    ("rung", "woken"),
    ("somebody", "participant"),
    ("stranger", "untrusted peer"),
    ("stub", "handle"),
    ("ticket", "key"),
    ("recovery_failures", "recovery failure"),
    ("weather", "adaptive backoff"),
    ("whoever", "participant"),
    ("wish", "wait strategy"),
    ("wishes", "wait strategy"),
];

/// The folders whose names are checked.
const FOLDERS: [&str; 14] = [
    "src",
    "cli/src",
    "cli/tests",
    "tests",
    "model/src",
    "model/tests",
    "derive/src",
    "xtask/src",
    "examples",
    "rivals/src",
    "value/src",
    "workload/src",
    "bound/src",
    "benches",
];

/// The words of `snake_case`, `CamelCase` and `UPPER_CASE` names, in lower case.
fn words(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, character) in characters.iter().enumerate() {
        let is_upper = |index: usize| characters.get(index).is_some_and(|one| one.is_uppercase());
        let is_lower = |index: usize| characters.get(index).is_some_and(|one| one.is_lowercase());
        let begins = is_upper(at) && at > 0 && (!is_upper(at - 1) || is_lower(at + 1));
        if *character == '_' || begins {
            words.push(String::new());
        }
        if *character != '_' {
            words.last_mut().expect("one at least").extend(character.to_lowercase());
        }
    }
    words
}

/// The names in this code that contain a retired word, each with the term to use instead.
fn retired(code: &Code) -> Vec<(&str, &'static str)> {
    let mut found = Vec::new();
    for name in code.words() {
        for word in words(name) {
            let is_word = |retired: &str| word == retired || word.strip_suffix('s') == Some(retired);
            found.extend(RETIRED.iter().filter(|(was, _)| is_word(was)).map(|(_, term)| (name, *term)));
        }
    }
    found
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn names_have_no_retired_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    FOLDERS.iter().for_each(|folder| sources(&root.join(folder), &mut files));
    assert!(files.len() > 100, "these are not all files");
    let mut wrong = Vec::new();
    for path in files {
        let code = Code::of(&std::fs::read_to_string(&path).unwrap(), true);
        let shown = path.strip_prefix(root).unwrap().display();
        wrong.extend(
            retired(&code).iter().map(|(name, term)| format!("{shown}: `{name}`; the term is {term}")),
        );
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "names with retired words (docs/glossary.md):\n{}", wrong.join("\n"));
}

#[test]
fn planted_words_are_found() {
    let names = |text: &str| -> Vec<String> {
        retired(&Code::of(text, true)).into_iter().map(|(name, _)| name.to_owned()).collect()
    };
    for name in ["bell", "ring_bell", "BellWords", "LAST_TICKET", "take_tickets", "has_lease_2", "HTTPLease"]
    {
        assert_eq!(names(&format!("fn f() {{ let x = {name}; }}")), [name]);
    }
    assert_eq!(names("mod stub; use crate::stub::Stub;"), ["stub", "stub", "Stub"]);
    for innocent in
        ["// bell", "/// A ticket.\nfn f() {}", "f(\"lease\")", "label, release, napkin, stubborn"]
    {
        assert_eq!(names(innocent), [""; 0], "{innocent}");
    }
}
