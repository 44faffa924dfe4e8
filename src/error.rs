//! Everything that can go wrong, one enum per kind of operation.
//!
//! Messages are for the person who reads them: what happened, to which file, what was expected, what to do.

mod inspect;
mod open;
mod recover;
mod transfer;

pub use inspect::InspectError;
pub use open::{AttachError, CreateError, OpenError, Role, UnlinkError};
pub use recover::RecoverError;
pub(crate) use transfer::SerializeErrorKind;
pub use transfer::{Damaged, InvalidFrame, RecvError, SendError, SerializeError};
