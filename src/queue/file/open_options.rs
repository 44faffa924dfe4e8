//! The options with which a queue is opened.

use super::boot::AfterPowerLoss;
use super::handle_options::HandleOptions;
use crate::shm::Sharing;

/// Options for opening a queue that exists: how this process treats its file.
///
/// None of them is recorded in the file, so each process chooses its own. A process that creates
/// the queue chooses them too: [`CreateOptions`](crate::CreateOptions) has the same methods.
///
/// ```
/// use ringway::{OpenOptions, spsc::BytesQueue};
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// # drop(unsafe { BytesQueue::create(&name)? });
/// let options = OpenOptions::new().prefault(false).guard_truncation(true);
/// // SAFETY: only programs that use ringway can write to this file.
/// let queue = unsafe { BytesQueue::open_with(&name, &options)? };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// use ringway::OpenOptions;
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("q");
/// # let queue = unsafe { ringway::spsc::BytesQueue::create(&name)? };
/// let options = OpenOptions::new().huge_pages(false).unlink_on_last_drop(true);
/// // SAFETY: only programs that use ringway can write to this file.
/// let again = unsafe { ringway::spsc::BytesQueue::open_with(&name, &options)? };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    handle_options: HandleOptions,
}

impl OpenOptions {
    /// Returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn handle_options(&self) -> HandleOptions {
        self.handle_options
    }
}

