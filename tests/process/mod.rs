//! What the tests with several processes share: children that never outlive the test, memory that
//! all of them see, messages that can be told from any other bytes, and a runner without threads,
//! because a process with threads must not fork without exec.
#![allow(dead_code, unused_imports, reason = "each test uses a part of this")]

mod background_inspector;
mod cause;
mod child;
mod dump;
mod end;
pub(crate) mod forge;
mod history;
mod kind;
mod message;
mod message_log;
mod mpmc_kind;
mod parts;
mod random;
mod runner;
pub(crate) mod sandbox;
mod shared;
mod stream;
mod test_consumer;
mod test_producer;
mod watchdog;

pub(crate) use background_inspector::BackgroundInspector;
pub(crate) use child::{Child, kills_so_far};
pub(crate) use dump::dump;
pub(crate) use end::End;
pub(crate) use history::History;
pub(crate) use kind::Kind;
pub(crate) use message::Shape;
pub(crate) use message_log::{MessageLog, Record};
pub(crate) use mpmc_kind::{MpmcKind, gets_nothing_more};
pub(crate) use parts::in_parallel;
pub(crate) use random::Random;
pub(crate) use runner::{Outcome, Test, TestDir, ensure, number_from, run, short_or_long};
pub(crate) use shared::Words;
pub(crate) use stream::{Doubt, Stream};
pub(crate) use test_consumer::{DeliveryObserver, TestConsumer};
pub(crate) use test_producer::{ProducerNotes, TestProducer};
pub(crate) use watchdog::progress;
