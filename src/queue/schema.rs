//! What a queue's messages are, as recorded in its header. Plain numbers: only the typed layer knows rkyv.

use crate::layout::{Framing, Geometry, Preamble};

/// The identity of a message type.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    /// Name for people; for typed queues also compared.
    pub(crate) name: String,
    /// Size of the archived type; 0 for bytes.
    pub(crate) size: u64,
    /// Alignment of the archived type; 0 for bytes.
    pub(crate) align: u64,
    /// The rkyv format in force; 0 for bytes.
    pub(crate) format: u64,
    /// Puts a format into words.
    pub(crate) describe_format: fn(u64) -> String,
}

/// How a recorded schema differs from the expected one.
pub(crate) enum Mismatch {
    Type {
        found: String,
        expected: String,
    },
    Format {
        found: String,
        expected: String,
    },
    /// The geometry cannot hold such messages.
    Geometry {
        field: &'static str,
        found: u64,
    },
}

impl Schema {
    /// Messages without a type.
    pub(crate) fn bytes() -> Self {
        Self {
            name: String::from("bytes"),
            size: 0,
            align: 0,
            format: 0,
            describe_format: |bits| if bits == 0 { "none".into() } else { format!("rkyv ({bits:#x})") },
        }
    }

    pub(crate) fn record(&self, preamble: &mut Preamble) {
        preamble.set_name(&self.name);
        preamble.type_size = self.size;
        preamble.type_align = self.align;
        preamble.rkyv_format = self.format;
    }

    /// Compares with what a file says.
    pub(crate) fn check(&self, preamble: &Preamble, geometry: &Geometry) -> Result<(), Mismatch> {
        let recorded = (preamble.schema_name(), preamble.type_size, preamble.type_align);
        // A recorded name may have been cut.
        let name_fits = self.name == recorded.0
            || (recorded.0.len() + 3 >= crate::layout::NAME_LEN && self.name.starts_with(recorded.0));
        if !name_fits || (self.size, self.align) != (recorded.1, recorded.2) {
            let describe = |name: &str, size, align| {
                if size == 0 && align == 0 {
                    format!("`{name}`")
                } else {
                    format!("`{name}` (archived: {size} bytes, alignment {align})")
                }
            };
            return Err(Mismatch::Type {
                found: describe(recorded.0, recorded.1, recorded.2),
                expected: describe(&self.name, self.size, self.align),
            });
        }
        if self.format != preamble.rkyv_format {
            return Err(Mismatch::Format {
                found: (self.describe_format)(preamble.rkyv_format),
                expected: (self.describe_format)(self.format),
            });
        }
        // Out-of-line data of archives may need more than their root.
        let is_archive = self.format != 0;
        let needed =
            if is_archive && geometry.framing == Framing::Variable { self.align.max(16) } else { self.align };
        if geometry.align < needed {
            return Err(Mismatch::Geometry { field: "payload alignment", found: geometry.align });
        }
        match geometry.framing {
            Framing::Fixed { len } if self.size != 0 && len != self.size => {
                Err(Mismatch::Geometry { field: "fixed message length", found: len })
            }
            _ => Ok(()),
        }
    }
}
