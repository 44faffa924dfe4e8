//! Reads the lines of a description: its structs and enums, and their fields with offsets. The
//! types of fields are read by [`types`](super::types).

use crate::layout::Layout;
use crate::types::Id;

/// The maximum length of a name; longer ones are cut. Names that programmers choose are shorter.
const MAX_NAME: usize = 256;

/// A struct or an enum.
#[derive(Debug)]
pub(super) struct Definition<'d> {
    pub(super) name: &'d str,
    pub(super) shape: Shape<'d>,
    pub(super) layout: Layout,
}

#[derive(Debug)]
pub(super) enum Shape<'d> {
    Struct(Vec<Field<'d>>),
    Enum(Vec<Variant<'d>>),
}

#[derive(Debug)]
pub(super) struct Variant<'d> {
    pub(super) name: &'d str,
    pub(super) tag: u8,
    pub(super) fields: Vec<Field<'d>>,
}

#[derive(Debug)]
pub(super) struct Field<'d> {
    pub(super) name: &'d str,
    /// The type, as the line names it.
    pub(super) text: &'d str,
    /// The type, once it is resolved.
    pub(super) ty: Id,
    pub(super) offset: usize,
}

impl<'d> Shape<'d> {
    /// All fields, of whichever variant.
    pub(super) fn fields_mut(&mut self) -> impl Iterator<Item = &mut Field<'d>> {
        let (fields, variants) = match self {
            Self::Struct(fields) => (fields.as_mut_slice(), Default::default()),
            Self::Enum(variants) => (Default::default(), variants.as_mut_slice()),
        };
        fields.iter_mut().chain(variants.iter_mut().flat_map(|variant| &mut variant.fields))
    }
}

/// The result of reading all lines.
#[derive(Debug)]
pub(super) struct Lines<'d> {
    /// The type of the messages, as the first line names it.
    pub(super) root: &'d str,
    pub(super) layout: Layout,
    pub(super) definitions: Vec<Definition<'d>>,
}

/// Reads a description.
///
/// # Errors
/// Names the line that is not a line of a description.
pub(super) fn read(text: &str) -> Result<Lines<'_>, String> {
    let mut lines = text.lines();
    let root = lines.next().and_then(|line| line.strip_prefix("message "));
    let root = root.ok_or("the description in the file does not begin with the type of the messages")?;
    let mut reader = Reader { definitions: Vec::new(), open: Vec::new(), layout: None };
    for (at, line) in lines.enumerate() {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        reader
            .line(indent / 2, content)
            .filter(|()| indent.is_multiple_of(2))
            .ok_or_else(|| format!("line {} of the description in the file is not understood", at + 2))?;
    }
    match reader {
        Reader { open, layout: Some(layout), definitions } if open.is_empty() => {
            Ok(Lines { root, layout, definitions })
        }
        _ => Err("the description in the file ends too early".into()),
    }
}

/// The part of a name that is shown.
pub(super) fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME)]
}

struct Reader<'d> {
    definitions: Vec<Definition<'d>>,
    /// The open definitions, to which the next lines belong, and the depth of their headings.
    open: Vec<(usize, usize)>,
    /// Size and alignment of the root, which come last.
    layout: Option<Layout>,
}

impl<'d> Reader<'d> {
    /// `None` if the line is not allowed at this place.
    fn line(&mut self, depth: usize, line: &'d str) -> Option<()> {
        if self.layout.is_some() {
            // The root's size is the last line.
            return None;
        }
        // Names of fields are followed by a colon, so none of these lines is a field.
        if let Some(heading) = line.strip_prefix("struct ") {
            self.begin(depth, heading, Shape::Struct(Vec::new()))
        } else if let Some(heading) = line.strip_prefix("enum ") {
            self.begin(depth, heading, Shape::Enum(Vec::new()))
        } else if let Some(variant) = line.strip_prefix("variant ") {
            self.variant(depth, variant)
        } else if let Some(size) = line.strip_prefix("size ") {
            self.end(depth, layout(size)?)
        } else {
            self.field(depth, line)
        }
    }

    fn begin(&mut self, depth: usize, heading: &'d str, shape: Shape<'d>) -> Option<()> {
        let name = match heading.rsplit_once(" version ") {
            Some((name, version)) if version.parse::<u32>().is_ok() => name,
            _ => heading,
        };
        self.open.push((depth, self.definitions.len()));
        self.definitions.push(Definition { name, shape, layout: Layout::EMPTY });
        Some(())
    }

