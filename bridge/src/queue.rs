//! Opening queues of whatever kind, as bytes with the description of their type.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ringway::inspect::{Inspector, Liveness, QueueKind, Snapshot};
use ringway::kind::{BytesConsumer, BytesQueue, Checksummed, Kind, Mpmc, RawQueue, Spsc};
use ringway::schema::Description;
use ringway::{AttachError, CreateError, CreateOptions, OpenOptions, RecoverError, Role, Sharing, Uuid};

use crate::inbound::Create;

/// The kinds of queues that a bridge carries: all of them.
pub(crate) trait Carried: Kind {
    /// Whether a queue may have several consumers.
    const HAS_MANY_CONSUMERS: bool;

    /// Requeues what dead consumers held, where that is not done by attaching.
    fn recover(queue: &RawQueue<Self>) -> Result<(), RecoverError>
    where
        Self: Sized;
}

impl Carried for Spsc {
    const HAS_MANY_CONSUMERS: bool = false;
    fn recover(_: &RawQueue<Self>) -> Result<(), RecoverError> {
        Ok(())
    }
}

impl Carried for Checksummed<Spsc> {
    const HAS_MANY_CONSUMERS: bool = false;
    fn recover(_: &RawQueue<Self>) -> Result<(), RecoverError> {
        Ok(())
    }
}

impl Carried for Mpmc {
    const HAS_MANY_CONSUMERS: bool = true;
    fn recover(queue: &RawQueue<Self>) -> Result<(), RecoverError> {
        // SAFETY: recovery sends nothing.
        unsafe { queue.as_bytes() }.recover().map(|_| ())
    }
}

impl Carried for Checksummed<Mpmc> {
    const HAS_MANY_CONSUMERS: bool = true;
    fn recover(queue: &RawQueue<Self>) -> Result<(), RecoverError> {
        // SAFETY: recovery sends nothing.
        unsafe { queue.as_bytes() }.recover().map(|_| ())
    }
}

/// What to do with a queue once its kind is known.
pub(crate) trait Visit {
    /// What comes of it.
    type Out;

    fn visit<K: Carried>(self, queue: RawQueue<K>) -> Self::Out;
}

/// Opens a queue of any kind and type. Its participants get an error when its name leads to another file.
pub(crate) fn open<V: Visit>(name: &Path, sharing: Sharing, visitor: V) -> Result<V::Out> {
    let inspector = Inspector::open(name)?;
    let (kind, has_checksums) = (inspector.header().kind, inspector.header().has_checksums);
    drop(inspector);
    let options = OpenOptions::new().sharing(sharing).end_when_orphaned(true);
    match (kind, has_checksums) {
        (QueueKind::Spsc, false) => open_as::<Spsc, V>(name, &options, visitor),
        (QueueKind::Mpmc, false) => open_as::<Mpmc, V>(name, &options, visitor),
        (QueueKind::Spsc, true) => open_as::<Checksummed<Spsc>, V>(name, &options, visitor),
        (QueueKind::Mpmc, true) => open_as::<Checksummed<Mpmc>, V>(name, &options, visitor),
        (QueueKind::Broadcast, _) => bail!(
            "{} is a broadcast queue, which a bridge does not carry: have a consumer of it send to an SPSC or MPMC queue",
            name.display()
        ),
    }
}

fn open_as<K: Carried, V: Visit>(name: &Path, options: &OpenOptions, visitor: V) -> Result<V::Out> {
    // SAFETY: the user who runs a bridge on a queue vouches that only programs that use ringway write to its file; the
    // bridge does not write to it in any other way, and forks no children.
    let queue = unsafe { RawQueue::<K>::open_with(name, options) }?;
    Ok(visitor.visit(queue))
}

/// Creates a queue, for messages of this type or for bytes.
pub(crate) fn create(
    name: &Path,
    sharing: Sharing,
    create: &Create,
    described: Option<&Description>,
) -> Result<(), CreateError> {
    let mut options = CreateOptions::new().sharing(sharing);
    if let Some(bytes) = create.ring_bytes {
        options = options.ring_bytes(bytes);
    }
    if let Some(count) = create.max_messages {
        options = options.max_messages(count);
    }
    match (create.kind, create.has_checksums) {
        (QueueKind::Spsc, false) => create_as::<Spsc>(name, &options, described),
        (QueueKind::Mpmc, false) => create_as::<Mpmc>(name, &options, described),
        (QueueKind::Spsc, true) => create_as::<Checksummed<Spsc>>(name, &options, described),
        (QueueKind::Mpmc, true) => create_as::<Checksummed<Mpmc>>(name, &options, described),
        (QueueKind::Broadcast, _) => {
            let reason = "a bridge fills SPSC and MPMC queues only".into();
            Err(CreateError::InvalidOptions { reason })
        }
    }
}

fn create_as<K: Carried>(
    name: &Path,
    options: &CreateOptions,
    described: Option<&Description>,
) -> Result<(), CreateError> {
    match described {
        // SAFETY: as in `open_as`.
        Some(described) => unsafe { RawQueue::<K>::create_with(name, described, options) }.map(drop),
        // SAFETY: as in `open_as`.
        None => unsafe { BytesQueue::<K>::create_with(name, options) }.map(drop),
    }
}

/// The queue's identity, and the path of its file.
pub(crate) fn identity<K: Carried>(queue: &RawQueue<K>) -> (Uuid, PathBuf) {
    // SAFETY: nothing is sent through it.
    let queue = unsafe { queue.as_bytes() };
    (queue.uuid(), queue.path().to_path_buf())
}

/// Attaches as a consumer, waiting for the role if it is taken.
pub(crate) fn consumer<K: Carried>(
    queue: &RawQueue<K>,
    timeout: Duration,
) -> Result<BytesConsumer<K>, AttachError> {
    // SAFETY: nothing is sent through it.
    unsafe { queue.as_bytes() }.consumer_timeout(timeout)
}

/// How many consumers are attached to the queue and alive, and their processes.
pub(crate) fn live_consumers(path: &Path) -> Result<Vec<u32>> {
    let snapshot =
        Snapshot::read(path).with_context(|| format!("looking for consumers of {}", path.display()))?;
    let consumers = snapshot
        .participants
        .iter()
        .filter(|participant| participant.role == Role::Consumer && participant.liveness == Liveness::Alive);
    Ok(consumers.map(|participant| participant.pid).collect())
}
