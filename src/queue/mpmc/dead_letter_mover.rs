//! Moving a message to the dead-letter queue.
//!
//! # Why no dead letter is lost
//!
//! The message is copied and committed to the dead-letter queue, and only then released here. If
//! the process is killed in between, the message is redelivered and moved once more, unless a dead
//! letter of the same origin is still there. So the message is in one of the two queues, or in
//! both.
//!
//! The dead-letter queue is a file of its own, which may be removed at any time. *Claim:* when a
//! message is released here, its dead letter was committed to a file that was not removed before.
//! *Proof.* After the commit the name `<name>.dead` is compared with the file, and the file's hard
//! links are counted. If the name leads to another file, or the file has no name, the message is
//! not released, and the dead letter is sent once more, to the file that has the name then. ∎ A
//! later removal of the file removes a dead letter that could be received. A file that was only
//! renamed keeps its dead letters; the next one goes to a new file.
//!
//! # Resources
//!
//! A process opens the dead-letter queue and becomes one of its producers when its first consumer
//! attaches, if that queue exists by then; the consumers of one handle share that producer. From
//! then on moving a message takes no descriptor and no memory from the system. A dead-letter queue
//! that does not exist yet is created with the first dead letter; if the system refuses that, the
//! message is delivered once more, and the cause is counted, kept in the file and listed among the
//! warnings.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use super::sender::MpmcSender;
use crate::error::{AttachError, Cause, DeadLetterCause, DeadLetterFailure, OpenError};
use crate::lane::Refusal;
use crate::order_ring::{OrderRing, SentDeadLetter};
use crate::queue::Shared;
use crate::queue::events::ParticipantEvents;
use crate::queue::file::letters_name::letters_name;
use crate::queue::file::shared::NameStatus;
use crate::shm::Warning;

/// Retry limit: how many times a dead letter is sent to a file that turns out to be removed.
const MAX_TRIES: u32 = 8;

/// The open dead-letter queue of a handle whose consumers are attached.
#[derive(Default)]
pub(crate) struct DeadLetterMover {
    way: Mutex<Option<Way>>,
}

/// The `DeadLetterMover` that the consumers of one handle share.
#[derive(Default)]
pub(crate) struct SharedDeadLetterMover(Mutex<Weak<DeadLetterMover>>);

impl SharedDeadLetterMover {
    fn get(&self) -> Arc<DeadLetterMover> {
        let mut weak = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        weak.upgrade().unwrap_or_else(|| {
            let dead_letter_mover = Arc::default();
            *weak = Arc::downgrade(&dead_letter_mover);
            dead_letter_mover
        })
    }
}

struct Way {
    sender: MpmcSender,
    /// Of the dead-letter queue, whose consumers may sleep. Dropped after the sender, as in every
    /// producer.
    events: ParticipantEvents,
    queue: Arc<Shared>,
}

impl Way {
    fn attach(queue: Arc<Shared>) -> Result<Self, AttachError> {
        let events = ParticipantEvents::new(&queue);
        let sender = MpmcSender::attach(Arc::clone(&queue))?;
        events.notify_all();
        Ok(Self { sender, events, queue })
    }

    fn open(shared: &Shared) -> Result<Self, Cause> {
        let queue = shared.dead_letters(true).map_err(|error| error.letter_cause())?;
        Self::attach(queue).map_err(|error| error.letter_cause())
    }

    /// Sends a dead letter, unless it is there already.
    fn send(&mut self, payload: &[u8], letter: SentDeadLetter) -> Result<(), Cause> {
        if self.sender.ring().has_dead_letter(letter.origin) {
            return Ok(());
        }
        self.sender.send_dead_letter(payload, letter).map_err(|refusal| {
            let cause = match refusal {
                Refusal::Full | Refusal::PositionsExhausted => DeadLetterCause::Full,
                Refusal::Length => DeadLetterCause::TooLarge,
                Refusal::Closed => DeadLetterCause::Closed,
                Refusal::Corrupted(_) => DeadLetterCause::WrongFile,
            };
            (cause, None)
        })?;
        self.events.messages.notify(1);
        Ok(())
    }
}

