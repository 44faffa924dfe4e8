//! The life of a queue file: its options and its name, creating, opening, unlinking and passing it;
//! the schema in it; what is left of it after a reboot. The handles and the engines are beside this
//! folder.

pub(super) mod asked;
pub(super) mod boot;
pub(super) mod closed;
pub(super) mod consumers_here;
pub(super) mod create;
pub(super) mod create_options;
pub(super) mod description;
pub(super) mod events;
pub(super) mod exiting;
pub(super) mod handle_options;
pub(super) mod hash;
pub(super) mod left;
pub(super) mod letters_name;
pub(super) mod limits;
pub(super) mod memfd;
pub(super) mod open;
pub(super) mod open_options;
pub(super) mod options;
pub(super) mod schema;
pub(super) mod shared;
pub(super) mod space;
pub(crate) mod trailer;
pub(super) mod unlink;
pub(super) mod uuid;
