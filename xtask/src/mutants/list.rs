//! The list of mutants, and what each does to a source file.

use std::collections::HashSet;
use std::path::Path;

use toml::de::{DeTable, DeValue};

/// One mistake.
#[derive(Debug)]
pub(super) struct Mutant {
    pub(super) name: String,
    /// From the root of the workspace.
    pub(super) file: String,
    find: String,
    replace: String,
}

/// The list.
///
/// # Errors
/// If it is no list of mutants, or two have the same name.
pub(super) fn parse(text: &str) -> Result<Vec<Mutant>, String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string())?;
    let Some(DeValue::Array(entries)) = table.get_ref().get("mutant").map(|value| value.get_ref()) else {
        return Err("it has no [[mutant]]".into());
    };
    let mutants = entries.iter().map(|entry| mutant(entry.get_ref())).collect::<Result<Vec<_>, _>>()?;
    let mut names = HashSet::new();
    match mutants.iter().find(|mutant| !names.insert(&mutant.name)) {
        Some(again) => Err(format!("two mutants are called {}", again.name)),
        None => Ok(mutants),
    }
}

fn mutant(entry: &DeValue<'_>) -> Result<Mutant, String> {
    let text = |key: &str| match entry.get(key).map(|value| value.get_ref()) {
        Some(DeValue::String(text)) => Ok(text.to_string()),
        _ => Err(format!("an entry has no text `{key}`: {entry:?}")),
    };
    let mutant =
        Mutant { name: text("name")?, file: text("file")?, find: text("find")?, replace: text("replace")? };
    if mutant.find.trim().is_empty() {
        return Err(format!("{} finds nothing", mutant.name));
    }
    Ok(mutant)
}

impl Mutant {
    /// Whether the sources below this folder have what it would change.
    ///
    /// # Errors
    /// If they do not have it.
    pub(super) fn in_sources(&self, root: &Path) -> Result<(), String> {
        self.made_in(&root.join(&self.file)).map(|_| ())
    }

    /// Makes the mistake in the sources below this folder.
    ///
    /// # Errors
    /// If they do not have what it changes.
    pub(super) fn apply(&self, root: &Path) -> Result<(), String> {
        let path = root.join(&self.file);
        let changed = self.made_in(&path)?;
        std::fs::write(&path, changed).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn made_in(&self, path: &Path) -> Result<String, String> {
        let source = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let changed = replaced(&source, &self.find, &self.replace);
        changed.ok_or_else(|| format!("{}: {} does not contain: {}", self.name, self.file, self.find))
    }

    /// The models that must notice it.
    pub(super) fn models(&self) -> &'static str {
        match &*self.file {
            "src/lane/mpmc.rs" | "src/lane/live_frames.rs" => "order_ring::loom_tests",
            file if file.starts_with("src/order_ring/broadcast/") => "order_ring::broadcast::loom_tests",
            file if file.starts_with("src/order_ring/") => "order_ring::loom_tests",
            "src/layout/waiters.rs" => "park::loom_tests",
            file if file.starts_with("src/park/") || file.starts_with("src/wait/") => "park::loom_tests",
            _ => "loom_tests",
        }
    }
}

/// The source with every occurrence replaced; none if there is no occurrence. White space in the
/// searched text stands for any white space, and after an opening parenthesis there may be more:
/// formatting does not matter.
fn replaced(source: &str, find: &str, replace: &str) -> Option<String> {
    let words: Vec<&str> = find.split_whitespace().collect();
    let mut changed = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < source.len() {
        match source.is_char_boundary(at).then(|| matched(&source[at..], &words)).flatten() {
            Some(len) => {
                changed += &source[copied..at];
                changed += replace;
                at += len;
                copied = at;
            }
            None => at += 1,
        }
    }
    (copied > 0).then(|| changed + &source[copied..])
}

/// The length of the occurrence that `text` begins with.
fn matched(text: &str, words: &[&str]) -> Option<usize> {
    let mut rest = text;
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            let trimmed = rest.trim_start();
            if trimmed.len() == rest.len() {
                return None;
            }
            rest = trimmed;
        }
        for part in word.split_inclusive('(') {
            rest = rest.strip_prefix(part)?;
            if part.ends_with('(') && word.len() > part.len() {
                rest = rest.trim_start();
            }
        }
    }
    Some(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::root;

    #[test]
    fn formatting_does_not_matter_and_all_occurrences_change() {
        let source = "a.load(\n    Ordering::Acquire);\nb();\na.load(Ordering::Acquire);";
        let changed = replaced(source, "load(Ordering::Acquire);", "load(Relaxed);").unwrap();
        assert_eq!(changed, "a.load(Relaxed);\nb();\na.load(Relaxed);");
        assert_eq!(replaced("if a {\n  b(c)", "if a { b(c)", "x").unwrap(), "x");
        assert_eq!(replaced("ifa {", "if a {", "x"), None);
        assert_eq!(replaced("ä f(1) ü", "f(1)", "").unwrap(), "ä  ü");
    }

    /// A filter that names no module would run no model, and every mistake would pass it.
    #[test]
    fn the_models_of_every_mutant_exist() {
        for mutant in crate::mutants::all().unwrap() {
            let module = root().join("src").join(mutant.models().replace("::", "/"));
            let is_there = mutant.models() == "loom_tests"
                || module.with_extension("rs").exists()
                || module.join("mod.rs").exists();
            assert!(is_there, "{}: no module {}", mutant.name, mutant.models());
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let entry =
            |name: &str| format!("[[mutant]]\nname = '{name}'\nfile = 'f'\nfind = 'x'\nreplace = ''\n");
        assert_eq!(parse(&(entry("a") + &entry("b"))).unwrap().len(), 2);
        assert!(parse(&(entry("a") + &entry("a"))).unwrap_err().contains("two mutants are called a"));
        assert!(parse("[[mutant]]\nname = 'a'\n").unwrap_err().contains("`file`"));
        assert!(parse("").unwrap_err().contains("no [[mutant]]"));
        assert!(parse(&entry("a").replace("'x'", "' '")).unwrap_err().contains("finds nothing"));
    }
}
