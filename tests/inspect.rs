//! Inspection of queues from outside: right when nothing moves, never wrong when everything does,
//! and never harmed by a hostile file.

mod common;

#[path = "inspect/broadcast.rs"]
mod broadcast;
#[path = "inspect/hostile.rs"]
mod hostile;
#[path = "inspect/model.rs"]
mod model;
#[path = "inspect/mutations.rs"]
mod mutations;
#[path = "inspect/repairs.rs"]
mod repairs;
#[path = "inspect/traffic.rs"]
mod traffic;

use std::path::Path;

use common::{Image, directory, names_in};
use ringway::inspect::{
    Cursors, FrameShape, FrameState, Inspector, Liveness, Peek, QueueKind, Snapshot, Start,
};
use ringway::{CreateOptions, Delivery, Framing, InspectError, OpenError, Role, mpmc, spsc};

fn create_spsc(path: &Path, options: &CreateOptions) -> spsc::BytesQueue {
    // SAFETY: only these tests know the file.
    unsafe { spsc::BytesQueue::create_with(path, options) }.unwrap()
}

fn create_mpmc(path: &Path, options: &CreateOptions) -> mpmc::BytesQueue {
    // SAFETY: only these tests know the file.
    unsafe { mpmc::BytesQueue::create_with(path, options) }.unwrap()
}

#[test]
fn a_header_says_what_was_created() {
    let dir = directory();
    let path = dir.path().join("queue");
    let options =
        CreateOptions::new().ring_bytes(1 << 16).max_messages(100).max_participants(5).max_redeliveries(3);
    let options = options.delivery(Delivery::AtLeastOnce).uuid([7; 16]);
    drop(create_mpmc(&path, &options));
    let inspector = Inspector::open(&path).unwrap();
    let header = inspector.header();
    assert_eq!((header.kind, header.shape), (QueueKind::Mpmc, FrameShape::Variable));
    assert_eq!((header.ring_bytes, header.uuid), (1 << 16, [7; 16]));
    let order = header.order.unwrap();
    assert_eq!((order.max_messages, order.max_participants, order.max_redeliveries), (100, 5, Some(3)));
    assert_eq!((header.schema.name.as_str(), header.schema.size, header.schema.format), ("bytes", 0, 0));
    assert_eq!(header.created, None, "a queue with a given uuid records no time");

    let path = dir.path().join("typed");
    // SAFETY: as above.
    drop(
        unsafe {
            spsc::Queue::<(u32, u64)>::create_with(&path, &CreateOptions::new().framing(Framing::FixedByType))
        }
        .unwrap(),
    );
    let header = Inspector::open(&path).unwrap().header().clone();
    assert_eq!((header.kind, header.shape), (QueueKind::Spsc, FrameShape::Fixed(16)));
    assert_eq!((header.schema.size, header.schema.align), (16, 8));
    assert!(header.schema.format & 1 == 1 && header.created.is_some() && header.order.is_none());
}

#[test]
fn an_spsc_queue_is_seen_as_it_is() {
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create_spsc(&path, &CreateOptions::new().ring_bytes(4096));
    assert!(Snapshot::read(&path).unwrap().participants.is_empty());
    let mut producer = queue.producer().unwrap();
    producer.send_many(&[b"one".as_slice(), b"two", b"three"]).unwrap();
    let consumer = queue.consumer().unwrap();
    let frame = consumer.recv().unwrap();

    let snapshot = Snapshot::read(&path).unwrap();
    assert_eq!((snapshot.backlog.waiting, snapshot.backlog.held), (Some(2), Some(1)));
    assert_eq!(snapshot.participants.len(), 2);
    for one in &snapshot.participants {
        assert_eq!((one.liveness, one.pid), (Liveness::Alive, std::process::id()));
        assert_eq!(one.holds, u64::from(one.role == Role::Consumer));
    }
    assert!(snapshot.corruption.is_empty() && !snapshot.is_unlinked && snapshot.is_in_use());
    assert!(matches!(snapshot.cursors, Cursors::Spsc { tail: 48, taken: 16, released: 0, .. }));
    drop(frame);
    drop((consumer, producer));
    let snapshot = Snapshot::read(&path).unwrap();
    assert!(snapshot.participants.iter().all(|one| one.liveness == Liveness::Gone));
    assert_eq!((snapshot.backlog.waiting, snapshot.backlog.held), (Some(2), Some(0)));
    assert!(!snapshot.is_in_use());
}

#[test]
fn an_mpmc_queue_is_seen_as_it_is() {
    let dir = directory();
    let path = dir.path().join("queue");
    let queue =
        create_mpmc(&path, &CreateOptions::new().ring_bytes(4096).max_messages(16).max_participants(4));
    let mut producer = queue.producer().unwrap();
    producer.send_many(&[b"one".as_slice(), b"two", b"three", b"four"]).unwrap();
    let consumer = queue.consumer().unwrap();
    let (first, second) = (consumer.recv().unwrap(), consumer.recv().unwrap());
    second.reject();

    let snapshot = Snapshot::read(&path).unwrap();
    let backlog = snapshot.backlog;
    assert_eq!(
        (backlog.waiting, backlog.held, backlog.redeliveries, backlog.pending),
        (Some(3), Some(1), 1, 0)
    );
    assert_eq!((backlog.bytes, backlog.used, backlog.capacity), (3 + 3 + 5 + 4, 4, 16));
    let entry = |role| snapshot.participants.iter().find(|one| one.role == role).unwrap();
    assert_eq!(entry(Role::Producer).sent, 4);
    assert_eq!((entry(Role::Consumer).received, entry(Role::Consumer).holds), (2, 1));
    assert!(snapshot.participants.iter().all(|one| one.liveness == Liveness::Alive && one.since.is_some()));
    let held = snapshot.held[0];
    assert_eq!((held.position, held.entry, held.len), (0, entry(Role::Consumer).entry, 3));
    let stats = queue.stats();
    let counters = snapshot.counters.unwrap();
    assert_eq!((counters.sent, counters.received, counters.rejected), (stats.sent, stats.received, 1));

    let peeked = Inspector::open(&path).unwrap().peek(&Peek::new().held(true)).unwrap();
    let texts: Vec<&[u8]> = peeked.frames.iter().map(|frame| frame.payload.as_slice()).collect();
    assert_eq!(texts, [b"one".as_slice(), b"two", b"three", b"four"]);
    let states: Vec<_> = peeked.frames.iter().map(|frame| frame.state).collect();
    let held = FrameState::Held(Some(held.entry));
    assert_eq!(states, [held, FrameState::Again, FrameState::Waiting, FrameState::Waiting]);
    assert_eq!((peeked.frames[1].redeliveries, peeked.gone, peeked.next), (1, 0, 4));
    drop(first);
}

