//! Typed messages: rkyv archives written straight into frames and read in place. Only this layer knows rkyv.

mod broadcast;
mod consumer;
mod format;
mod frame;
mod memfd;
mod mpmc;
mod owned;
mod payload;
mod positions;
mod producer;
mod queue;
mod structures;
pub(crate) mod untrusted;

pub use consumer::Consumer;
pub use frame::{Frame, Frames};
pub use owned::{OwnedFrame, SharedConsumer};
pub use payload::{FrameSerializer, FrameWriter, Message, Scratch};
pub use producer::Producer;
pub use queue::Queue;
/// For the code that the derive macro writes.
pub use rkyv::{Archive, with::ArchiveWith};
