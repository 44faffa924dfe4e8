//! What the tests with several processes share: children that never outlive the test, memory that all of them see,
//! messages that can be told from any other bytes, and a runner without threads, because a process with threads must
//! not fork without exec.
#![allow(dead_code, unused_imports, reason = "each test uses a part of this")]

mod board;
mod cause;
mod child;
mod dump;
mod end;
pub(crate) mod forge;
mod giver;
mod history;
mod kind;
mod looker;
mod many;
mod message;
mod random;
mod runner;
pub(crate) mod sandbox;
mod shared;
mod stream;
mod taker;
mod watchdog;

pub(crate) use board::{Board, Record};
pub(crate) use child::{Child, kills_so_far};
pub(crate) use dump::dump;
pub(crate) use end::End;
pub(crate) use giver::{Giver, GiverNotes};
pub(crate) use history::History;
pub(crate) use kind::Kind;
pub(crate) use looker::Looker;
pub(crate) use many::{Many, gets_nothing_more};
pub(crate) use message::Shape;
pub(crate) use random::Random;
pub(crate) use runner::{Outcome, Place, Test, ensure, number_from, run, short_or_long};
pub(crate) use shared::Words;
pub(crate) use stream::{Doubt, Stream};
pub(crate) use taker::{Taker, Witness};
pub(crate) use watchdog::progress;
