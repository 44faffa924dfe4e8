//! Rules of the code that the compiler does not check: which folder may name what and import what,
//! and how long a file may be.
//!
//! Clippy's `disallowed-types` cannot hold the rule about atomics: it resolves re-exports, so that
//! it would forbid what `crate::sync` re-exports as well.

#[path = "common/bound.rs"]
mod bound;
mod rules {
    mod documents;
    mod folders;
    mod names;
    pub(crate) mod source;
}

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rules::source::{Code, Source, library, test_files};

/// More than this, and a file has more than one concern.
const MAX_LINES: usize = 350;

/// Which folders and files of `src` each may import by `crate::`, besides its own. All others may
/// import everything: they are the public ones, `lib.rs` and what is above the engines.
///
/// An arrow that is not here would make a circle, or give a layer knowledge that is not its own.
const LAYERS: [(&str, &[&str]); 15] = [
    ("sync", &[]),
    ("prefetch", &[]),
    ("retry", &[]),
    ("describe", &[]),
    ("layout", &["sync"]),
    ("shared_ref", &[]),
    ("lane", &["layout", "prefetch", "shared_ref", "sync"]),
    ("order_ring", &["lane", "layout", "prefetch", "retry", "sync"]),
    ("park", &["layout", "retry", "shared_ref", "sync"]),
    ("wait", &["park", "sync"]),
    ("error", &["layout", "wait"]),
    ("shm", &["error", "layout", "sync"]),
    ("reactor", &["park", "shm", "sync"]),
    (
        "queue",
        &[
            "describe",
            "error",
            "lane",
            "layout",
            "order_ring",
            "park",
            "prefetch",
            "retry",
            "shm",
            "sync",
            "wait",
        ],
    ),
    ("typed", &["describe", "error", "lane", "queue", "shm", "wait"]),
];

