//! memfd queues: created without a name, and passed to other processes.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::create_options::CreateOptions;
use super::handle_options::HandleOptions;
use super::open::{create_error, examine, initial_contents, memfd_name, new_preamble, open_error};
use super::open_options::OpenOptions;
use super::options::ResolvedOptions;
use super::shared::{CheckedFile, Shared};
use crate::error::{CreateError, OpenError, SendFdError};
use crate::queue::kind::Engine;
use crate::queue::{BytesQueue, Kind, Schema};
use crate::shm::{self, FilesystemClass, NotReceived, Plan, Size, StepError};

impl<K: Kind> BytesQueue<K> {
    /// Creates a queue with default [`CreateOptions`] that has no name: a memfd, whose size is sealed,
    /// so that no process can truncate it. Other processes get it from this process
    /// ([`send_fd`](Self::send_fd), [`as_fd`](AsFd::as_fd)). It ends with the last process that has it,
    /// and leaves no file.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// # Safety
    /// As [`create`](Self::create), for every process that gets it.
    ///
    /// ```
    /// use ringway::spsc::BytesQueue;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (here, there) = UnixStream::pair()?;
    /// // SAFETY: only this process has it.
    /// let queue = unsafe { BytesQueue::create_memfd()? };
    /// queue.send_fd(&here)?;
    /// // In another process:
    /// // SAFETY: as above.
    /// let same = unsafe { BytesQueue::recv_fd(&there)? };
    /// queue.producer()?.send(b"hello")?;
    /// assert_eq!(&*same.consumer()?.recv()?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create_memfd() -> Result<Self, CreateError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::create_memfd_with(&CreateOptions::new()) }
    }

    /// Creates a memfd queue with these options: see [`create_memfd`](Self::create_memfd).
    ///
    /// # Errors
    /// [`CreateError`]; `InvalidOptions` also for
    /// [`max_redeliveries`](CreateOptions::max_redeliveries): dead letters need a queue with a name.
    ///
    /// # Safety
    /// As [`create`](Self::create), for every process that gets it.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn create_memfd_with(options: &CreateOptions) -> Result<Self, CreateError> {
        options.check_creates_only()?;
        let resolved = options.for_bytes::<K>()?;
        let shared = Shared::create_memfd::<K>(&resolved, &Schema::bytes())?;
        shared.note_options(options, &resolved);
        Ok(Self::from_shared(shared))
    }

    /// Receives a memfd queue that another process [sends](Self::send_fd), waiting for it as the
    /// socket does.
    ///
    /// The descriptor is checked as any file is: its seals, its owner, its header and its type.
    ///
    /// # Errors
    /// [`OpenError::NotReceived`] if something else arrived, or the other end was closed;
    /// [`OpenError::NotSealed`], and as [`open`](Self::open).
    ///
    /// # Safety
    /// As [`create`](Self::create), for every process that has the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn recv_fd(socket: &UnixStream) -> Result<Self, OpenError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::recv_fd_with(socket, &OpenOptions::new()) }
    }

    /// Receives a memfd queue with these options: see [`recv_fd`](Self::recv_fd).
    ///
    /// # Errors
    /// As [`recv_fd`](Self::recv_fd).
    ///
    /// # Safety
    /// As [`create`](Self::create), for every process that has the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn recv_fd_with(socket: &UnixStream, options: &OpenOptions) -> Result<Self, OpenError> {
        Shared::receive::<K>(socket, &Schema::bytes(), options.handle_options()).map(Self::from_shared)
    }

    /// Opens a memfd queue by a descriptor, such as one that this process inherited. The descriptor
    /// stays the caller's; the queue opens its own.
    ///
    /// If only the number of a descriptor is known, [`open`](Self::open) accepts
    /// `/proc/self/fd/<number>`, and for a descriptor of another process `/proc/<pid>/fd/<number>`.
    ///
    /// # Errors
    /// As [`recv_fd`](Self::recv_fd).
    ///
    /// # Safety
    /// As [`create`](Self::create), for every process that has the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_fd(descriptor: impl AsFd) -> Result<Self, OpenError> {
        // SAFETY: the caller's promise is the same.
        unsafe { Self::open_fd_with(descriptor, &OpenOptions::new()) }
    }

    /// Opens a memfd queue by a descriptor, with these options: see [`open_fd`](Self::open_fd).
    ///
    /// # Errors
    /// As [`recv_fd`](Self::recv_fd).
    ///
    /// # Safety
    /// As [`create`](Self::create), for every process that has the memfd.
    #[allow(unsafe_code, reason = "the trust contract of the file")]
    pub unsafe fn open_fd_with(descriptor: impl AsFd, options: &OpenOptions) -> Result<Self, OpenError> {
        Shared::open_fd::<K>(descriptor.as_fd(), &Schema::bytes(), options.handle_options())
            .map(Self::from_shared)
    }

    /// Sends a memfd queue to the process at the other end of a socket, which
    /// [receives](Self::recv_fd) it.
    ///
    /// # Errors
    /// [`SendFdError`].
    pub fn send_fd(&self, socket: &UnixStream) -> Result<(), SendFdError> {
        self.shared().send_fd(socket)
    }

    /// Returns a descriptor of a memfd queue that programs started by this process inherit, until
    /// it is dropped. The program has to be told its number.
    ///
    /// # Errors
    /// [`SendFdError`].
    ///
    /// ```
    /// use ringway::spsc::BytesQueue;
    /// use std::os::fd::AsRawFd;
    ///
    /// // SAFETY: only this process has it.
    /// let queue = unsafe { BytesQueue::create_memfd()? };
    /// let descriptor = queue.inheritable_fd()?;
    /// let name = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    /// // In the other program, which is told the name:
    /// // SAFETY: as above.
    /// let same = unsafe { BytesQueue::open(&name)? };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inheritable_fd(&self) -> Result<OwnedFd, SendFdError> {
        self.shared().inheritable_fd()
    }
}

