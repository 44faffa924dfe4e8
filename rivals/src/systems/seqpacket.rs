//! UNIX sockets that keep messages apart. Many of both; batches by `sendmmsg` and `recvmmsg`.
#![allow(unsafe_code, reason = "system calls")]

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use workload::fill_bytes;

use super::streams::{enlarge, never_block};
use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Waiter, Way};

/// The workers are forked from the process that has both ends: each uses its copy of one.
pub(super) struct Seqpacket<const W: usize> {
    ends: [OwnedFd; 2],
    way: Way,
    batch: usize,
}

impl<const W: usize> System for Seqpacket<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let (read, write) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty())?;
        enlarge(&write);
        let ends = [read, write];
        if setup.way != Way::Own {
            ends.iter().try_for_each(never_block)?;
        }
        Ok(Self { ends, way: setup.way, batch: setup.batch })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        Ok(Side::<W>::new(self.ends[1].try_clone()?, self.way, self.batch))
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        Ok(Side::<W>::new(self.ends[0].try_clone()?, self.way, self.batch))
    }
}

struct Side<const W: usize> {
    fd: OwnedFd,
    way: Way,
    buffer: Vec<u8>,
}

impl<const W: usize> Side<W> {
    fn new(fd: OwnedFd, way: Way, batch: usize) -> Self {
        Self { fd, way, buffer: vec![0; batch * W * 8] }
    }

    fn batch(&self) -> usize {
        self.buffer.len() / (W * 8)
    }

    /// One system call, again and again until it succeeds: how many messages, or bytes.
    fn call(&mut self, mut call: impl FnMut(i32, &mut [u8]) -> isize) -> usize {
        let mut waiter = Waiter::new(self.way);
        loop {
            match Errno::result(call(self.fd.as_raw_fd(), &mut self.buffer)) {
                Ok(0) => panic!("the other side is gone"),
                Ok(done) => return done as usize,
                Err(Errno::EAGAIN | Errno::ENOBUFS) => waiter.wait(),
                Err(Errno::EINTR) => {}
                Err(error) => panic!("a message of {} bytes: {error}", W * 8),
            }
        }
    }
}

impl<const W: usize> Sender for Side<W> {
    fn send(&mut self, first: u64, count: u64) {
        if self.batch() == 1 {
            for word in first..first + count {
                fill_bytes::<W>(word, &mut self.buffer);
                // SAFETY: the bytes that `send` reads are the buffer's.
                self.call(|fd, bytes| unsafe {
                    libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL)
                });
            }
            return;
        }
        for start in (first..first + count).step_by(self.batch()) {
            let rest = (first + count - start).min(self.batch() as u64) as usize;
            for (payload, word) in self.buffer.chunks_exact_mut(W * 8).zip(start..) {
                fill_bytes::<W>(word, payload);
            }
            let mut sent = 0;
            while sent < rest {
                sent += self.call(|fd, bytes| {
                    let mut messages = Messages::over(&mut bytes[sent * W * 8..rest * W * 8], W * 8);
                    // SAFETY: each header has one vector of bytes of the buffer, which live longer
                    // than the call.
                    (unsafe { libc::sendmmsg(fd, messages.headers(), messages.len(), libc::MSG_NOSIGNAL) })
                        as isize
                });
            }
        }
    }
}

impl<const W: usize> Receiver for Side<W> {
    fn receive(&mut self, sink: &mut impl Sink) {
        if self.batch() == 1 {
            // SAFETY: the bytes that `recv` writes are the buffer's.
            let len =
                self.call(|fd, bytes| unsafe { libc::recv(fd, bytes.as_mut_ptr().cast(), bytes.len(), 0) });
            sink.bytes::<W>(&self.buffer[..len]);
            return;
        }
        let mut lengths = Vec::new();
        let count = self.call(|fd, bytes| {
            let mut messages = Messages::over(bytes, W * 8);
            let (headers, len) = (messages.headers(), messages.len());
            // Waits for the first only.
            // SAFETY: each header has one vector of bytes of the buffer, which live longer than the
            // call; no time-out.
            let count =
                unsafe { libc::recvmmsg(fd, headers, len, libc::MSG_WAITFORONE, std::ptr::null_mut()) };
            lengths = messages.lengths();
            count as isize
        });
        for (payload, len) in self.buffer.chunks_exact(W * 8).zip(&lengths[..count]) {
            sink.bytes::<W>(&payload[..*len]);
        }
    }
}

/// Headers for messages of one size that lie side by side.
struct Messages<'b> {
    headers: Vec<libc::mmsghdr>,
    /// What the headers point at.
    _vectors: Vec<libc::iovec>,
    _bytes: std::marker::PhantomData<&'b mut [u8]>,
}

impl<'b> Messages<'b> {
    fn over(bytes: &'b mut [u8], size: usize) -> Self {
        let vector = |part: &mut [u8]| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: size };
        let mut vectors: Vec<_> = bytes.chunks_exact_mut(size).map(vector).collect();
        let header = |vector: &mut libc::iovec| {
            // SAFETY: a header of zeros is an empty one.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header
        };
        let headers = vectors.iter_mut().map(header).collect();
        Self { headers, _vectors: vectors, _bytes: std::marker::PhantomData }
    }

    fn headers(&mut self) -> *mut libc::mmsghdr {
        self.headers.as_mut_ptr()
    }

    fn len(&self) -> u32 {
        self.headers.len() as u32
    }

    fn lengths(&self) -> Vec<usize> {
        self.headers.iter().map(|header| header.msg_len as usize).collect()
    }
}

pub(super) struct Seqpackets;

impl Family for Seqpackets {
    type Small<const W: usize> = Seqpacket<W>;
    type Large<const W: usize> = Seqpacket<W>;
}
