//! Full filesystems, and limits on file sizes: the command reports them, and no signal ends it.

#[path = "../../tests/common/bound.rs"]
mod bound;

use std::process::Command;

/// Runs a script in its own mount namespace with `$d` on a tmpfs of 4 MiB; `None` if nothing can be
/// mounted here.
fn on_small_filesystem(script: &str) -> Option<String> {
    let prepare =
        "set -u; d=$(mktemp -d) && mount -t tmpfs -o size=4M tmpfs $d && cd $d || { echo skipped; exit; }\n";
    let output = Command::new("unshare")
        .args(["-m", "bash", "-c", &format!("{prepare}{script}")])
        .env("ringway", env!("CARGO_BIN_EXE_ringway"))
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if text.contains("skipped") { None } else { Some(text) }
}

#[test]
fn a_copy_with_holes_on_a_full_filesystem() {
    let script = "
        for kind in mpmc spsc; do
            $ringway create ./m --kind $kind --ring-bytes 1M -q; $ringway send ./m x; $ringway recv ./m
            cp --sparse=always m copy; rm m; head -c 10M /dev/zero > filler
            seq 100000 | timeout 20 $ringway send ./copy --timeout 1; echo send $kind $?
            timeout 20 $ringway recv ./copy > /dev/null; echo recv $kind $?
            $ringway stat ./copy > /dev/null; echo stat $kind $?
            rm -f filler copy
        done 2>&1 | grep -v '^filler'; true";
    let Some(said) = on_small_filesystem(script) else {
        println!("skipped: nothing can be mounted here");
        return;
    };
    for line in ["send mpmc 1", "recv mpmc 1", "send spsc 1", "recv spsc 1", "stat mpmc 0", "stat spsc 0"] {
        assert!(said.lines().any(|said| said == line), "{line:?} in:\n{said}");
    }
    assert_eq!(said.matches("the file has holes").count(), 4, "{said}");
}

/// The text of the system's error is printed once, whichever step failed.
#[test]
fn the_systems_words_are_printed_once() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let script = "
        cd \"$dir\"; $ringway create ./q -q; $ringway create ./m --kind mpmc -q
        for most in 3 4 5 6 7 8; do
            for command in 'create ./new' 'stat ./q' 'send ./q' 'recv ./q' 'recv ./m' 'peek ./q' 'doctor ./m' 'schema ./q' 'gc .'; do
                (ulimit -n $most; echo x | timeout 20 $ringway $command --color never 2>&1 >/dev/null | head -c 2000) | tr '\\n' ' '
                echo; rm -f ./new
            done
        done
        (ulimit -f 10; $ringway create ./large) 2>&1";
    let output = Command::new("bash")
        .args(["-c", script])
        .env("ringway", env!("CARGO_BIN_EXE_ringway"))
        .env("dir", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let words = "Too many open files";
    assert!(text.contains(words), "nothing failed for lack of descriptors:\\n{text}");
    for line in text.lines() {
        assert!(line.matches(words).count() <= 1, "{line}");
    }
    assert!(text.contains("may not make files of more than 10240") && text.contains("ulimit -f"), "{text}");
}

#[test]
fn rounded_sizes_are_printed() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let create = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .arg("create")
            .arg(dir.path().join(arguments.len().to_string()))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = create(&["--kind", "mpmc", "--ring-bytes", "5000"]);
    assert!(said.contains("`ring_bytes` was rounded: 5000 was asked for, and the queue has 8192"), "{said}");
    let said = create(&["--ring-bytes", "8192"]);
    assert!(!said.contains("rounded"), "{said}");
}