/// The descriptor of the queue's file, for passing it in other ways.
impl<K: Kind> AsFd for BytesQueue<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared().file().as_fd()
    }
}

impl Shared {
    pub(crate) fn create_memfd<K: Engine>(
        options: &ResolvedOptions,
        schema: &Schema,
    ) -> Result<Arc<Self>, CreateError> {
        let ResolvedOptions { geometry, handle_options, .. } = *options;
        if geometry.order.is_some_and(|order| order.policy.max_redeliveries != 0) {
            let reason = "`max_redeliveries` needs a queue with a name: its dead letters go to a file beside it; create one \
                          with a name, or leave it out";
            return Err(CreateError::InvalidOptions { reason: reason.into() });
        }
        let needed = geometry.file_len();
        let failed = |path: &Path, step, source| create_error(path.to_path_buf(), step, source, needed);
        let preamble = new_preamble(options, schema)
            .map_err(|source| failed(Path::new("memfd:ringway"), "reading random bytes", source))?;
        let name = memfd_name(&preamble.uuid);
        let path = PathBuf::from(&name);
        let contents = initial_contents(options, &preamble, schema);
        let size = Size { len: needed, allocated: geometry.allocated_len() };
        let plan = Plan { size, contents: &contents, sharing: handle_options.sharing_of_new() };
        let shown = name.trim_start_matches("memfd:");
        let file = shm::create_memfd(shown, plan)
            .map_err(|StepError { step, source }| failed(&path, step, source))?;
        let uuid = preamble.uuid;
        let checked = CheckedFile {
            path: path.clone(),
            is_memfd: true,
            geometry,
            uuid,
            filesystem: FilesystemClass::MEMORY,
        };
        let shared = Self::new(&Arc::new(file), checked, schema, handle_options)
            .map_err(|source| failed(&path, "mapping the header", source))?;
        Ok(Arc::new(shared))
    }

    pub(crate) fn receive<K: Engine>(
        socket: &UnixStream,
        schema: &Schema,
        handle_options: HandleOptions,
    ) -> Result<Arc<Self>, OpenError> {
        let path = PathBuf::from("a received memfd");
        let received = shm::receive_descriptor(socket).map_err(|error| match error {
            NotReceived::Ended => {
                OpenError::NotReceived { reason: "the other end of the socket was closed".into() }
            }
            NotReceived::Other(how) => {
                OpenError::NotReceived { reason: format!("the other end sent something, but {how}") }
            }
            NotReceived::Io(source) => {
                OpenError::Io { path: path.clone(), step: "receiving the descriptor", source }
            }
        })?;
        Self::open_descriptor::<K>(path, &received, schema, handle_options)
    }

    pub(crate) fn open_fd<K: Engine>(
        descriptor: BorrowedFd<'_>,
        schema: &Schema,
        handle_options: HandleOptions,
    ) -> Result<Arc<Self>, OpenError> {
        use std::os::fd::AsRawFd;
        let path = PathBuf::from(format!("descriptor {}", descriptor.as_raw_fd()));
        let clone = descriptor.try_clone_to_owned().map_err(|source| OpenError::Io {
            path: path.clone(),
            step: "duplicating the descriptor",
            source,
        })?;
        Self::open_descriptor::<K>(path, &clone.into(), schema, handle_options)
    }

    /// The queue gets an open file description of its own: locks belong to descriptions, and the
    /// process that sent this one has it too.
    fn open_descriptor<K: Engine>(
        path: PathBuf,
        received: &File,
        schema: &Schema,
        handle_options: HandleOptions,
    ) -> Result<Arc<Self>, OpenError> {
        let not_sealed = |found| OpenError::NotSealed { path: path.clone(), found };
        let sealed = shm::check_seals(received).map_err(|source| OpenError::Io {
            path: path.clone(),
            step: "checking the seals",
            source,
        })?;
        sealed.map_err(|unsealed| not_sealed(unsealed.in_words()))?;
        let file = shm::reopen(received, &path).map_err(|source| open_error(&path, source))?;
        Self::open_found::<K>(
            examine(path.clone(), file, true, Some(handle_options.accepted_sharing()))?,
            schema,
            handle_options,
        )
    }

    pub(crate) fn send_fd(&self, socket: &UnixStream) -> Result<(), SendFdError> {
        self.check_memfd()?;
        shm::send_descriptor(socket, self.file().as_fd())
            .map_err(|source| self.send_fd_failed("sending the descriptor", source))
    }

    pub(crate) fn inheritable_fd(&self) -> Result<OwnedFd, SendFdError> {
        self.check_memfd()?;
        shm::inheritable_fd(self.file())
            .map_err(|source| self.send_fd_failed("duplicating the descriptor", source))
    }

    fn check_memfd(&self) -> Result<(), SendFdError> {
        if self.is_memfd() { Ok(()) } else { Err(SendFdError::HasName { path: self.path().to_path_buf() }) }
    }

    fn send_fd_failed(&self, step: &'static str, source: std::io::Error) -> SendFdError {
        SendFdError::Io { path: self.path().to_path_buf(), step, source }
    }
}
