//! Explicit-state models of Ringway's MPMC and broadcast protocols: see the README beside this crate.
//!
//! Read [`checker`] first, then [`claims`], which is the protocol; the other models each take one part
//! of it that `claims` leaves out. [`catalog`] lists what is run.

#[cfg(test)]
use ringway_bound as _;

mod bounds;
pub mod broadcast;
pub mod catalog;
pub mod checker;
pub mod claims;
pub mod eventcount;
pub mod everyone;
pub mod lane;
pub mod mistake;
pub mod room;
pub mod store_buffer;
pub mod waiting;
pub mod weak;
