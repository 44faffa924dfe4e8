//! The ledger of an SPSC queue: how far a stream has come into it, beside the queue's file.
//!
//! # Why each message is committed exactly once
//! Let `R` be the place in the stream up to which everything is in the queue. The server knows only what was acknowledged,
//! which is less after a kill between the commit and the acknowledgement. The queue knows more: the producer's position
//! grows with each commit, and a new producer continues exactly after the last commit of the one before
//! ([`position`](ringway::kind::BytesProducer::position)). An SPSC commit is all or nothing. So each batch takes these
//! steps, in this order:
//!
//! 1. *intent*: the ledger says "`R` is `before` as long as the position is `p`; beyond `p` it is `after`";
//! 2. *commit* of the batch: the position moves from `p` to some `q > p`;
//! 3. *settled*: the ledger says "`R` is `after`, and the position is `q`";
//! 4. the acknowledgement.
//!
//! After a kill at any instruction, the next process attaches as the producer, which is only possible once the killed one
//! is gone, and reads the ledger:
//!
//! | killed | ledger | position | so `R` is | the batch |
//! |---|---|---|---|---|
//! | before or in step 1 | settled at `p` | `p` | `before` | comes again, is committed |
//! | between 1 and 2, or in 2 before the commit | intent | `p` | `before` | comes again, is committed |
//! | between 2 and 3, or in 3 | intent | `> p` | `after` | comes again, is dropped |
//! | after 3, before, in or after 4 | settled at `q` | `q` | `after` | comes again or not; is dropped |
//!
//! A kill *in* steps 1 or 3 leaves the slot that is being written with a wrong checksum, or complete; the other slot has
//! the record before it, and the newest complete one counts. In step 1 that is "settled at `p`", in step 3 it is the
//! intent, and both give the same `R` as the record that is being written would. A record is one `write` into the page cache,
//! which a killed process leaves in order; after a power loss queue and ledger may differ, and that is not promised.
//!
//! A settled ledger with another position means that another program produced into the queue, or that the file is another
//! state of it (a backup, a power loss). Then the counts prove nothing, and the link is refused. Between an intent and its
//! settled record that can't be told; the window is the commit itself.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ringway::Uuid;

use super::source::SourceName;
use crate::failure::Failure;

/// A place in a stream: everything before message `sequence`, and the first `frames` queue messages that are packed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reached {
    pub(crate) sequence: u64,
    pub(crate) frames: u64,
}

impl Reached {
    /// Everything up to this message, and all of it.
    pub(crate) fn through(sequence: u64) -> Self {
        Self { sequence, frames: u64::MAX }
    }

    /// The last message of which nothing is missing.
    pub(crate) fn whole(self) -> u64 {
        if self.frames == u64::MAX { self.sequence } else { self.sequence.saturating_sub(1) }
    }
}

/// What one slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    generation: u64,
    queue: Uuid,
    /// Hashes of what the stream's consumer is called, and of when the stream was made.
    source: u64,
    created: i64,
    before: Reached,
    after: Reached,
    position: u64,
}

/// "RWYLEDG" and the format's number.
const MAGIC: u64 = u64::from_le_bytes(*b"RWYLEDG1");
const SLOT: usize = 128;
/// Bytes of a slot that the checksum covers.
const COVERED: usize = 88;

/// The ledger of a queue, held by its producer.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    path: PathBuf,
    queue: Uuid,
    record: Option<Record>,
}

