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

use std::any::TypeId;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

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
            fields(&mut Fields { describer, end: None })
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
        self.named::<T, I>("enum", name, arguments, |describer| variants(&mut Variants { describer }));
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

/// Collects the fields of a struct, or of a variant of an enum.
#[doc(hidden)]
pub struct Fields<'d> {
    describer: &'d mut Describer,
    /// The offset at which the next field of a variant could begin.
    end: Option<usize>,
}

impl Fields<'_> {
    /// Adds a field of a struct.
    pub fn field<T, F: Structure>(&mut self, name: &str, offset: usize, _: impl Fn(&T) -> &F) {
        self.put(name, offset, Describer::mention::<F>);
    }

    /// Adds a field of a struct whose type does not describe itself.
    pub fn opaque<T, F>(
        &mut self,
        name: &str,
        offset: usize,
        ty: &str,
        is_inline: bool,
        _: impl Fn(&T) -> &F,
    ) {
        self.put(name, offset, |describer| match is_inline {
            true => describer.inline::<F>(ty),
            false => describer.out_of_line::<F>(ty),
        });
    }

    /// Adds the next field of a variant.
    pub fn next<T, F: Structure>(&mut self, name: &str, _: impl Fn(&T) -> &F) {
        let offset = self.place::<F>();
        self.put(name, offset, Describer::mention::<F>);
    }

    /// Adds the next field of a variant, whose type does not describe itself.
    pub fn next_opaque<T, F>(&mut self, name: &str, ty: &str, is_inline: bool, access: impl Fn(&T) -> &F) {
        let offset = self.place::<F>();
        self.opaque(name, offset, ty, is_inline, access);
    }

    /// The offset of the next field. A variant of an enum with `repr(u8)` has the layout of a
    /// `repr(C)` struct whose first field is the tag (Rust reference, "Primitive representation of
    /// enums with fields").
    fn place<F>(&mut self) -> usize {
        let offset = self.end.unwrap_or(0).next_multiple_of(align_of::<F>());
        self.end = Some(offset + size_of::<F>());
        offset
    }

    fn put(&mut self, name: &str, offset: usize, mention: impl FnOnce(&mut Describer)) {
        self.describer.put_mention(&format!("{name}: "), mention, &format!(" at offset {offset}"));
    }
}

/// Collects the variants of an enum.
#[doc(hidden)]
pub struct Variants<'d> {
    describer: &'d mut Describer,
}