#[test]
fn peeking_begins_where_it_is_told_to() {
    let dir = directory();
    let numbers: Vec<[u8; 8]> = (0..20_u64).map(u64::to_ne_bytes).collect();
    let (spsc, fixed, mpmc) = (dir.path().join("s"), dir.path().join("f"), dir.path().join("m"));
    create_spsc(&spsc, &CreateOptions::new()).producer().unwrap().send_many(&numbers).unwrap();
    create_spsc(&fixed, &CreateOptions::new().framing(Framing::Fixed(8)))
        .producer()
        .unwrap()
        .send_many(&numbers)
        .unwrap();
    create_mpmc(&mpmc, &CreateOptions::new().max_messages(32))
        .producer()
        .unwrap()
        .send_many(&numbers)
        .unwrap();
    for path in [&spsc, &fixed, &mpmc] {
        let inspector = Inspector::open(path).unwrap();
        let peek = |what: &Peek| {
            let peeked = inspector.peek(what).unwrap();
            let numbers =
                peeked.frames.iter().map(|it| u64::from_ne_bytes(it.payload[..].try_into().unwrap()));
            (numbers.collect::<Vec<_>>(), peeked.next)
        };
        let (oldest, next) = peek(&Peek::new().most(3));
        assert_eq!(oldest, [0, 1, 2], "{}", path.display());
        assert_eq!(peek(&Peek::new().most(2).start(Start::From(next))).0, [3, 4]);
        let (newest, next) = peek(&Peek::new().most(2).start(Start::Newest));
        assert_eq!(newest, [18, 19]);
        assert_eq!(peek(&Peek::new().start(Start::From(next))), (vec![], next));
        assert_eq!(peek(&Peek::new().start(Start::From(u64::MAX))).0, [0; 0]);
        let short = inspector.peek(&Peek::new().bytes(3)).unwrap();
        assert!(short.frames.iter().all(|frame| frame.payload.len() == 3 && frame.len == 8));
        assert_eq!(inspector.peek(&Peek::new().most(0)).unwrap().frames.len(), 0);
    }
}

#[test]
fn inspecting_changes_nothing() {
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create_mpmc(&path, &CreateOptions::new());
    let mut producer = queue.producer().unwrap();
    producer.send(b"message").unwrap();
    let inspector = Inspector::open(&path).unwrap();
    let space = inspector.snapshot().unwrap().file;
    let before = Image::of(&path);
    for _ in 0..3 {
        inspector.snapshot().unwrap();
        inspector.peek(&Peek::new().held(true)).unwrap();
        inspector.progress().unwrap();
    }
    assert!(before.0 == Image::of(&path).0, "the file was changed");
    let after = inspector.snapshot().unwrap().file;
    assert_eq!(after.allocated, space.allocated, "holes were filled");
    assert!(after.allocated >= after.needed && after.allocated < after.len);
    assert_eq!(names_in(dir.path()), ["queue"]);
    // No inspector blocks a participant.
    drop(queue.consumer().unwrap());
    ringway::unlink(&path).unwrap();
    assert!(inspector.snapshot().unwrap().is_unlinked);
}

#[test]
fn a_queue_without_a_name_is_seen_through_a_descriptor() {
    use std::os::fd::AsRawFd;
    let dir = directory();
    let path = dir.path().join("queue");
    create_spsc(&path, &CreateOptions::new()).producer().unwrap().send(b"message").unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let snapshot = Snapshot::read(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    assert_eq!((snapshot.is_unlinked, snapshot.backlog.waiting), (true, Some(1)));
}

#[test]
fn what_is_no_queue_is_an_error_that_says_so() {
    let dir = directory();
    let path = dir.path().join("file");
    let error = |path: &Path| Inspector::open(path).unwrap_err();
    assert!(matches!(error(&path), InspectError::Open(OpenError::NotFound { .. })));
    assert!(matches!(error(dir.path()), InspectError::Open(OpenError::NotAFile { .. })));
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(error(&path), InspectError::Open(OpenError::NotAQueue { .. })));
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(error(&path), InspectError::Open(OpenError::Truncated { found: 0, .. })));
    std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
    assert!(matches!(error(&dir.path().join("link")), InspectError::Open(OpenError::NotAFile { .. })));
    assert!(matches!(error(Path::new("")), InspectError::Open(OpenError::InvalidName { .. })));
    nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = error(&dir.path().join("fifo"));
    assert!(fifo.to_string().contains("fifo") && fifo.to_string().contains("FIFO"), "{fifo}");
}
