//! The parts of a typed queue that it shares with [`BytesQueue`](crate::kind::BytesQueue): memfds,
//! warnings, orphaned files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::format::schema;
use super::{Message, Queue};
use crate::error::{CreateError, OpenError, SendFdError};
use crate::queue::{CreateOptions, Kind, OpenOptions, Shared};
use crate::shm::Warning;

impl<T: Message, K: Kind> Queue<T, K> {
    /// Creates a queue that has no name: see [`BytesQueue::create_memfd`](crate::kind::BytesQueue::create_memfd).
    ///
    /// # Errors
    /// Those of [`BytesQueue::create_memfd`](crate::kind::BytesQueue::create_memfd).
    ///
    /// # Safety
    /// As [`create`](Self::create), for all processes that get the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create_memfd() -> Result<Self, CreateError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::create_memfd_with(&CreateOptions::new()) }
    }

    /// Creates a memfd queue with these options.
    ///
    /// # Errors
    /// As [`create_memfd`](Self::create_memfd).
    ///
    /// # Safety
    /// As [`create`](Self::create), for all processes that get the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create_memfd_with(options: &CreateOptions) -> Result<Self, CreateError> {
        let schema = schema::<T>();
        options.check_creates_only()?;
        let resolved = options.for_type::<K>(&schema)?;
        let shared = Shared::create_memfd::<K>(&resolved, &schema)?;
        shared.note_options(options, &resolved);
        Ok(Self::from_shared(shared))
    }

    /// Receives a memfd queue that another process [sends](Self::send_fd), waiting for it as the
    /// socket does: see [`BytesQueue::recv_fd`](crate::kind::BytesQueue::recv_fd).
    ///
    /// # Errors
    /// Those of [`BytesQueue::recv_fd`](crate::kind::BytesQueue::recv_fd).
    ///
    /// # Safety
    /// As [`create`](Self::create), for all processes that have the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn recv_fd(socket: &UnixStream) -> Result<Self, OpenError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::recv_fd_with(socket, &OpenOptions::new()) }
    }

    /// Receives a memfd queue with these options.
    ///
    /// # Errors
    /// As [`recv_fd`](Self::recv_fd).
    ///
    /// # Safety
    /// As [`create`](Self::create), for all processes that have the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn recv_fd_with(socket: &UnixStream, options: &OpenOptions) -> Result<Self, OpenError> {
        Shared::receive::<K>(socket, &schema::<T>(), options.handle_options()).map(Self::from_shared)
    }

    /// Opens a memfd queue by a descriptor, such as one that this process inherited: see
    /// [`BytesQueue::open_fd`](crate::kind::BytesQueue::open_fd).
    ///
    /// # Errors
    /// Those of [`BytesQueue::open_fd`](crate::kind::BytesQueue::open_fd).
    ///
    /// # Safety
    /// As [`create`](Self::create), for all processes that have the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_fd(descriptor: impl AsFd) -> Result<Self, OpenError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::open_fd_with(descriptor, &OpenOptions::new()) }
    }

    /// Opens a memfd queue by a descriptor, with these options.
    ///
    /// # Errors
    /// As [`open_fd`](Self::open_fd).
    ///
    /// # Safety
    /// As [`create`](Self::create), for all processes that have the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_fd_with(descriptor: impl AsFd, options: &OpenOptions) -> Result<Self, OpenError> {
        Shared::open_fd::<K>(descriptor.as_fd(), &schema::<T>(), options.handle_options())
            .map(Self::from_shared)
    }

    /// Passes a memfd queue to the process at the other end of a socket, which [receives](Self::recv_fd) it.
    ///
    /// # Errors
    /// [`SendFdError`].
    pub fn send_fd(&self, socket: &UnixStream) -> Result<(), SendFdError> {
        self.bytes().send_fd(socket)
    }

    /// Creates a descriptor that programs started by this process inherit, until it is dropped: see
    /// [`BytesQueue::inheritable_fd`](crate::kind::BytesQueue::inheritable_fd).
    ///
    /// # Errors
    /// [`SendFdError`].
    pub fn inheritable_fd(&self) -> Result<OwnedFd, SendFdError> {
        self.bytes().inheritable_fd()
    }

    /// Non-fatal warnings of this handle, its clones and the participants attached through them:
    /// options that could not be honoured, filesystem caveats.
    pub fn warnings(&self) -> Vec<Warning> {
        self.bytes().warnings()
    }

    /// Whether the queue is orphaned, so that no peer finds it by its name: see
    /// [`BytesQueue::is_orphaned`](crate::kind::BytesQueue::is_orphaned).
    ///
    /// # Errors
    /// If the system does not say which file has the name.
    pub fn is_orphaned(&self) -> std::io::Result<bool> {
        self.bytes().is_orphaned()
    }
}

/// The descriptor of the queue's file, for passing it to a process in other ways.
impl<T: Message, K: Kind> AsFd for Queue<T, K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared().file().as_fd()
    }
}
