//! What is done with a file that is unproven.

/// What opening does with a queue that was last used before the machine was started again, if
/// nothing proves that all of it reached the disk
/// ([`OpenOptions::after_power_loss`](crate::OpenOptions::after_power_loss)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AfterPowerLoss {
    /// Opening fails with [`OpenError::Unproven`](crate::OpenError::Unproven). The file stays
    /// unchanged. A queue with checksums ([`Checksummed`](crate::kind::Checksummed)) is opened: both this
    /// and `Keep` keep the messages that their checksums prove.
    #[default]
    Refuse,
    /// Takes the messages that seem to be there, as ones that may have been delivered before. Some
    /// may be missing, torn, or old. For queues whose messages can be checked, or are worth little.
    Keep,
    /// Drops all messages, counts them ([`Boot::dropped`](crate::inspect::Boot::dropped)), and
    /// continues with an empty queue.
    Discard,
}
