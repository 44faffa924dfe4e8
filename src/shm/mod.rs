//! Files, mappings and kernel locks. Knows bytes and descriptors, no rings.

mod create;
mod file;
pub(crate) mod fork;
mod lease;
mod lock;
mod map;
mod name;

pub(crate) use create::{Size, allocate, create, random_uuid};
pub(crate) use file::{FileIdentity, open, read_exact_at, unlink_if_same};
pub(crate) use lease::Lease;
pub(crate) use lock::{AttachLock, AttachLockError, is_locked, with_recovery_lock};
pub(crate) use map::{Access, Mapping};
pub(crate) use name::resolve;
