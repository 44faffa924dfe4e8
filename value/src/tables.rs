//! Decodes maps and sets.

use crate::decode::{Decoder, Failure};
use crate::layout::Layout;
use crate::types::{Id, Kind, Table};
use crate::value::{Part, Value};

/// Entries per node of a B-tree.
const NODE: usize = 5;
/// B-trees of this many levels have more entries than a length can express.
const HIGHEST: usize = 16;
/// Bytes from the table of an index map to the pointer to its entries.
const ENTRIES: usize = 12;

const NO_SIZE: Failure = "the size of its entries is not known";

/// The entries that were collected; sets have no values.
struct Entries<'d> {
    items: Vec<(Value<'d>, Option<Value<'d>>)>,
    /// As many as the table says that it has.
    len: usize,
}

impl<'d> Entries<'d> {
    fn push(&mut self, key: Value<'d>, value: Option<Value<'d>>) -> Result<(), Failure> {
        if self.items.len() >= self.len {
            return Err("it has more entries than it says");
        }
        self.items.push((key, value));
        Ok(())
    }
}

/// The types of an entry's parts, and their offsets.
#[derive(Clone, Copy)]
struct Entry {
    key: Id,
    value: Option<(usize, Id)>,
    layout: Layout,
}

impl<'d> Decoder<'_, 'd> {
    /// Decodes a map, or a set, which has no values.
    pub(super) fn map(
        &mut self,
        table: Table,
        key: Id,
        value: Option<Id>,
        at: usize,
        depth: usize,
    ) -> Result<Value<'d>, Failure> {
        let len = self.word(at + 4)? as usize;
        let mut entries = Entries { items: self.room_for(len)?, len };
        if len > 0 {
            match table {
                Table::Hash => self.hash_table(self.entry(key, value)?, at, depth, &mut entries)?,
                Table::Index => self.index_table(self.entry(key, value)?, at, depth, &mut entries)?,
                Table::BTree => {
                    let node = Node::new(self.entry_layouts(key, value)?).ok_or(NO_SIZE)?;
                    let root = self.target(at)?;
                    self.b_tree((key, value), &node, (root, 0), depth, &mut entries)?;
                }
            }
        }
        // Fewer entries than the table claims: some were left out, or the table is wrong.
        let entries = entries.items;
        let more = (len - entries.len()) as u64;
        if more > 0 && !self.is_spent() {
            return Err("it has fewer entries than it says");
        }
        Ok(match value {
            None => Value::List(Part { items: entries.into_iter().map(|(key, _)| key).collect(), more }),
            Some(_) => {
                let items = entries.into_iter().map(|(key, value)| (key, value.unwrap_or(Value::Unit)));
                Value::Map { entries: Part { items: items.collect(), more }, has_names: self.is_text(key) }
            }
        })
    }

    fn is_text(&self, ty: Id) -> bool {
        match self.types.node(ty).kind {
            Kind::String => true,
            Kind::Pointer { to, .. } => matches!(self.types.node(to).kind, Kind::Str),
            _ => false,
        }
    }

    fn entry_layouts(&self, key: Id, value: Option<Id>) -> Result<[Layout; 2], Failure> {
        let layout = |id| self.types.node(id).layout.ok_or(NO_SIZE);
        Ok([layout(key)?, value.map_or(Ok(Layout::EMPTY), layout)?])
    }

    fn entry(&self, key: Id, value: Option<Id>) -> Result<Entry, Failure> {
        let (offsets, layout) = Layout::fields(0, &self.entry_layouts(key, value)?).ok_or(NO_SIZE)?;
        Ok(Entry { key, value: value.map(|id| (offsets[1], id)), layout })
    }

    fn push(
        &mut self,
        entry: Entry,
        at: usize,
        depth: usize,
        entries: &mut Entries<'d>,
    ) -> Result<(), Failure> {
        let key = self.value(entry.key, at, depth + 2);
        let value = entry.value.map(|(offset, id)| self.value(id, at.saturating_add(offset), depth + 2));
        entries.push(key, value)
    }

    /// Decodes a hash table: a pointer to control bytes, the number of entries, and the number of
    /// buckets. Entries are before the control bytes, in reverse order; those that are in use have
    /// a control byte below 0x80.
    fn hash_table(
        &mut self,
        entry: Entry,
        at: usize,
        depth: usize,
        entries: &mut Entries<'d>,
    ) -> Result<(), Failure> {
        let room = self.word(at + 8)? as usize;
        let controls_at = self.target(at)?;
        let controls = self.bytes(controls_at, room)?;
        let below = entry.layout.size.checked_mul(room).and_then(|size| controls_at.checked_sub(size));
        below.ok_or("it reaches beyond the message")?;
        for (i, control) in controls.iter().enumerate() {
            if self.is_spent() {
                break;
            }
            match control & 0x80 {
                0 => self.push(entry, controls_at - (i + 1) * entry.layout.size, depth, entries)?,
                // Counts against the limit: a table may have holes only.
                _ => {
                    self.spend(1);
                }
            }
        }
        Ok(())
    }

    /// Decodes an index map: a hash table, which serves to find keys, and a pointer to the entries
    /// in their order.
    fn index_table(
        &mut self,
        entry: Entry,
        at: usize,
        depth: usize,
        entries: &mut Entries<'d>,
    ) -> Result<(), Failure> {
        let len = self.word(at + 4)? as usize;
        let start = self.target(at + ENTRIES)?;
        self.bytes(start, len.checked_mul(entry.layout.size).ok_or(NO_SIZE)?)?;
        for i in 0..len {
            if self.is_spent() {
                break;
            }
            self.push(entry, start + i * entry.layout.size, depth, entries)?;
        }
        Ok(())
    }

    /// Decodes a node and its subtrees, in order.
    fn b_tree(
        &mut self,
        (key, value): (Id, Option<Id>),
        node: &Node,
        (at, height): (usize, usize),
        depth: usize,
        entries: &mut Entries<'d>,
    ) -> Result<(), Failure> {
        if height > HIGHEST {
            return Err("its nodes stand in a circle");
        }
        let is_leaf = match self.bytes(at, node.size)?[0] {
            0 => true,
            1 => false,
            _ => return Err("it has a node of no known kind"),
        };
        let count = if is_leaf { self.word(at + node.size)? as usize } else { NODE };
        if count > NODE {
            return Err("it has a node with more entries than a node has");
        }
        // The height counts as well, so that nested trees are no deeper than other values.
        let depth_of_values = depth + height + 2;
        for i in 0..=count {
            if !is_leaf && !self.is_spent() {
                // The last pointer comes after those of the entries.
                if let Some(child) = self.follow(at + node.size + 4 * i)? {
                    self.b_tree((key, value), node, (child, height + 1), depth, entries)?;
                }
            }
            if i < count && !self.is_spent() {
                let shown = self.value(key, at + node.keys + i * node.key_size, depth_of_values);
                let place = at + node.values + i * node.value_size;
                let value = value.map(|id| self.value(id, place, depth_of_values));
                entries.push(shown, value)?;
            }
        }
        Ok(())
    }
}

/// The layout of a B-tree's node: its kind, keys, values; after these, a leaf's length or the
/// pointers to the children.
struct Node {
    keys: usize,
    key_size: usize,
    values: usize,
    value_size: usize,
    /// The offset of the length or of the pointers.
    size: usize,
}

impl Node {
    fn new([key, value]: [Layout; 2]) -> Option<Self> {
        let (offsets, node) = Layout::fields(1, &[key.array(NODE)?, value.array(NODE)?])?;
        let size = node.size.checked_next_multiple_of(4)?;
        Some(Self { keys: offsets[0], key_size: key.size, values: offsets[1], value_size: value.size, size })
    }
}