impl Ledger {
    /// Opens the ledger of a queue, or makes an empty one. Only the queue's producer may.
    ///
    /// # Errors
    /// If the file cannot be read or made.
    pub(crate) fn open(queue_path: &Path, queue: Uuid) -> Result<Self> {
        let mut name = queue_path.as_os_str().to_owned();
        name.push(".ledger");
        let path = PathBuf::from(name);
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            // A link in a shared folder could lead elsewhere.
            let file = options.custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC).open(&path)?;
            let mut bytes = Vec::new();
            for at in 0..2 {
                let mut slot = [0; SLOT];
                let is_there = file.metadata()?.len() >= ((at + 1) * SLOT) as u64;
                if is_there {
                    file.read_exact_at(&mut slot, (at * SLOT) as u64)?;
                }
                bytes.push(slot);
            }
            Ok::<_, std::io::Error>((file, bytes))
        };
        let (file, slots) = open().with_context(|| format!("opening the ledger {}", path.display()))?;
        let records = slots.iter().filter_map(Record::read);
        // A queue that was made anew begins a ledger anew: what was in the old one is gone with it.
        let record = records.filter(|record| record.queue == queue).max_by_key(|record| record.generation);
        Ok(Self { file, path, queue, record })
    }

    /// How far the stream has come into the queue, whose producer is at `position`; `None` if nothing is recorded.
    ///
    /// # Errors
    /// [`Failure::Refused`] if the ledger is of another source, or does not fit the queue.
    pub(crate) fn reached(&self, source: &SourceName, position: u64) -> Result<Option<Reached>, Failure> {
        let Some(record) = self.record else { return Ok(None) };
        let path = self.path.display();
        let refuse = |why: String| {
            Err(Failure::Refused(format!(
                "{why}. --takeover goes on after what the server's consumer has acknowledged, and begins the ledger {path} \
                 anew"
            )))
        };
        if record.source != name_hash(source) {
            return refuse(format!(
                "this queue was filled from another stream or by another consumer than stream {} and consumer {}",
                source.stream, source.consumer
            ));
        }
        if record.created != source.created {
            return refuse(format!("stream {} was deleted and made anew since", source.stream));
        }
        match (record.before == record.after, position.cmp(&record.position)) {
            (_, std::cmp::Ordering::Equal) => Ok(Some(record.before)),
            (false, std::cmp::Ordering::Greater) => Ok(Some(record.after)),
            (true, std::cmp::Ordering::Greater) => refuse(format!(
                "another program has sent messages to this queue (its producer is at position {position}, the ledger says {}): \
                 a queue that a bridge fills must have no other producer",
                record.position
            )),
            (_, std::cmp::Ordering::Less) => refuse(format!(
                "the queue's file is older than its ledger (its producer is at position {position}, the ledger says {}): it \
                 comes from a backup, or from before a power loss",
                record.position
            )),
        }
    }

    /// Step 1: what is about to be committed at this position.
    ///
    /// # Errors
    /// If it cannot be written. Nothing may be committed then.
    pub(crate) fn intend(
        &mut self,
        source: &SourceName,
        before: Reached,
        after: Reached,
        position: u64,
    ) -> Result<()> {
        self.write(source, before, after, position)
    }

    /// Step 3, or the beginning of a ledger: this far, at this position.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn settle(&mut self, source: &SourceName, reached: Reached, position: u64) -> Result<()> {
        self.write(source, reached, reached, position)
    }

    fn write(&mut self, source: &SourceName, before: Reached, after: Reached, position: u64) -> Result<()> {
        let generation = self.record.map_or(1, |record| record.generation + 1);
        let (queue, created) = (self.queue, source.created);
        let record =
            Record { generation, queue, source: name_hash(source), created, before, after, position };
        let at = (generation % 2) * SLOT as u64;
        self.file
            .write_all_at(&record.bytes(), at)
            .with_context(|| format!("writing the ledger {}", self.path.display()))?;
        self.record = Some(record);
        Ok(())
    }
}

