//! Queues on a disk after a reboot: what `stat` and `doctor` report, what `--repair` does; and
//! `sync`.
//!
//! A test cannot reboot the machine: it changes the recorded boot in the file instead.

mod support;

use std::path::{Path, PathBuf};

use support::{overwrite, ringway, stat};

/// The offsets of the recorded boot and of the seal.
const BOOT: u64 = 0x4c8;
const SEAL: u64 = 0x4d8;

/// A directory on a disk; `None` if the build directory is in memory.
fn disk() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let probe = dir.path().join("probe");
    ringway("create").arg(&probe).run().well();
    let is_disk = stat(&probe)["boot"]["survival"] != "in_memory";
    if !is_disk {
        println!("skipped: {} is in memory", dir.path().display());
    }
    is_disk.then_some(dir)
}

fn filled(dir: &Path, kind: &str) -> PathBuf {
    let path = dir.join(kind);
    ringway("create").args(["--kind", kind, "--ring-bytes", "8192"]).arg(&path).run().well();
    ringway("send").arg(&path).args(["one", "two", "three"]).run().well();
    path
}

fn survival(path: &Path) -> String {
    stat(path)["boot"]["survival"].as_str().unwrap().into()
}

#[test]
fn a_queue_that_was_left_in_order_is_whole_in_the_next_boot() {
    let Some(dir) = disk() else { return };
    for kind in ["spsc", "mpmc"] {
        let path = filled(dir.path(), kind);
        assert_eq!(survival(&path), "sealed");
        overwrite(&path, BOOT, &[7; 16]);
        assert_eq!(survival(&path), "proven");
        ringway("doctor").arg(&path).run().well();
        assert_eq!(ringway("recv").arg(&path).run().well().stdout(), "one\ntwo\nthree\n");
        assert_eq!(survival(&path), "sealed");
    }
}

#[test]
fn a_queue_that_nothing_proves_is_refused_and_repaired() {
    let Some(dir) = disk() else { return };
    for kind in ["spsc", "mpmc"] {
        let path = filled(dir.path(), kind);
        overwrite(&path, BOOT, &[7; 16]);
        overwrite(&path, SEAL, &[0; 8]);
        assert_eq!(survival(&path), "unproven");
        for command in ["send", "recv", "sync"] {
            let says = ["started again", "doctor --repair", path.to_str().unwrap()];
            ringway(command).arg(&path).run().fails(&says);
        }
        // The text says what the repair loses, and what loses nothing.
        let says = [
            "error",
            "3 messages seem to wait",
            "drops all of its messages",
            "AfterPowerLoss::Keep",
            "boot id",
            "tmpfs",
        ];
        ringway("doctor").arg(&path).run().code(3).says(&says);
        ringway("doctor").arg("--repair").arg(&path).run().well().says(&["dropped 3 messages"]);
        assert_eq!(stat(&path)["boot"]["dropped"], 3);
        ringway("stat").arg(&path).run().well().says(&["3 messages dropped after power losses"]);
        ringway("send").args([path.to_str().unwrap(), "four"]).run().well();
        assert_eq!(ringway("recv").arg(&path).run().well().stdout(), "four\n");
    }
}

/// Its last participant was killed, or could not seal it.
#[test]
fn what_was_not_sealed_is_told_before_the_power_fails() {
    let Some(dir) = disk() else { return };
    let path = filled(dir.path(), "spsc");
    overwrite(&path, SEAL, &[0; 8]);
    ringway("stat").arg(&path).run().well().says(&["not sealed", "`ringway sync` seals it"]);
    ringway("sync").arg(&path).run().well();
    ringway("stat").arg(&path).run().well().says(&["left in order"]);
}

#[test]
fn sync_says_what_it_did() {
    let Some(dir) = disk() else { return };
    let path = filled(dir.path(), "mpmc");
    ringway("sync").arg(&path).run().well().says(&["sealed"]);
    assert_eq!(ringway("sync").arg("--quiet").arg(&path).run().well().stdout(), "");
    let place = support::Place::new();
    let memory = place.create("memory", &[]);
    ringway("sync").arg(&memory).run().fails(&["it is in memory"]);
    let told = ringway("stat").arg(&memory).run().well().stdout();
    assert!(!told.contains("boot"), "{told}");
}

#[test]
fn a_queue_with_checksums_is_a_queue_like_others() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["spsc", "mpmc"] {
        let path = dir.path().join(kind);
        let created = ringway("create")
            .args(["--checksums", "--kind", kind, "--ring-bytes", "8192"])
            .arg(&path)
            .run()
            .well();
        assert!(created.stdout().contains("with checksums"), "{}", created.stdout());
        assert_eq!(stat(&path)["checksums"], true);
        ringway("create").args(["--checksums", "--if-missing", "--kind", kind]).arg(&path).run().well();
        let other = ringway("create").args(["--if-missing", "--kind", kind]).arg(&path).run().code(1);
        assert!(other.stderr().contains("with checksums"), "{}", other.stderr());
        ringway("send").arg(&path).args(["one", "two", "three"]).run().well();
        let peeked = ringway("peek").arg("--json").arg(&path).run().well();
        assert_eq!(peeked.stdout().matches("\"checksum_matches\":true").count(), 3, "{}", peeked.stdout());
        // As after a power loss, or a failure of the disk.
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(3).position(|window| window == b"two").unwrap();
        overwrite(&path, at as u64, b"twx");
        for command in ["peek", "tail"] {
            let shown = ringway(command).arg(&path).run().code(1);
            assert!(shown.stdout().contains("its checksum does not match"), "{}", shown.stdout());
            assert!(shown.stderr().contains("1 message shown whose checksum"), "{}", shown.stderr());
        }
        assert_eq!(ringway("recv").arg(&path).run().well().stdout(), "one\nthree\n");
        assert_eq!(stat(&path)["boot"]["dropped"], 1);
        ringway("doctor").arg(&path).run().well();
    }
}
