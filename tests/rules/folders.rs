//! What the parts of `src/queue`, the folders and files directly in it, may import of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::source::{Code, Source, library, test_files};

/// The parts that handles are made of, and what each may import. Parts that are not here are the
/// handles, and what extends them (`raw`, `takeover`, …): they may import everything.
///
/// Two arrows make a circle, and are the only ones. `file` is generic over kinds, because a file
/// of one kind must not be opened as another, and because opening attaches a receiver to see
/// whether a closed queue is empty. And the handle's `Shared` owns the dead-letter mover of
/// `mpmc`, which all consumers of the handle share.
const PARTS: [(&str, &[&str]); 14] = [
    ("copy", &[]),
    ("liveness", &[]),
    ("controls", &[]),
    ("file", &["copy", "kind", "mpmc"]),
    ("events", &["file"]),
    ("held_here", &["file"]),
    ("name_watch", &["file"]),
    ("recovery_failures", &["file"]),
    ("kind", &["events", "file", "recovery_failures"]),
    ("checksummed", &["copy", "events", "file", "kind", "recovery_failures"]),
    ("frame", &["kind"]),
    ("spsc", &["checksummed", "events", "file", "kind"]),
    ("mpmc", &["checksummed", "events", "file", "frame", "kind", "liveness", "recovery_failures"]),
    ("owned", &["consumer", "file", "kind"]),
];

/// The arrows of the table that make circles.
const BACK: [(&str, &str); 2] = [("file", "kind"), ("file", "mpmc")];

/// The files of handles: `BytesQueue` is in `queue/mod.rs`, and a part may extend it.
const QUEUE: &str = "BytesQueue";

/// The module that a file is, as names from the crate's root.
fn module_of(path: &Path) -> Vec<String> {
    let names = path.with_extension("");
    let names = names.iter().map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name != "mod" && name != "lib").collect()
}

/// The names that `queue/mod.rs` has from its parts, and those parts.
fn reexported(queue: &Code) -> BTreeMap<String, String> {
    let paths = queue.paths(&["queue".to_owned()]);
    let of_parts = paths.into_iter().filter(|path| path.len() > 2 && path[0] == "queue");
    of_parts.map(|path| (path.last().expect("three names").clone(), path[1].clone())).collect()
}

/// Which parts name which, and the file that does.
fn arrows() -> BTreeMap<(String, String), String> {
    let tests = test_files(library(true));
    let sources = library(false);
    let queue = sources.iter().find(|source| source.path == Path::new("queue/mod.rs")).expect("its file");
    let reexported = reexported(&queue.code);
    let mut arrows = BTreeMap::new();
    for Source { path, code } in sources.iter().filter(|source| source.path != queue.path) {
        let module = module_of(path);
        if module.first().is_none_or(|first| first != "queue")
            || tests.iter().any(|test| path.starts_with(test))
        {
            continue;
        }
        for name in code.paths(&module).into_iter().filter(|path| path.len() > 1 && path[0] == "queue") {
            let part = reexported.get(&name[1]).unwrap_or(&name[1]);
            if *part != module[1] && part != QUEUE {
                arrows.insert((module[1].clone(), part.clone()), path.display().to_string());
            }
        }
    }
    arrows
}

#[test]
fn parts_of_the_queue_import_what_is_below_them() {
    let arrows = arrows();
    let listed = |part: &str| PARTS.iter().find(|(name, _)| *name == part).map(|(_, below)| *below);
    let wrong: Vec<_> = arrows
        .iter()
        .filter(|((part, named), _)| listed(part).is_some_and(|below| !below.contains(&named.as_str())))
        .map(|((_, named), file)| format!("src/{file}: {named}"))
        .collect();
    assert_eq!(wrong, [""; 0], "imports that point up; see PARTS in tests/rules/folders.rs");
    let all = PARTS.iter().flat_map(|(part, below)| below.iter().map(move |name| (*part, *name)));
    let unused: Vec<_> =
        all.filter(|(part, name)| !arrows.contains_key(&((*part).into(), (*name).into()))).collect();
    assert_eq!(unused, [], "arrows in PARTS that no file needs any more");
}

#[test]
fn the_parts_have_no_other_circle() {
    let mut done = BTreeSet::new();
    loop {
        let is_listed = |name: &str| PARTS.iter().any(|(part, _)| *part == name);
        let is_done = |part: &str, name: &str| done.contains(name) || BACK.contains(&(part, name));
        let ready: Vec<_> = PARTS
            .iter()
            .filter(|(part, _)| !done.contains(part))
            .filter(|(part, below)| below.iter().all(|name| is_done(part, name) || !is_listed(name)))
            .map(|(part, _)| *part)
            .collect();
        if ready.is_empty() {
            break;
        }
        done.extend(ready);
    }
    let left: Vec<_> = PARTS.iter().map(|(part, _)| *part).filter(|part| !done.contains(part)).collect();
    assert_eq!(left, [""; 0], "these parts import each other in a circle");
}

#[test]
fn paths_are_resolved() {
    let module = ["queue", "file", "open"].map(String::from);
    let paths = |text: &str| -> Vec<String> {
        Code::of(text, false).paths(&module).into_iter().map(|path| path.join("::")).collect()
    };
    assert_eq!(paths("use super::shared::Shared;"), ["queue::file::shared::Shared"]);
    assert_eq!(
        paths("use super::super::kind::{self, Engine as E, x::{Y, Z}};"),
        ["queue::kind", "queue::kind::Engine", "queue::kind::x::Y", "queue::kind::x::Z"]
    );
    assert_eq!(paths("fn f() { g(crate::queue::mpmc::h()) }"), ["queue::mpmc::h"]);
    assert_eq!(paths("pub(in crate::queue) fn f() {} pub(super) fn g(self) { self.x() }"), [""; 0]);
}