impl Record {
    fn bytes(&self) -> [u8; SLOT] {
        let mut words = [
            MAGIC,
            self.generation,
            0,
            0,
            self.source,
            self.created as u64,
            self.before.sequence,
            self.before.frames,
            self.after.sequence,
            self.after.frames,
            self.position,
        ];
        let [low, high] = uuid_words(self.queue);
        (words[2], words[3]) = (low, high);
        let mut bytes = [0; SLOT];
        for (word, place) in words.iter().zip(bytes.chunks_exact_mut(8)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let checksum = fnv(&bytes[..COVERED]);
        bytes[COVERED..COVERED + 8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The record in a slot; none if it is torn, empty, or of another format.
    fn read(bytes: &[u8; SLOT]) -> Option<Self> {
        let word = |at: usize| {
            let bytes: [u8; 8] = bytes[at * 8..at * 8 + 8].try_into().expect("eight bytes are eight");
            u64::from_le_bytes(bytes)
        };
        if word(0) != MAGIC || word(COVERED / 8) != fnv(&bytes[..COVERED]) {
            return None;
        }
        let queue: [u8; 16] = bytes[16..32].try_into().expect("sixteen bytes are sixteen");
        Some(Self {
            generation: word(1),
            queue: queue.into(),
            source: word(4),
            created: word(5) as i64,
            before: Reached { sequence: word(6), frames: word(7) },
            after: Reached { sequence: word(8), frames: word(9) },
            position: word(10),
        })
    }
}

fn uuid_words(uuid: Uuid) -> [u64; 2] {
    let bytes = uuid.as_bytes();
    let half = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes are eight"));
    [half(0), half(8)]
}

fn name_hash(source: &SourceName) -> u64 {
    fnv(format!("{}\0{}", source.stream, source.consumer).as_bytes())
}

/// FNV-1a, 64 bits: finds torn slots, not forged ones.
fn fnv(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(stream: &str, created: i64) -> SourceName {
        SourceName { stream: stream.into(), created, consumer: "eu".into() }
    }

    fn queue(byte: u8) -> Uuid {
        [byte; 16].into()
    }

    fn refused(result: Result<Option<Reached>, Failure>) -> String {
        match result {
            Err(Failure::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_recorded_decides_by_the_position() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q");
        let jobs = source("JOBS", 7);
        let mut ledger = Ledger::open(&path, queue(1)).unwrap();
        assert_eq!(ledger.reached(&jobs, 99).unwrap(), None);
        let reread = || Ledger::open(&path, queue(1)).unwrap();

        let (five, nine) = (Reached::through(5), Reached { sequence: 9, frames: 3 });
        ledger.settle(&jobs, five, 100).unwrap();
        assert_eq!(reread().reached(&jobs, 100).unwrap(), Some(five));
        assert!(refused(reread().reached(&jobs, 101)).contains("no other producer"));
        assert!(refused(reread().reached(&jobs, 99)).contains("older than its ledger"));

        ledger.intend(&jobs, five, nine, 100).unwrap();
        assert_eq!(reread().reached(&jobs, 100).unwrap(), Some(five), "not committed");
        assert_eq!(reread().reached(&jobs, 250).unwrap(), Some(nine), "committed");
        assert!(refused(reread().reached(&jobs, 99)).contains("older than its ledger"));

        ledger.settle(&jobs, nine, 250).unwrap();
        assert_eq!(reread().reached(&jobs, 250).unwrap(), Some(nine));
        assert!(refused(reread().reached(&source("JOBS", 8), 250)).contains("made anew"));
        assert!(refused(reread().reached(&source("OTHER", 7), 250)).contains("another stream"));
        assert_eq!(Ledger::open(&path, queue(2)).unwrap().reached(&jobs, 0).unwrap(), None, "another queue");
    }

    proptest! {
        /// Whatever a kill leaves of the slot that is being written, the record before it counts, or the new one.
        #[test]
        fn a_torn_record_does_not_count(cut in 0_usize..=SLOT, steps in 1_u64..6) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("q");
            let jobs = source("JOBS", 7);
            let mut ledger = Ledger::open(&path, queue(1)).unwrap();
            for step in 1..=steps {
                ledger.settle(&jobs, Reached::through(step), step * 8).unwrap();
            }
            let file = dir.path().join("q.ledger");
            let old = std::fs::read(&file).unwrap();
            ledger.settle(&jobs, Reached::through(steps + 1), (steps + 1) * 8).unwrap();
            let new = std::fs::read(&file).unwrap();
            let at = ((steps + 1) % 2) as usize * SLOT;
            let mut torn = old.clone();
            torn.resize(torn.len().max(at + cut), 0);
            torn[at..at + cut].copy_from_slice(&new[at..at + cut]);
            std::fs::write(&file, &torn).unwrap();
            let reread = Ledger::open(&path, queue(1)).unwrap();
            let record = reread.record.unwrap();
            let is_new = record.generation == steps + 1;
            // The rest may have been the same before.
            prop_assert_eq!(is_new, torn[at..] == new[at..][..torn.len() - at], "{:?} {}", record, cut);
            prop_assert_eq!(record.after, Reached::through(steps + u64::from(is_new)));
        }
    }
}
