//! The types of the standard library: their names in `src/typed/structures` of the library, and
//! their layouts in rkyv's plain format. The tests compare the layouts with the compiler's.

use crate::layout::Layout;
use crate::types::{Address, Choice, Id, Kind, Order, Reader, Table, Zero};

/// The type `name<arguments>`, if it is one of these.
pub(super) fn known(types: &Reader<'_>, name: &str, arguments: &[Id]) -> Option<(Kind, Option<Layout>)> {
    match arguments {
        [] => plain(name),
        [of] => container(types, name, *of),
        [first, second] => pair(types, name, *first, *second),
        _ => None,
    }
}

/// Numbers and characters: `u32`, `f64_be`, `NonZeroU16`, `OptionNonZeroI8`.
pub(super) fn number(text: &str) -> Option<(Kind, Option<Layout>)> {
    let (name, zero) = match text.strip_prefix("OptionNonZero") {
        Some(name) => (name, Zero::None),
        None => match text.strip_prefix("NonZero") {
            Some(name) => (name, Zero::Impossible),
            None => (text, Zero::Number),
        },
    };
    let (name, order, is_aligned) = match name.split_once('_') {
        None => (name, Order::Little, true),
        Some((name, "be")) => (name, Order::Big, true),
        Some((name, "ule")) => (name, Order::Little, false),
        Some((name, "ube")) => (name, Order::Big, false),
        Some(_) => return None,
    };
    let (kind, size) = match (name, zero) {
        ("char", Zero::Number) => (Kind::Char(order), 4),
        ("f32", Zero::Number) => (Kind::Float(order), 4),
        ("f64", Zero::Number) => (Kind::Float(order), 8),
        _ => {
            let letters = if zero == Zero::Number { ['u', 'i'] } else { ['U', 'I'] };
            let size = match name.strip_prefix(letters)? {
                "8" => 1,
                "16" => 2,
                "32" => 4,
                "64" => 8,
                "128" => 16,
                _ => return None,
            };
            (Kind::Integer { signed: name.starts_with(letters[1]), order, zero }, size)
        }
    };
    Some((kind, Layout::new(size, if is_aligned { size } else { 1 })))
}

fn plain(name: &str) -> Option<(Kind, Option<Layout>)> {
    let (kind, size, align) = match name {
        "PhantomData" | "PhantomPinned" => (Kind::Empty, 0, 1),
        "RangeFull" => (Kind::Range { start: None, sign: "..", end: None }, 0, 1),
        "bool" => (Kind::Bool, 1, 1),
        "Duration" => (Kind::Duration, 16, 8),
        "Ipv4Addr" => (Kind::Address(Address::Ipv4), 4, 1),
        "Ipv6Addr" => (Kind::Address(Address::Ipv6), 16, 1),
        "IpAddr" => (Kind::Address(Address::Ip), 17, 1),
        "SocketAddrV4" => (Kind::Address(Address::SocketV4), 6, 2),
        "SocketAddrV6" => (Kind::Address(Address::SocketV6), 28, 4),
        "SocketAddr" => (Kind::Address(Address::Socket), 32, 4),
        "String" => (Kind::String, 8, 4),
        "CString" => (Kind::CString, 8, 4),
        "str" => return Some((Kind::Str, None)),
        "CStr" => return Some((Kind::CStr, None)),
        _ => return None,
    };
    Some((kind, Layout::new(size, align)))
}

fn container(types: &Reader<'_>, name: &str, of: Id) -> Option<(Kind, Option<Layout>)> {
    let layout = types.layout(of);
    let range = |start, sign, end| {
        let (fields, layout) = types.fields(&[of, of][..usize::from(start) + usize::from(end)])?;
        let kind = Kind::Range {
            start: fields.first().copied().filter(|_| start),
            sign,
            end: fields.last().copied().filter(|_| end),
        };
        Some((kind, Some(layout)))
    };
    let pointer = |may_be_none| Some((Kind::Pointer { to: of, may_be_none }, Some(types.pointer(of)?)));
    match name {
        "Vec" => Some((Kind::Vec(of), Some(Layout::words(2)))),
        "Box" | "Rc" => pointer(false),
        "Weak" | "OptionBox" => pointer(true),
        "Option" => choice(types, Choice::Option, &[None, Some(of)]),
        "Bound" => choice(types, Choice::Bound, &[Some(of), Some(of), None]),
        "Range" => range(true, "..", true),
        "RangeInclusive" => range(true, "..=", true),
        "RangeFrom" => range(true, "..", false),
        "RangeTo" => range(false, "..", true),
        "RangeToInclusive" => range(false, "..=", true),
        "HashSet" => Some((Kind::Map(Table::Hash, of, None), Some(Layout::words(3)))),
        "IndexSet" => Some((Kind::Map(Table::Index, of, None), Some(Layout::words(4)))),
        "BTreeSet" => Some((Kind::Map(Table::BTree, of, None), Some(Layout::words(2)))),
        "OptionBool" | "OptionNiche" | "OptionNaN" | "OptionNull" | "OptionZero" => {
            Some((Kind::Niche(of), Some(layout?)))
        }
        _ => None,
    }
}

fn pair(types: &Reader<'_>, name: &str, first: Id, second: Id) -> Option<(Kind, Option<Layout>)> {
    let map = |table, words| Some((Kind::Map(table, first, Some(second)), Some(Layout::words(words))));
    match name {
        "Result" => choice(types, Choice::Result, &[Some(first), Some(second)]),
        "HashMap" => map(Table::Hash, 3),
        "IndexMap" => map(Table::Index, 4),
        "BTreeMap" => map(Table::BTree, 2),
        "Entry" => {
            let (fields, layout) = types.fields(&[first, second])?;
            Some((Kind::Entry(fields.try_into().ok()?), Some(layout)))
        }
        _ => None,
    }
}

fn choice(types: &Reader<'_>, choice: Choice, of: &[Option<Id>]) -> Option<(Kind, Option<Layout>)> {
    let mut layouts = Vec::with_capacity(of.len());
    for id in of {
        layouts.push(match id {
            Some(id) => Some(types.layout(*id)?),
            None => None,
        });
    }
    let (offsets, layout) = Layout::choice(&layouts)?;
    let fields = of.iter().zip(offsets).map(|(id, offset)| id.map(|id| (offset, id))).collect();
    Some((Kind::Choice(choice, fields), Some(layout)))
}
