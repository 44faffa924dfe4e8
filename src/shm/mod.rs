//! Files, mappings and kernel locks. Knows bytes and descriptors, no rings.

mod attach_lock;
pub(crate) mod boot;
mod children;
mod create;
mod description;
mod fd_passing;
mod file;
mod filesystem;
pub(crate) mod fork;
mod liveness_lock;
mod lock;
mod map;
mod memfd;
mod name;
mod owner;
mod pages;
mod recovery_lock;
mod size_limit;
mod space;
mod step;
mod temporary;
mod truncation;
mod warning;
mod write_back;

pub(crate) use attach_lock::{AttachLock, AttachLockError, SpareDescription};
pub(crate) use boot::{boot_id, outlives_boots};
pub(crate) use create::{Created, NotCreated, Plan, Size, create, random_uuid};
pub(crate) use fd_passing::{NotReceived, receive_descriptor, send_descriptor};
pub(crate) use file::{
    Named, named_by, next_data, open, read_exact_at, reopen, sync_directory, sync_file, unlink_if_same,
    write_at, write_word,
};
pub(crate) use filesystem::{FilesystemClass, Unsuitable, check_file};
pub(crate) use liveness_lock::LivenessLock;
pub(crate) use lock::{is_any_locked, is_locked};
pub(crate) use map::{Access, MapOptions, Mapping};
pub(crate) use memfd::{
    Unsealed, check_seals, create_memfd, inheritable_fd, open_process_descriptor, process_descriptor,
};
pub(crate) use name::resolve;
pub use owner::Sharing;
pub(crate) use owner::WrongOwnerOrMode;
pub(crate) use recovery_lock::RecoveryLock;
pub(crate) use size_limit::file_size_limit;
pub(crate) use space::{Section, allocate, allocated, is_no_space};
pub(crate) use step::StepError;
pub(crate) use temporary::{is_being_made, is_temporary, remove_leftover};
pub(crate) use truncation::Tripwire;
pub use warning::Warning;
pub(crate) use warning::Warnings;
pub(crate) use write_back::write_back;
