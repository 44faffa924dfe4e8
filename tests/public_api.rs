//! What users of the library see, as a list in the repository: a change of it is seen in review. And
//! every function that a user calls has an example.
//!
//! The list is made from the sources, so that it needs no nightly compiler and no network.
//! `RINGWAY_RENEW=1 cargo test -p ringway --test public_api` writes it anew.

use ringway_bound as _;

mod public_api {
    mod expand;
    pub(crate) mod listing;
    pub(crate) mod tree;
}

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use public_api::listing::{Listing, list};
use public_api::tree::Tree;

const RENEW: &str = "RINGWAY_RENEW=1 cargo test -p ringway --test public_api";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn listing() -> &'static Listing {
    static LISTING: OnceLock<Listing> = OnceLock::new();
    LISTING.get_or_init(|| list(&Tree::read(&directory())))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn changes_of_the_public_api_are_seen() {
    let path = directory().join("docs/public-api.txt");
    let lines = &listing().lines;
    if std::env::var_os("RINGWAY_RENEW").is_some() {
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        std::fs::write(&path, text).unwrap();
    }
    let recorded: BTreeSet<_> = read(&path).lines().map(str::to_owned).collect();
    let gone: Vec<_> = recorded.difference(lines).map(|line| format!("- {line}")).collect();
    let new: Vec<_> = lines.difference(&recorded).map(|line| format!("+ {line}")).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "the public API is not that of docs/public-api.txt:\n{}\n{}\nIf that is intended, renew the list with\n  {RENEW}\nand \
         say in CHANGELOG.md what users have to change.",
        gone.join("\n"),
        new.join("\n"),
    );
}

#[test]
fn what_a_user_calls_has_an_example() {
    let path = directory().join("tests/public_api/without_example.txt");
    let calls = listing().calls.iter();
    let bare: BTreeSet<_> = calls.filter(|(_, has)| !**has).map(|(name, _)| name.clone()).collect();
    let text = read(&path);
    let excused: BTreeSet<_> =
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let new: Vec<_> = bare.difference(&excused).collect();
    assert!(new.is_empty(), "these are public, and have no example; write one: {new:#?}");
    let done: Vec<_> = excused.difference(&bare).collect();
    assert!(
        done.is_empty(),
        "these have an example now, or are gone; take them off {}: {done:#?}",
        path.display()
    );
}

/// The list is worth nothing if it misses what macros write, what is re-exported, or what is generic.
#[test]
fn the_list_has_what_users_see() {
    let Listing { lines, calls, .. } = listing();
    for part in [
        "pub type ringway::mpmc::checksummed::Queue<T> = crate::kind::Queue<T, Checksummed<Mpmc>>",
        "pub struct ringway::kind::Queue<T, K: Kind = Spsc>",
        "pub enum ringway::Framing",
        "ringway::Framing::Fixed(usize)",
        "ringway::SendError::TooLarge::max: usize",
        "pub fn ringway::OpenOptions::guard_truncation(self, guard: bool) -> Self [impl OpenOptions]",
        "pub fn ringway::CreateOptions::guard_truncation(self, guard: bool) -> Self [impl CreateOptions]",
        "pub fn ringway::unlink(name: impl AsRef<Path>) -> Result<(), UnlinkError>",
    ] {
        assert!(lines.contains(part), "missing: {part}");
    }
    assert!(!lines.iter().any(|line| line.contains("start_position")), "it is hidden");
    assert!(calls["ringway::SendError::is_full"]);
}

/// An example of a type counts for what it calls, and for nothing else.
#[test]
fn what_an_example_of_a_type_calls_has_an_example() {
    let item: syn::ItemStruct = syn::parse_str(
        "/// Not `.a()`.\n/// ```\n/// let x = T::new(1).b(2)?;\n/// x.c::<u8>(); x.d; f()\n/// ```\n/// .e()\nstruct T;",
    )
    .unwrap();
    let called: Vec<_> = public_api::listing::called_in_examples(&item.attrs).into_iter().collect();
    assert_eq!(called, ["b", "c", "new"]);
}
