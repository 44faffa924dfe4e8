//! Descriptions of message types, and how programs find out that they disagree about one.
//!
//! A queue file holds a description of its message type: names and types of fields, their offsets
//! in the archive, the variants of enums and their tags, and the same of every type inside. Opening
//! the queue compares it with the description of the type that this program uses; if they differ,
//! the error names the first field that does. Modules, crates and compilers are not compared, nor
//! are types distinguished whose archives are the same (`Vec` and `VecDeque`, `Rc` and `Arc`).
//!
//! Settings of rkyv that change archives as a whole (its version, endianness, alignment, width of
//! pointers) are recorded and compared with the description.
//!
//! ```
//! use ringway::schema::Description;
//!
//! #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
//! #[ringway(version = 2)]
//! struct Trade {
//!     price: u64,
//!     side: Side,
//! }
//!
//! #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
//! enum Side {
//!     Buy,
//!     Sell,
//! }
//!
//! let description = Description::of::<Trade>();
//! assert_eq!((description.name(), description.version()), ("Trade", 2));
//! assert_eq!(
//!     description.text(),
//!     "\
//! message Trade
//!   struct Trade version 2
//!     price: u64 at offset 0
//!     side: Side at offset 8
//!       enum Side
//!         variant Buy = 0
//!         variant Sell = 1
//!         size 1, alignment 1
//!     size 16, alignment 8
//!   size 16, alignment 8
//! "
//! );
//! ```

pub use crate::describe::{Describer, Structure};
pub use crate::queue::Description;

/// The names that the derive macro's code uses.
#[doc(hidden)]
pub mod hidden {
    pub use crate::describe::{Fields, Variants};
    pub use crate::typed::{Archive, ArchiveWith};
}
