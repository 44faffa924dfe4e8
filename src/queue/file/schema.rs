//! The type of a queue's messages, as recorded in its file. Words and numbers: only the typed layer
//! knows rkyv.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::left::waiting;
use crate::describe::{Difference, Format, as_text, sha256};
use crate::error::{OpenError, SchemaMismatch};
use crate::layout::{Framing, Geometry, NAME_LEN, Preamble};
use crate::shm;

/// The identity of a message type.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    /// Name of the type, without modules.
    pub(crate) name: String,
    /// The version that the type's author gave it; 0 for none.
    pub(crate) version: u32,
    /// The description; empty for bytes.
    pub(crate) text: Arc<str>,
    /// Size of the archived type; 0 for bytes.
    pub(crate) size: u64,
    /// Alignment of the archived type; 0 for bytes.
    pub(crate) align: u64,
    /// Whether an archive is its root and nothing else.
    pub(crate) is_inline: bool,
    /// Whether values may be nested to any depth.
    pub(crate) is_recursive: bool,
    /// The rkyv format in force; none for bytes.
    pub(crate) format: Format,
}

impl Schema {
    /// The schema of messages without a type.
    pub(crate) fn bytes() -> Self {
        Self {
            name: String::from("bytes"),
            version: 0,
            text: "".into(),
            size: 0,
            align: 0,
            is_inline: false,
            is_recursive: false,
            format: Format::NONE,
        }
    }

    /// Identifies the description; all zeros if there is none.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.text)
    }

    pub(crate) fn record(&self, preamble: &mut Preamble) {
        preamble.set_name(&self.name);
        preamble.type_version = self.version.into();
        preamble.type_size = self.size;
        preamble.type_align = self.align;
        preamble.rkyv_format = self.format.0;
        preamble.fingerprint = self.fingerprint();
    }

    /// Compares with what is recorded in a file.
    pub(crate) fn check(
        &self,
        path: &Path,
        file: &File,
        preamble: &Preamble,
        geometry: &Geometry,
    ) -> Result<(), OpenError> {
        let found = Format(preamble.rkyv_format);
        // Other settings change sizes and names as well: then they are the cause of the mismatch.
        // Bytes have no settings.
        if found.is_some() && self.format.is_some() {
            self.check_format(path, found)?;
        }
        self.check_name(path, preamble)?;
        self.check_format(path, found)?;
        let text = recorded_text(path, file, preamble, geometry)?;
        self.check_version(path, file, preamble, geometry)?;
        if let Some(difference) = Difference::between(&text, &self.text) {
            return Err(wrong_schema(path, file, geometry, shape(difference)));
        }
        if (self.size, self.align) != (preamble.type_size, preamble.type_align) {
            return Err(self.wrong_type(path, preamble));
        }
        self.check_geometry(path, geometry)
    }

    /// The difference between the messages of another type and these, if there is one.
    pub(crate) fn difference(&self, other: &Self) -> Option<SchemaMismatch> {
        let (found, expected) = (u64::from(self.version), u64::from(other.version));
        let version = || {
            (found != expected).then(|| SchemaMismatch::Version { name: other.name.clone(), found, expected })
        };
        version().or_else(|| Difference::between(&self.text, &other.text).map(shape))
    }

    fn check_format(&self, path: &Path, found: Format) -> Result<(), OpenError> {
        if found == self.format {
            return Ok(());
        }
        let (found, expected) = (found.to_string(), self.format.to_string());
        Err(OpenError::WrongFormat { path: path.to_path_buf(), found, expected })
    }

    fn check_name(&self, path: &Path, preamble: &Preamble) -> Result<(), OpenError> {
        let recorded = preamble.schema_name();
        // A recorded name may have been truncated.
        let is_cut = recorded.len() + 3 >= NAME_LEN && self.name.starts_with(recorded);
        if self.name == recorded || is_cut { Ok(()) } else { Err(self.wrong_type(path, preamble)) }
    }

    fn wrong_type(&self, path: &Path, preamble: &Preamble) -> OpenError {
        let describe = |name: &str, size, align| {
            if size == 0 && align == 0 {
                format!("`{name}`")
            } else {
                format!("`{name}` (archived: {size} bytes, alignment {align})")
            }
        };
        OpenError::WrongType {
            path: path.to_path_buf(),
            found: describe(preamble.schema_name(), preamble.type_size, preamble.type_align),
            expected: describe(&self.name, self.size, self.align),
        }
    }

    fn check_version(
        &self,
        path: &Path,
        file: &File,
        preamble: &Preamble,
        geometry: &Geometry,
    ) -> Result<(), OpenError> {
        let (found, expected) = (preamble.type_version, u64::from(self.version));
        if found == expected {
            return Ok(());
        }
        let mismatch = SchemaMismatch::Version { name: self.name.clone(), found, expected };
        Err(wrong_schema(path, file, geometry, mismatch))
    }

    /// Whether the queue can hold such messages.
    fn check_geometry(&self, path: &Path, geometry: &Geometry) -> Result<(), OpenError> {
        let corrupted = |field, found| Err(OpenError::Corrupted { path: path.to_path_buf(), field, found });
        // Out-of-line data of archives may need more than their root.
        let is_archive = self.format.is_some();
        let needed =
            if is_archive && geometry.framing == Framing::Variable { self.align.max(16) } else { self.align };
        if geometry.align < needed {
            return corrupted("payload alignment", geometry.align);
        }
        match geometry.fixed_message() {
            Some(len) if self.size != 0 && len != self.size => corrupted("fixed message length", len),
            _ => Ok(()),
        }
    }
}

fn shape(difference: Difference) -> SchemaMismatch {
    let Difference { at, found, expected, only_found, only_expected } = difference;
    SchemaMismatch::Shape { at, found, expected, only: Box::new([only_found, only_expected]) }
}

fn wrong_schema(path: &Path, file: &File, geometry: &Geometry, mismatch: SchemaMismatch) -> OpenError {
    OpenError::WrongSchema {
        path: path.to_path_buf(),
        mismatch,
        waiting: waiting(file, geometry).map(String::into_boxed_str),
    }
}

fn fingerprint(text: &str) -> [u8; 32] {
    if text.is_empty() { [0; 32] } else { sha256(text.as_bytes()) }
}

/// Reads the description from a file whose preamble and length have been checked. The text is not
/// trusted, only compared and shown: it is text of bounded length, and its fingerprint is the
/// recorded one.
pub(in crate::queue) fn recorded_text(
    path: &Path,
    file: &File,
    preamble: &Preamble,
    geometry: &Geometry,
) -> Result<String, OpenError> {
    let mut bytes = vec![0; geometry.description_len as usize];
    let whole = shm::read_exact_at(file, &mut bytes, geometry.description_offset())
        .map_err(|source| OpenError::Io { path: path.to_path_buf(), step: "reading the schema", source })?;
    if !whole {
        let expected = geometry.file_len();
        let found = geometry.description_offset();
        return Err(OpenError::Truncated { path: path.to_path_buf(), found, expected });
    }
    match as_text(&bytes) {
        Some(text) if fingerprint(text) == preamble.fingerprint => Ok(text.to_owned()),
        _ => {
            let [first, ..] = preamble.fingerprint.as_chunks::<8>().0 else { unreachable!("32 bytes") };
            let found = u64::from_be_bytes(*first);
            Err(OpenError::Corrupted { path: path.to_path_buf(), field: "schema fingerprint", found })
        }
    }
}
