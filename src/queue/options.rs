//! The options with which a queue is created or opened.

use super::Schema;
use super::asked::{Asked, lacks_room};
use super::boot::AfterPowerLoss;
use super::kind::Engine;
pub(crate) use super::open_options::OpenOptions;
use crate::error::CreateError;
use crate::layout::order::position_limit;
use crate::layout::{
    Framing, Geometry, GeometryRequest, KIND_MPMC, KIND_SPSC, OrderRequest, POSITION_LIMIT, Policy,
};
use crate::shm::Sharing;

/// Default number of ring bytes. Measured on cores with 1 and 2 MiB of L2: 64-byte messages are as
/// fast from 256 KiB up, larger ones need 1 MiB, and a ring much larger than the L2 is slower again
/// where the L3 is far.
const DEFAULT_CAPACITY: usize = 1 << 20;
/// Default number of bytes of an MPMC lane.
const DEFAULT_LANE: usize = 1 << 19;
/// Default number of slots of an MPMC queue: as many as a lane holds messages of 64 bytes.
const DEFAULT_SLOTS: u64 = 1 << 13;
/// Default number of participants of an MPMC queue.
const DEFAULT_PARTICIPANTS: u64 = 64;
/// Default alignment of MPMC frames. Each frame has its own cache lines: writing the next frame
/// does not disturb the reading of this one.
const DEFAULT_MPMC_ALIGN: usize = 64;

/// Default alignment of byte messages: that of the commit word before them.
const DEFAULT_ALIGN: usize = 8;

/// Options of a new queue, and of a handle.
///
/// Most options describe a new queue; an existing queue keeps those with which it was created.
/// [`sharing`](Self::sharing), [`prefault`](Self::prefault), [`huge_pages`](Self::huge_pages),
/// [`guard_truncation`](Self::guard_truncation),
/// [`unlink_on_last_drop`](Self::unlink_on_last_drop),
/// [`end_when_orphaned`](Self::end_when_orphaned) and [`after_power_loss`](Self::after_power_loss)
/// describe how this process treats the file. They are not recorded in the file: each process
/// chooses its own, also when it opens an existing queue.
///
/// ```
/// let options = ringway::Options::new().ring_bytes(1 << 20).fixed_len(64);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    capacity: Option<usize>,
    align: Option<usize>,
    fixed: Fixed,
    start_position: u64,
    uuid: Option<[u8; 16]>,
    max_messages: Option<usize>,
    participants: Option<usize>,
    delivery: Option<Delivery>,
    max_redeliveries: Option<u32>,
    open_options: OpenOptions,
}

/// What happens to a message whose consumer dies, panics or [rejects](crate::Frame::reject) it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// The message is redelivered, to another consumer or to the same one.
    #[default]
    AtLeastOnce,
    /// The message is dropped. (A message that the consumer had only just taken, and that user code
    /// has not seen yet, is redelivered nevertheless.)
    AtMostOnce,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fixed {
    /// The default: what the type allows.
    Auto,
    No,
    Len(usize),
    OfType,
}

