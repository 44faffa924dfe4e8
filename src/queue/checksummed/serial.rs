//! What checksums need from engines: the serial numbers of frames.

use crate::lane::{Refusal, Reserved};
use crate::queue::kind::{Engine, FrameStore, Receiver, Sender};

/// A kind that can have checksums.
pub(crate) trait Serial:
    Engine<Sender: SerialSender, Receiver: Receiver<FrameStore: SerialStore>>
{
}

/// A sender that tells serial numbers, before a consumer can take the frame.
pub(crate) trait SerialSender: Sender {
    /// Like [`Sender::commit`]; `seal` gets the payload and the serial number, once, right before
    /// the frame is committed.
    fn commit_sealed(
        &mut self,
        slot: Reserved,
        len: usize,
        seal: impl FnOnce(*mut u8, u64),
    ) -> Result<(), Refusal>;

    /// Like [`Sender::stage`]. `seal` is called by kinds that know the serial number now.
    fn stage_sealed(
        &mut self,
        staged: &mut Self::Staged,
        slot: Reserved,
        len: usize,
        seal: impl FnOnce(*mut u8, u64),
    );

    /// Like [`Sender::publish`]; `seal` gets payload, length and serial number of each frame whose
    /// number was not known before.
    fn publish_sealed(
        &mut self,
        staged: Self::Staged,
        whole: bool,
        seal: impl FnMut(*mut u8, usize, u64),
    ) -> Result<usize, Refusal>;
}

/// A store that tells the serial numbers of frames in flight.
pub(crate) trait SerialStore: FrameStore {
    fn serial(&self, taken: Self::Taken) -> u64;

    /// For the frames of a run: the address of the payload, its length, and its serial number.
    fn run_serials<'a>(
        &'a self,
        run: Self::Run,
        spans: &'a [Self::Span],
    ) -> impl Iterator<Item = (*const u8, usize, u64)> + 'a;
}