/// The setters of what each handle chooses, for a type with a field `handle_options`.
macro_rules! handle_setters {
    () => {
        /// Sets which processes may use the queue; the default is the processes of this user. A new
        /// file gets the mode that belongs to it, whatever the umask. Opening a file that more users
        /// can write to fails, because every process that can write to a queue is trusted.
        ///
        /// ```
        /// use ringway::{CreateOptions, Sharing, mpmc::BytesQueue};
        /// # let dir = tempfile::tempdir()?;
        /// # let name = dir.path().join("q");
        /// // For all users of the group that owns the file; each of them says so.
        /// let options = CreateOptions::new().sharing(Sharing::Group);
        /// // SAFETY: all programs of the group's users that write to this file use ringway.
        /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options)? };
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[must_use]
        pub fn sharing(mut self, sharing: Sharing) -> Self {
            self.handle_options.sharing = Some(sharing);
            self
        }

        /// Sets whether all pages of the ring (MPMC: of a lane) are mapped when a producer or consumer
        /// attaches. The default is true: attaching takes some milliseconds for 16 MiB, and later no
        /// first use of a page takes microseconds. Without it, a queue of any size is opened and
        /// attached to within 0.1 ms. If the kernel refuses, that is a [`Warning`](crate::Warning).
        #[must_use]
        pub fn prefault(mut self, prefault: bool) -> Self {
            self.handle_options.prefault = Some(prefault);
            self
        }

        /// Asks the kernel for huge pages for the ring (MPMC: for lanes). Large rings that are read and
        /// written at random gain from them. Only /dev/shm and memfd queues can have them, in multiples
        /// of 2 MiB; if they cannot be had, that is a [`Warning`](crate::Warning). The pages are
        /// requested when a producer or consumer attaches; this copies the ring once.
        #[must_use]
        pub fn huge_pages(mut self, huge_pages: bool) -> Self {
            self.handle_options.huge_pages = huge_pages;
            self
        }

        /// Guards this process against truncation of the file while it is mapped, which otherwise ends
        /// the process with SIGBUS.
        ///
        /// The first such queue of a process installs a handler for SIGBUS. When the handler finds that
        /// the file is truncated, it puts zeros in the place of the missing page, and every operation
        /// of the queue fails from then on with `Truncated`. Every other SIGBUS goes to the handler
        /// that was there before, or ends the process as it would have.
        ///
        /// The guard makes truncation fail in an orderly way; it does not make it legal. What is read
        /// at that moment may turn to zeros under the reader: a message that is being read may be
        /// wrong, and one that is being sent is lost. The guard does not notice a file that is
        /// truncated and immediately extended again. A program that later installs a handler of its own
        /// must call the one that it finds. At most 1,024 mappings of a process are guarded. memfd
        /// queues need no guard: they cannot be truncated.
        #[must_use]
        pub fn guard_truncation(mut self, guard: bool) -> Self {
            self.handle_options.guard_truncation = guard;
            self
        }

        /// Sets what happens to a queue on a disk that was last used before the machine was started
        /// again, if nothing proves that all of it reached the disk. The default is
        /// [`AfterPowerLoss::Refuse`].
        ///
        /// A queue whose last participant detached in order is opened without a warning, whatever the
        /// value, also after a power loss, if all of it is there: the last participant that leaves
        /// stores a hash of the contents in the file. If the queue was in use when the machine went
        /// down, each of its pages may or may not have reached the disk.
        ///
        /// ```
        /// use ringway::{AfterPowerLoss, CreateOptions, spsc::BytesQueue};
        /// # let dir = tempfile::tempdir_in(".")?;
        /// # let name = dir.path().join("samples");
        /// // What was not received before a power loss is worth nothing.
        /// let options = CreateOptions::new().after_power_loss(AfterPowerLoss::Discard);
        /// // SAFETY: only programs that use ringway can write to this file.
        /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options)? };
        /// for notice in queue.warnings() {
        ///     eprintln!("{}: {notice}", name.display()); // says how many messages were dropped
        /// }
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[must_use]
        pub fn after_power_loss(mut self, what: AfterPowerLoss) -> Self {
            self.handle_options.after_power_loss = what;
            self
        }

        /// Removes the queue, with its messages, when the last handle that was opened with this option
        /// is dropped, unless a producer or consumer is still attached. Handles opened without the
        /// option do not count. (A memfd queue ends with the last process that has it, in any case.)
        ///
        /// A process that is killed drops nothing: the queue is then removed when the next such handle
        /// is dropped, or by [`unlink_if_unused`](crate::unlink_if_unused).
        #[must_use]
        pub fn unlink_on_last_drop(mut self, unlink: bool) -> Self {
            self.handle_options.unlink_on_last_drop = unlink;
            self
        }

        /// Ends the calls of participants attached through this handle when the queue is orphaned:
        /// unlinked, renamed, or replaced by another file of the same name. Then sending fails with
        /// [`SendError::Orphaned`](crate::SendError::Orphaned), and receiving with
        /// [`RecvError::Orphaned`](crate::RecvError::Orphaned) once no message is left to take. Calls
        /// that are waiting at that moment end within about 150 ms. A [`WaitSet`](crate::WaitSet)
        /// counts such a participant as ready, and async calls end the same way. By default,
        /// participants continue with the file that they have, whichever file has its name, and
        /// [`is_orphaned`](crate::kind::BytesQueue::is_orphaned) tells.
        ///
        /// The option costs a producer some 30 ns a message, and a consumer nothing while there are
        /// messages.
        ///
        /// ```
        /// use ringway::{CreateOptions, RecvError, SendError, spsc::BytesQueue};
        /// # let dir = tempfile::tempdir()?;
        /// # let name = dir.path().join("q");
        /// let options = CreateOptions::new().end_when_orphaned(true);
        /// // SAFETY: only programs that use ringway can write to this file.
        /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options)? };
        /// let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        /// std::fs::remove_file(&name)?;
        /// assert!(matches!(producer.send(b"lost"), Err(SendError::Orphaned { .. })));
        /// assert!(matches!(consumer.recv(), Err(RecvError::Orphaned { .. })));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[must_use]
        pub fn end_when_orphaned(mut self, end: bool) -> Self {
            self.handle_options.end_when_orphaned = end;
            self
        }
    };
}
pub(in crate::queue) use handle_setters;

impl OpenOptions {
    handle_setters!();
}
