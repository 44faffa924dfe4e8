//! What a user may choose when a queue is created.

use crate::error::CreateError;
use crate::layout::{Framing, Geometry, GeometryRequest};

/// Bytes of ring when nothing is said. Measured on cores with 1 and 2 MiB of L2: 64-byte messages are as fast from 256 KiB
/// up, larger ones need 1 MiB, and far more than the L2 holds is slower again where the L3 is far.
const DEFAULT_CAPACITY: usize = 1 << 20;

/// Alignment of byte messages when nothing is said: that of the commit word before them.
const DEFAULT_ALIGN: usize = 8;

/// Options of a new queue.
///
/// ```
/// let options = ringway::Options::new().capacity(1 << 20).fixed_len(64);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    capacity: usize,
    align: Option<usize>,
    fixed: Fixed,
    start_position: u64,
    uuid: Option<[u8; 16]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fixed {
    No,
    Len(usize),
    OfType,
}

/// Options after the message type has had its say.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) geometry: Geometry,
    pub(crate) start_position: u64,
    pub(crate) uuid: Option<[u8; 16]>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults: 1 MiB of ring, messages of any size.
    pub fn new() -> Self {
        Self { capacity: DEFAULT_CAPACITY, align: None, fixed: Fixed::No, start_position: 0, uuid: None }
    }

    /// Bytes of ring. Rounded up to a power of two (messages of any size) or down to whole messages (fixed size).
    ///
    /// Much more is not faster, unless the consumer pauses for long. Frames may be at most half of it.
    #[must_use]
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// Alignment of every message, in bytes: a power of two up to 128. The default is 8 for bytes, 16 for typed
    /// messages of any size, and the type's own for fixed-size ones. An archive type's own needs are always met.
    /// 64 keeps messages from sharing cache lines.
    #[must_use]
    pub fn align(mut self, bytes: usize) -> Self {
        self.align = Some(bytes);
        self
    }

    /// Every message of a bytes queue has exactly this many bytes; they are stored without headers, which is
    /// faster for small ones.
    #[must_use]
    pub fn fixed_len(mut self, bytes: usize) -> Self {
        self.fixed = Fixed::Len(bytes);
        self
    }

    /// Every message of a typed queue is just its archived root, without out-of-line data (no `String`, `Vec`,
    /// `Box`); such messages are stored without headers, which is faster for small ones. Sending a value that has
    /// out-of-line data all the same is an error.
    #[must_use]
    pub fn fixed_size(mut self) -> Self {
        self.fixed = Fixed::OfType;
        self
    }

    /// Cursors begin here instead of at 0. For tests of what happens near the limits.
    #[doc(hidden)]
    #[must_use]
    pub fn start_position(mut self, position: u64) -> Self {
        self.start_position = position;
        self
    }

    /// The queue's uuid instead of a random one. For files that must come out the same.
    #[doc(hidden)]
    #[must_use]
    pub fn uuid(mut self, uuid: [u8; 16]) -> Self {
        self.uuid = Some(uuid);
        self
    }

    /// Options for messages without a type.
    pub(crate) fn for_bytes(&self) -> Result<Resolved, CreateError> {
        let align = self.align.unwrap_or(DEFAULT_ALIGN);
        match self.fixed {
            Fixed::No => self.resolve(Framing::Variable, align),
            // A length need not be a multiple of the default alignment: then the messages are less aligned.
            Fixed::Len(len) => {
                let natural = 1 << len.trailing_zeros().min(3);
                self.resolve(Framing::Fixed { len: len as u64 }, self.align.unwrap_or(natural))
            }
            Fixed::OfType => {
                bad("`fixed_size` is for typed queues; say `fixed_len(bytes)` for a queue of bytes".into())
            }
        }
    }

    /// Options for an archived type.
    pub(crate) fn for_type(&self, size: usize, align: usize) -> Result<Resolved, CreateError> {
        match self.fixed {
            Fixed::No => {
                // Out-of-line data may need more than the root; beyond this the serialiser pads.
                let align = self.align.unwrap_or(16).max(align).max(16);
                self.resolve(Framing::Variable, align)
            }
            Fixed::OfType if size == 0 => {
                bad("`fixed_size` needs a type whose archive has bytes, and this one's has none".into())
            }
            Fixed::OfType => {
                let align = self.align.unwrap_or(align).max(align);
                self.resolve(Framing::Fixed { len: size as u64 }, align)
            }
            Fixed::Len(_) => {
                bad("`fixed_len` is for queues of bytes; say `fixed_size` for a typed queue".into())
            }
        }
    }

    fn resolve(&self, framing: Framing, align: usize) -> Result<Resolved, CreateError> {
        let request = GeometryRequest { framing, capacity: self.capacity as u64, align: align as u64 };
        let geometry = match Geometry::new(request) {
            Ok(geometry) => geometry,
            Err(error) => return bad(error.to_string()),
        };
        if !geometry.is_boundary(self.start_position) {
            return bad(format!("the start position {} is no frame boundary", self.start_position));
        }
        Ok(Resolved { geometry, start_position: self.start_position, uuid: self.uuid })
    }
}

fn bad<T>(reason: String) -> Result<T, CreateError> {
    Err(CreateError::BadOptions { reason })
}