    fn variant(&mut self, depth: usize, line: &'d str) -> Option<()> {
        let (name, tag) = line.split_once(" = ")?;
        // Tags are bytes, signed or unsigned.
        let tag: i16 = tag.parse().ok().filter(|tag| (-128..256).contains(tag))?;
        let Shape::Enum(variants) = self.opened(depth.checked_sub(1)?)? else { return None };
        variants.push(Variant { name: short(name), tag: tag as u8, fields: Vec::new() });
        Some(())
    }

    fn field(&mut self, depth: usize, line: &'d str) -> Option<()> {
        let (name, rest) = line.split_once(": ")?;
        let (text, offset) = rest.rsplit_once(" at offset ")?;
        let field = Field { name: short(name), text, ty: Id::UNKNOWN, offset: offset.parse().ok()? };
        if let Some(Shape::Struct(fields)) = self.opened(depth.checked_sub(1)?) {
            fields.push(field);
            return Some(());
        }
        let Shape::Enum(variants) = self.opened(depth.checked_sub(2)?)? else { return None };
        variants.last_mut()?.fields.push(field);
        Some(())
    }

    fn end(&mut self, depth: usize, layout: Layout) -> Option<()> {
        match self.open.pop() {
            Some((heading, at)) if heading + 1 == depth => self.definitions[at].layout = layout,
            None if depth == 1 => self.layout = Some(layout),
            _ => return None,
        }
        Some(())
    }

    /// The innermost open definition, if its heading is at this depth.
    fn opened(&mut self, depth: usize) -> Option<&mut Shape<'d>> {
        let (heading, at) = *self.open.last()?;
        (heading == depth).then(|| &mut self.definitions[at].shape)
    }
}

/// `8, alignment 4`.
pub(super) fn layout(text: &str) -> Option<Layout> {
    let (size, align) = text.split_once(", alignment ")?;
    Layout::new(size.parse().ok()?, align.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "message Vec<Order>\n  struct Order version 2\n    side: Side at offset 0\n      enum Side\n        \
                         variant Buy = 0\n        variant Limit = -1\n          0: u64 at offset 8\n        size 16, \
                         alignment 8\n    struct: u8 at offset 16\n    size 24, alignment 8\n  size 8, alignment 4\n";

    #[test]
    fn definitions_are_found_where_they_stand() {
        let lines = read(ORDER).unwrap();
        assert_eq!((lines.root, lines.layout), ("Vec<Order>", Layout { size: 8, align: 4 }));
        let [order, side] = &lines.definitions[..] else { panic!("{lines:?}") };
        assert_eq!((order.name, order.layout.size, side.name, side.layout.size), ("Order", 24, "Side", 16));
        let Shape::Struct(fields) = &order.shape else { panic!("{order:?}") };
        let fields: Vec<_> = fields.iter().map(|field| (field.name, field.text, field.offset)).collect();
        assert_eq!(fields, [("side", "Side", 0), ("struct", "u8", 16)]);
        let Shape::Enum(variants) = &side.shape else { panic!("{side:?}") };
        assert_eq!((variants[0].name, variants[0].tag, variants[0].fields.len()), ("Buy", 0, 0));
        assert_eq!((variants[1].tag, variants[1].fields[0].text), (255, "u64"));
    }

    #[test]
    fn what_is_no_description_is_refused_with_its_line() {
        for (from, to, says) in [
            ("message", "letter", "does not begin"),
            ("    side: Side", "   side: Side", "line 3"),
            (" at offset 0", "", "line 3"),
            ("variant Buy = 0", "variant Buy = 256", "line 5"),
            ("        size 16", "      size 16", "line 8"),
            ("        size 16, alignment 8\n", "", "line 8"),
            ("size 24, alignment 8", "size 24, alignment 0", "line 10"),
            ("  size 8, alignment 4\n", "", "ends too early"),
            ("size 8, alignment 4\n", "size 8, alignment 4\n  size 8, alignment 4\n", "line 12"),
        ] {
            let text = ORDER.replacen(from, to, 1);
            assert_ne!(text, ORDER);
            let error = read(&text).unwrap_err();
            assert!(error.contains(says), "{error}\n{text}");
        }
        assert!(read("").is_err());
        assert_eq!(short(&"é".repeat(300)).len(), 256);
    }
}
