//! The state: the shared words of the order ring and the registry, and the participants' private
//! memory.

use super::recovery::Recovery;
use std::fmt;

/// Room in the arrays; the bounds say how much of it is used.
pub const SLOTS: usize = 4;
pub const ENTRIES: usize = 4;
pub const MESSAGES: usize = 6;
pub const NONE: u8 = 0xff;

/// How large a world to explore. Every failure has a budget, so that the world is finite.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    pub slots: u8,
    /// Messages that may be claimed and not released are fewer than the slots by this.
    pub slack: u8,
    pub producers: usize,
    pub consumers: usize,
    /// Messages that each producer's entry sends in all, under all of its owners.
    pub messages: u8,
    /// Messages committed before the model starts, by a producer that has detached.
    pub prefilled: u8,
    pub send_k: u8,
    pub recv_k: u8,
    /// Guards that one consumer may hold at a time.
    pub guards: u32,
    pub kills: u8,
    pub attaches: u8,
    pub detaches: u8,
    pub rejects: u8,
    /// Participants that may stop calling for good between two calls, alive and with their liveness
    /// lock held.
    pub idlers: u8,
    /// What a consumer has held is dropped, not redelivered.
    pub at_most_once: bool,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bounds = [
            ("slots", self.slots.into()),
            ("slack", self.slack.into()),
            ("P", self.producers),
            ("C", self.consumers),
            ("messages", self.messages.into()),
            ("prefilled", self.prefilled.into()),
            ("send_k", self.send_k.into()),
            ("recv_k", self.recv_k.into()),
            ("guards", self.guards as usize),
            ("kills", self.kills.into()),
            ("attaches", self.attaches.into()),
            ("detaches", self.detaches.into()),
            ("rejects", self.rejects.into()),
            ("idlers", self.idlers.into()),
        ];
        crate::bounds::write(f, &bounds)?;
        f.write_str(if self.at_most_once { ", at most once" } else { "" })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Free,
    Full,
    Held,
    Redeliver,
}

/// The state word of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word {
    pub kind: Kind,
    pub lap: u8,
    pub owner: u8,
    pub redelivery_count: u8,
}

/// Short, because traces contain many of them.
impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Word { kind, lap, owner, redelivery_count } = self;
        match kind {
            Kind::Free => write!(f, "FREE({lap})"),
            Kind::Full => write!(f, "FULL({lap})"),
            Kind::Held => write!(f, "HELD({lap}, entry {owner}, {redelivery_count} redeliveries)"),
            Kind::Redeliver => write!(f, "REDELIVER({lap}, {redelivery_count} redeliveries)"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    pub word: Word,
    /// Stands for the slot's other fields, and for the frame.
    pub message: u8,
    /// Ghost, seen by no participant: the entry that won this position by CAS and has not yet
    /// moved the slot on; of `tail` while FREE, of `head` while FULL.
    pub winner: u8,
}

impl Slot {
    pub(super) fn free_next(&mut self) {
        let word = Word { kind: Kind::Free, lap: self.word.lap + 1, owner: NONE, redelivery_count: 0 };
        *self = Slot { word, message: NONE, winner: NONE };
    }

    pub(super) fn hold(&mut self, owner: usize) {
        self.word = Word { kind: Kind::Held, owner: owner as u8, ..self.word };
        self.winner = NONE;
    }

    pub(super) fn redeliver(&mut self, count: u8) {
        self.word = Word { kind: Kind::Redeliver, owner: NONE, redelivery_count: count, ..self.word };
        self.winner = NONE;
    }
}

/// Positions `position .. position + k`; NONE is `k == 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Intent {
    pub position: u8,
    pub k: u8,
}

impl Intent {
    pub const NONE: Intent = Intent { position: 0, k: 0 };

    pub(super) fn covers(self, position: u8) -> bool {
        self.position <= position && position < self.position + self.k
    }
}

/// What the file and the kernel have about a participant. The producers' entries come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    pub dirty: bool,
    pub generation: u8,
    pub liveness_lock: bool,
    /// `enq` in a producer's entry, `deq` in a consumer's.
    pub intent: Intent,
}

/// The next step of a participant's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pc {
    /// No process: killed, detached, or never there.
    Gone,
    AttachCheck,
    AttachClear,
    AttachDirty,
    /// Between two calls of `send` or `recv`.
    Ready,
    /// Alive, but never calls again.
    Idle,
    Scan,
    ReadHead,
    Check,
    Skip,
    StoreIntent,
    Cas,
    ClearIntent,
    /// Commit, or mark HELD.
    Mark,
    DetachRedeliver,
    DetachBump,
    DetachClean,
    DetachUnlock,
}

impl Pc {
    /// Whether it will still call `send` or `recv`.
    pub(super) fn calls(self) -> bool {
        !matches!(self, Pc::Gone | Pc::Idle | Pc::AttachCheck | Pc::AttachClear | Pc::AttachDirty)
    }
}

/// A participant's private memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    pub pc: Pc,
    /// The position read from the cursor, the number of slots wanted, and how many are done.
    pub position: u8,
    pub k: u8,
    pub done: u8,
    /// Producer: the next message. Kept over a kill: the application's, not the handle's.
    pub next: u8,
    /// Consumer: slots under a guard, as bits.
    pub guards: u8,
    /// Consumer: whether `seen` equals `redelivery_epoch`, and whether `e`, read at the start of
    /// the scan, does.
    pub seen: bool,
    pub scan_is_current: bool,
    /// Consumer: a reject that still has to bump the epoch.
    pub bump_due: bool,
    /// Consumer: the slot whose reject has bumped the epoch too early (a mistake).
    pub late_redelivery: u8,
}

impl Process {
    pub(super) fn new(pc: Pc, next: u8) -> Self {
        Process {
            pc,
            position: 0,
            k: 0,
            done: 0,
            next,
            guards: 0,
            seen: false,
            scan_is_current: false,
            bump_due: false,
            late_redelivery: NONE,
        }
    }

    /// Ready for the next call, with nothing left over from the last.
    pub(super) fn ready(self) -> Self {
        Process { pc: Pc::Ready, position: 0, k: 0, done: 0, scan_is_current: false, ..self }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub tail: u8,
    pub head: u8,
    pub slots: [Slot; SLOTS],
    pub entries: [Entry; ENTRIES],
    pub processes: [Process; ENTRIES],
    pub recovery: Recovery,
    /// Positions that never carry a message.
    pub skipped: u8,
    /// The record of the tombstone that is being made: what `skipped` will be, and 1 + its position.
    pub skip_target: u8,
    pub skip_position: u8,
    /// Ghost: how many tombstones there are.
    pub tombstones: u8,
    /// Ghosts: messages committed, as bits; how many times each was delivered; budgets used up.
    pub committed: u8,
    pub deliveries: [u8; MESSAGES],
    pub kills: u8,
    pub attaches: u8,
    pub detaches: u8,
    pub rejects: u8,
    pub idlers: u8,
    pub consumer_kills: u8,
}

impl State {
    /// `redelivery_epoch.fetch_add(1)`: no copy of it is current any more.
    pub(super) fn bump_epoch(&mut self) {
        for process in &mut self.processes {
            process.seen = false;
            process.scan_is_current = false;
        }
    }
}
