//! Passes a descriptor to another process, over a UNIX socket.
#![allow(unsafe_code, reason = "takes ownership of descriptors that the kernel has just handed over")]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

/// Sent with the descriptor: a peer that sends something else is detected.
const GREETING: [u8; 8] = *b"RW-queue";

/// Sends one descriptor.
pub(crate) fn send_descriptor(stream: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let rights = [descriptor.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&rights)];
    // Without MSG_NOSIGNAL a closed connection would end this process with SIGPIPE.
    let flags = MsgFlags::MSG_NOSIGNAL;
    let sent = loop {
        match sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(&GREETING)], &message, flags, None) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    // The descriptor was sent with the first byte.
    (&mut &*stream).write_all(&GREETING[sent..])
}

/// What was received instead of one descriptor.
#[derive(Debug)]
pub(crate) enum NotReceived {
    /// The peer has closed its end.
    Ended,
    /// It sent something else.
    Other(&'static str),
    Io(io::Error),
}

impl From<Errno> for NotReceived {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Receives one descriptor.
pub(crate) fn receive_descriptor(stream: &UnixStream) -> Result<File, NotReceived> {
    let mut greeting = [0; GREETING.len()];
    let (count, mut descriptors) = receive_some(stream, &mut greeting)?;
    if count == 0 {
        return Err(NotReceived::Ended);
    }
    let (Some(descriptor), true) = (descriptors.pop(), descriptors.is_empty()) else {
        return Err(NotReceived::Other("not with one descriptor"));
    };
    match (&mut &*stream).read_exact(&mut greeting[count..]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(NotReceived::Ended),
        other => other.map_err(NotReceived::Io)?,
    }
    if greeting != GREETING {
        return Err(NotReceived::Other("with other words than ringway's"));
    }
    Ok(descriptor.into())
}

/// Receives some bytes and the descriptors that come with them. No descriptor is leaked, whatever
/// is received.
fn receive_some(stream: &UnixStream, bytes: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), NotReceived> {
    // Room for the maximum number of descriptors in one message (SCM_MAX_FD is 253), and for other
    // control messages that the socket may be set to deliver.
    let mut space = [0_u64; 256];
    let mut parts = [IoSliceMut::new(bytes)];
    // SAFETY: all zeros is a valid message header.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = parts.as_mut_ptr().cast();
    header.msg_iovlen = 1;
    header.msg_control = space.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&space) as _;
    let count = loop {
        // SAFETY: the header refers to one slice, which has the layout of an iovec, and to the
        // space, with their lengths.
        let count = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        match usize::try_from(count) {
            Ok(count) => break count,
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(Errno::last().into()),
        }
    };
    let control: Vec<u8> = space.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let raw = descriptors_in(&control[..(header.msg_controllen as usize).min(control.len())]);
    // SAFETY: the kernel has just created these descriptors for this process, and nothing else uses them.
    let owned = raw.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }).collect();
    if header.msg_flags & libc::MSG_CTRUNC != 0 {
        // The descriptors that did arrive are closed with `owned`.
        return Err(Errno::EMFILE.into());
    }
    Ok((count, owned))
}

/// The descriptors in control messages: each message is a length (which includes these three
/// fields), a level, a type and its data, and begins at a multiple of the size of the first.
fn descriptors_in(control: &[u8]) -> Vec<i32> {
    const WORD: usize = size_of::<usize>();
    const FIELDS: usize = size_of::<libc::cmsghdr>();
    let int = |at: usize| i32::from_ne_bytes(control[at..at + 4].try_into().expect("four bytes"));
    let mut found = Vec::new();
    let mut at = 0;
    while at + FIELDS <= control.len() {
        let len = usize::from_ne_bytes(control[at..at + WORD].try_into().expect("a word")).max(FIELDS);
        let end = (at + len).min(control.len());
        if (int(at + WORD), int(at + WORD + 4)) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            found.extend((at + FIELDS..end).step_by(4).filter(|at| at + 4 <= end).map(int));
        }
        at += len.next_multiple_of(WORD);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn open_descriptors() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[test]
    fn a_descriptor_arrives() {
        let (one, other) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello").unwrap();
        send_descriptor(&one, file.as_fd()).unwrap();
        let received = receive_descriptor(&other).unwrap();
        assert_eq!(received.metadata().unwrap().len(), 5);
        assert_ne!(received.as_raw_fd(), file.as_raw_fd());
    }

    #[test]
    fn what_is_no_descriptor_is_refused() {
        let (one, other) = UnixStream::pair().unwrap();
        (&one).write_all(&GREETING).unwrap();
        assert!(matches!(receive_descriptor(&other), Err(NotReceived::Other(_))));
        drop(one);
        assert!(matches!(receive_descriptor(&other), Err(NotReceived::Ended)));
    }

    #[test]
    fn several_descriptors_are_refused_and_closed() {
        let file = tempfile::tempfile().unwrap();
        for count in [2, 100, 253] {
            let (one, other) = UnixStream::pair().unwrap();
            let rights = vec![file.as_raw_fd(); count];
            let parts = [IoSlice::new(&GREETING)];
            let message = [ControlMessage::ScmRights(&rights)];
            sendmsg::<()>(one.as_raw_fd(), &parts, &message, MsgFlags::empty(), None).unwrap();
            assert!(matches!(receive_descriptor(&other), Err(NotReceived::Other(_))));
            // Concurrent tests open some too, but not as many.
            assert!(open_descriptors() < 90, "{} descriptors are left", open_descriptors());
        }
    }

    #[test]
    fn control_messages_are_taken_apart() {
        let message = |level: i32, kind: i32, data: &[i32]| {
            let mut bytes = (size_of::<libc::cmsghdr>() + data.len() * 4).to_ne_bytes().to_vec();
            [level, kind].iter().chain(data).for_each(|int| bytes.extend(int.to_ne_bytes()));
            bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0);
            bytes
        };
        let rights = |data: &[i32]| message(libc::SOL_SOCKET, libc::SCM_RIGHTS, data);
        assert_eq!(descriptors_in(&[]), [0; 0]);
        assert_eq!(descriptors_in(&rights(&[7])), [7]);
        let other = message(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[1, 2, 3]);
        assert_eq!(descriptors_in(&[other, rights(&[7, 8, 9])].concat()), [7, 8, 9]);
        assert_eq!(descriptors_in(&rights(&[7])[..10]), [0; 0]);
    }
}