/// Options combined with the needs of the message type.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedOptions {
    pub(crate) geometry: Geometry,
    pub(crate) start_position: u64,
    pub(crate) uuid: Option<[u8; 16]>,
    pub(crate) open_options: OpenOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Returns the defaults: 1 MiB of ring; messages of variable size, or of one size if the type
    /// has one.
    pub fn new() -> Self {
        Self {
            capacity: None,
            align: None,
            fixed: Fixed::Auto,
            start_position: 0,
            uuid: None,
            max_messages: None,
            participants: None,
            delivery: None,
            max_redeliveries: None,
            open_options: OpenOptions::default(),
        }
    }

    /// Sets the bytes of the ring; the default is 1 MiB. The value is rounded up to a power of two
    /// (variable-size messages) or down to whole messages (fixed-size messages).
    ///
    /// MPMC: the bytes of each producer's lane. The default is 512 KiB; the value is rounded up to
    /// a power of two and is at most 256 MiB. A lane takes up memory from the time a producer first
    /// uses it.
    ///
    /// A much larger ring is not faster, unless the consumer pauses for long. A frame may take at
    /// most half of it.
    #[must_use]
    pub fn ring_bytes(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// Sets the alignment of every message, in bytes: a power of two up to 128. The default is 8
    /// for bytes, 16 for variable-size typed messages, and the type's own alignment for fixed-size
    /// ones. An archive type always gets at least its own alignment. 64 keeps messages from sharing
    /// cache lines; it is the default of MPMC, where the minimum is 8.
    #[must_use]
    pub fn align(mut self, bytes: usize) -> Self {
        self.align = Some(bytes);
        self
    }

    /// Gives every message of a bytes queue exactly this many bytes. Such messages are stored
    /// without headers, which is faster for small ones.
    #[must_use]
    pub fn fixed_len(mut self, bytes: usize) -> Self {
        self.fixed = Fixed::Len(bytes);
        self
    }

    /// Requires that every message of a typed queue is just its archived root, without out-of-line
    /// data (no `String`, `Vec`, `Box`). Such messages are stored without headers, which is faster
    /// for small ones. This is the default for types without out-of-line data; with this option,
    /// creating a queue for any other type is an error.
    #[must_use]
    pub fn fixed_size(mut self) -> Self {
        self.fixed = Fixed::OfType;
        self
    }

    /// Stores messages with headers, even if all messages of the type have the same size.
    #[must_use]
    pub fn any_size(mut self) -> Self {
        self.fixed = Fixed::No;
        self
    }

    /// MPMC: sets the maximum number of messages in the queue, whatever their sizes; the default is
    /// 8,192. The value is rounded up to a power of two; each takes 16 bytes.
    #[must_use]
    pub fn max_messages(mut self, count: usize) -> Self {
        self.max_messages = Some(count);
        self
    }

    /// MPMC: sets the maximum number of producers and consumers at a time, together; the default is
    /// 64, the maximum 4,096. Each takes 256 bytes, and each that has been a producer also takes a
    /// lane.
    #[must_use]
    pub fn max_participants(mut self, count: usize) -> Self {
        self.participants = Some(count);
        self
    }

    /// MPMC: sets whether a message is redelivered after its consumer died or rejected it. The
    /// default is [`Delivery::AtLeastOnce`]. [`Delivery::AtMostOnce`] excludes
    /// [`max_redeliveries`](Self::max_redeliveries).
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// MPMC: sets the maximum number of redeliveries of a message, from 1 to 14. A message that was
    /// redelivered this many times goes to the [dead-letter queue](crate::BytesQueue::dead_letters)
    /// instead of being redelivered once more. By default there is no maximum.
    ///
    /// Each reject counts, each panic that drops a guard, and each death of a process that held the
    /// message, **whatever its cause**: also a deployment's `kill -9` and the OOM killer's. Leave
    /// room for those.
    ///
    /// With [`Delivery::AtMostOnce`] it is an error: nothing is redelivered then.
    #[must_use]
    pub fn max_redeliveries(mut self, count: u32) -> Self {
        self.max_redeliveries = Some(count);
        self
    }

    /// Sets which processes may use the queue; the default is the processes of this user. A new
    /// file gets the mode that belongs to it, whatever the umask. Opening a file that more users
    /// can write to fails, because every process that can write to a queue is trusted.
    ///
    /// ```
    /// use ringway::{Options, Sharing, mpmc::BytesQueue};
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// // For all users of the group that owns the file; each of them says so.
    /// let options = Options::new().sharing(Sharing::Group);
    /// // SAFETY: all programs of the group's users that write to this file use ringway.
    /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options)? };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.open_options.sharing = sharing;
        self
    }

    /// Sets whether all pages of the ring (MPMC: of a lane) are mapped when a producer or consumer
    /// attaches. The default is true: attaching takes some milliseconds for 16 MiB, and later no
    /// first use of a page takes microseconds. Without it, a queue of any size is opened and
    /// attached to within 0.1 ms. If the kernel refuses, that is a [`Warning`](crate::Warning).
    #[must_use]
    pub fn prefault(mut self, prefault: bool) -> Self {
        self.open_options.prefault = prefault;
        self
    }

    /// Asks the kernel for huge pages for the ring (MPMC: for lanes). Large rings that are read and
    /// written at random gain from them. Only /dev/shm and memfd queues can have them, in multiples
    /// of 2 MiB; if they cannot be had, that is a [`Warning`](crate::Warning). The pages are
    /// requested when a producer or consumer attaches; this copies the ring once.
    #[must_use]
    pub fn huge_pages(mut self, huge_pages: bool) -> Self {
        self.open_options.huge_pages = huge_pages;
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
        self.open_options.guard_truncation = guard;
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
    /// use ringway::{AfterPowerLoss, Options, spsc::BytesQueue};
    /// # let dir = tempfile::tempdir_in(".")?;
    /// # let name = dir.path().join("samples");
    /// // What was not received before a power loss is worth nothing.
    /// let options = Options::new().after_power_loss(AfterPowerLoss::Discard);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options)? };
    /// for notice in queue.warnings() {
    ///     eprintln!("{}: {notice}", name.display()); // says how many messages were dropped
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn after_power_loss(mut self, what: AfterPowerLoss) -> Self {
        self.open_options.after_power_loss = what;
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
        self.open_options.unlink_on_last_drop = unlink;
        self
    }

    /// Ends the calls of participants attached through this handle when the queue is orphaned:
    /// unlinked, renamed, or replaced by another file of the same name. Then sending fails with
    /// [`SendError::Orphaned`](crate::SendError::Orphaned), and receiving with
    /// [`RecvError::Orphaned`](crate::RecvError::Orphaned) once no message is left to take. Calls
    /// that are waiting at that moment end within about 150 ms. A [`WaitSet`](crate::WaitSet)
    /// counts such a participant as ready, and async calls end the same way. By default,
    /// participants continue with the file that they have, whichever file has its name, and
    /// [`is_orphaned`](crate::BytesQueue::is_orphaned) tells.
    ///
    /// The option costs a producer some 30 ns a message, and a consumer nothing while there are
    /// messages.
    ///
    /// ```
    /// use ringway::{Options, RecvError, SendError, spsc::BytesQueue};
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("q");
    /// let options = Options::new().end_when_orphaned(true);
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
        self.open_options.end_when_orphaned = end;
        self
    }

    /// Makes `open_or_create_with` create a new queue in the place of a closed one, if every
    /// message was received and no process is attached. A service that closes its queue to shut
    /// down then finds an open queue at its next start. By default, and if messages are left or a
    /// participant is still attached, the closed queue is opened, and
    /// [`warnings`](crate::BytesQueue::warnings) contain
    /// [`Warning::Closed`](crate::Warning::Closed).
    ///
    /// ```
    /// use ringway::{Warning, Options, mpmc::BytesQueue};
    /// # let dir = tempfile::tempdir()?;
    /// # let name = dir.path().join("jobs");
    /// let options = Options::new().replace_closed(true);
    /// // SAFETY: only programs that use ringway can write to this file.
    /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options)? };
    /// queue.close();
    /// drop(queue);
    /// // The next start:
    /// // SAFETY: as above.
    /// let queue = unsafe { BytesQueue::open_or_create_with(&name, &options)? };
    /// queue.producer()?.send(b"job")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn replace_closed(mut self, replace: bool) -> Self {
        self.open_options.replace_closed = replace;
        self
    }

    /// Sets the position at which the cursors begin, instead of 0. For tests of the behaviour near
    /// the limits.
    #[doc(hidden)]
    #[must_use]
    pub fn start_position(mut self, position: u64) -> Self {
        self.start_position = position;
        self
    }

    /// Sets the queue's uuid, instead of a random one. For files that must be reproducible.
    #[doc(hidden)]
    #[must_use]
    pub fn uuid(mut self, uuid: [u8; 16]) -> Self {
        self.uuid = Some(uuid);
        self
    }

    /// The options of the shape, each with its value if one was set.
    pub(super) fn asked(&self) -> [(Asked, Option<u64>); 7] {
        let number = |option: Option<usize>| option.map(|number| number as u64);
        let fixed_len = match self.fixed {
            Fixed::Len(len) => Some(len as u64),
            Fixed::No => Some(0),
            Fixed::Auto | Fixed::OfType => None,
        };
        [
            (Asked::Capacity, number(self.capacity)),
            (Asked::Align, number(self.align)),
            (Asked::FixedLen, fixed_len),
            (Asked::Links, number(self.max_messages)),
            (Asked::Participants, number(self.participants)),
            (Asked::AtMostOnce, self.delivery.map(|delivery| (delivery == Delivery::AtMostOnce).into())),
            (Asked::MaxRedeliveries, self.max_redeliveries.map(u64::from)),
        ]
    }

    /// How this process treats the file.
    pub(crate) fn open_options(&self) -> OpenOptions {
        self.open_options
    }

    /// Options for messages without a type.
    pub(crate) fn for_bytes<K: Engine>(&self) -> Result<ResolvedOptions, CreateError> {
        let kind = K::NUMBER;
        let default = if kind == KIND_MPMC { DEFAULT_MPMC_ALIGN } else { DEFAULT_ALIGN };
        let schema = Schema::bytes();
        match self.fixed {
            Fixed::Auto | Fixed::No => {
                self.resolve::<K>(Framing::Variable, self.align.unwrap_or(default), &schema)
            }
            // A length need not be a multiple of the default alignment: then the messages have a
            // smaller alignment.
            Fixed::Len(len) if kind == KIND_SPSC => {
                let natural = 1 << len.trailing_zeros().min(3);
                self.resolve::<K>(Framing::Fixed { len: len as u64 }, self.align.unwrap_or(natural), &schema)
            }
            Fixed::Len(len) => {
                self.resolve::<K>(Framing::Fixed { len: len as u64 }, self.align.unwrap_or(default), &schema)
            }
            Fixed::OfType => {
                bad("`fixed_size` is for typed queues; say `fixed_len(bytes)` for a queue of bytes".into())
            }
        }
    }

    /// Options for an archived type.
    pub(crate) fn for_type<K: Engine>(&self, schema: &Schema) -> Result<ResolvedOptions, CreateError> {
        let kind = K::NUMBER;
        let default = if kind == KIND_MPMC { DEFAULT_MPMC_ALIGN } else { 1 };
        let (size, align) = (schema.size, schema.align as usize);
        match self.fixed {
            Fixed::OfType if size == 0 => {
                bad("`fixed_size` needs a type whose archive has bytes, and this one's has none".into())
            }
            Fixed::OfType if !schema.is_inline => bad(format!(
                "`fixed_size` needs a type without out-of-line data, and `{}` has some (a `String`, `Vec` or `Box`)",
                schema.name
            )),
            Fixed::Auto | Fixed::OfType if schema.is_inline && size != 0 => {
                let align = self.align.unwrap_or(default).max(align);
                self.resolve::<K>(Framing::Fixed { len: size }, align, schema)
            }
            Fixed::Auto | Fixed::No | Fixed::OfType => {
                // Out-of-line data may need more than the root; beyond this the serialiser pads.
                let align = self.align.unwrap_or(default).max(align).max(16);
                self.resolve::<K>(Framing::Variable, align, schema)
            }
            Fixed::Len(_) => {
                bad("`fixed_len` is for queues of bytes; say `fixed_size` for a typed queue".into())
            }
        }
    }

    /// Options for a type that is known by its description: whether its archives have out-of-line
    /// data is for the caller to say, by a fixed length.
    pub(crate) fn for_described<K: Engine>(
        &self,
        schema: &Schema,
        align: usize,
    ) -> Result<ResolvedOptions, CreateError> {
        if !schema.format.is_some() {
            return bad("the description is that of bytes; create a queue of bytes".into());
        }
        let is_inline = match self.fixed {
            Fixed::Len(len) if len as u64 == schema.size => true,
            Fixed::Len(len) => {
                let Schema { name, size, .. } = schema;
                return bad(format!(
                    "`fixed_len({len})` is not the size of a `{name}`, which has {size} bytes"
                ));
            }
            Fixed::Auto | Fixed::No | Fixed::OfType => false,
        };
        let default = if K::NUMBER == KIND_MPMC { DEFAULT_MPMC_ALIGN } else { 1 };
        let align = self.align.unwrap_or(default).max(if is_inline { 1 } else { align });
        let fixed = if is_inline { Fixed::Auto } else { Fixed::No };
        let same = Self { fixed, align: Some(align), ..self.clone() };
        same.for_type::<K>(&Schema { is_inline, ..schema.clone() })
    }

    fn resolve<K: Engine>(
        &self,
        framing: Framing,
        align: usize,
        schema: &Schema,
    ) -> Result<ResolvedOptions, CreateError> {
        let order = self.order(K::NUMBER)?;
        if K::TRAILER != 0 && order.is_some_and(|order| order.policy.max_redeliveries != 0) {
            return bad(
                "`max_redeliveries` is not there for queues with checksums: a dead letter would need another one; leave it \
                 out, or use a queue without checksums"
                    .into(),
            );
        }
        let framing = match framing {
            Framing::Variable => Framing::Variable,
            Framing::Fixed { len } => Framing::Fixed { len: len.saturating_add(K::TRAILER) },
        };
        let default = if order.is_some() { DEFAULT_LANE } else { DEFAULT_CAPACITY };
        let capacity = self.capacity.unwrap_or(default) as u64;
        let description_len = schema.text.len() as u64;
        let request = GeometryRequest { framing, capacity, align: align as u64, description_len, order };
        let geometry = match Geometry::new(request) {
            Ok(geometry) if geometry.max_payload <= K::TRAILER => {
                return bad(format!("a ring of {capacity} bytes has no room for a message and its checksum"));
            }
            Ok(geometry) => Geometry { trailer: K::TRAILER, ..geometry },
            Err(error) => return bad(error.to_string()),
        };
        if let Some(reason) = lacks_room(&geometry, schema) {
            return bad(reason);
        }
        let limit =
            geometry.order.map_or(POSITION_LIMIT, |order| position_limit(order.slots.trailing_zeros()));
        if !geometry.is_boundary(self.start_position) || self.start_position > limit {
            return bad(format!(
                "the start position {} is no frame boundary, or beyond the limit",
                self.start_position
            ));
        }
        Ok(ResolvedOptions {
            geometry,
            start_position: self.start_position,
            uuid: self.uuid,
            open_options: self.open_options,
        })
    }

    /// The options that only an MPMC queue has.
    fn order(&self, kind: u32) -> Result<Option<OrderRequest>, CreateError> {
        let given = [
            ("max_messages", self.max_messages.is_some()),
            ("max_participants", self.participants.is_some()),
            ("delivery", self.delivery.is_some()),
            ("max_redeliveries", self.max_redeliveries.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) if kind != KIND_MPMC => {
                return bad(format!(
                    "`{option}` is for MPMC queues, and this is an SPSC queue; leave it out"
                ));
            }
            _ if kind != KIND_MPMC => return Ok(None),
            _ => {}
        }
        if self.max_redeliveries == Some(0) {
            return bad(
                "`max_redeliveries` is 0; it must be at least 1 (use `Delivery::AtMostOnce` for messages \
                        that never come again)"
                    .into(),
            );
        }
        if self.max_redeliveries.is_some() && self.delivery == Some(Delivery::AtMostOnce) {
            return bad(
                "`max_redeliveries` contradicts `Delivery::AtMostOnce`: a message that is delivered at most once is never \
                 redelivered, and so never becomes a dead letter; leave one of the two out"
                    .into(),
            );
        }
        Ok(Some(OrderRequest {
            slots: self.max_messages.map_or(DEFAULT_SLOTS, |max_messages| max_messages as u64),
            participants: self.participants.map_or(DEFAULT_PARTICIPANTS, |participants| participants as u64),
            policy: Policy {
                at_most_once: self.delivery == Some(Delivery::AtMostOnce),
                max_redeliveries: self.max_redeliveries.unwrap_or(0).into(),
                is_dead_letter_queue: false,
            },
        }))
    }
}

fn bad<T>(reason: String) -> Result<T, CreateError> {
    Err(CreateError::InvalidOptions { reason })
}
