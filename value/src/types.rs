//! Parses the types in a description's lines: `Vec<(u8, Order)>`.
//!
//! A name that the description defines means that definition, whatever else it could mean. A type
//! that cannot be parsed is a type of unknown size: that is reported when a value of it is to be
//! shown.

use std::collections::HashMap;

use crate::description::{Definition, Lines, layout, read, short};
use crate::layout::{Layout, WORD};
use crate::std_types::{known, number};

/// The maximum depth of types within types.
const MAX_DEPTH: usize = 64;

/// The text after the name of a type that does not describe itself.
const SIZE: &str = " (size ";

/// A type, by its index in [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(usize);

impl Id {
    /// A type that could not be parsed.
    pub(super) const UNKNOWN: Self = Self(0);
}

#[derive(Debug)]
pub(super) struct Node<'d> {
    /// The name in the description.
    pub(super) name: &'d str,
    pub(super) kind: Kind,
    /// `None`: unknown, or of no fixed size.
    pub(super) layout: Option<Layout>,
}

/// The parts of a type's archive. Sizes are those of the layout; offsets are stored with the
/// fields.
#[derive(Debug)]
pub(super) enum Kind {
    /// No bytes, one value.
    Empty,
    Bool,
    Char(Order),
    Float(Order),
    Integer {
        signed: bool,
        order: Order,
        zero: Zero,
    },
    Duration,
    Address(Address),
    String,
    CString,
    /// The target of a pointer.
    Str,
    CStr,
    Slice(Id),
    Vec(Id),
    Array(Id, usize),
    Tuple(Vec<(usize, Id)>),
    /// A key and a value.
    Entry([(usize, Id); 2]),
    /// A tag, and what follows it: some variants have a value.
    Choice(Choice, Vec<Option<(usize, Id)>>),
    Range {
        start: Option<(usize, Id)>,
        sign: &'static str,
        end: Option<(usize, Id)>,
    },
    /// A relative pointer. One that may be null marks that by pointing to its second byte.
    Pointer {
        to: Id,
        may_be_none: bool,
    },
    /// `None` is a value that the type does not have otherwise.
    Niche(Id),
    /// Sets have no values.
    Map(Table, Id, Option<Id>),
    /// A struct or enum, by its index among the definitions.
    Defined(usize),
    /// A type that does not describe itself.
    Opaque,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// The meaning of zero in an integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zero {
    Number,
    Impossible,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Ip,
    Ipv4,
    Ipv6,
    Socket,
    SocketV4,
    SocketV6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Option,
    Result,
    Bound,
}

/// The layout of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Hash,
    Index,
    BTree,
}

/// All types of a description.
#[derive(Debug)]
pub(super) struct Types<'d> {
    pub(super) root: Id,
    pub(super) layout: Layout,
    pub(super) definitions: Vec<Definition<'d>>,
    nodes: Vec<Node<'d>>,
}

impl<'d> Types<'d> {
    /// Resolves a description.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn new(text: &'d str) -> Result<Self, String> {
        let Lines { root, layout, mut definitions } = read(text)?;
        let mut reader = Reader::new(&definitions)?;
        let root = reader.add(root, 0);
        for definition in &mut definitions {
            for field in definition.shape.fields_mut() {
                field.ty = reader.add(field.text, 0);
                let size = reader.layout(field.ty).map_or(0, |layout| layout.size);
                if field.offset.checked_add(size).is_none_or(|end| end > definition.layout.size) {
                    let (field, name) = (field.name, short(definition.name));
                    return Err(format!(
                        "by the description in the file, `{field}` does not fit into `{name}`"
                    ));
                }
            }
        }
        let types = Self { root, layout, definitions, nodes: reader.nodes };
        match types.node(root).layout {
            Some(known) if known != layout => Err(format!(
                "by the description in the file, `{}` has {} bytes, where {} are known",
                short(types.node(root).name),
                layout.size,
                known.size
            )),
            _ => Ok(types),
        }
    }

    /// The greatest alignment of any value.
    pub(super) fn max_align(&self) -> usize {
        let known = self.nodes.iter().filter_map(|node| node.layout);
        known.map(|layout| layout.align).fold(self.layout.align, usize::max)
    }

    pub(super) fn node(&self, id: Id) -> &Node<'d> {
        &self.nodes[id.0]
    }
}

/// Collects types, each once.
pub(super) struct Reader<'d> {
    nodes: Vec<Node<'d>>,
    /// By name.
    found: HashMap<&'d str, Id>,
}

