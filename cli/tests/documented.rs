//! The command's documents name everything it has: subcommands, exit codes, and each field of its
//! JSON output.

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::{Place, ringway};

const COMMANDS: &str = include_str!("../../docs/cli.md");
const JSON: &str = include_str!("../../docs/cli-json.md");

/// Whether the text contains `word` as a whole word.
fn names(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

/// Collects all keys of objects in a value.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

/// The objects that a command prints, each on one line or on several.
fn objects(stdout: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(stdout).into_iter().map(|value| value.expect("JSON")).collect()
}

#[test]
fn each_json_field_is_documented() {
    let place = Place::new();
    let spsc = place.create("spsc", &[]);
    let mpmc = place.create("mpmc", &["--kind", "mpmc", "--max-redeliveries", "1"]);
    let broadcast = place.create("broadcast", &["--kind", "broadcast"]);
    // SAFETY: only this test knows the file.
    let queue = unsafe { ringway::broadcast::BytesQueue::open(&broadcast) }.unwrap();
    let _consumer = queue.consumer().unwrap();
    ringway("send").arg(&broadcast).arg("message").run().well();
    ringway("send").arg(&spsc).arg("message").run().well();
    ringway("send").arg(&mpmc).arg("message").run().well();
    let mut runs = vec![
        ringway("create").arg("--json").arg(place.at("new")).run(),
        ringway("gc").arg("--json").arg(place.path()).run(),
    ];
    for queue in [&spsc, &mpmc, &broadcast] {
        for command in ["stat", "peek", "tail", "schema", "doctor"] {
            runs.push(ringway(command).arg("--json").arg(queue).run());
        }
    }
    let mut found = BTreeSet::new();
    runs.iter().flat_map(|run| objects(&run.stdout())).for_each(|value| keys(&value, &mut found));
    let missing: Vec<_> = found.iter().filter(|key| !names(JSON, key)).collect();
    assert!(missing.is_empty(), "docs/cli-json.md does not name {missing:?}");
    assert!(found.len() > 50, "only {} fields: the search is broken", found.len());
}

#[test]
fn each_command_and_exit_code_is_documented() {
    let done = ringway("help").run();
    let help = done.stdout();
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named: Vec<_> =
        commands.filter_map(|line| line.split_whitespace().next()).filter(|c| *c != "help").collect();
    let missing: Vec<_> = named.iter().filter(|command| !names(COMMANDS, command)).collect();
    assert!(missing.is_empty(), "docs/cli.md does not name {missing:?}");
    assert!(named.len() > 10, "only {named:?}: the search is broken");
    let codes = help.lines().skip_while(|line| *line != "Exit codes:").skip(1);
    for code in codes.map_while(|line| line.split_whitespace().next()).filter(|c| c.parse::<u8>().is_ok()) {
        assert!(COMMANDS.contains(&format!("| {code} |")), "docs/cli.md does not explain exit code {code}");
    }
}
