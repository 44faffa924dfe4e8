//! What the benches share.
#![allow(
    dead_code,
    unused_imports,
    reason = "each bench includes this module for itself, and none needs all of it"
)]

pub(crate) mod arguments;
pub(crate) mod cores;
pub(crate) mod file;
pub(crate) mod message;
pub(crate) mod statistics;
