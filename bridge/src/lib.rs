//! Carries ringway's queues past one machine: [`outbound`] moves messages from a queue into a NATS JetStream stream,
//! [`inbound`] from a stream into a queue. Nothing is released in the queue before the stream has stored it, and nothing
//! is acknowledged to the stream before the queue has committed it.
//!
//! ```text
//! main.rs  command/                    the command line
//! outbound/  inbound/                  the two directions
//!   taker.rs  committer.rs             the thread that owns a queue's consumer and guards, or its producer
//!   publisher.rs  puller.rs            epochs: submits to an engine, or pulls from a source
//!   resume.rs                          what a new epoch finds stored, and the proof that nothing is lost
//!   standby.rs                         one bridge for each queue
//!   ledger.rs                          how far a stream has come into an SPSC queue
//! nats/                                the engine; the only folder that names the client library
//! double.rs                            an engine without a network, for tests
//! engine.rs                            what an engine has to provide
//! identity.rs  subject.rs  limits.rs   message ids, subjects from queue names, messages and bytes in flight
//! pack.rs  types.rs  size.rs           many messages in one, tags of types, sizes as people write them
//! stats.rs  stop.rs  failure.rs        counters, ending, exit codes
//! metrics.rs  serve.rs  notify.rs      for Prometheus, over HTTP, for systemd
//! ```
//!
//! # Epochs
//! A connection is used until its first error, then given up, and a new one begins where the *stream* says that it
//! ended: each message carries the identity of its queue and its position ([`identity::MessageId`]), and a new epoch
//! reads the last one. So an acknowledgement that was lost does no harm, and no window of time limits an outage.
#![deny(clippy::print_stdout, clippy::print_stderr, reason = "a library does not print")]

#[cfg(test)]
use ringway_bound as _;

pub mod engine;
pub mod failure;
pub mod identity;
pub mod inbound;
pub mod metrics;
pub mod nats;
pub mod notify;
pub mod outbound;
pub mod pack;
pub mod serve;
pub mod size;
pub mod stats;
pub mod stop;
pub mod subject;
pub mod types;

mod backoff;
mod die;
#[cfg(test)]
mod double;
#[allow(unsafe_code, reason = "opening a queue is a promise about its file")]
mod queue;
