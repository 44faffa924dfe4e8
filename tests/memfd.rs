//! Queues in memfds: created without a name, passed from process to process, checked on arrival.

mod common;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use common::{Running, names_in};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use ringway::{AttachError, CreateError, CreateOptions, OpenError, SendFdError, UnlinkError, mpmc, spsc};
use rkyv::{Archive, Serialize};

const SOON: Duration = Duration::from_secs(10);

#[derive(Archive, Serialize, ringway::Message)]
struct Point {
    x: f64,
    name: String,
}

fn small() -> CreateOptions {
    CreateOptions::new().ring_bytes(4096)
}

fn memfd() -> spsc::BytesQueue {
    // SAFETY: only this test has it.
    unsafe { spsc::BytesQueue::create_memfd_with(&small()) }.unwrap()
}

fn open_fd(descriptor: impl AsFd) -> Result<spsc::BytesQueue, OpenError> {
    // SAFETY: every process that has it uses ringway.
    unsafe { spsc::BytesQueue::open_fd(descriptor) }
}

fn receive(socket: &UnixStream) -> Result<spsc::BytesQueue, OpenError> {
    // SAFETY: as above.
    unsafe { spsc::BytesQueue::recv_fd(socket) }
}

/// A memfd with these bytes, sealed like a queue's.
fn forged(bytes: &[u8], seals: SealFlag) -> OwnedFd {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create("forged", flags).unwrap());
    nix::sys::stat::fchmod(&file, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    (&file).write_all(bytes).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

fn sealed_size() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL
}

fn bytes_of(queue: &spsc::BytesQueue) -> Vec<u8> {
    let file = File::from(queue.as_fd().try_clone_to_owned().unwrap());
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn messages_pass_whichever_way_it_was_handed_over() {
    let (here, there) = UnixStream::pair().unwrap();
    let queue = memfd();
    queue.send_fd(&here).unwrap();
    let inherited = queue.inheritable_fd().unwrap();
    let own = format!("/proc/self/fd/{}", inherited.as_raw_fd());
    let of_process = format!("/proc/{}/fd/{}", std::process::id(), queue.as_fd().as_raw_fd());
    // SAFETY: only this test has it.
    let by_path = |path: &str| unsafe { spsc::BytesQueue::open(path) }.unwrap();
    let others =
        [receive(&there).unwrap(), open_fd(&inherited).unwrap(), by_path(&own), by_path(&of_process)];
    for other in others {
        assert_eq!(other.path(), queue.path());
        let (mut producer, consumer) = (queue.producer().unwrap(), other.consumer().unwrap());
        // Liveness locks are seen through each descriptor.
        assert!(matches!(other.producer(), Err(AttachError::RoleTaken { .. })));
        producer.send(b"hello").unwrap();
        assert_eq!(&*consumer.recv_timeout(SOON).unwrap(), b"hello");
        drop((producer, consumer));
        assert!(!other.is_orphaned().unwrap());
    }
}

#[test]
fn it_has_no_name_and_leaves_nothing() {
    let before = names_in(std::path::Path::new("/dev/shm"));
    let queue = memfd();
    let name = queue.path().to_str().unwrap().to_owned();
    assert!(name.starts_with("memfd:ringway-"), "{name}");
    let new: Vec<String> = names_in(std::path::Path::new("/dev/shm"));
    assert!(!new.iter().any(|name| name.contains("memfd") && !before.contains(name)), "{new:?}");
    // SAFETY: there is no such file.
    assert!(matches!(unsafe { spsc::BytesQueue::open(&name) }, Err(OpenError::NotFound { .. })));
    let path = format!("/proc/self/fd/{}", queue.as_fd().as_raw_fd());
    let error = ringway::unlink(&path).unwrap_err();
    assert!(matches!(error, UnlinkError::Open(OpenError::InvalidName { .. })), "{error:?}");
    assert!(error.to_string().contains("no name to remove"), "{error}");
}

#[test]
fn its_size_cannot_change() {
    let queue = memfd();
    let file = File::from(queue.as_fd().try_clone_to_owned().unwrap());
    assert!(file.set_len(0).is_err());
    assert!(file.set_len(1 << 30).is_err());
    assert!(fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).is_err());
}

