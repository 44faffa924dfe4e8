//! A queue, a server, and bridges between them.

use std::path::{Path, PathBuf};

use ringway::{CreateOptions, mpmc, spsc};

use super::bridge::Bridge;
use super::messages::message;
use super::server::Server;
use super::wait_until;

/// A queue of either kind.
pub(crate) enum Queue {
    Spsc(spsc::BytesQueue),
    Mpmc(mpmc::BytesQueue),
}

impl Queue {
    pub(crate) fn create(is_mpmc: bool, path: &Path) -> Self {
        let options = CreateOptions::new().ring_bytes(1 << 23);
        match is_mpmc {
            // SAFETY: only this test and its bridges have the file.
            true => Self::Mpmc(
                unsafe { mpmc::BytesQueue::create_with(path, &options.max_messages(1 << 14)) }.unwrap(),
            ),
            // SAFETY: as above.
            false => Self::Spsc(unsafe { spsc::BytesQueue::create_with(path, &options) }.unwrap()),
        }
    }

    /// Opens one that was created in another process.
    pub(crate) fn open(path: &Path) -> Self {
        // SAFETY: only a test and its bridges have the file.
        match unsafe { spsc::BytesQueue::open(path) } {
            Ok(queue) => Self::Spsc(queue),
            // SAFETY: as above.
            Err(_) => Self::Mpmc(unsafe { mpmc::BytesQueue::open(path) }.unwrap()),
        }
    }

    pub(crate) fn producer(&self) -> Producer {
        match self {
            Self::Spsc(queue) => Producer::Spsc(Box::new(queue.producer().unwrap())),
            Self::Mpmc(queue) => Producer::Mpmc(Box::new(queue.producer().unwrap())),
        }
    }

    /// Sends all of them: there is room, or will be.
    pub(crate) fn send(&self, numbers: std::ops::Range<u64>) {
        let messages: Vec<_> = numbers.map(message).collect();
        let mut rest = &messages[..];
        let mut producer = self.producer();
        wait_until("there is room", || {
            rest = &rest[producer.try_send_many(rest)..];
            rest.is_empty()
        });
    }

    pub(crate) fn close(&self) {
        match self {
            Self::Spsc(queue) => queue.close(),
            Self::Mpmc(queue) => queue.close(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Spsc(queue) => queue.is_empty(),
            Self::Mpmc(queue) => queue.is_empty(),
        }
    }
}

pub(crate) enum Producer {
    Spsc(Box<spsc::BytesProducer>),
    Mpmc(Box<mpmc::BytesProducer>),
}

impl Producer {
    /// Sends as many as there is room for.
    pub(crate) fn try_send_many(&mut self, messages: &[Vec<u8>]) -> usize {
        match self {
            Self::Spsc(producer) => producer.try_send_many(messages).unwrap_or(0),
            Self::Mpmc(producer) => producer.try_send_many(messages).unwrap_or(0),
        }
    }
}

/// A queue in a folder, a server, and what names them.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) queue: Queue,
    pub(crate) path: PathBuf,
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new(program: &Path, is_mpmc: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks");
        let server = Server::start(program);
        let url = server.url();
        Self { server, queue: Queue::create(is_mpmc, &path), path, url, _folder: folder }
    }

    pub(crate) fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let path = self.path.to_str().unwrap();
        [&["out", path, &self.url, "--stream", "TICKS", "--create-stream"], more].concat()
    }

    pub(crate) fn bridge(&self) -> Bridge {
        Bridge::start(&self.arguments(&[]))
    }

    /// A bridge that dies at this point.
    pub(crate) fn dying(&self, point: &str, more: &[&str]) -> Bridge {
        Bridge::start_with(&self.arguments(more), &[("RINGWAY_DIE_AT", point)])
    }
}
