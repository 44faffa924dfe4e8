//! Why a message cannot be sent: checks before a message, and the error of a refusal.

use super::BytesProducer;
use crate::error::{RecoveryFailed, SendError};
use crate::lane::Refusal;
use crate::queue::kind::{Kind, Sender};
use crate::shm::fork::ForkGuard;

impl<K: Kind> BytesProducer<K> {
    /// The error that keeps this process from recovering after a dead participant, which may hold
    /// what this producer waits for.
    pub(super) fn cause(&self) -> Option<SendError> {
        let cause = self.sender.recovery_failures().and_then(|failures| failures.cause(self.sender.shared()));
        cause.map(SendError::RecoveryFailed)
    }

    /// The same error once it has lasted; else `Full`.
    pub(super) fn full(&self) -> SendError {
        lasting_cause(&self.sender).map_or(SendError::Full, SendError::RecoveryFailed)
    }

    /// Refuses to begin a message in a forked child, or on a closed queue.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), SendError> {
        if self.is_watched() {
            self.check_name()?;
        }
        self.check_open()
    }

    /// Whether each message takes the slow path, instead of only a check whether the queue is
    /// closed: then [`check`](Self::check) tells whether the message may be sent.
    #[inline(always)]
    pub(crate) fn is_watched(&self) -> bool {
        !self.guard.is_intact()
    }

    /// Makes each message take the slow path from now on.
    pub(crate) fn watch(&mut self) {
        self.guard = ForkGuard::never_intact();
    }

    #[inline(always)]
    pub(crate) fn check_open(&self) -> Result<(), SendError> {
        if self.events.messages.is_closed() { Err(SendError::Closed) } else { Ok(()) }
    }

    #[inline(always)]
    pub(crate) fn check_process(&self) -> Result<(), SendError> {
        if self.sender.is_own_process() { Ok(()) } else { Err(self.lost()) }
    }

    /// Checks the process and, if that was asked for, from time to time the queue's name.
    #[cold]
    #[inline(never)]
    pub(super) fn check_name(&self) -> Result<(), SendError> {
        self.check_process()?;
        let shared = self.sender.shared();
        match self.name.is_orphaned(shared) {
            true => Err(SendError::Orphaned { path: shared.path().to_path_buf() }),
            false => Ok(()),
        }
    }

    #[cold]
    #[inline(never)]
    fn lost(&self) -> SendError {
        let shared = self.sender.shared();
        match shared.is_truncated() {
            true => SendError::Truncated { path: shared.path().to_path_buf() },
            false => SendError::Forked,
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn refused(&self, refusal: Refusal, len: usize) -> SendError {
        match (refusal, self.sender.shared().geometry().fixed_message()) {
            (Refusal::Full, _) => self.full(),
            (Refusal::Length, None) => SendError::TooLarge { len, max: self.max_message() },
            (Refusal::Length, Some(expected)) => SendError::WrongLength { len, expected: expected as usize },
            (Refusal::PositionsExhausted, _) => SendError::PositionsExhausted,
            (Refusal::Closed, _) => SendError::Closed,
            (Refusal::Corrupted(corruption), _) => {
                SendError::Corrupted(self.sender.shared().corrupted(corruption))
            }
        }
    }
}

pub(in crate::queue) fn lasting_cause(sender: &impl Sender) -> Option<Box<RecoveryFailed>> {
    sender.recovery_failures().and_then(|failures| failures.lasting_cause(sender.shared()))
}