#[test]
fn lanes_of_an_mpmc_memfd_are_filled_when_they_are_leased() {
    let options = CreateOptions::new().ring_bytes(1 << 20).max_participants(8);
    // SAFETY: only this test has it.
    let queue = unsafe { mpmc::BytesQueue::create_memfd_with(&options) }.unwrap();
    let file = File::from(queue.as_fd().try_clone_to_owned().unwrap());
    let blocks = || std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512;
    let before = blocks();
    assert!(before < 1 << 20, "{before} bytes, and no producer yet");
    let (mut one, mut two) = (queue.producer().unwrap(), queue.producer().unwrap());
    assert!((before + (2 << 20)..before + (3 << 20)).contains(&blocks()), "{}", blocks());
    one.send(b"one").unwrap();
    two.send(b"two").unwrap();
    let consumer = queue.consumer().unwrap();
    assert_eq!(&*consumer.recv_timeout(SOON).unwrap(), b"one");
    assert_eq!(&*consumer.recv_timeout(SOON).unwrap(), b"two");
}

#[test]
fn typed_queues_are_checked_as_named_ones_are() {
    let (here, there) = UnixStream::pair().unwrap();
    // SAFETY: only this test has it.
    let queue = unsafe { spsc::Queue::<Point>::create_memfd_with(&small()) }.unwrap();
    for _ in 0..3 {
        queue.send_fd(&here).unwrap();
    }
    // SAFETY: as above.
    let same = unsafe { spsc::Queue::<Point>::recv_fd(&there) }.unwrap();
    queue.producer().unwrap().send(&Point { x: 1.5, name: "a".into() }).unwrap();
    let consumer = same.consumer().unwrap();
    let point = consumer.recv_timeout(SOON).unwrap();
    assert!(point.x == 1.5 && point.name == "a");

    // SAFETY: as above.
    let error = unsafe { spsc::Queue::<u64>::recv_fd(&there) }.unwrap_err();
    assert!(matches!(error, OpenError::WrongType { .. }), "{error:?}");
    // SAFETY: as above.
    let error = unsafe { mpmc::BytesQueue::recv_fd(&there) }.unwrap_err();
    assert!(matches!(error, OpenError::WrongKind { .. }), "{error:?}");
    assert!(error.to_string().contains("memfd:ringway-"), "{error}");
}

#[test]
fn typed_queues_are_handed_over_in_all_ways() {
    type Points = spsc::Queue<Point>;
    // SAFETY: only this test has it.
    let queue = unsafe { Points::create_memfd_with(&small()) }.unwrap();
    let mut producer = queue.producer().unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    queue.send_fd(&here).unwrap();
    let descriptor = queue.inheritable_fd().unwrap();
    // SAFETY: every process that has it uses ringway, here and below.
    let received = unsafe { Points::recv_fd(&there) }.unwrap();
    // SAFETY: as above.
    let inherited = unsafe { Points::open_fd(&descriptor) }.unwrap();
    // SAFETY: as above.
    let cloned = unsafe { Points::open_fd(queue.as_fd()) }.unwrap();
    for (number, peer) in [received, inherited, cloned].into_iter().enumerate() {
        producer.send(&Point { x: number as f64, name: "typed".into() }).unwrap();
        let consumer = peer.consumer().unwrap();
        let point = consumer.try_recv().unwrap();
        assert_eq!((point.x.to_native(), point.name.as_str()), (number as f64, "typed"));
        assert!(!peer.is_orphaned().unwrap(), "what has no name loses none");
        assert!(peer.warnings().is_empty(), "{:?}", peer.warnings());
    }
    let (here, there) = UnixStream::pair().unwrap();
    memfd().send_fd(&here).unwrap();
    // SAFETY: as above.
    let refused = unsafe { Points::recv_fd(&there) };
    assert!(matches!(refused, Err(OpenError::WrongType { .. })), "{:?}", refused.map(drop));
}

