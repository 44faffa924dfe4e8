//! How types of the same name differ.

use std::error::Error;
use std::fmt;

/// How a queue's messages differ from those of this program, whose type has the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaMismatch {
    /// Their descriptions differ.
    Shape {
        /// The place of the first difference, if both types have it.
        at: Option<String>,
        /// What the file has there.
        found: String,
        /// What this program has there.
        expected: String,
        /// Fields and variants of the type around it that only the file has, by name, and those
        /// that only this program has.
        only: Box<[Vec<String>; 2]>,
    },
    /// Their author gave them different versions (`#[ringway(version = ..)]`).
    Version {
        /// The type.
        name: String,
        /// The file's version; 0 if it has none.
        found: u64,
        /// The version of this program; 0 if it has none.
        expected: u64,
    },
}

impl fmt::Display for SchemaMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { at, found, expected, only } => {
                let [only_found, only_expected] = &**only;
                if let Some(at) = at {
                    write!(f, "{at}: ")?;
                }
                write!(
                    f,
                    "the file has {found}, this program has {expected}{}{}; all programs must use the same type, or the queue be \
                     created anew",
                    Only("the file", only_found),
                    Only("this program", only_expected)
                )
            }
            Self::Version { name, found, expected } => write!(
                f,
                "the file has {} of `{name}`, this program has {}; build all programs with the same version of the type, \
                 or create the queue anew",
                version(*found),
                version(*expected)
            ),
        }
    }
}

/// The fields and variants that only one side has.
struct Only<'a>(&'a str, &'a [String]);

impl fmt::Display for Only<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(side, parts) = self;
        match parts {
            [] => Ok(()),
            parts => write!(f, "; only {side} has {}", parts.join(", ")),
        }
    }
}

fn version(number: u64) -> String {
    if number == 0 { "no version".into() } else { format!("version {number}") }
}

impl Error for SchemaMismatch {}

/// A text that is not the description of a message type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDescription {
    /// What is wrong with it, in words.
    pub reason: Box<str>,
}

impl fmt::Display for InvalidDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this is no description of a message type: {}; take its text and its format from the file of a queue with \
             that type (`Description::text`, `format_word`)",
            self.reason
        )
    }
}

impl Error for InvalidDescription {}
