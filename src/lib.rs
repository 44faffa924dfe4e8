//! Placeholder front page.
#![deny(unsafe_code)]

mod error;
mod lane;
mod layout;
mod queue;
mod shm;
mod sync;
mod typed;
mod wait;

pub use error::*;
pub use queue::{Options, unlink};

/// One producer, one consumer.
pub mod spsc {
    pub use crate::queue::{
        BytesBatch, BytesConsumer, BytesFrame, BytesFrames, BytesProducer, BytesQueue, Claim,
    };
    pub use crate::typed::{Consumer, Frame, Frames, Payload, Producer, Queue};
    #[doc(hidden)]
    pub use crate::typed::{FrameSerializer, FrameWriter, Scratch};
}
