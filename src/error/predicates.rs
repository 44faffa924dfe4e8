//! Questions that callers branch on, for errors that cannot be compared because they have a cause.

use super::{AttachError, CreateError, OpenError, RecvError, SendError};

impl SendError {
    /// Returns whether there was no room ([`Full`](Self::Full)), which `try_*` calls report.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let mut producer = queue.producer()?;
    /// let error = loop {
    ///     if let Err(error) = producer.try_send(&[0; 1000]) {
    ///         break error;
    ///     }
    /// };
    /// assert!(error.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// Returns whether the time was up before there was room ([`Timeout`](Self::Timeout)).
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Returns whether the queue is closed ([`Closed`](Self::Closed)).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let mut producer = queue.producer()?;
    /// queue.close();
    /// assert!(producer.send(b"too late").unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Returns whether a [canceller](crate::Canceller) ended the wait
    /// ([`Cancelled`](Self::Cancelled)).
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Returns whether the message can never fit into this queue ([`TooLarge`](Self::TooLarge)).
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}

impl RecvError {
    /// Returns whether no message was there ([`Empty`](Self::Empty)), which `try_*` calls report.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let consumer = queue.consumer()?;
    /// match consumer.try_recv() {
    ///     Ok(message) => println!("{} bytes", message.len()),
    ///     Err(error) if error.is_empty() => println!("nothing to do"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Returns whether the time was up before a message arrived ([`Timeout`](Self::Timeout)).
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    /// Returns whether no message will come any more ([`Closed`](Self::Closed)): the queue is
    /// closed, or the consumer [ends without
    /// producers](crate::spsc::BytesConsumer::end_when_disconnected) and there are none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let consumer = queue.consumer()?;
    /// queue.close();
    /// assert!(consumer.recv().unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Returns whether a [canceller](crate::Canceller) ended the wait
    /// ([`Cancelled`](Self::Cancelled)).
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }
}

impl AttachError {
    /// Returns whether a live process has the role ([`RoleTaken`](Self::RoleTaken)).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::spsc::BytesQueue::create(dir.path().join("q"))? };
    /// let first = queue.consumer()?;
    /// assert!(queue.consumer().unwrap_err().is_role_taken());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_role_taken(&self) -> bool {
        matches!(self, Self::RoleTaken { .. })
    }
}

impl CreateError {
    /// Returns whether there is a file of that name ([`AlreadyExists`](Self::AlreadyExists)).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// # use ringway::spsc::BytesQueue;
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let first = unsafe { BytesQueue::create(&name)? };
    /// // SAFETY: as above.
    /// let second = unsafe { BytesQueue::create(&name) };
    /// assert!(second.unwrap_err().is_already_exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::AlreadyExists { .. })
    }
}

impl OpenError {
    /// Returns whether there is no file of that name ([`NotFound`](Self::NotFound)).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { ringway::spsc::BytesQueue::open(&name) };
    /// assert!(queue.unwrap_err().is_not_found());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
