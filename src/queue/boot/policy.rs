//! What is done with a file that nothing proves.

/// What opening does with a queue that was last used before the machine was started again, if nothing proves that all of it
/// reached the disk ([`Options::after_power_loss`](crate::Options::after_power_loss)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AfterPowerLoss {
    /// [`OpenError::Unproven`](crate::OpenError::Unproven). The file stays as it is. Of a queue with checksums
    /// ([`Checksummed`](crate::Checksummed)) the messages are kept that prove themselves, by this and by `Keep`.
    #[default]
    Refuse,
    /// Takes the messages that there seem to be, as ones that may have been delivered before. Some may be missing, torn, or old
    /// ones. For queues whose messages can be checked, or are worth little.
    Keep,
    /// Drops all messages, counts them ([`Boot::dropped`](crate::inspect::Boot::dropped)), and goes on with an empty queue.
    Discard,
}
