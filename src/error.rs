//! The errors, one enum per kind of operation.
//!
//! Messages are written for humans: what happened, to which file, what was expected, what to do. A
//! message includes that of its cause; so `source()` continues with the cause of that one, and a
//! program that prints the whole chain repeats nothing.

mod attach;
mod create;
mod held_here;
mod holdup;
mod inspect;
mod letters;
mod open;
mod predicates;
mod recover;
mod remove;
mod role;
mod schema;
mod survival;
mod sync;
mod task;
mod transfer;

pub use attach::AttachError;
pub use create::CreateError;
pub use held_here::HeldHere;
pub use holdup::Holdup;
pub use inspect::InspectError;
pub(crate) use letters::Cause;
pub use letters::{DeadLetterCause, DeadLetterFailure};
pub use open::OpenError;
pub use recover::RecoverError;
pub use remove::{SendFdError, UnlinkError};
pub use role::Role;
pub use schema::{InvalidDescription, SchemaMismatch};
pub use survival::RecoveryFailed;
pub use sync::{SyncError, Unproven};
pub use task::TaskError;
pub(crate) use transfer::SerializeErrorKind;
pub use transfer::{Corrupted, InvalidFrame, RecvError, SendError, SerializeError};

#[cfg(all(test, not(loom)))]
mod tests;
