//! What each handle chooses for itself: how this process treats the file of a queue.

use super::boot::AfterPowerLoss;
use super::limits::Limits;
use crate::shm::Sharing;

/// The choices of a handle; nothing of this is recorded in the queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HandleOptions {
    /// None: see [`sharing_of_new`](Self::sharing_of_new) and [`accepted_sharing`](Self::accepted_sharing).
    pub(crate) sharing: Option<Sharing>,
    /// None: see [`prefaults`](Self::prefaults).
    pub(crate) prefault: Option<bool>,
    pub(crate) huge_pages: bool,
    pub(crate) guard_truncation: bool,
    pub(crate) unlink_on_last_drop: bool,
    pub(crate) end_when_orphaned: bool,
    pub(crate) replace_closed: bool,
    pub(crate) after_power_loss: AfterPowerLoss,
    /// The resources that the file may take in this process, if its peers are untrusted.
    pub(crate) limits: Option<Limits>,
}

impl HandleOptions {
    /// Who may use a file that this process creates.
    pub(crate) fn sharing_of_new(&self) -> Sharing {
        self.sharing.unwrap_or(Sharing::Owner)
    }

    /// Who may be able to write to a file that this process opens. Where nothing in it is trusted,
    /// any user may, unless the handle's user chose otherwise.
    pub(crate) fn accepted_sharing(&self) -> Sharing {
        let unless_chosen = if self.limits.is_some() { Sharing::Everybody } else { Sharing::Owner };
        self.sharing.unwrap_or(unless_chosen)
    }

    /// Whether pages are mapped before they are used: by default, except for a file of untrusted
    /// peers, who decide how large it is.
    pub(crate) fn prefaults(&self) -> bool {
        self.prefault.unwrap_or(self.limits.is_none())
    }
}
