//! Serial numbers of SPSC frames: the position of the commit word, or the number of the message.

use super::receiver::SpscReceiver;
use super::sender::SpscSender;
use crate::lane::{Refusal, Reserved, Span, SpscFrame, SpscRun};
use crate::layout::{Framing, Geometry};
use crate::queue::checksummed::serial::{SerialSender, SerialStore};
use crate::queue::kind::{FrameStore, Sender};

impl SerialSender for SpscSender {
    fn commit_sealed(
        &mut self,
        reserved: Reserved,
        len: usize,
        seal: impl FnOnce(*mut u8, u64),
    ) -> Result<(), Refusal> {
        seal(self.payload(reserved), reserved.position);
        self.commit(reserved, len)
    }

    fn stage_sealed(
        &mut self,
        staged: &mut Self::Staged,
        reserved: Reserved,
        len: usize,
        seal: impl FnOnce(*mut u8, u64),
    ) {
        seal(self.payload(reserved), reserved.position);
        self.stage(staged, reserved, len);
    }

    fn publish_sealed(
        &mut self,
        staged: Self::Staged,
        whole: bool,
        _seal: impl FnMut(*mut u8, usize, u64),
    ) -> Result<usize, Refusal> {
        self.publish(staged, whole)
    }
}

/// A frame's range may begin with padding; frames never cross the end of the ring, so that its last
/// byte is of its lap.
fn serial_of(geometry: &Geometry, frame: SpscFrame) -> u64 {
    match geometry.framing {
        Framing::Variable => (frame.end.wrapping_sub(1) & !(geometry.capacity - 1)) | frame.offset as u64,
        Framing::Fixed { .. } => frame.start,
    }
}

impl SerialStore for SpscReceiver {
    fn serial(&self, taken: SpscFrame) -> u64 {
        serial_of(self.shared().geometry(), taken)
    }

    fn run_serials<'a>(
        &'a self,
        run: SpscRun,
        _spans: &'a [Span],
    ) -> impl Iterator<Item = (*const u8, usize, u64)> + 'a {
        self.frames_of(run).map(|frame| {
            let (payload, len) = self.bytes(frame);
            (payload, len, self.serial(frame))
        })
    }
}
