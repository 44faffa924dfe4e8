//! Builds one program with each of rkyv's format features, and makes every one open what all others
//! have written. They must refuse it, and report which settings differ and which side has which.
//! Takes about two minutes, most of it building.

use std::path::PathBuf;

use crate::run::{Outcome, cargo, output};

const SETTINGS: [&str; 6] = [
    "",
    "rkyv/unaligned",
    "rkyv/big_endian",
    "rkyv/big_endian,rkyv/unaligned",
    "rkyv/pointer_width_16",
    "rkyv/pointer_width_64",
];

/// Where the programs leave their files.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn refuse_each_other() -> Outcome {
    let folder = Folder(PathBuf::from(format!("/dev/shm/ringway-formats-{}", std::process::id())));
    std::fs::create_dir(&folder.0).map_err(|error| format!("creating {}: {error}", folder.0.display()))?;
    // Two files of each of the others.
    let expected = format!("2 accepted, {} refused", 2 * (SETTINGS.len() - 1));
    // In the second round each program finds the files of all.
    for round in 1..=2 {
        for features in SETTINGS {
            let mut command = cargo(&[
                "test",
                "--quiet",
                "-p",
                "ringway",
                "--test",
                "rkyv_formats",
                "--features",
                features,
            ]);
            command.args(["--", "--nocapture"]).env("RINGWAY_FORMATS", &folder.0);
            let text = output(command)?;
            let found = text.lines().find(|line| line.contains("accepted"));
            let found =
                found.ok_or_else(|| format!("the program with `{features}` says nothing:\n{text}"))?;
            println!("{found}");
            if round == 2 && !found.ends_with(&expected) {
                return Err(format!("not every format was tried: expected {expected}"));
            }
        }
    }
    Ok(())
}
