//! `--sharing`: queues that several users share.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Place, ringway};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_queue_is_shared_with_those_that_are_named() {
    let place = Place::new();
    for (who, expected) in [("owner", 0o600), ("group", 0o660), ("everybody", 0o666)] {
        let path = place.create(who, &["-k", "mpmc", "--sharing", who]);
        assert_eq!(mode(&path), expected);
        ringway("send").args(["--sharing", who]).arg(&path).arg("one").run().well();
        if who != "owner" {
            // The command's own words.
            for command in ["send", "recv"] {
                ringway(command).arg(&path).run().fails(&[path.to_str().unwrap(), "--sharing group"]);
            }
        }
        let done = ringway("recv").args(["--sharing", who]).arg(&path).run().well();
        assert_eq!(done.stdout(), "one\n");
    }
    ringway("send").args(["--sharing", "nobody"]).arg(place.at("owner")).run().code(2);
}

/// A mode that sharing intends is a note; a file that other users can write to is a warning.
#[test]
fn the_doctor_knows_what_is_meant() {
    let place = Place::new();
    let path = place.create("queue", &["--sharing", "group"]);
    ringway("doctor").arg(&path).run().well().says(&["well", "note", "shared with the file's group", "0660"]);
    let path = place.create("all", &["--sharing", "everybody"]);
    ringway("doctor").arg(&path).run().code(3).says(&["warning", "0666", "--sharing everybody"]);
    ringway("doctor").args(["--sharing", "everybody"]).arg(&path).run().well().says(&["note", "0666"]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o622)).unwrap();
    ringway("doctor").args(["--sharing", "everybody"]).arg(&path).run().code(3).says(&["warning", "0622"]);
}
