//! A source file as tokens: comments and the contents of strings are no code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A file of the library.
pub(crate) struct Source {
    /// Below `src`.
    pub(crate) path: PathBuf,
    pub(crate) code: Code,
}

/// Tokens in their order, groups flattened.
#[derive(Default)]
pub(crate) struct Code {
    /// Identifiers and keywords, punctuation, and brackets; literals are one empty word each.
    words: Vec<String>,
    /// The lines on which a token begins, or a group ends.
    lines: BTreeSet<usize>,
    /// The names of test modules that are files of their own.
    pub(crate) test_files: Vec<String>,
}

impl Code {
    /// The code of this text, with its test modules or without them.
    pub(crate) fn of(text: &str, with_tests: bool) -> Self {
        let tokens = text.parse().unwrap_or_else(|error| panic!("no Rust: {error}\n{text}"));
        let mut code = Self::default();
        code.add(tokens, with_tests);
        code
    }

    fn add(&mut self, tokens: TokenStream, with_tests: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if let Some(len) = documentation(&tokens[at..]) {
                at += len;
                continue;
            }
            if let Some((len, file)) = test_module(&tokens[at..]) {
                self.test_files.extend(file);
                if !with_tests {
                    at += len;
                    continue;
                }
            }
            self.add_one(&tokens[at], with_tests);
            at += 1;
        }
    }

    fn add_one(&mut self, token: &TokenTree, with_tests: bool) {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                self.lines.extend([group.span_open().start().line, group.span_close().end().line]);
                self.words.push(open.into());
                self.add(group.stream(), with_tests);
                self.words.push(close.into());
                return;
            }
            TokenTree::Literal(_) => {
                // The contents of a long string are no code, and a line of code has more than a
                // literal.
                self.words.push(String::new());
                return;
            }
            TokenTree::Ident(ident) => self.words.push(ident.to_string()),
            // `::` is one word.
            TokenTree::Punct(punct) => match self.words.last_mut() {
                Some(last) if last == ":" && punct.as_char() == ':' => last.push(':'),
                _ => self.words.push(punct.as_char().into()),
            },
        }
        self.lines.insert(token.span().start().line);
    }

    /// Whether this identifier or keyword occurs anywhere.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }

    /// Whether one of these methods is called; a name that ends with `*` stands for all that begin
    /// so.
    pub(crate) fn calls(&self, methods: &[&str]) -> bool {
        self.words.windows(3).any(|words| {
            let is = |method: &&str| match method.strip_suffix('*') {
                Some(beginning) => words[1].starts_with(beginning),
                None => words[1] == *method,
            };
            words[0] == "." && words[2] == "(" && methods.iter().any(is)
        })
    }

    /// The first names of the paths that begin with `crate::`.
    pub(crate) fn crate_names(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (at, _) in
            self.words.windows(2).enumerate().filter(|(_, two)| two[0] == "crate" && two[1] == "::")
        {
            match self.words.get(at + 2).map(String::as_str) {
                Some("{") => found.extend(self.group_heads(at + 3)),
                Some(name) => drop(found.insert(name)),
                None => {}
            }
        }
        found
    }

    /// The first name of each part of the group that begins here.
    fn group_heads(&self, from: usize) -> Vec<&str> {
        let (mut heads, mut depth, mut is_head) = (Vec::new(), 1, true);
        for word in &self.words[from..] {
            match word.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                "," if depth == 1 => {
                    is_head = true;
                    continue;
                }
                name if is_head => heads.push(name),
                _ => {}
            }
            is_head = false;
            if depth == 0 {
                break;
            }
        }
        heads
    }

    /// The paths that begin with `crate`, `super` or `self`, from the crate's root on, as the module
    /// of these names has them; those of groups one by one.
    pub(crate) fn paths(&self, module: &[String]) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.words.len() {
            let before = |count| at.checked_sub(count).map_or("", |at| self.words[at].as_str());
            let is_inside = before(1) == "::" || (before(1) == "in" && before(2) == "(");
            let begins = matches!(self.words[at].as_str(), "crate" | "super" | "self") || before(1) == "use";
            if begins && !is_inside && self.words.get(at + 1).is_some_and(|word| word == "::") {
                at = self.add_paths(at, module, &mut found);
            } else {
                at += 1;
            }
        }
        found
    }

    /// Adds the path, or the group of paths, that begins here, below `prefix`; returns where it
    /// ends.
    fn add_paths(&self, mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
        let mut path = prefix.to_vec();
        loop {
            match self.words.get(at).map_or("", String::as_str) {
                "crate" => path.clear(),
                "super" => drop(path.pop()),
                "self" => {}
                "{" => {
                    at += 1;
                    while self.words.get(at).is_some_and(|word| word != "}") {
                        at = self.add_paths(at, &path, found);
                        if self.words.get(at).is_some_and(|word| word == ",") {
                            at += 1;
                        }
                    }
                    return at + 1;
                }
                name => path.push(name.to_owned()),
            }
            at += 1;
            if self.words.get(at).is_none_or(|word| word != "::") {
                break;
            }
            at += 1;
        }
        if self.words.get(at).is_some_and(|word| word == "as") {
            at += 2;
        }
        found.push(path);
        at
    }

    /// Identifiers, keywords and punctuation.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// Lines with code.
    pub(crate) fn lines(&self) -> usize {
        self.lines.len()
    }
}

