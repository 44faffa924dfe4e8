//! Human-readable descriptions of message types.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::open::find;
use super::schema::recorded_text;
use crate::describe::{Difference, Format, Frame, as_text, frame_of, name_in};
use crate::error::{InvalidDescription, OpenError};
use crate::layout::{Geometry, MAX_DESCRIPTION, Preamble};
use crate::queue::Schema;

/// How a queue's messages are archived: as recorded in its file, or as this program's type is
/// archived.
///
/// ```
/// use ringway::schema::Description;
///
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("numbers");
/// // SAFETY: every process that can write this file uses ringway.
/// let queue = unsafe { ringway::spsc::Queue::<(u32, String)>::create(&name)? };
/// let description = Description::recorded(&name)?;
/// assert_eq!(description.text(), "message (u32, String)\n  size 12, alignment 4\n");
/// assert_eq!(description, Description::of::<(u32, String)>());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// use ringway::schema::Description;
/// let (numbers, texts) = (Description::of::<u64>(), Description::of::<String>());
/// assert_eq!((numbers.name(), numbers.size(), numbers.align()), ("u64", 8, 8));
/// assert!(numbers.fingerprint() != texts.fingerprint() && !numbers.is_bytes());
/// assert_eq!((numbers.version(), numbers.format_word()), (0, texts.format_word()));
/// println!("{}: {}", numbers.format(), numbers.difference(&texts).unwrap_or_default());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    name: String,
    version: u64,
    text: Arc<str>,
    format: Format,
    size: u64,
    align: u64,
    fingerprint: [u8; 32],
}

impl Description {
    pub(crate) fn from_schema(schema: &Schema) -> Self {
        Self {
            name: schema.name.clone(),
            version: schema.version.into(),
            text: Arc::clone(&schema.text),
            format: schema.format,
            size: schema.size,
            align: schema.align,
            fingerprint: schema.fingerprint(),
        }
    }

    /// Makes a description of its [text](Self::text) and its [format](Self::format_word), which came
    /// from elsewhere: from another machine, a registry of types.
    ///
    /// Only its frame is checked here: the first line, which names the type, the last, which has its
    /// size, and that all of it is plain text. Programs with the type compare every line when they
    /// open a queue with this description.
    ///
    /// # Errors
    /// [`InvalidDescription`] says what is wrong.
    ///
    /// ```
    /// use ringway::schema::Description;
    ///
    /// let known = Description::of::<(u8, String)>();
    /// let same = Description::parse(known.text(), known.format_word())?;
    /// assert_eq!(same, known);
    /// # Ok::<(), ringway::InvalidDescription>(())
    /// ```
    pub fn parse(text: &str, format_word: u64) -> Result<Self, InvalidDescription> {
        let invalid = |reason: &str| InvalidDescription { reason: reason.into() };
        let format = Format(format_word);
        if !format.is_some() {
            return Err(invalid("the format says that messages are bytes, which have no description"));
        }
        if text.len() as u64 > MAX_DESCRIPTION {
            return Err(invalid("it has more than 1 MiB"));
        }
        as_text(text.as_bytes()).ok_or_else(|| invalid("it is not lines of plain text"))?;
        let Frame { name, version, size, align } = frame_of(text).ok_or_else(|| {
            invalid("it does not begin with `message NAME` and end with the size and alignment of that")
        })?;
        let schema =
            Schema { name: name.to_owned(), version, text: text.into(), size, align, ..Schema::bytes() };
        Ok(Self::from_schema(&Schema { format, ..schema }))
    }

    /// Returns whether it is that of a queue of bytes, which have no type.
    pub fn is_bytes(&self) -> bool {
        !self.format.is_some()
    }

    /// The greatest alignment of anything in a message, in bytes; 1 for bytes. What is not mentioned
    /// in the text, numbers and std's types, needs 16 at most.
    pub(crate) fn archive_alignment(&self) -> usize {
        if self.is_bytes() {
            return 1;
        }
        let mentioned = self.text.split("alignment ").skip(1).map(|rest| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().unwrap_or(1)
        });
        mentioned.fold(16, usize::max)
    }

    /// The schema with which a queue of this description is created and opened.
    pub(in crate::queue) fn schema(&self) -> Schema {
        Schema {
            name: self.name.clone(),
            version: self.version.try_into().unwrap_or(u32::MAX),
            text: Arc::clone(&self.text),
            size: self.size,
            align: self.align,
            is_inline: false,
            is_recursive: false,
            format: self.format,
        }
    }

    /// Reads the description that is recorded in a queue's file. It neither attaches nor maps
    /// anything: it is safe with any file.
    ///
    /// # Errors
    /// [`OpenError`] tells what the file is instead of a queue.
    pub fn recorded(name: impl AsRef<Path>) -> Result<Self, OpenError> {
        let found = find(name.as_ref(), None)?;
        Self::read(&found.checked.path, &found.file, &found.preamble, &found.checked.geometry)
    }

    /// Reads it from a file whose preamble and length have been checked.
    pub(crate) fn read(
        path: &Path,
        file: &File,
        preamble: &Preamble,
        geometry: &Geometry,
    ) -> Result<Self, OpenError> {
        let text = recorded_text(path, file, preamble, geometry)?;
        Ok(Self {
            // The preamble has room for short names only.
            name: name_in(&text).unwrap_or(preamble.schema_name()).to_owned(),
            version: preamble.type_version,
            text: text.into(),
            format: Format(preamble.rkyv_format),
            size: preamble.type_size,
            align: preamble.type_align,
            fingerprint: preamble.fingerprint,
        })
    }

    /// Returns the type's name; `bytes` for a queue of bytes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the version that the type's author gave it; 0 if none.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the whole description, in lines; empty for a queue of bytes.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the settings of rkyv with which messages are archived, in words; `none` for a queue
    /// of bytes.
    pub fn format(&self) -> String {
        self.format.to_string()
    }

    /// Returns the same settings as the word in the queue's header, which `docs/format.md` describes;
    /// 0 for a queue of bytes.
    pub fn format_word(&self) -> u64 {
        self.format.0
    }

    /// Returns the bytes of a message's root, which is all of it if it has no out-of-line data; 0
    /// for a queue of bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the alignment of a message's root; 0 for a queue of bytes.
    pub fn align(&self) -> u64 {
        self.align
    }

    /// Returns the SHA-256 of the text; zeros for a queue of bytes. Types with the same fingerprint
    /// and the same format are the same.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Returns the first difference between this description, of a file, and that of a program's
    /// type, in words; none if the texts are the same.
    pub fn difference(&self, program: &Self) -> Option<String> {
        Difference::between(&self.text, &program.text).map(|difference| difference.to_string())
    }
}

/// The text.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