impl Variants<'_> {
    /// Adds a variant. Its fields follow a tag of one byte.
    pub fn variant(&mut self, name: &str, discriminant: i16, fields: impl FnOnce(&mut Fields<'_>)) {
        self.describer.put(&format!("variant {name} = {discriminant}"));
        self.describer.indented(|describer| fields(&mut Fields { describer, end: Some(1) }));
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

#[cfg(test)]
mod tests {
    use super::*;

    // Replacements for the types that `typed/structures` describes, with their size and alignment.
    macro_rules! known {
        ($($name:ident = $ty:ty;)*) => {$(
            #[allow(dead_code)]
            struct $name($ty);

            impl Structure for $name {
                fn describe(describer: &mut Describer) {
                    describer.known(stringify!($name));
                }
            }
        )*};
    }
    known!(One = u8; Four = u32; Eight = u64;);

    struct List<T>(#[allow(dead_code)] [u32; 2], std::marker::PhantomData<T>);

    impl<T: Structure> Structure for List<T> {
        fn describe(describer: &mut Describer) {
            describer.pointer("List", &[Describer::mention::<T>]);
        }
    }

    #[repr(C)]
    struct Node {
        value: Eight,
        kind: Kind,
        children: List<Node>,
    }

    impl Structure for Node {
        const VERSION: u32 = 3;
        fn describe(describer: &mut Describer) {
            struct Identity;
            describer.structure::<Self, Identity>("Node", &[], |fields| {
                fields.field("value", std::mem::offset_of!(Self, value), |it: &Self| &it.value);
                fields.field("kind", std::mem::offset_of!(Self, kind), |it: &Self| &it.kind);
                fields.field("children", std::mem::offset_of!(Self, children), |it: &Self| &it.children);
            });
        }
    }

    #[repr(u8)]
    #[allow(dead_code)]
    enum Kind {
        Leaf = 7,
        Branch(One, Four),
    }

    impl Structure for Kind {
        fn describe(describer: &mut Describer) {
            struct Identity;
            describer.enumeration::<Self, Identity>("Kind", &[], |variants| {
                variants.variant("Leaf", 7, |_| {});
                variants.variant("Branch", 8, |fields| {
                    fields.next("0", |it: &Self| match it {
                        Self::Branch(a, _) => a,
                        Self::Leaf => unreachable!(),
                    });
                    fields.next("1", |it: &Self| match it {
                        Self::Branch(_, b) => b,
                        Self::Leaf => unreachable!(),
                    });
                });
            });
        }
    }

    #[test]
    fn a_type_that_contains_itself() {
        let described = describe::<List<Node>>();
        assert_eq!(described.name, "List<Node>");
        assert!(!described.is_inline);
        assert_eq!(
            described.text,
            "message List<Node>\n  struct Node version 3\n    value: Eight at offset 0\n    kind: Kind at offset 8\n      \
             enum Kind\n        variant Leaf = 7\n        variant Branch = 8\n          0: One at offset 1\n          1: \
             Four at offset 4\n        size 8, alignment 4\n    children: List<Node> at offset 16\n    size 24, \
             alignment 8\n  size 8, alignment 4\n"
        );
        assert!(described.is_recursive);
        assert!(describe::<Kind>().is_inline && !describe::<Kind>().is_recursive);
    }

    /// Two types of the same name.
    struct Twins;

    impl Structure for Twins {
        fn describe(describer: &mut Describer) {
            struct Here;
            struct There;
            fn twin<T: Structure, I: 'static>(describer: &mut Describer) {
                describer.structure::<T, I>("Twin", &[], |_| {});
            }
            struct First;
            struct Second;
            impl Structure for First {
                fn describe(describer: &mut Describer) {
                    twin::<Self, Here>(describer);
                }
            }
            impl Structure for Second {
                fn describe(describer: &mut Describer) {
                    twin::<Self, There>(describer);
                }
            }
            describer.list(
                ["(", ")"],
                &[Describer::mention::<First>, Describer::mention::<Second>, Describer::mention::<First>],
            );
        }
    }

    #[test]
    fn namesakes_are_told_apart() {
        let text = describe::<Twins>().text;
        assert!(text.starts_with("message (Twin, Twin#2, Twin)\n  struct Twin\n"), "{text}");
        assert_eq!(text.matches("struct Twin#2\n").count(), 1, "{text}");
        assert_eq!(text.matches("struct Twin\n").count(), 1, "{text}");
    }

    #[test]
    fn a_type_that_leads_back_to_itself() {
        let cycle = |mentions: &[(&str, &str)]| {
            has_cycle(mentions.iter().map(|(owner, of)| ((*owner).into(), (*of).into())).collect())
        };
        assert!(!cycle(&[]));
        assert!(!cycle(&[("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")]));
        assert!(cycle(&[("a", "a")]));
        assert!(cycle(&[("root", "a"), ("root", "b"), ("a", "b"), ("b", "a"), ("a", "leaf")]));
    }

    /// Names are printed to terminals.
    struct Rude;

    impl Structure for Rude {
        fn describe(describer: &mut Describer) {
            describer.out_of_line::<u64>("\x1b[2J\n\u{202e}");
        }
    }

    #[test]
    fn no_name_breaks_out_of_its_line() {
        let described = describe::<Rude>();
        assert!(described.text.starts_with("message \u{fffd}[2J\u{fffd}\u{fffd} (size 8, alignment 8)\n"));
        assert!(!described.is_inline && crate::describe::as_text(described.text.as_bytes()).is_some());
    }
}
