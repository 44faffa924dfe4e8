//! Queues whose every message goes to every consumer: many producers or one, many consumers, one
//! order.
//!
//! Each consumer reads as its [`Subscribe`] says: *reliable* (producers wait for it while its process
//! lives), *lossy* (producers never wait for it, and it is told how many messages it missed), or lossy
//! and *in place*. Consumers of all three may read one queue.
//!
//! These are aliases of the types in [`kind`](crate::kind). [`spsc`](crate::spsc) and
//! [`mpmc`](crate::mpmc) have the same names.
//!
//! ```
//! use ringway::broadcast::{Queue, Start, Subscribe};
//!
//! # let dir = tempfile::tempdir()?;
//! # let name = dir.path().join("ticks");
//! // SAFETY: only programs that use ringway can write to this file.
//! let queue = unsafe { Queue::<u64>::create(&name)? };
//! let mut producer = queue.producer()?;
//! let journal = queue.consumer()?;
//! let screen = queue.consumer_with(&Subscribe::lossy())?;
//! producer.send(&7)?;
//! assert_eq!(*journal.recv()?, 7);
//! assert_eq!(*screen.recv()?, 7);
//!
//! // What is retained may be read once more.
//! let late = queue.consumer_with(&Subscribe::reliable().from(Start::Oldest))?;
//! assert_eq!(*late.recv()?, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::aliases::aliases;
use crate::kind::Broadcast;

aliases!(Broadcast);

pub use crate::queue::{BroadcastStats as Stats, ConsumerMode, ConsumerStats, Start, Subscribe};
