//! How a consumer of a broadcast queue reads, and from where.

/// How a consumer of a broadcast queue reads, and from where on: see
/// [`consumer_with`](crate::broadcast::BytesQueue::consumer_with).
///
/// | | [`reliable`](Self::reliable) | [`lossy`](Self::lossy) | `lossy().in_place(true)` |
/// |---|---|---|---|
/// | sees | every message, once, in order | the same, or [`Lagged`](crate::RecvError::Lagged) | as `lossy` |
/// | producers wait for it | while its process lives | never | while it holds messages |
/// | reads | in the file | in a private copy | in the file |
///
/// A process that is stopped (`SIGSTOP`) lives. A dead one is never waited for.
///
/// ```
/// use ringway::RecvError;
/// use ringway::broadcast::{BytesQueue, Start, Subscribe};
///
/// # let dir = tempfile::tempdir()?;
/// # let name = dir.path().join("ticks");
/// // SAFETY: only programs that use ringway can write to this file.
/// let queue = unsafe { BytesQueue::create_with(&name, &ringway::CreateOptions::new().max_messages(16))? };
/// let mut producer = queue.producer()?;
/// let journal = queue.consumer()?; // reliable, from the next message on
/// producer.send(b"one")?;
/// let screen = queue.consumer_with(&Subscribe::lossy().from(Start::Last(1)))?;
/// assert_eq!(*screen.recv()?, *b"one");
/// assert_eq!(*journal.recv()?, *b"one");
/// drop(journal);
///
/// // Nothing holds the producer up now, and `screen` misses what it is too slow for.
/// for _ in 0..100 {
///     producer.send(b"tick")?;
/// }
/// match screen.recv() {
///     Err(RecvError::Lagged(missed)) => assert!(missed > 80),
///     other => panic!("{other:?}"),
/// }
/// assert_eq!(*screen.recv()?, *b"tick");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe {
    pub(super) mode: ConsumerMode,
    pub(super) start: Start,
    pub(super) on_lag: Start,
}

/// How a consumer of a broadcast queue reads: see [`Subscribe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerMode {
    /// It sees every message, in place; producers wait for it while its process lives.
    Reliable,
    /// It copies each message; producers never wait for it.
    Lossy,
    /// It reads in place; producers wait for it while it holds messages.
    LossyInPlace,
}

/// Where a consumer of a broadcast queue begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the next message that is sent.
    #[default]
    Newest,
    /// With the oldest message that is retained.
    Oldest,
    /// With the last so many messages, or as many as are retained.
    Last(u64),
    /// With the message at this [position](crate::broadcast::BytesFrame::position). If it is not
    /// retained any more, the first call says how many were missed
    /// ([`Lagged`](crate::RecvError::Lagged)).
    At(u64),
}

impl Subscribe {
    /// A consumer that sees every message: producers wait for it while its process lives.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// use ringway::broadcast::Subscribe;
    /// let journal = queue.consumer_with(&Subscribe::reliable())?;
    /// queue.producer()?.send(b"one")?;
    /// assert_eq!(*journal.recv()?, *b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reliable() -> Self {
        Self { mode: ConsumerMode::Reliable, start: Start::Newest, on_lag: Start::Oldest }
    }

    /// A consumer that producers never wait for. Each message is copied, and checked after that; what
    /// was overwritten meanwhile is reported as [`Lagged`](crate::RecvError::Lagged).
    ///
    /// With [`max_messages(2)`](crate::CreateOptions::max_messages) and [`Start::Last(1)`](Start::Last)
    /// the queue is a cell that holds the latest value, of any type:
    ///
    /// ```
    /// use ringway::CreateOptions;
    /// use ringway::broadcast::{Queue, Start, Subscribe};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("weather");
    /// let options = CreateOptions::new().max_messages(2).max_producers(1).gating(false);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { Queue::<String>::create_with(&name, &options)? };
    /// let mut station = queue.producer()?;
    /// for weather in ["fog", "rain", "sun"] {
    ///     station.send(&weather.to_owned())?;
    /// }
    /// let latest = Subscribe::lossy().from(Start::Last(1)).on_lag(Start::Last(1));
    /// assert_eq!(*queue.consumer_with(&latest)?.recv()?, *"sun");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lossy() -> Self {
        Self { mode: ConsumerMode::Lossy, ..Self::reliable() }
    }

    /// Sets where it begins; the default is [`Start::Newest`].
    ///
    /// ```
    /// use ringway::broadcast::{Start, Subscribe};
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// queue.producer()?.send_many(&["one", "two", "three"])?;
    /// let late = queue.consumer_with(&Subscribe::reliable().from(Start::Last(2)))?;
    /// assert_eq!(*late.recv()?, *b"two");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn from(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Lossy: sets whether messages are read in the file, without a copy. While it holds one, it is
    /// kept, and so is all that follows: producers wait if the queue is full. For large messages.
    ///
    /// A reliable consumer always reads in place.
    ///
    /// ```
    /// use ringway::broadcast::Subscribe;
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// let camera = queue.consumer_with(&Subscribe::lossy().in_place(true))?;
    /// let mut producer = queue.producer()?;
    /// producer.send(&[0; 100_000])?;
    /// let image = camera.recv()?;
    /// assert_eq!(queue.stats().consumers[0].holds_from, Some(image.position()));
    /// drop(image);
    /// assert_eq!(queue.stats().consumers[0].holds_from, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_place(mut self, in_place: bool) -> Self {
        self.mode = match self.mode {
            ConsumerMode::Reliable => ConsumerMode::Reliable,
            _ if in_place => ConsumerMode::LossyInPlace,
            _ => ConsumerMode::Lossy,
        };
        self
    }

    /// Lossy: sets where it continues after it has missed messages; the default is
    /// [`Start::Oldest`], which misses the fewest. [`Start::At`] is as `Oldest`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let queue = unsafe { ringway::broadcast::BytesQueue::create(dir.path().join("q"))? };
    /// use ringway::broadcast::{Start, Subscribe};
    /// let screen = queue.consumer_with(&Subscribe::lossy().on_lag(Start::Newest))?;
    /// let mut producer = queue.producer()?;
    /// for _ in 0..100_000 {
    ///     producer.send(b"tick")?;
    /// }
    /// assert!(matches!(screen.try_recv(), Err(ringway::RecvError::Lagged(100_000))));
    /// assert!(screen.try_recv().unwrap_err().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_lag(mut self, start: Start) -> Self {
        self.on_lag = start;
        self
    }
}

impl Default for Subscribe {
    fn default() -> Self {
        Self::reliable()
    }
}

impl Start {
    /// The position, in a queue that retains these.
    pub(super) fn position(self, oldest: u64, newest: u64) -> u64 {
        match self {
            Self::Newest => newest,
            Self::Oldest => oldest,
            Self::Last(count) => oldest.max(newest.saturating_sub(count)),
            Self::At(position) => position,
        }
    }
}