/// The files that break a rule.
fn offenders(breaks: impl Fn(&Path, &Code) -> bool) -> Vec<PathBuf> {
    let broken = library(true).iter().filter(|Source { path, code }| breaks(path, code));
    broken.map(|source| source.path.clone()).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn atomics_come_from_one_place() {
    // The word alone, so that no way to spell the path escapes: `use
    // std::{sync::{atomic::AtomicU64}}`.
    let named = offenders(|_, code| code.names("atomic"));
    assert_eq!(named, ["sync.rs"].map(Path::new), "take atomics from `crate::sync`, where loom can stand in");
}

#[test]
fn only_the_typed_layer_knows_rkyv() {
    let named = offenders(|path, code| {
        code.names("rkyv") && !path.starts_with("typed") && !path.starts_with("error")
    });
    assert_eq!(named, NONE.map(Path::new), "only `typed`, and `error` for what it says, may name rkyv");
    assert!(!offenders(|_, code| code.names("rkyv")).is_empty(), "no file names it: the search is broken");
}

/// Methods that change an atomic.
const OPERATIONS: [&str; 6] = ["load", "store", "swap", "fetch_*", "compare_exchange*", "get_mut"];

#[test]
fn the_layout_only_says_what_is_where() {
    let named = offenders(|path, code| {
        path.starts_with("layout") && (code.names("unsafe") || code.calls(&OPERATIONS))
    });
    assert_eq!(named, NONE.map(Path::new), "`layout` has no unsafe code and touches no shared word");
    // Others do, which shows that the search finds what it searches for.
    assert!(offenders(|_, code| code.calls(&OPERATIONS)).iter().any(|path| path.starts_with("lane")));
    assert!(offenders(|_, code| code.names("unsafe")).iter().any(|path| path.starts_with("shm")));
}

#[test]
fn descriptions_are_words_only() {
    let named = offenders(|path, code| path.starts_with("describe") && code.names("unsafe"));
    assert_eq!(named, NONE.map(Path::new), "`describe` has no unsafe code");
}

/// The folder or file directly below `src` that a file belongs to.
fn layer_of(path: &Path) -> String {
    let first = path.iter().next().expect("a path has a part").to_string_lossy();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

#[test]
fn imports_point_down() {
    let sources = library(false);
    let tests = test_files(library(true));
    let is_test = |path: &Path| {
        let is_model = path.iter().any(|part| part == "tests" || part == "loom_tests");
        is_model || tests.iter().any(|test| path.starts_with(test))
    };
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for Source { path, code } in sources.iter().filter(|source| !is_test(&source.path)) {
        let layer = layer_of(path);
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else { continue };
        for name in code.crate_names().into_iter().filter(|name| *name != layer) {
            match allowed.contains(&name) {
                true => drop(used.insert((layer.clone(), name.to_owned()))),
                false => wrong.push(format!("src/{}: crate::{name}", path.display())),
            }
        }
    }
    assert_eq!(wrong, NONE, "imports that point up, or past the layer; see LAYERS in tests/rules.rs");
    let unused = LAYERS.iter().flat_map(|(layer, allowed)| allowed.iter().map(move |name| (*layer, *name)));
    let unused: Vec<_> =
        unused.filter(|(layer, name)| !used.contains(&((*layer).into(), (*name).into()))).collect();
    assert_eq!(unused, [], "arrows in LAYERS that no file needs any more");
}

#[test]
fn the_layers_have_no_circle() {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    loop {
        let is_ready =
            |(name, below): &&(&str, &[&str])| !done.contains(name) && below.iter().all(|n| done.contains(n));
        let ready: Vec<_> = LAYERS.iter().filter(is_ready).map(|(name, _)| *name).collect();
        if ready.is_empty() {
            break;
        }
        done.extend(ready);
    }
    let left: Vec<_> = LAYERS.iter().map(|(name, _)| *name).filter(|name| !done.contains(name)).collect();
    assert_eq!(left, NONE, "these layers import each other in a circle");
}

#[test]
fn files_are_short() {
    let tests = test_files(library(true));
    let files = library(false);
    let long: Vec<_> = files
        .iter()
        .filter(|source| !tests.iter().any(|test| source.path.starts_with(test)))
        .map(|source| (source.path.display(), source.code.lines()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("src/{path}: {lines}"))
        .collect();
    assert_eq!(long, NONE, "files with more than {MAX_LINES} lines of code");
    let has_code = |source: &Source| source.code.lines() > 0 || source.path == Path::new("guide.rs");
    assert!(files.iter().all(has_code), "a file without code: the count is broken");
}

fn code(text: &str) -> Code {
    Code::of(text, true)
}

/// The folders of the workspace's members.
fn members() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let (_, list) = manifest.split_once("\nmembers = [").expect("a list of members");
    let (list, _) = list.split_once(']').expect("its end");
    list.split(',').map(|name| root.join(name.trim().trim_matches('"'))).collect()
}

/// The Rust files below a folder, which need not be there.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// A test program of the standard runner ends after a time, whatever hangs in it (`bound/`); those
/// with `tests/process` for a runner have its watchdog.
#[test]
fn every_test_program_has_a_bound() {
    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    let mut programs = Vec::new();
    for member in members().iter().filter(|member| !member.ends_with("bound")) {
        let has_tests = rust_files(&member.join("src")).iter().any(|file| read(file).contains("cfg(test)"));
        let roots = ["src/lib.rs", "src/main.rs"].map(|root| member.join(root));
        programs.extend(roots.into_iter().filter(|root| has_tests && root.exists()));
        let tests = member.join("tests");
        programs.extend(rust_files(&tests).into_iter().filter(|file| file.parent() == Some(&tests)));
    }
    assert!(programs.len() > 50, "these are not all: {programs:?}");
    let bounds = ["use ringway_bound as _;", "mod bound;", "mod common;", "mod process;", "mod support;"];
    for path in programs {
        let code = read(&path);
        let mut lines = code.lines().map(|line| line.trim_start_matches("pub(crate) "));
        let is_bounded = lines.any(|line| bounds.contains(&line));
        assert!(is_bounded, "{} has no bound: add `use ringway_bound as _;`", path.display());
    }
}

#[test]
fn planted_offences_are_found() {
    assert!(code("use std::sync::atomic::AtomicU64;").names("atomic"));
    assert!(code("use core::{cell::Cell, sync::{atomic::{self}}};").names("atomic"));
    assert!(code("fn f<'a>(x: &'a u8) { rkyv::access(x) }").names("rkyv"));
    assert!(code("let c = '\"'; unsafe { f() } // '\"").names("unsafe"));
    assert!(code("/* a /* nested */ one */ unsafe { f() }").names("unsafe"));
    assert!(code("word.fetch_add(1, Relaxed)").calls(&OPERATIONS));
    let imports = code("use crate::{lane::{self, Ref}, order_ring::*, Role}; fn f() { crate::typed::g() }");
    assert_eq!(imports.crate_names(), ["Role", "lane", "order_ring", "typed"].into());
    assert_eq!(code(&"let x = 1;\n".repeat(351)).lines(), 351);
}

#[test]
fn words_and_tests_are_no_offences() {
    for innocent in [
        "// std::sync::atomic\n",
        "/// `unsafe`\nfn f() {}",
        "//! rkyv\n",
        "/* rkyv /* atomic */ unsafe */",
        r#"let s = "unsafe { atomic } \" rkyv";"#,
        r##"let s = br#"unsafe " rkyv"#;"##,
        "let unsafe_code = rkyv_format + atomics;",
        "let c = ['u', 'n', '\"', 's', '\"'];",
    ] {
        let code = code(innocent);
        for word in ["unsafe", "atomic", "rkyv"] {
            assert!(!code.names(word), "{word} in {innocent:?}");
        }
    }
    assert!(!code("let load = store; f(load)").calls(&OPERATIONS));
    let source = "fn f() {\n\n    // why\n    g();\n}\n\n#[cfg(all(test, not(loom)))]\nmod tests {\n    fn t() { { } }\n}\n\
                  #[cfg(test)]\nmod more;\n#[cfg(not(test))]\nmod real {\n}\n";
    let code = Code::of(source, false);
    assert_eq!(code.lines(), 6);
    assert_eq!(code.test_files, ["more"]);
}
