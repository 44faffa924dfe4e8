//! How a process treats the file of a queue.

use super::boot::AfterPowerLoss;
use super::untrusted::Limits;
use crate::shm::Sharing;

/// Options about the file and this process's use of it; nothing of this is recorded in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenOptions {
    pub(crate) sharing: Sharing,
    pub(crate) prefault: bool,
    pub(crate) huge_pages: bool,
    pub(crate) guard_truncation: bool,
    pub(crate) unlink_on_last_drop: bool,
    pub(crate) end_when_orphaned: bool,
    pub(crate) replace_closed: bool,
    pub(crate) after_power_loss: AfterPowerLoss,
    /// The resources that the file may take in this process; none: no limits.
    pub(crate) limits: Option<Limits>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            sharing: Sharing::Owner,
            prefault: true,
            huge_pages: false,
            guard_truncation: false,
            unlink_on_last_drop: false,
            end_when_orphaned: false,
            replace_closed: false,
            after_power_loss: AfterPowerLoss::Refuse,
            limits: None,
        }
    }
}