/// The length of a documentation comment, if the tokens begin with one: an attribute `doc`.
fn documentation(tokens: &[TokenTree]) -> Option<usize> {
    let is =
        |token: Option<&TokenTree>, sign| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == sign);
    if !is(tokens.first(), '#') {
        return None;
    }
    let at = if is(tokens.get(1), '!') { 2 } else { 1 };
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if first_name(&group.stream()).as_deref() == Some("doc") => {
            Some(at + 1)
        }
        _ => None,
    }
}

/// The length of `#[cfg(.. test ..)] mod name { .. }` or `mod name;`, and in the latter case the
/// name.
fn test_module(tokens: &[TokenTree]) -> Option<(usize, Option<String>)> {
    let [TokenTree::Punct(sign), TokenTree::Group(attribute), rest @ ..] = tokens else { return None };
    if sign.as_char() != '#' || sign.spacing() != Spacing::Alone {
        return None;
    }
    let mut words = Code::default();
    words.add(attribute.stream(), true);
    let is_negated = words.words.windows(3).any(|words| words[0] == "not" && words[2] == "test");
    if words.words.first().map(String::as_str) != Some("cfg") || !words.names("test") || is_negated {
        return None;
    }
    match rest {
        [TokenTree::Ident(word), TokenTree::Ident(name), end, ..] if word == "mod" => {
            let is_file = matches!(end, TokenTree::Punct(_));
            Some((5, is_file.then(|| name.to_string())))
        }
        _ => None,
    }
}

fn first_name(tokens: &TokenStream) -> Option<String> {
    match tokens.clone().into_iter().next() {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

/// Every file of the library, with its test modules or without them. Read once.
pub(crate) fn library(with_tests: bool) -> &'static [Source] {
    static READ: [OnceLock<Vec<Source>>; 2] = [const { OnceLock::new() }; 2];
    READ[usize::from(with_tests)].get_or_init(|| read(with_tests))
}

fn read(with_tests: bool) -> Vec<Source> {
    fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let source = |path: &PathBuf| Source {
        path: path.strip_prefix(&root).unwrap().to_path_buf(),
        code: Code::of(&std::fs::read_to_string(path).unwrap(), with_tests),
    };
    let sources: Vec<_> = files.iter().map(source).collect();
    assert!(
        sources.iter().any(|source| source.path == Path::new("lib.rs")) && sources.len() > 10,
        "these are not all files"
    );
    sources
}

/// The files of test modules, below `src`: a file, or all of a folder.
pub(crate) fn test_files(sources: &[Source]) -> Vec<PathBuf> {
    let files = sources.iter().flat_map(|Source { path, code }| {
        let directory = match path.file_stem().and_then(|stem| stem.to_str()) {
            Some("lib" | "mod") | None => path.parent().unwrap().to_path_buf(),
            Some(_) => path.with_extension(""),
        };
        let files = code.test_files.iter();
        files.flat_map(move |name| [directory.join(name).with_extension("rs"), directory.join(name)])
    });
    files.collect()
}
