//! Queues with untrusted peers: nothing that they write, into any byte and at any time, is trusted.
//!
//! Reading in place is sound only while every process that can write the file follows the protocol,
//! which is why the other functions that open a queue are `unsafe`. The functions here are not. A
//! message is copied out of the file first, then validated, and lent from the copy, so that no peer
//! can change what was validated. What is sent is assembled in private memory, and copied in.
//!
//! ```
//! use ringway::untrusted::spsc::Queue;
//! use rkyv::{Archive, Serialize};
//!
//! #[derive(Archive, Serialize, ringway::Message)]
//! struct Order { account: u64, symbol: String }
//!
//! # let dir = tempfile::tempdir()?;
//! # let name = dir.path().join("orders");
//! // In the process that does not trust its peers. No `unsafe`.
//! let queue = Queue::<Order>::create(&name)?;
//! let consumer = queue.consumer()?;
//! # let trusting = unsafe { ringway::spsc::Queue::<Order>::open(&name)? };
//! # trusting.producer()?.send(&Order { account: 7, symbol: "RWY".into() })?;
//! let order = consumer.recv()?; // copied, then validated
//! assert_eq!((order.account.to_native(), &*order.symbol), (7, "RWY"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds, whatever peers write
//!
//! - No undefined behaviour and no panic. An invalid value causes an error: `Corrupted`, `Invalid`,
//!   `TooLarge`. After `Invalid` and `TooLarge` the next call continues after that message; after
//!   `Corrupted` in an SPSC queue every call returns the same error.
//! - Every call ends, as soon as it would with peers that only send and receive, but for a delay
//!   while peers write at full speed: `try_*` within a bounded number of steps, the others when
//!   there is a message or an error, or their time is up.
//! - Memory is bounded: a message by [`Limits::message`], of which there are as many copies as
//!   frames are held at the same time; the file, and with it what is mapped, by [`Limits::file`].
//!   In steady traffic nothing is allocated.
//! - Archives nest no deeper than [`Limits::depth`], so that validating and reading them does not
//!   exhaust the stack.
//!
//! # What does not hold
//!
//! - *That messages come at all*, once, in order, or from a particular producer: a process that can
//!   write the file can write any message, or none, or hold a lock forever.
//! - *Protection from SIGBUS.* A process that can write a named file can truncate it, and filling
//!   the filesystem, or punching holes into the file, can have the same effect. It is not undefined
//!   behaviour, but the end of the process, unless it has a handler. Files that are sealed against
//!   shrinking (memfd) cannot be truncated.
//! - *A limit on the time for lists of empty elements.* Elements that take no bytes, as in a
//!   `Vec<()>`, are validated one by one, up to 2^32 of them. Do not receive such types from
//!   untrusted peers.
//! - *Dead letters.* An untrusted consumer moves no message to the dead letters: one that was
//!   redelivered too many times is delivered again.
//!
//! # What it costs
//!
//! One copy of each message more than reading in place (`cargo bench --bench trust`).

pub use crate::queue::untrusted::Limits;

/// The types of all kinds of queues, for code that is generic over the kind.
///
/// Each type here takes the kind as its last parameter, as the types in [`kind`](crate::kind) do.
pub mod kind {
    pub use crate::queue::untrusted::{BytesConsumer, BytesFrame, BytesProducer, BytesQueue};
    pub use crate::typed::untrusted::{Consumer, Frame, Producer, Queue};
}

/// Queues with one producer and one consumer, for untrusted peers.
///
/// These are aliases of the types in [`kind`]. [`mpmc`] has the same names.
pub mod spsc {
    use crate::aliases::untrusted_aliases;
    use crate::kind::Spsc;

    untrusted_aliases!(Spsc);

    /// The same, with a checksum for each message: see [`Checksummed`](crate::kind::Checksummed).
    pub mod checksummed {
        use crate::aliases::untrusted_aliases;
        use crate::kind::{Checksummed, Spsc};

        untrusted_aliases!(Checksummed<Spsc>);
    }
}

/// Queues with many producers and many consumers, for untrusted peers.
///
/// These are aliases of the types in [`kind`]. [`spsc`] has the same names.
pub mod mpmc {
    use crate::aliases::untrusted_aliases;
    use crate::kind::Mpmc;

    untrusted_aliases!(Mpmc);

    /// The same, with a checksum for each message: see [`Checksummed`](crate::kind::Checksummed).
    pub mod checksummed {
        use crate::aliases::untrusted_aliases;
        use crate::kind::{Checksummed, Mpmc};

        untrusted_aliases!(Checksummed<Mpmc>);
    }
}
