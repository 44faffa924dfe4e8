//! Runs the examples of the guide's chapters for the shell.

mod support;

use std::path::Path;
use std::process::Command;

use support::Place;

#[test]
fn examples_of_the_shell_chapter_run() {
    run("shell", 3);
}

#[test]
fn examples_of_the_broadcast_chapter_run() {
    run("broadcast", 1);
}

fn run(chapter: &str, least: usize) {
    let chapter = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/guide/{chapter}.md"));
    let text = std::fs::read_to_string(chapter).unwrap();
    let examples: Vec<&str> =
        text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= least, "{examples:?}");
    let bin = Path::new(env!("CARGO_BIN_EXE_ringway")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for example in examples {
        let place = Place::new();
        let mut shell = Command::new("bash");
        let done =
            shell.args(["-euxo", "pipefail", "-c", example]).current_dir(place.path()).env("PATH", &path);
        let output = done.output().unwrap();
        assert!(output.status.success(), "{example}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
