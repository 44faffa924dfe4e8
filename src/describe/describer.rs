//! Writes the description of a type.
//!
//! ```text
//! message Vec<Order>
//!   struct Order version 2
//!     price: u64 at offset 0
//!     side: Side at offset 8
//!       enum Side
//!         variant Buy = 0
//!         variant Limit = 1
//!           0: u64 at offset 8
//!         size 16, alignment 8
//!     size 24, alignment 8
//!   size 8, alignment 4
//! ```
//!
//! Each struct and enum is described once, below the line that first mentions it, so that types may
//! contain themselves, and so that the first line in which two descriptions differ is the cause of
//! the difference: sizes come last.

mod fields;
#[cfg(test)]
mod tests;

use std::any::TypeId;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

pub use fields::{Fields, Variants};

use super::is_plain;

/// The description of an archived type.
///
/// `#[derive(ringway::Message)]` on a message type implements it for that type's archive, and the
/// library implements it for the archives of std's types. It is safe to implement, and a wrong
/// description endangers no memory: it only lets programs with different types share a queue, as
/// far as validation allows.
///
/// A manual implementation is needed only for other archived types: call [`inline`](Describer::inline) or
/// [`out_of_line`](Describer::out_of_line) once, with a name that changes whenever the archive does.
///
/// ```
/// use ringway::schema::{Describer, Structure};
///
/// /// Hundredths, archived as they are.
/// #[repr(transparent)]
/// struct Cents([u8; 8]);
///
/// impl Structure for Cents {
///     fn describe(describer: &mut Describer) {
///         describer.inline::<Self>("Cents");
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "ringway does not know what `{Self}` looks like in an archive",
    note = "add `#[derive(ringway::Message)]` to the type whose archive it is",
    note = "a field of a foreign type can be marked `#[ringway(opaque = \"name\")]`"
)]
pub trait Structure {
    /// The version that the type's author gave it with `#[ringway(version = ..)]`; otherwise 0.
    const VERSION: u32 = 0;

    /// Describes the type.
    fn describe(describer: &mut Describer);
}

/// A function that writes the mention of a type.
type Mention = fn(&mut Describer);

/// Collects the descriptions that [`Structure`]s write.
///
/// ```
/// use ringway::schema::{Describer, Structure};
///
/// #[repr(transparent)]
/// struct Cents([u8; 8]);
///
/// impl Structure for Cents {
///     fn describe(describer: &mut Describer) {
///         describer.inline::<Self>("Cents");
///     }
/// }
///
/// /// A pointer to bytes elsewhere in the message.
/// struct Name(u64);
///
/// impl Structure for Name {
///     fn describe(describer: &mut Describer) {
///         describer.out_of_line::<Self>("Name");
///     }
/// }
/// ```
#[derive(Default)]
pub struct Describer {
    text: String,
    depth: usize,
    /// The mentions of types in the current line.
    line: String,
    /// Whether the next struct or enum is to be described, instead of mentioned.
    defining: bool,
    /// Types that the current line mentions and that were not described before: their descriptions
    /// follow below it.
    owed: Vec<fn(&mut Describer)>,
    /// Names as they are mentioned. Numbers distinguish different types of the same name.
    names: HashMap<(TypeId, String), String>,
    namesakes: HashMap<String, u32>,
    out_of_line: bool,
    /// The type that is being described.
    owner: Option<String>,
    /// Which described type mentions which.
    mentions: Vec<(String, String)>,
    has_unknown_parts: bool,
}

impl Describer {
    /// Describes a type without named parts whose archive is its own bytes only: no `String`, `Vec`
    /// or `Box` in it.
    ///
    /// The name must identify the archive completely; size and alignment are added. Control characters in
    /// it are replaced.
    pub fn inline<T>(&mut self, name: &str) {
        self.mention_opaque::<T>(name);
    }

    /// Describes a type without named parts whose archive may refer to bytes elsewhere in the message.
    ///
    /// In all else like [`inline`](Self::inline).
    pub fn out_of_line<T>(&mut self, name: &str) {
        self.out_of_line = true;
        self.has_unknown_parts = true;
        self.mention_opaque::<T>(name);
    }

    fn mention_opaque<T>(&mut self, name: &str) {
        self.put_name(name);
        let _ = write!(self.line, " (size {}, alignment {})", size_of::<T>(), align_of::<T>());
    }