impl<'d> Reader<'d> {
    /// Knows what is defined.
    fn new(definitions: &[Definition<'d>]) -> Result<Self, String> {
        let unknown = Node { name: "", kind: Kind::Unknown, layout: None };
        let mut reader = Self { nodes: vec![unknown], found: HashMap::new() };
        for (at, definition) in definitions.iter().enumerate() {
            let id = reader.push(definition.name, Kind::Defined(at), Some(definition.layout));
            if reader.found.insert(definition.name, id).is_some() {
                let name = short(definition.name);
                return Err(format!("the description in the file has `{name}` twice"));
            }
        }
        Ok(reader)
    }

    fn push(&mut self, name: &'d str, kind: Kind, layout: Option<Layout>) -> Id {
        self.nodes.push(Node { name: short(name), kind, layout });
        Id(self.nodes.len() - 1)
    }

    pub(super) fn layout(&self, id: Id) -> Option<Layout> {
        self.nodes[id.0].layout
    }

    pub(super) fn kind(&self, id: Id) -> &Kind {
        &self.nodes[id.0].kind
    }

    pub(super) fn add(&mut self, text: &'d str, depth: usize) -> Id {
        if let Some(id) = self.found.get(text) {
            return *id;
        }
        let found = if depth < MAX_DEPTH { self.understand(text, depth + 1) } else { None };
        let (kind, layout) = found.unwrap_or((Kind::Unknown, None));
        let name = match kind {
            Kind::Opaque => text.rsplit_once(SIZE).map_or(text, |(name, _)| name),
            _ => text,
        };
        let id = self.push(name, kind, layout);
        self.found.insert(text, id);
        id
    }

    fn understand(&mut self, text: &'d str, depth: usize) -> Option<(Kind, Option<Layout>)> {
        if let Some(layout) = opaque(text) {
            return Some((Kind::Opaque, Some(layout)));
        }
        if text == "()" {
            return Some((Kind::Empty, Some(Layout::EMPTY)));
        }
        if let Some(inner) = within(text, '(', ')') {
            let fields = self.add_all(inner, depth)?;
            let (fields, layout) = self.fields(&fields)?;
            return Some((Kind::Tuple(fields), Some(layout)));
        }
        if let Some(inner) = within(text, '[', ']') {
            return match split(inner, "; ")?[..] {
                [element] => Some((Kind::Slice(self.add(element, depth)), None)),
                [element, count] => {
                    let (element, count) = (self.add(element, depth), count.parse().ok()?);
                    Some((Kind::Array(element, count), Some(self.layout(element)?.array(count)?)))
                }
                _ => None,
            };
        }
        if let Some((name, inner)) = text.strip_suffix('>').and_then(|text| text.split_once('<')) {
            let arguments = self.add_all(inner, depth)?;
            return known(self, name, &arguments);
        }
        number(text).or_else(|| known(self, text, &[]))
    }

    fn add_all(&mut self, inner: &'d str, depth: usize) -> Option<Vec<Id>> {
        Some(split(inner, ", ")?.into_iter().map(|text| self.add(text, depth)).collect())
    }

    /// The offsets of fields that follow one another.
    pub(super) fn fields(&self, ids: &[Id]) -> Option<(Vec<(usize, Id)>, Layout)> {
        let layouts = ids.iter().map(|id| self.layout(*id)).collect::<Option<Vec<_>>>()?;
        let (offsets, layout) = Layout::fields(0, &layouts)?;
        Some((offsets.into_iter().zip(ids.iter().copied()).collect(), layout))
    }

    /// The word after a pointer: the length of a target that has no size of its own.
    pub(super) fn pointer(&self, to: Id) -> Option<Layout> {
        match self.kind(to) {
            Kind::Str | Kind::CStr | Kind::Slice(_) => Some(Layout::words(2)),
            _ => self.layout(to).map(|_| WORD),
        }
    }
}

/// The layout of a type that does not describe itself, `Uuid (size 16, alignment 1)`. Its name is
/// arbitrary.
fn opaque(text: &str) -> Option<Layout> {
    layout(text.rsplit_once(SIZE)?.1.strip_suffix(')')?)
}

fn within(text: &str, open: char, close: char) -> Option<&str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

/// Splits at the separators outside of all brackets. `None` if the brackets do not match.
fn split<'d>(text: &'d str, separator: &str) -> Option<Vec<&'d str>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'<' => depth += 1,
            b')' | b']' | b'>' => depth = depth.checked_sub(1)?,
            _ if depth == 0 && at >= start && text.as_bytes()[at..].starts_with(separator.as_bytes()) => {
                parts.push(&text[start..at]);
                start = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (depth == 0).then_some(parts)
}
