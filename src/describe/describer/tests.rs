//! Descriptions of types that contain themselves, have the same name, or try to break out of a line.

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
