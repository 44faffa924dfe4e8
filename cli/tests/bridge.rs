//! `ringway bridge` runs another program.

use ringway_bound as _;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A copy of the command in a folder, so that nothing is beside it but what the test puts there.
fn command(folder: &Path) -> Command {
    let copy = folder.join("ringway");
    std::fs::hard_link(env!("CARGO_BIN_EXE_ringway"), &copy)
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_ringway"), &copy).map(|_| ()))
        .unwrap();
    let mut command = Command::new(copy);
    command.env("PATH", "");
    command
}

#[test]
fn without_the_program_the_error_says_how_to_install_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).args(["bridge", "out", "--help"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ringway-bridge is not installed"), "{said}");
    assert!(said.contains("cargo install --path bridge"), "{said}");
}

#[test]
fn the_program_beside_gets_all_arguments_and_its_exit_code_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("ringway-bridge");
    std::fs::write(&program, "#!/bin/sh\nfor a; do echo \"<$a>\"; done\nexit 3\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output =
        command(folder.path()).args(["bridge", "out", "--help", "a b", "--", "-x"]).output().unwrap();
    let got = String::from_utf8(output.stdout).unwrap();
    assert_eq!(got, "<out>\n<--help>\n<a b>\n<-->\n<-x>\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3));
}
