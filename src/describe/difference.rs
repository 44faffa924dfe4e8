//! Finds the field in which two descriptions differ.

use std::fmt;

/// The maximum number of characters shown of a line: a corrupt file could hold one of a megabyte.
const MAX_SHOWN: usize = 200;

/// The first difference of two descriptions, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// What differs, if both have it.
    pub(crate) at: Option<String>,
    pub(crate) found: String,
    pub(crate) expected: String,
    /// Fields and variants of the current type that only the file has ...
    pub(crate) only_found: Vec<String>,
    /// ... and those that only this program has.
    pub(crate) only_expected: Vec<String>,
}

/// The fields and variants of the type that is defined under this name.
fn parts<'t>(description: &'t str, name: &str) -> Vec<Line<'t>> {
    let mut lines = description.lines();
    let is_it = |line: &&str| matches!(Line::of(line), Line::Type { name: found, .. } if found == name);
    let Some(start) = lines.find(is_it) else { return Vec::new() };
    let indent = indent_of(start);
    lines
        .take_while(|line| indent_of(line) > indent)
        .filter(|line| indent_of(line) == indent + 2)
        .map(Line::of)
        .filter(|line| matches!(line, Line::Field { .. } | Line::Variant { .. }))
        .collect()
}

/// The names that are in `these` and not in `those`. A file could hold thousands.
fn only(these: &[Line<'_>], those: &[Line<'_>]) -> Vec<String> {
    const MOST: usize = 8;
    let others: Vec<_> = those.iter().filter_map(Line::subject).collect();
    these.iter().filter_map(Line::subject).filter(|subject| !others.contains(subject)).take(MOST).collect()
}

impl Difference {
    /// Finds the first difference between a file's description and the one that this program
    /// expects; `None` if there is none.
    pub(crate) fn between(found: &str, expected: &str) -> Option<Self> {
        let (mut theirs, mut ours) = (found.lines(), expected.lines());
        // The structs and enums around the current lines, outermost first. Both sides have the same
        // ones, because their lines come first.
        let mut around: Vec<(usize, &str)> = Vec::new();
        loop {
            let pair = (theirs.next(), ours.next());
            match pair {
                (None, None) => return None,
                (Some(one), Some(two)) if one == two => {
                    let indent = indent_of(one);
                    around.retain(|(outer, _)| *outer < indent);
                    if let Line::Type { name, .. } = Line::of(one) {
                        around.push((indent, name));
                    }
                }
                (one, two) => {
                    let mut difference = Self::of(one, two, &around);
                    let indent = one.or(two).map_or(0, indent_of);
                    if let Some((_, name)) = around.iter().rev().find(|(outer, _)| *outer < indent) {
                        let (theirs, ours) = (parts(found, name), parts(expected, name));
                        difference.only_found = only(&theirs, &ours);
                        difference.only_expected = only(&ours, &theirs);
                    }
                    return Some(difference);
                }
            }
        }
    }

