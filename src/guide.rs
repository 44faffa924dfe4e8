//! The guide: a chapter for each task. In the repository the same chapters are in `docs/guide/`.
//!
//! | you want to | chapter |
//! |---|---|
//! | choose a kind, a size of ring, an option | [`sizes`] |
//! | send every message to every reader | [`broadcast`] |
//! | send structs, and change them later | [`types`] |
//! | know what a crash does, and what your consumer must do about it | [`crashes`] |
//! | keep messages over a reboot | [`power`] |
//! | wait, stop waiting, end a stream, use `async` | [`waiting`] |
//! | run the processes in containers | [`containers`] |
//! | make it faster, and measure that | [`tuning`] |
//! | see what is in a queue, and who holds what | [`looking`] |
//! | do the work of a queue with shell commands | [`shell`] |
//! | use it from Python | [`python`] |
//! | carry queues to other machines | [`beyond`] |
//! | write a binding for another language, or a bridge to another machine | [`bindings`] |
//! | come from `std::sync::mpsc`, `crossbeam-channel`, `iceoryx2`, `multiprocessing.Queue` | [`migrating`] |
//!
//! This module contains no items to use: it exists in the documentation only.

#[doc = include_str!("../docs/guide/sizes.md")]
///
/// See [`CreateOptions`](crate::CreateOptions), [`spsc`](crate::spsc), [`mpmc`](crate::mpmc).
pub mod sizes {}

#[doc = include_str!("../docs/guide/broadcast.md")]
///
/// See [`Subscribe`](crate::broadcast::Subscribe), [`RecvError::Lagged`](crate::RecvError::Lagged),
/// [`Holdup`](crate::Holdup).
pub mod broadcast {}

#[doc = include_str!("../docs/guide/types.md")]
///
/// See [`Message`](trait@crate::Message), [`schema`](crate::schema), [`OpenError`](crate::OpenError).
pub mod types {}

#[doc = include_str!("../docs/guide/crashes.md")]
///
/// See [`Frame`](crate::kind::Frame), [`Delivery`](crate::Delivery), [`DeadLetter`](crate::DeadLetter).
pub mod crashes {}

#[doc = include_str!("../docs/guide/power.md")]
///
/// See [`BytesQueue::sync`](crate::kind::BytesQueue::sync), [`AfterPowerLoss`](crate::AfterPowerLoss).
pub mod power {}

#[doc = include_str!("../docs/guide/waiting.md")]
///
/// See [`WaitSet`](crate::WaitSet), [`Canceller`](crate::Canceller),
/// [`WaitStrategy`](crate::WaitStrategy), and the chapters [`tuning`] and [`crashes`].
pub mod waiting {}

#[doc = include_str!("../docs/guide/containers.md")]
///
/// See [`Sharing`](crate::Sharing), [`untrusted`](crate::untrusted),
/// [`create_memfd`](crate::kind::BytesQueue::create_memfd).
pub mod containers {}

#[doc = include_str!("../docs/guide/tuning.md")]
///
/// See [`CreateOptions`](crate::CreateOptions), [`WaitStrategy`](crate::WaitStrategy),
/// [`Warning`](crate::Warning), [`ReservedFrame`](crate::kind::ReservedFrame).
pub mod tuning {}

#[doc = include_str!("../docs/guide/looking.md")]
///
/// See [`inspect`](crate::inspect), [`Stats`](crate::Stats).
pub mod looking {}

#[doc = include_str!("../docs/guide/shell.md")]
///
/// See the chapters [`crashes`] and [`looking`].
pub mod shell {}

#[doc = include_str!("../docs/guide/python.md")]
pub mod python {}

#[doc = include_str!("../docs/guide/beyond.md")]
///
/// The bridge is a crate of its own, `ringway-nats`.
pub mod beyond {}

#[doc = include_str!("../docs/guide/bindings.md")]
///
/// See [`BytesProducer::position`](crate::kind::BytesProducer::position),
/// [`BytesConsumer::attached_at`](crate::kind::BytesConsumer::attached_at),
/// [`BytesSharedConsumer`](crate::kind::BytesSharedConsumer).
pub mod bindings {}

#[doc = include_str!("../docs/guide/migrating.md")]
///
/// See the chapters [`sizes`], [`crashes`] and [`waiting`].
pub mod migrating {}

/// The example of the README, so that `cargo test --doc` compiles it.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub mod readme {}
