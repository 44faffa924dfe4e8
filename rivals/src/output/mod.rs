//! Output for humans.

pub(crate) mod groups;
pub(crate) mod markdown;
pub(crate) mod plots;
pub(crate) mod table;