    fn of(found: Option<&str>, expected: Option<&str>, around: &[(usize, &str)]) -> Self {
        let inside = |line: &str| {
            let indent = indent_of(line);
            around.iter().rev().find(|(outer, _)| *outer < indent).map(|(_, name)| *name)
        };
        let (theirs, ours) = (found.map(Line::of), expected.map(Line::of));
        if let (Some((one, their_line)), Some((two, our_line))) = (theirs.zip(found), ours.zip(expected)) {
            let same_place = inside(their_line) == inside(our_line);
            if one.subject().is_some() && one.subject() == two.subject() && same_place {
                return Self {
                    at: one.subject().map(|subject| subject + &within(inside(their_line))),
                    found: shown(one.value()),
                    expected: shown(two.value()),
                    only_found: Vec::new(),
                    only_expected: Vec::new(),
                };
            }
        }
        let whole = |line: Option<Line<'_>>, text: Option<&str>| match line.zip(text) {
            None => String::from("nothing more"),
            Some((line, text)) => shown(&(line.whole() + &within(inside(text)))),
        };
        let (found, expected) = (whole(theirs, found), whole(ours, expected));
        Self { at: None, found, expected, only_found: Vec::new(), only_expected: Vec::new() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "the file has {}, this program has {}", self.found, self.expected)
    }
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn within(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| format!(" of `{}`", shown(name)))
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A parsed line of a description. A line that is none of the known ones is `Other`.
#[derive(Clone, Copy)]
enum Line<'t> {
    Message { name: &'t str },
    Type { what: &'t str, name: &'t str, version: &'t str },
    Field { name: &'t str, ty: &'t str },
    Variant { name: &'t str, discriminant: &'t str },
    End { size: &'t str },
    Other { text: &'t str },
}

impl<'t> Line<'t> {
    fn of(line: &'t str) -> Self {
        let text = line.trim_start_matches(' ');
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        match first {
            "message" => Self::Message { name: rest },
            "struct" | "enum" => {
                let (name, version) = match rest.find(" version ") {
                    Some(end) => (&rest[..end], &rest[end + 1..]),
                    None => (rest, "no version"),
                };
                Self::Type { what: first, name, version }
            }
            "variant" => {
                let (name, discriminant) = rest.split_once(" = ").unwrap_or((rest, ""));
                Self::Variant { name, discriminant }
            }
            "size" => Self::End { size: rest },
            _ => match first.strip_suffix(':') {
                Some(name) => Self::Field { name, ty: rest },
                None => Self::Other { text },
            },
        }
    }

    /// The subject of the line. Lines with the same subject differ in their values.
    fn subject(&self) -> Option<String> {
        Some(match self {
            Self::Message { .. } => String::from("the message"),
            Self::Type { what, name, .. } => format!("{what} `{}`", shown(name)),
            Self::Field { name, .. } => format!("field `{}`", shown(name)),
            Self::Variant { name, .. } => format!("variant `{}`", shown(name)),
            Self::End { .. } => String::from("the size"),
            Self::Other { .. } => return None,
        })
    }

    fn value(&self) -> &'t str {
        match self {
            Self::Message { name } => name,
            Self::Type { version, .. } => version,
            Self::Field { ty, .. } => ty,
            Self::Variant { discriminant, .. } => discriminant,
            Self::End { size } => size,
            Self::Other { text } => text,
        }
    }

    /// The line as text, for when the other side has another one.
    fn whole(&self) -> String {
        match self {
            Self::Message { name } => format!("messages `{name}`"),
            Self::Type { what, name, .. } => format!("{what} `{name}`"),
            Self::Field { name, ty } => format!("field `{name}` ({ty})"),
            Self::Variant { name, discriminant } => format!("variant `{name}` = {discriminant}"),
            Self::End { size } => format!("the end (size {size})"),
            Self::Other { text } => format!("{text:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "message Order\n  struct Order\n    price: u64 at offset 0\n    side: Side at offset 8\n      enum \
                        Side\n        variant Buy = 0\n        variant Sell = 1\n        size 1, alignment 1\n    size 16, alignment 8\n  size 16, alignment 8\n";

    #[track_caller]
    fn differs(from: &str, to: &str, expected: &str) {
        let other = BASE.replacen(from, to, 1);
        assert_ne!(other, BASE);
        assert_eq!(Difference::between(BASE, &other).unwrap().to_string(), expected);
        assert!(Difference::between(&other, BASE).is_some());
    }

    #[test]
    fn the_first_field_that_differs_is_named() {
        assert_eq!(Difference::between(BASE, BASE), None);
        differs(
            "price: u64 at offset 0",
            "price: i64 at offset 0",
            "field `price` of `Order`: the file has u64 at offset 0, this program has i64 at offset 0",
        );
        differs(
            "price: u64",
            "cost: u64",
            "the file has field `price` (u64 at offset 0) of `Order`, this program has field `cost` (u64 at offset 0) of \
             `Order`",
        );
        differs(
            "variant Sell = 1",
            "variant Sell = 2",
            "variant `Sell` of `Side`: the file has 1, this program has 2",
        );
        differs(
            "        variant Sell = 1\n",
            "",
            "the file has variant `Sell` = 1 of `Side`, this program has the end (size 1, alignment 1) of `Side`",
        );
        differs(
            "    size 16",
            "    size 24",
            "the size of `Order`: the file has 16, alignment 8, this program has 24, alignment 8",
        );
        differs(
            "struct Order",
            "struct Order version 2",
            "struct `Order`: the file has no version, this program has version 2",
        );
        differs(
            "    size 16",
            "    note: u8 at offset 9\n    size 16",
            "the file has the end (size 16, alignment 8) of `Order`, this program has field `note` (u8 at offset 9) of \
             `Order`",
        );
        differs(
            "enum Side",
            "struct Side",
            "the file has enum `Side` of `Order`, this program has struct `Side` of `Order`",
        );
        differs(
            "  size 16, alignment 8\n  size 16, alignment 8\n",
            "  size 16, alignment 8\n",
            "the file has the end (size 16, alignment 8), this program has nothing more",
        );
    }

    /// Lines that resemble those of a description.
    fn lines() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("message"),
            Just("struct"),
            Just("enum"),
            Just("variant"),
            Just("size"),
            Just(" version "),
            Just(" = "),
            Just(": "),
            Just(" "),
            Just("\u{e9}"),
            Just("Order"),
            Just("u64 at offset 8"),
        ];
        let line = (0..6_usize, prop::collection::vec(word, 0..6))
            .prop_map(|(depth, words)| format!("{}{}\n", "  ".repeat(depth), words.concat()));
        prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn texts_differ_or_are_the_same(one in lines(), two in lines()) {
            prop_assert_eq!(Difference::between(&one, &one), None);
            let difference = Difference::between(&one, &two);
            prop_assert_eq!(difference.is_none(), one == two);
            if let Some(difference) = difference {
                let other = Difference::between(&two, &one).expect("the same the other way round");
                prop_assert_eq!((&difference.found, &difference.at), (&other.expected, &other.at));
            }
        }
    }

    #[test]
    fn any_text_at_all_has_a_difference_or_none() {
        let long = "x".repeat(1 << 20);
        let many = "struct a\n".repeat(100_000);
        for odd in ["", "\n", "   \n", ":\n", "struct\n", "variant\n", "message\n", " : : \n", &long, &many] {
            let difference = Difference::between(odd, BASE).unwrap();
            assert!(difference.to_string().len() < 4 * MAX_SHOWN, "{difference}");
            assert_eq!(Difference::between(odd, odd), None);
        }
    }
}
