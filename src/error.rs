//! Everything that can go wrong, one enum per kind of operation.
//!
//! Messages are for the person who reads them: what happened, to which file, what was expected, what to do.

mod open;
mod recover;
mod role;
mod transfer;

pub use open::{AttachError, CreateError, OpenError, UnlinkError};
pub use recover::RecoverError;
pub use role::Role;
pub(crate) use transfer::SerializeErrorKind;
pub use transfer::{Damaged, InvalidFrame, RecvError, SendError, SerializeError};
