//! Power losses in the middle of a recovery.
//!
//! A recovery is a list of writes and syncs. The power can fail before each of them. The disk then holds, of each page
//! or sector, what one of the writes since the last sync left there, or what was there at that sync.

use super::flavours::Flavour;
use super::machine::{Machine, PAGE, SECTOR};
use super::random::Random;
use crate::queue::AfterPowerLoss;
use crate::shm::boot::pretend::{self, FileOperation};

/// The file after all the operations.
fn after(base: &[u8], operations: &[FileOperation]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for operation in operations {
        if let FileOperation::Write { offset, bytes: new } = operation {
            bytes[*offset as usize..][..new.len()].copy_from_slice(new);
        }
    }
    bytes
}

/// The number of operations up to the last sync, and with it.
fn synced(operations: &[FileOperation]) -> usize {
    operations
        .iter()
        .rposition(|operation| matches!(operation, FileOperation::Sync))
        .map_or(0, |last| last + 1)
}

/// What the disk holds for certain after a recovery.
pub(super) fn on_disk(base: &[u8], operations: &[FileOperation]) -> Vec<u8> {
    after(base, &operations[..synced(operations)])
}

/// What the disk holds if the power fails during a recovery of the file `base`.
fn power_lost(random: &mut Random, base: &[u8], operations: &[FileOperation]) -> Vec<u8> {
    let done = &operations[..random.below(operations.len() as u64 + 1) as usize];
    let synced = synced(done);
    let unit = if random.one_in(2) { PAGE } else { SECTOR };
    // Each unit at random, or all but a few of them as the last write or as the sync left them.
    let mode = random.below(3);
    let mut bytes = after(base, &done[..synced]);
    // For each unit, the number of operations that reached the disk.
    let reached: Vec<usize> = (0..bytes.len().div_ceil(unit))
        .map(|_| match mode {
            1 if !random.one_in(8) => done.len(),
            2 if !random.one_in(8) => synced,
            _ => synced + random.below((done.len() - synced) as u64 + 1) as usize,
        })
        .collect();
    for (number, operation) in done.iter().enumerate().skip(synced) {
        let FileOperation::Write { offset, bytes: new } = operation else { continue };
        for (at, byte) in (*offset as usize..).zip(new) {
            if number < reached[at / unit] {
                bytes[at] = *byte;
            }
        }
    }
    bytes
}

/// An image whose recovery was interrupted.
pub(super) struct Interrupted {
    pub(super) bytes: Vec<u8>,
    /// The boot after the last power loss.
    pub(super) boot: u8,
}

/// Opens the image in boot `boot` as `what` says, and loses the power during that, `times` times, each in the boot
/// after the one before.
pub(super) fn interrupted<F: Flavour>(
    machine: &Machine,
    random: &mut Random,
    image: &[u8],
    (mut boot, what): (u8, AfterPowerLoss),
    times: u64,
) -> Interrupted {
    let mut bytes = image.to_vec();
    for _ in 0..times {
        pretend::set_boot(boot);
        let path = machine.write(&bytes);
        let (_, operations) = pretend::journal(|| drop(F::open(&path, what)));
        bytes = power_lost(random, &bytes, &operations);
        boot += 1;
    }
    Interrupted { bytes, boot }
}
