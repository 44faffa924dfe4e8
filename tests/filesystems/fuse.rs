//! The smallest filesystem that a process can serve: one directory with one file, `queue`, that may
//! be opened.
//!
//! The kernel's protocol of `/dev/fuse`, as `linux/fuse.h` defines it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const STATFS: u32 = 17;
const INIT: u32 = 26;
/// Requests that would make or write something.
const WRITING: [u32; 6] = [8, 9, 13, 16, 35, 43];

const ROOT: u64 = 1;
const FILE: u64 = 2;

/// A filesystem that is served until it is unmounted.
pub(crate) struct Served {
    written: Arc<AtomicU64>,
}

impl Served {
    /// `mount` gets the descriptor through which the filesystem is served.
    pub(crate) fn start(contents: Vec<u8>, mount: impl FnOnce(i32) -> io::Result<()>) -> io::Result<Self> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
        mount(device.as_raw_fd())?;
        let written = Arc::new(AtomicU64::new(0));
        let served = Self { written: Arc::clone(&written) };
        std::thread::spawn(move || serve(device, contents.len() as u64, &written));
        Ok(served)
    }

    /// How many requests would have made or written something.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }
}

fn serve(mut device: File, len: u64, written: &AtomicU64) {
    let mut request = vec![0_u8; 1 << 18];
    // An error: it was unmounted.
    while let Ok(count) = device.read(&mut request) {
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().unwrap());
        let (operation, unique, node) = (word(4), long(8), long(16));
        if operation == FORGET {
            continue;
        }
        if WRITING.contains(&operation) {
            written.fetch_add(1, Ordering::SeqCst);
        }
        let answer = match operation {
            INIT => Ok(init()),
            GETATTR => Ok([&[0; 16][..], &attributes(node, len)].concat()),
            LOOKUP if request[40..count].starts_with(b"queue\0") => Ok(entry(len)),
            LOOKUP => Err(2),
            OPEN => Ok(vec![0; 16]),
            STATFS => Ok(vec![0; 80]),
            _ => Err(38),
        };
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(error) => (-error, Vec::new()),
        };
        let mut reply = (16 + body.len() as u32).to_ne_bytes().to_vec();
        reply.extend(i32::to_ne_bytes(error));
        reply.extend(unique.to_ne_bytes());
        reply.extend(body);
        // The request may be gone with the process that made it.
        let _ = device.write(&reply);
    }
}

/// Version 7.31, nothing special.
fn init() -> Vec<u8> {
    let mut out = [7_u32, 31, 1 << 16, 0].map(u32::to_ne_bytes).concat();
    // max_background and congestion_threshold, then max_write.
    out.extend([16_u16, 12].map(u16::to_ne_bytes).concat());
    out.extend(4096_u32.to_ne_bytes());
    out.resize(64, 0);
    out
}

fn attributes(node: u64, len: u64) -> Vec<u8> {
    let (mode, size) = if node == ROOT { (0o040_755, 0) } else { (0o100_600, len) };
    // ino, size, blocks, three times; then their nanoseconds, mode, nlink, uid, gid, rdev, blksize, flags.
    let mut out = [node, size, size / 512, 0, 0, 0].map(u64::to_ne_bytes).concat();
    out.extend([0_u32, 0, 0, mode, 1, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes).concat());
    out
}

fn entry(len: u64) -> Vec<u8> {
    // nodeid, generation, two validities and their nanoseconds.
    let mut out = [FILE, 0, 0, 0].map(u64::to_ne_bytes).concat();
    out.extend([0; 8]);
    out.extend(attributes(FILE, len));
    out
}
