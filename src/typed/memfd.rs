//! What typed queues have as queues of bytes do: memfds, and what becomes of files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::format::schema;
use super::{Message, Queue};
use crate::error::{CreateError, OpenError, SendFdError};
use crate::queue::{Kind, Options, Shared};
use crate::shm::Warning;

impl<T: Message, K: Kind> Queue<T, K> {
    /// Creates a queue that has no name: see [`BytesQueue::create_memfd`](crate::BytesQueue::create_memfd).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Safety
    /// As [`create`](Self::create), for whoever gets it.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create_memfd(options: &Options) -> Result<Self, CreateError> {
        let schema = schema::<T>();
        Shared::create_memfd::<K>(&options.for_type::<K>(&schema)?, &schema).map(Self::from_shared)
    }

    /// ConsumerHandle a memfd queue that another process [sends](Self::send_fd), waiting for it as the socket does: see
    /// [`BytesQueue::recv_fd`](crate::BytesQueue::recv_fd).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Safety
    /// As [`create`](Self::create): of all who have the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn recv_fd(socket: &UnixStream, options: &Options) -> Result<Self, OpenError> {
        Shared::receive::<K>(socket, &schema::<T>(), options.open_options()).map(Self::from_shared)
    }

    /// Opens a memfd queue by a descriptor, such as one that this process inherited: see
    /// [`BytesQueue::open_fd`](crate::BytesQueue::open_fd).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Safety
    /// As [`create`](Self::create): of all who have the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_fd(descriptor: impl AsFd, options: &Options) -> Result<Self, OpenError> {
        Shared::open_fd::<K>(descriptor.as_fd(), &schema::<T>(), options.open_options())
            .map(Self::from_shared)
    }

    /// Hands a memfd queue to the process at the other end of a socket, which [receives](Self::recv_fd) it.
    ///
    /// # Errors
    /// [`SendFdError`].
    pub fn send_fd(&self, socket: &UnixStream) -> Result<(), SendFdError> {
        self.bytes().send_fd(socket)
    }

    /// A descriptor that programs started by this process inherit, until it is dropped: see
    /// [`BytesQueue::inheritable_fd`](crate::BytesQueue::inheritable_fd).
    ///
    /// # Errors
    /// [`SendFdError`].
    pub fn inheritable_fd(&self) -> Result<OwnedFd, SendFdError> {
        self.bytes().inheritable_fd()
    }

    /// Non-fatal warnings of this handle, its clones and the participants attached through them: options that could not be
    /// honoured, filesystem caveats.
    pub fn warnings(&self) -> Vec<Warning> {
        self.bytes().warnings()
    }

    /// Whether nobody finds this queue any more by its name: see
    /// [`BytesQueue::is_orphaned`](crate::BytesQueue::is_orphaned).
    ///
    /// # Errors
    /// If the system does not say what is there.
    pub fn is_orphaned(&self) -> std::io::Result<bool> {
        self.bytes().is_orphaned()
    }
}

/// The descriptor of the queue's file, for handing it over in other ways.
impl<T: Message, K: Kind> AsFd for Queue<T, K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared().file().as_fd()
    }
}