    /// Writes a name that a user chose. Characters that would make the description unreadable are replaced.
    fn put_name(&mut self, name: &str) {
        self.line.extend(name.chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' }));
    }

    /// Writes a well-known type.
    pub(crate) fn known(&mut self, name: &str) {
        self.line.push_str(name);
    }

    /// Writes a well-known type that refers to bytes elsewhere.
    pub(crate) fn pointer(&mut self, name: &str, arguments: &[Mention]) {
        self.out_of_line = true;
        self.generic(name, arguments);
    }

    /// Writes a well-known type that is fully described by its arguments.
    pub(crate) fn generic(&mut self, name: &str, arguments: &[Mention]) {
        self.put_name(name);
        if !arguments.is_empty() {
            self.list(["<", ">"], arguments);
        }
    }

    pub(crate) fn list(&mut self, brackets: [&str; 2], arguments: &[Mention]) {
        self.line.push_str(brackets[0]);
        for (i, argument) in arguments.iter().enumerate() {
            if i > 0 {
                self.line.push_str(", ");
            }
            argument(self);
        }
        self.line.push_str(brackets[1]);
    }

    /// Writes the mention of `T`, without describing it.
    #[doc(hidden)]
    pub fn mention<T: Structure + ?Sized>(&mut self) {
        let defining = std::mem::replace(&mut self.defining, false);
        T::describe(self);
        self.defining = defining;
    }

    /// Writes the value of a constant parameter.
    #[doc(hidden)]
    pub fn constant(&mut self, value: impl std::fmt::Display) {
        let _ = write!(self.line, "{value}");
    }

    /// Describes a struct. `I` distinguishes types that have the same name and the same arguments.
    #[doc(hidden)]
    pub fn structure<T: Structure, I: 'static>(
        &mut self,
        name: &str,
        arguments: &[Mention],
        fields: impl FnOnce(&mut Fields<'_>),
    ) {
        self.named::<T, I>("struct", name, arguments, |describer| {
            fields(&mut Fields::of_struct(describer));
        });
    }

    /// Describes an enum with a tag of one byte.
    #[doc(hidden)]
    pub fn enumeration<T: Structure, I: 'static>(
        &mut self,
        name: &str,
        arguments: &[Mention],
        variants: impl FnOnce(&mut Variants<'_>),
    ) {
        self.named::<T, I>("enum", name, arguments, |describer| variants(&mut Variants::new(describer)));
    }

    fn named<T: Structure, I: 'static>(
        &mut self,
        what: &str,
        name: &str,
        arguments: &[Mention],
        body: impl FnOnce(&mut Self),
    ) {
        let defining = std::mem::replace(&mut self.defining, false);
        let outer = std::mem::take(&mut self.line);
        self.generic(name, arguments);
        let name = std::mem::replace(&mut self.line, outer);
        let key = (TypeId::of::<I>(), name);
        if !defining {
            self.mention_named(key, T::describe);
            return;
        }
        let own_name = self.names[&key].clone();
        let mut heading = format!("{what} {own_name}");
        if T::VERSION != 0 {
            let _ = write!(heading, " version {}", T::VERSION);
        }
        self.put(&heading);
        let outer = self.owner.replace(own_name);
        self.indented(|describer| {
            body(describer);
            describer.put_size::<T>();
        });
        self.owner = outer;
    }

    fn mention_named(&mut self, key: (TypeId, String), define: fn(&mut Self)) {
        if let Some(name) = self.names.get(&key) {
            self.line.push_str(name);
            self.mentions.extend(self.owner.clone().map(|owner| (owner, name.clone())));
            return;
        }
        let namesakes = self.namesakes.entry(key.1.clone()).or_default();
        *namesakes += 1;
        let name = if *namesakes == 1 { key.1.clone() } else { format!("{}#{namesakes}", key.1) };
        self.line.push_str(&name);
        self.mentions.extend(self.owner.clone().map(|owner| (owner, name.clone())));
        self.names.insert(key, name);
        self.owed.push(define);
    }

    /// Writes a line with the mention of `T` in it, and below it describes the mentioned types that
    /// were not described before.
    fn put_mention(&mut self, before: &str, mention: impl FnOnce(&mut Self), after: &str) {
        mention(self);
        let mentioned = std::mem::take(&mut self.line);
        self.put(&format!("{before}{mentioned}{after}"));
        for define in std::mem::take(&mut self.owed) {
            self.defining = true;
            self.indented(define);
            self.defining = false;
        }
    }

    fn put_size<T>(&mut self) {
        self.put(&format!("size {}, alignment {}", size_of::<T>(), align_of::<T>()));
    }

    fn put(&mut self, line: &str) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn indented(&mut self, write: impl FnOnce(&mut Self)) {
        self.depth += 1;
        write(self);
        self.depth -= 1;
    }
}

/// The description of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Whether an archive is its root and nothing else.
    pub(crate) is_inline: bool,
    /// Whether values may be nested to any depth: the type contains itself, or a type without a description.
    pub(crate) is_recursive: bool,
}

/// Describes `T`.
pub(crate) fn describe<T: Structure>() -> Described {
    let mut describer = Describer::default();
    describer.mention::<T>();
    let name = std::mem::take(&mut describer.line);
    // The same name again: the types that it mentions are already noted.
    describer.put_mention("message ", |describer| describer.line.push_str(&name), "");
    describer.indented(Describer::put_size::<T>);
    let Describer { text, out_of_line, has_unknown_parts, mentions, .. } = describer;
    let is_recursive = has_unknown_parts || has_cycle(mentions);
    Described { name, text, is_inline: !out_of_line, is_recursive }
}

/// Whether the mentions of some type lead back to it: repeatedly removes the types that mention no
/// remaining type.
fn has_cycle(mut mentions: Vec<(String, String)>) -> bool {
    loop {
        let before = mentions.len();
        let owners: HashSet<String> = mentions.iter().map(|(owner, _)| owner.clone()).collect();
        mentions.retain(|(_, mentioned)| owners.contains(mentioned));
        if mentions.len() == before {
            return before > 0;
        }
    }
}
