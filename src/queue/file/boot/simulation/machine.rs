//! A run of a queue, copied after each step; and what a disk may hold of it.

use std::path::{Path, PathBuf};

use super::flavours::Flavour;
use super::random::Random;
use crate::queue::AfterPowerLoss;
use crate::shm::boot::pretend;

pub(super) const PAGE: usize = 4096;
/// The unit that a disk writes as a whole.
pub(super) const SECTOR: usize = 512;
/// Steps of a run.
const MAX_STEPS: u64 = 80;

/// The file after a step.
pub(super) struct Moment {
    pub(super) bytes: Vec<u8>,
    /// Whether there were participants.
    pub(super) in_use: bool,
    /// Messages were numbered up to here.
    pub(super) sent: u64,
    /// The header's page was flushed in this step.
    flushed: bool,
    /// All of the file was flushed in this step.
    synced: bool,
}

pub(super) struct Machine {
    dir: tempfile::TempDir,
    pub(super) boot: u8,
    /// Messages that were delivered, in this run or an earlier one.
    pub(super) delivered: Vec<u64>,
    /// The messages that were there when the run began ...
    pub(super) kept: Vec<u64>,
    /// ... and the number of the last one that had been sent by then.
    pub(super) sent_before: u64,
    pub(super) moments: Vec<Moment>,
}

/// A file as a boot finds it.
pub(super) struct Beginning {
    pub(super) boot: u8,
    /// What the disk holds.
    pub(super) on_disk: Vec<u8>,
    /// What the page cache holds after the file was opened.
    pub(super) bytes: Vec<u8>,
    pub(super) kept: Vec<u64>,
    pub(super) delivered: Vec<u64>,
    pub(super) sent: u64,
}

/// What the disk holds when the power fails after a moment.
pub(super) struct Image {
    pub(super) moment: usize,
    /// The last moment at which all of the file was flushed, if there was one.
    pub(super) synced: Option<usize>,
    /// Number of bytes that are of one moment each.
    unit: usize,
    /// The moment of each unit.
    of: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "after step {}, units of {} bytes of steps {:?}", self.moment, self.unit, self.of)
    }
}

impl Machine {
    /// A new queue, in boot 1.
    pub(super) fn run<F: Flavour>(random: &mut Random) -> Self {
        pretend::set_boot(1);
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join("run");
        let queue = F::create(&path);
        let mut machine = Self {
            dir,
            boot: 1,
            delivered: Vec::new(),
            kept: Vec::new(),
            sent_before: 0,
            moments: Vec::new(),
        };
        machine.note(&path, false, 0, false, false);
        machine.take_steps::<F>(random, &path, &queue);
        machine
    }

    /// A queue that another boot has left.
    pub(super) fn go_on<F: Flavour>(random: &mut Random, beginning: Beginning) -> Self {
        let Beginning { boot, on_disk, bytes, kept, delivered, sent } = beginning;
        pretend::set_boot(boot);
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join("run");
        std::fs::write(&path, &bytes).unwrap();
        let queue = F::open(&path, AfterPowerLoss::Refuse).expect("opened in this boot before");
        let mut machine = Self { dir, boot, delivered, kept, sent_before: sent, moments: Vec::new() };
        machine.moments.push(Moment { bytes: on_disk, in_use: false, sent, flushed: true, synced: true });
        machine.note(&path, false, sent, false, false);
        machine.take_steps::<F>(random, &path, &queue);
        machine
    }

    fn take_steps<F: Flavour>(&mut self, random: &mut Random, path: &Path, queue: &F::Queue) {
        let (mut producer, mut consumer): (Option<F::Producer>, Option<F::Consumer>) = (None, None);
        let mut sent = self.sent_before;
        for _ in 0..1 + random.below(MAX_STEPS) {
            let flushes = pretend::flushes();
            let mut synced = false;
            match random.below(12) {
                0 | 1 => {
                    // The old one is dropped first: the role belongs to one participant.
                    drop(producer.take());
                    producer = Some(F::producer(queue).unwrap());
                }
                2 | 3 => {
                    drop(consumer.take());
                    consumer = Some(F::consumer(queue).unwrap());
                }
                4 => producer = None,
                5 => consumer = None,
                6 => {
                    F::sync(queue);
                    synced = true;
                }
                7..=9 => {
                    if let Some(producer) = &mut producer {
                        for _ in 0..1 + random.below(F::BURST) {
                            sent += u64::from(F::send(producer, sent + 1));
                        }
                    }
                }
                _ => {
                    if let Some(consumer) = &consumer {
                        for _ in 0..1 + random.below(F::BURST) {
                            let keeps = random.one_in(64);
                            self.delivered.extend(F::recv(consumer, keeps).unwrap());
                        }
                    }
                }
            }
            let in_use = producer.is_some() || consumer.is_some();
            self.note(path, in_use, sent, pretend::flushes() > flushes, synced);
        }
    }

    fn note(&mut self, path: &Path, in_use: bool, sent: u64, flushed: bool, synced: bool) {
        self.moments.push(Moment { bytes: std::fs::read(path).unwrap(), in_use, sent, flushed, synced });
    }

    /// Writes a file that was not there before.
    pub(super) fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("image");
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn image(&self, random: &mut Random) -> Image {
        let moment = random.below(self.moments.len() as u64) as usize;
        let unit = if random.one_in(2) { PAGE } else { SECTOR };
        // Everything at random; all but a few of the last moment; or two moments.
        let map_options = random.below(3);
        let other = random.below(moment as u64 + 1) as usize;
        let last_with = |is: fn(&Moment) -> bool| self.moments[..=moment].iter().rposition(is).unwrap_or(0);
        let (flushed, synced) = (last_with(|moment| moment.flushed), last_with(|moment| moment.synced));
        let len = self.moments[moment].bytes.len();
        let of: Vec<usize> = (0..len.div_ceil(unit))
            .map(|number| {
                let is_header = number * unit < PAGE;
                let oldest = if is_header { flushed.max(synced) } else { synced };
                let any = oldest + random.below((moment - oldest) as u64 + 1) as usize;
                match map_options {
                    0 => any,
                    1 if random.one_in(8) => any,
                    2 if random.one_in(2) => other.max(oldest),
                    _ => moment,
                }
            })
            .collect();
        let mut bytes = Vec::with_capacity(len);
        for (number, of) in of.iter().enumerate() {
            let range = number * unit..((number + 1) * unit).min(len);
            bytes.extend_from_slice(&self.moments[*of].bytes[range]);
        }
        let synced = self.moments[synced].synced.then_some(synced);
        Image { moment, synced, unit, of, bytes }
    }
}