#[test]
fn a_descriptor_of_something_else_is_refused() {
    let dir = common::directory();
    // SAFETY: only this test knows the file.
    let named = unsafe { spsc::BytesQueue::create_with(dir.path().join("q"), &small()) }.unwrap();
    let (here, _) = UnixStream::pair().unwrap();
    let error = named.send_fd(&here).unwrap_err();
    assert!(matches!(error, SendFdError::HasName { .. }), "{error:?}");
    assert!(error.to_string().contains("open it by that"), "{error}");

    let good = bytes_of(&memfd());
    let unsealed =
        [SealFlag::empty(), SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW];
    for seals in unsealed {
        let error = open_fd(forged(&good, seals)).unwrap_err();
        assert!(matches!(error, OpenError::NotSealed { .. }), "{error:?}");
        assert!(error.to_string().contains("whose size can still change"), "{error}");
    }
    let error = open_fd(forged(&good, sealed_size() | SealFlag::F_SEAL_WRITE)).unwrap_err();
    assert!(error.to_string().contains("can no longer be written to"), "{error}");
    let error = open_fd(&named).unwrap_err();
    assert!(matches!(error, OpenError::NotSealed { .. }), "{error:?}");
    assert!(matches!(open_fd(std::io::stdin()), Err(OpenError::NotSealed { .. })));
    // A path below /proc leads to descriptors, and only to those of memfd queues.
    let path = format!("/proc/self/fd/{}", named.as_fd().as_raw_fd());
    // SAFETY: as above.
    assert!(matches!(unsafe { spsc::BytesQueue::open(&path) }, Err(OpenError::NotSealed { .. })));
    // SAFETY: as above.
    let error = unsafe { spsc::BytesQueue::open("/proc/self/fd/98765") }.unwrap_err();
    assert!(matches!(error, OpenError::NotFound { .. }), "{error:?}");

    // Sealed, and yet no queue.
    assert!(open_fd(forged(&good, sealed_size())).is_ok(), "the forgery is good as it is");
    assert!(matches!(open_fd(forged(b"", sealed_size())), Err(OpenError::Truncated { .. })));
    assert!(matches!(open_fd(forged(&[7; 8192], sealed_size())), Err(OpenError::NotAQueue { .. })));
    assert!(matches!(open_fd(forged(&good[..8192], sealed_size())), Err(OpenError::Truncated { .. })));
    let mut corrupted = good.clone();
    corrupted[0x38] ^= 1;
    assert!(matches!(open_fd(forged(&corrupted, sealed_size())), Err(OpenError::Corrupted { .. })));
}

#[test]
fn what_is_no_queue_on_the_socket_is_refused() {
    let (here, there) = UnixStream::pair().unwrap();
    (&here).write_all(b"RW-queue").unwrap();
    let error = receive(&there).unwrap_err();
    assert!(matches!(error, OpenError::NotReceived { .. }), "{error:?}");
    assert!(error.to_string().contains("has to call `send_fd`"), "{error}");
    drop(here);
    let error = receive(&there).unwrap_err();
    assert!(error.to_string().contains("was closed"), "{error}");
    // There is no participant any more.
    let error = memfd().send_fd(&there).unwrap_err();
    assert!(matches!(error, SendFdError::Io { step: "sending the descriptor", .. }), "{error:?}");
}

/// The kernel lets more descriptors be in flight than one; none of those may stay open here.
#[test]
fn no_descriptor_is_left_of_what_is_refused() {
    common::in_child("no_descriptor_is_left_of_what_is_refused", || {
        let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let bytes = bytes_of(&memfd());
        let before = count();
        for _ in 0..10 {
            let (here, there) = UnixStream::pair().unwrap();
            memfd().send_fd(&here).unwrap();
            assert!(receive(&there).is_ok());
            assert!(open_fd(forged(&bytes, SealFlag::empty())).is_err());
            assert!(open_fd(forged(&bytes[..100], sealed_size())).is_err());
            assert_eq!(count(), before + 2);
        }
    });
}

#[test]
fn dead_letters_need_a_name() {
    let options = CreateOptions::new().max_redeliveries(3);
    // SAFETY: nothing is created.
    let error = unsafe { mpmc::BytesQueue::create_memfd_with(&options) }.unwrap_err();
    assert!(matches!(error, CreateError::InvalidOptions { .. }), "{error:?}");
    assert!(error.to_string().contains("`max_redeliveries` needs a queue with a name"), "{error}");
    // SAFETY: only this test has it.
    let queue = unsafe { mpmc::BytesQueue::create_memfd_with(&small()) }.unwrap();
    assert!(matches!(queue.dead_letters(), Err(OpenError::InvalidName { .. })));
}

/// A program that receives a number, and nothing else.
#[test]
fn another_program_inherits_it() {
    const TEST: &str = "another_program_inherits_it";
    if let Some(number) = common::child_argument(TEST) {
        let raw = number.to_str().unwrap().parse().unwrap();
        // SAFETY: the parent guarantees that it is a descriptor of this process's own.
        let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
        let queue = open_fd(&descriptor).unwrap();
        drop(descriptor);
        queue.producer().unwrap().send(b"from the other program").unwrap();
        return;
    }
    let queue = memfd();
    let descriptor = queue.inheritable_fd().unwrap();
    let mut child: Command =
        common::child_of(TEST, std::path::Path::new(&descriptor.as_raw_fd().to_string()));
    let output = Running::start(&mut child).finish().succeeded();
    assert!(output.contains("1 passed"), "{output}");
    assert_eq!(&*queue.consumer().unwrap().recv_timeout(SOON).unwrap(), b"from the other program");
}
