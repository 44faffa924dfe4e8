//! Links of the documents lead to files and headings that exist.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders without documents of our own.
const SKIPPED: [&str; 3] = ["target", ".git", "seeds"];

fn documents(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !SKIPPED.contains(&name.as_str()) {
            documents(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The lines outside of fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    })
}

/// Targets of inline links: the text between `](` and `)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// Whether the target is a file or a heading of this repository, rather than a page elsewhere or an
/// item of the API.
fn is_local(target: &str) -> bool {
    !target.contains("://") && !target.contains("::") && !target.starts_with("mailto:")
}

/// The fragment by which a heading is linked to.
fn fragment(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

fn has_heading(document: &Path, wanted: &str) -> bool {
    let text = fs::read_to_string(document).unwrap();
    prose(&text).any(|(_, line)| line.starts_with('#') && fragment(line) == wanted)
}

fn leads_somewhere(document: &Path, target: &str) -> bool {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { document.to_path_buf() } else { document.parent().unwrap().join(path) };
    file.exists()
        && (heading.is_empty() || file.extension().is_none_or(|e| e != "md") || has_heading(&file, heading))
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut files = Vec::new();
    documents(Path::new(env!("CARGO_MANIFEST_DIR")), &mut files);
    let mut checked = 0;
    let mut broken = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for (number, line) in prose(&text) {
            for target in links(line).filter(|target| is_local(target)) {
                checked += 1;
                if !leads_somewhere(file, target) {
                    broken.push(format!("{}:{number}: {target}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere:\n{}", broken.join("\n"));
    assert!(
        files.len() > 10 && checked > 50,
        "{} documents, {checked} links: the search is broken",
        files.len()
    );
}

#[test]
fn broken_links_are_found() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    assert!(leads_somewhere(&readme, "docs/guide/README.md"));
    assert!(leads_somewhere(&readme, "#licence"));
    assert!(!leads_somewhere(&readme, "docs/no-such-document.md"));
    assert!(!leads_somewhere(&readme, "README.md#no-such-heading"));
    assert_eq!(links("see [a](b.md) and [c](d.md#e)").collect::<Vec<_>>(), ["b.md", "d.md#e"]);
    assert_eq!(fragment("## The `ringway` command"), "the-ringway-command");
}
