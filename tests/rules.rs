//! Rules of the code that the compiler does not know: who may name what, and how long a file may be.

#[path = "common/bound.rs"]
mod bound;
mod rules {
    mod documents;
}

use std::path::{Path, PathBuf};

/// More than this, and a file has more than one concern.
const MAX_LINES: usize = 350;

/// Rust source with every comment, and what stands in strings and characters, turned into spaces. Lines stay lines.
fn code_of(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = bytes.to_vec();
    let mut blank = |from: usize, to: usize| {
        code[from..to].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &source[at..];
        let end = at
            + match bytes[at] {
                b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                b'/' if rest.starts_with("/*") => block_comment(rest),
                b'r' if !is_word(bytes, at) && raw_string(rest).is_some() => raw_string(rest).unwrap(),
                b'"' => string(rest),
                b'\'' => character(rest),
                _ => {
                    // Whole characters, so that `source[at..]` never cuts one.
                    at += rest.chars().next().map_or(1, char::len_utf8);
                    continue;
                }
            };
        blank(at, end);
        at = end;
    }
    String::from_utf8(code).expect("only whole characters were replaced")
}

/// Whether the byte at `at` goes on with a word that began before, other than the `b` or `c` of a literal.
fn is_word(bytes: &[u8], at: usize) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match at.checked_sub(1) {
        Some(before) if matches!(bytes[before], b'b' | b'c') => before > 0 && word(bytes[before - 1]),
        Some(before) => word(bytes[before]),
        None => false,
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let content = rest[1 + hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let len = content.find(&close).map_or(content.len(), |at| at + close.len());
    Some(1 + hashes + 1 + len)
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character literal, or of the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        // Behind the escaped character, which may be a quote itself.
        (Some((_, '\\')), Some((at, _))) => {
            rest[at + 1..].find('\'').map_or(rest.len(), |end| at + 1 + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// Whether `name` is named in `code`, as a whole word.
fn names(code: &str, name: &str) -> bool {
    code.split(|character: char| !character.is_alphanumeric() && character != '_').any(|word| word == name)
}

/// The code without `#[cfg(test)] mod name { .. }`, and the names of test modules that are files.
fn without_tests(code: &str) -> (String, Vec<String>) {
    let mut kept = String::new();
    let mut files = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(") {
        let (before, attribute) = rest.split_at(start);
        kept.push_str(before);
        let len = attribute.find(']').map_or(attribute.len(), |end| end + 1);
        let (attribute, behind) = attribute.split_at(len);
        let module = behind.trim_start().strip_prefix("mod ");
        let Some(module) = module.filter(|_| names(attribute, "test") && !attribute.contains("not(test)"))
        else {
            kept.push_str(attribute);
            rest = behind;
            continue;
        };
        let name_len = module.find([' ', ';', '{']).unwrap_or(module.len());
        let (name, body) = module.split_at(name_len);
        match body.trim_start().strip_prefix(';') {
            Some(behind) => {
                files.push(name.to_owned());
                rest = behind;
            }
            None => rest = &body[block(body)..],
        }
    }
    kept.push_str(rest);
    (kept, files)
}

/// The length of `text` up to the end of its first block in braces.
fn block(text: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn lines_of(code: &str) -> usize {
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Every file of the library: its path below `src`, and its code.
fn library() -> Vec<(PathBuf, String)> {
    fn collect(directory: &Path, root: &Path, files: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, root, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let code = code_of(&std::fs::read_to_string(&path).unwrap());
                files.push((path.strip_prefix(root).unwrap().to_path_buf(), code));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort();
    assert!(
        files.iter().any(|(path, _)| path == "lib.rs") && files.len() > 10,
        "these are not all the files"
    );
    files
}

/// The files that break a rule.
fn offenders(breaks: impl Fn(&Path, &str) -> bool) -> Vec<PathBuf> {
    library().into_iter().filter(|(path, code)| breaks(path, code)).map(|(path, _)| path).collect()
}

const NOBODY: [&str; 0] = [];

#[test]
fn atomics_come_from_one_place() {
    // The word alone, so that no way to spell the path escapes: `use std::{sync::{atomic::AtomicU64}}`.
    let named = offenders(|_, code| names(code, "atomic"));
    assert_eq!(named, ["sync.rs"].map(Path::new), "take atomics from `crate::sync`, where loom can stand in");
}

#[test]
fn only_the_typed_layer_knows_rkyv() {
    let named = offenders(|path, code| {
        names(code, "rkyv") && !path.starts_with("typed") && !path.starts_with("error")
    });
    assert_eq!(named, NOBODY.map(Path::new), "only `typed`, and `error` for what it says, may name rkyv");
    assert!(!offenders(|_, code| names(code, "rkyv")).is_empty(), "nobody names it: the search is broken");
}

/// What does something to an atomic.
const OPERATIONS: [&str; 6] = [".load(", ".store(", ".swap(", ".fetch_", ".compare_exchange", ".get_mut("];

#[test]
fn the_layout_only_says_what_is_where() {
    let operates = |code: &str| OPERATIONS.iter().any(|operation| code.contains(operation));
    let named =
        offenders(|path, code| path.starts_with("layout") && (names(code, "unsafe") || operates(code)));
    assert_eq!(named, NOBODY.map(Path::new), "`layout` has no unsafe code and touches no shared word");
    // Others do, which shows that the search finds what it looks for.
    assert!(offenders(|_, code| operates(code)).iter().any(|path| path.starts_with("lane")));
    assert!(offenders(|_, code| names(code, "unsafe")).iter().any(|path| path.starts_with("shm")));
}

#[test]
fn descriptions_are_words_only() {
    let imports = |code: &str| without_tests(code).0.contains("crate::");
    let named =
        offenders(|path, code| path.starts_with("describe") && (names(code, "unsafe") || imports(code)));
    assert_eq!(named, NOBODY.map(Path::new), "`describe` has no unsafe code and imports nothing");
    assert!(offenders(|_, code| imports(code)).iter().any(|path| path.starts_with("queue")));
}

#[test]
fn files_are_short() {
    let files = library();
    let test_files: Vec<PathBuf> = files
        .iter()
        .flat_map(|(path, code)| {
            let directory = match path.file_stem().and_then(|stem| stem.to_str()) {
                Some("lib" | "mod") | None => path.parent().unwrap().to_path_buf(),
                Some(_) => path.with_extension(""),
            };
            let files = without_tests(code).1.into_iter();
            files.flat_map(move |name| {
                [directory.join(&name).with_extension("rs"), directory.join(name).join("mod.rs")]
            })
        })
        .collect();
    let long: Vec<_> = files
        .iter()
        .filter(|(path, _)| !test_files.contains(path))
        .map(|(path, code)| (path.display(), lines_of(&without_tests(code).0)))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("src/{path}: {lines}"))
        .collect();
    assert_eq!(long, NOBODY, "files with more than {MAX_LINES} lines of code");
    assert!(files.iter().all(|(_, code)| lines_of(code) > 0), "a file without code: the count is broken");
}

/// A test program of the standard runner ends after a time, whatever hangs in it (`tests/common/bound.rs`); those with
/// `tests/process` for a runner have its watchdog.
#[test]
fn every_test_program_has_a_bound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for directory in ["tests", "cli/tests"] {
        for entry in std::fs::read_dir(root.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let code = code_of(&std::fs::read_to_string(&path).unwrap());
            let is_bounded = ["bound", "common", "process", "support"]
                .iter()
                .any(|module| code.contains(&format!("mod {module};")));
            assert!(is_bounded, "{} has no bound: add `mod common;`, or `mod bound;` of it", path.display());
        }
    }
}

#[test]
fn planted_offences_are_found() {
    assert!(names(&code_of("use std::sync::atomic::AtomicU64;"), "atomic"));
    assert!(names(&code_of("use core::{cell::Cell, sync::{atomic::{self}}};"), "atomic"));
    assert!(names(&code_of("fn f<'a>(x: &'a u8) { rkyv::access(x) }"), "rkyv"));
    assert!(names(&code_of("let c = '\"'; unsafe { f() } // '\""), "unsafe"));
    assert!(names(&code_of(r"let c = '\''; unsafe { f() }"), "unsafe"));
    assert!(names(&code_of(r"let c = '\u{1f}'; unsafe { f() }"), "unsafe"));
    assert!(names(&code_of("/* a /* nested */ one */ unsafe { f() }"), "unsafe"));
    assert!(names(&code_of(r##"let s = r#"a " b"#; unsafe { f() }"##), "unsafe"));
    assert!(names(&code_of(r#"let s = "a \" b"; unsafe { f() }"#), "unsafe"));
    assert_eq!(lines_of(&code_of(&"let x = 1;\n".repeat(351))), 351);
}

#[test]
fn words_and_tests_are_no_offences() {
    for innocent in [
        "// std::sync::atomic\n",
        "/// `unsafe`\nfn f() {}",
        "/* rkyv /* atomic */ unsafe */",
        r#"let s = "unsafe { atomic } \" rkyv";"#,
        r##"let s = br#"unsafe " rkyv"#;"##,
        r##"let s = r#"atomic"#;"##,
        "let unsafe_code = rkyv_format + atomics;",
        "let c = ['u', 'n', '\"', 's', '\"'];",
    ] {
        let code = code_of(innocent);
        for word in ["unsafe", "atomic", "rkyv"] {
            assert!(!names(&code, word), "{word} in {innocent:?}: {code:?}");
        }
    }
    let source = "fn f() {\n\n    // why\n    g();\n}\n\n#[cfg(all(test, not(loom)))]\nmod tests {\n    fn t() { { } }\n}\n\
                  #[cfg(test)]\nmod more;\n#[cfg(not(test))]\nmod real {\n}\n";
    let (code, files) = without_tests(&code_of(source));
    assert_eq!(lines_of(&code), 6, "{code}");
    assert_eq!(files, ["more"]);
}
