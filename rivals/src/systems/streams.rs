//! Streams of bytes: a pipe, and a UNIX stream socket. Messages have no borders there, so that
//! readers read the bytes of whole messages; where there are several writers or readers, only sizes
//! that the kernel keeps together are possible.
#![allow(unsafe_code, reason = "descriptors from the kernel")]

use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use workload::fill_bytes;

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Waiter, Way};

/// The maximum length of a write so that no other writer's bytes come between.
const ATOMIC: usize = libc::PIPE_BUF;
/// Room in the kernel: as much as a pipe may have without privileges.
const ROOM: i32 = 1 << 20;
/// The maximum number of bytes that a reader of several messages takes in one call.
const READ: usize = 1 << 16;

pub(super) trait Kind: Sync {
    /// What is read from, and what is written to.
    fn make() -> Result<[OwnedFd; 2]>;
}

pub(super) struct Pipe;

impl Kind for Pipe {
    fn make() -> Result<[OwnedFd; 2]> {
        let (read, write) = nix::unistd::pipe()?;
        // As much as there may be; the default of 64 KiB if that is refused.
        let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(ROOM));
        Ok([read, write])
    }
}

pub(super) struct UnixStream;

impl Kind for UnixStream {
    fn make() -> Result<[OwnedFd; 2]> {
        let (read, write) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty())?;
        enlarge(&write);
        Ok([read, write])
    }
}

/// Requests more room for a socket's messages: whatever the system allows.
pub(super) fn enlarge(socket: &OwnedFd) {
    for option in [libc::SO_SNDBUFFORCE, libc::SO_SNDBUF] {
        let room = std::ptr::from_ref(&ROOM);
        // SAFETY: `room` is an int, as these options take.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                room.cast(),
                size_of_val(&ROOM) as u32,
            )
        };
        if result == 0 {
            return;
        }
    }
}

/// From now on operations fail instead of waiting.
pub(super) fn never_block(fd: impl AsFd) -> Result<()> {
    let flags = fcntl(&fd, FcntlArg::F_GETFL).context("a descriptor's flags")?;
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK))
        .context("not blocking")?;
    Ok(())
}

/// The workers are forked from the process that has both ends: each uses its copy of one.
pub(super) struct Stream<K, const W: usize> {
    ends: [OwnedFd; 2],
    setup: Setup,
    kind: PhantomData<K>,
}

impl<K: Kind, const W: usize> System for Stream<K, W> {
    fn new(setup: &Setup) -> Result<Self> {
        ensure!(
            setup.is_pair() || setup.bytes <= ATOMIC,
            "the kernel keeps no more than {ATOMIC} bytes together, so that several writers' messages would mix"
        );
        let ends = K::make()?;
        if setup.way != Way::Own {
            ends.iter().try_for_each(never_block)?;
        }
        Ok(Self { ends, setup: setup.clone(), kind: PhantomData })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        Ok(Tx::<W> {
            fd: self.ends[1].try_clone()?,
            buffer: vec![0; self.most() * W * 8],
            way: self.setup.way,
        })
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        // A worker that shares the stream must leave nothing in its own memory, and reads whole
        // messages.
        let more = if self.setup.is_pair() && self.setup.batch > 1 { READ / (W * 8) } else { 1 };
        let bytes = self.most().max(more) * W * 8;
        Ok(Rx::<W> { fd: self.ends[0].try_clone()?, buffer: vec![0; bytes], filled: 0, way: self.setup.way })
    }
}

impl<K, const W: usize> Stream<K, W> {
    /// Messages in one write.
    fn most(&self) -> usize {
        if self.setup.is_pair() { self.setup.batch } else { self.setup.batch.min(ATOMIC / (W * 8)) }
    }
}

struct Tx<const W: usize> {
    fd: OwnedFd,
    buffer: Vec<u8>,
    way: Way,
}

impl<const W: usize> Sender for Tx<W> {
    fn send(&mut self, first: u64, count: u64) {
        let most = (self.buffer.len() / (W * 8)) as u64;
        for start in (first..first + count).step_by(most as usize) {
            let rest = (first + count - start).min(most);
            let bytes = &mut self.buffer[..rest as usize * W * 8];
            for (payload, word) in bytes.chunks_exact_mut(W * 8).zip(start..) {
                fill_bytes::<W>(word, payload);
            }
            write_all(&self.fd, bytes, self.way);
        }
    }
}

fn write_all(fd: &OwnedFd, mut bytes: &[u8], way: Way) {
    let mut waiter = Waiter::new(way);
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EAGAIN) => waiter.wait(),
            Err(Errno::EINTR) => {}
            Err(error) => panic!("writing failed: {error}"),
        }
    }
}

struct Rx<const W: usize> {
    fd: OwnedFd,
    buffer: Vec<u8>,
    /// Bytes of a message of which only a part has arrived.
    filled: usize,
    way: Way,
}

impl<const W: usize> Receiver for Rx<W> {
    fn receive(&mut self, sink: &mut impl Sink) {
        let mut waiter = Waiter::new(self.way);
        while self.filled < W * 8 {
            match nix::unistd::read(&self.fd, &mut self.buffer[self.filled..]) {
                Ok(0) => panic!("the writers are gone"),
                Ok(read) => self.filled += read,
                Err(Errno::EAGAIN) => waiter.wait(),
                Err(Errno::EINTR) => {}
                Err(error) => panic!("reading failed: {error}"),
            }
        }
        let whole = self.filled - self.filled % (W * 8);
        self.buffer[..whole].chunks_exact(W * 8).for_each(|message| sink.bytes::<W>(message));
        self.buffer.copy_within(whole..self.filled, 0);
        self.filled -= whole;
    }
}

pub(super) struct Streams<K>(K);

impl<K: Kind> Family for Streams<K> {
    type Small<const W: usize> = Stream<K, W>;
    type Large<const W: usize> = Stream<K, W>;
}