impl DeadLetterMover {
    /// Returns the mover of a handle whose first or next consumer attaches: opens the dead-letter
    /// queue if there is one.
    ///
    /// What can never work is an error, before anything depends on it. What may work later is a
    /// warning.
    pub(super) fn prepare(shared: &Shared) -> Result<Arc<Self>, AttachError> {
        let dead_letter_mover = shared.dead_letter_mover().get();
        if !shared.has_dead_letters() || !shared.is_trusted() {
            return Ok(dead_letter_mover);
        }
        let mut way = dead_letter_mover.lock();
        if way.as_ref().is_none_or(|open| !is_named(&open.queue)) {
            match shared.dead_letters(false) {
                Ok(queue) => match Way::attach(queue) {
                    Ok(open) => *way = Some(open),
                    Err(error) => note(shared, &shared.ring(), error.letter_cause()),
                },
                Err(OpenError::NotFound { .. } | OpenError::Unlinked { .. }) => {}
                Err(error) => match error.letter_cause() {
                    (DeadLetterCause::WrongFile | DeadLetterCause::Permission, _) => {
                        return Err(AttachError::DeadLetters {
                            path: letters_name(shared.path()),
                            source: Box::new(error),
                        });
                    }
                    cause => note(shared, &shared.ring(), cause),
                },
            }
        }
        drop(way);
        Ok(dead_letter_mover)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Way>> {
        // A panic leaves nothing half-done: the option is `Some` or `None`.
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves a message to the dead-letter queue. Returns false if that fails: then the message
    /// stays where it is, and the failure is counted.
    pub(super) fn try_move(
        &self,
        shared: &Shared,
        ring: &OrderRing,
        payload: &[u8],
        letter: SentDeadLetter,
    ) -> bool {
        let moved = self.attempt_move(shared, payload, letter);
        ring.count_dead_letter(moved.is_ok());
        if let Err(cause) = moved {
            note(shared, ring, cause);
        }
        moved.is_ok()
    }

    fn attempt_move(&self, shared: &Shared, payload: &[u8], letter: SentDeadLetter) -> Result<(), Cause> {
        let mut way = self.lock();
        for _ in 0..MAX_TRIES {
            let open = Self::open_way(&mut way, shared)?;
            open.send(payload, letter)?;
            if is_current(&open.queue) {
                return Ok(());
            }
        }
        Err((DeadLetterCause::Removed, None))
    }

    /// Returns the way to the file that has the name. A way to a file that was renamed, or whose
    /// name cannot be seen from here any more (`chroot`), is better than none.
    fn open_way<'w>(way: &'w mut Option<Way>, shared: &Shared) -> Result<&'w mut Way, Cause> {
        if way.as_ref().is_none_or(|open| !is_named(&open.queue)) {
            match Way::open(shared) {
                Ok(open) => *way = Some(open),
                Err(_) if way.as_ref().is_some_and(|open| is_current(&open.queue)) => {}
                Err(cause) => {
                    *way = None;
                    return Err(cause);
                }
            }
        }
        way.as_mut().ok_or((DeadLetterCause::System, None))
    }
}

/// Stores the cause in the file for tools, and adds a warning for this process.
fn note(shared: &Shared, ring: &OrderRing, (cause, errno): Cause) {
    let failure = DeadLetterFailure::now(cause, errno);
    ring.note_letter_failure(failure.to_word());
    let reason = failure.to_string();
    shared.add_warning(Warning::NoDeadLetters { path: letters_name(shared.path()), reason });
}

/// Nanoseconds since 1970; diagnostic only.
pub(super) fn now_ns() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Whether its name leads to the queue. False in doubt.
fn is_named(queue: &Shared) -> bool {
    matches!(queue.is_orphaned(), Ok(false))
}

/// Whether it was neither removed nor replaced. False in doubt.
fn is_current(queue: &Shared) -> bool {
    matches!(queue.name_status(), Ok(NameStatus::Current))
}
