//! The participants: registry entries, and their liveness as the kernel knows it.

use std::mem::offset_of;
use std::ops::Range;
use std::time::SystemTime;

use super::header::time;
use super::source::{Source, Words};
use crate::error::{InspectError, Role};
use crate::layout::order::{EntryRole, EntryWord, Intent, Tail};
use crate::layout::{
    Before, Broadcast, CURSORS_OFFSET, ENTRY_CONSUMER, ENTRY_PRODUCER, Order, OrderCursors, OwnerWords,
    REGISTRY_OFFSET, RegistryEntry as EntryWords, SpscRegistryEntry,
};
use crate::order_ring::LivenessProbe;
use crate::order_ring::broadcast::EntryMode;
use crate::queue::{ConsumerMode, KernelProbe};

const ENTRY_LEN: usize = size_of::<EntryWords>();
/// Broadcast: offset of the cursor in an entry.
const CURSOR: usize = offset_of!(EntryWords, own) + offset_of!(OwnerWords, take_intent);

/// Whether the owner of a registry entry lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Its liveness lock is held: the process lives, though it may be stopped.
    Alive,
    /// Its liveness lock is free, and it did not detach: it died. Its residue was not removed yet.
    Dead,
    /// The entry has no owner. SPSC: the last owner detached or died, and neither needs recovery.
    Gone,
}

/// One producer or consumer, and what it has done since it attached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Participant {
    /// Number of its registry entry.
    pub entry: usize,
    /// Whether it is a producer or a consumer.
    pub role: Role,
    /// Whether it lives.
    pub liveness: Liveness,
    /// How many owners the entry has had.
    pub generation: u64,
    /// Its process, in that process's own pid namespace. Diagnostic only.
    pub pid: u32,
    /// When it attached, by its clock. SPSC queues do not record that.
    pub since: Option<SystemTime>,
    /// Messages that it holds; broadcast: and those after the oldest one that it holds; in an SPSC queue the number is not certain: see
    /// [`Backlog::held`](super::Backlog::held).
    pub holds: u64,
    /// MPMC and broadcast: messages that it sent.
    pub sent: u64,
    /// Messages delivered to it, redeliveries included.
    pub received: u64,
    /// Messages delivered to it that had been delivered before.
    pub redelivered: u64,
    /// How often it found no room.
    pub full: u64,
    /// Messages that it rejected.
    pub rejected: u64,
    /// The positions that it claimed last, or is about to claim.
    pub claim_intent: Option<Range<u64>>,
    /// The positions that it took last, or is about to take.
    pub take_intent: Option<Range<u64>>,
    /// Whether its lane is ready, and takes up space.
    pub has_lane: bool,
    /// Consumers of a broadcast queue only.
    pub reading: Option<Reading>,
}

/// How a consumer of a broadcast queue reads, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// How it reads; `None` if it has not said so yet.
    pub mode: Option<ConsumerMode>,
    /// The position that it takes next.
    pub next: u64,
    /// The oldest position that producers keep for it, if they do.
    pub holds_from: Option<u64>,
    /// How many positions it is behind the newest message.
    pub lag: u64,
    /// Positions that were overwritten before it came to them.
    pub lagged: u64,
}

/// All entries of the registry: the participants, and the sums of all counters, including those of
/// participants that have detached.
pub(super) struct Registry {
    pub(super) participants: Vec<Participant>,
    pub(super) sums: Sums,
    /// Lanes that take up space.
    pub(super) lanes: u64,
    /// The word of every entry.
    pub(super) words: Vec<EntryWord>,
    /// Whether the lane of every entry is ready.
    pub(super) has_lane: Vec<bool>,
    /// Intents to claim and to take of every entry.
    pub(super) intents: Vec<[Range<u64>; 2]>,
    /// Broadcast: the word of every entry's cursor: 1 more than its position; 0: none.
    pub(super) cursors: Vec<u64>,
    /// Broadcast: the word of every entry's mode.
    pub(super) modes: Vec<u64>,
}

#[derive(Default)]
pub(super) struct Sums {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Broadcast: positions that were over before consumers came to them.
    pub(super) redelivered: u64,
    pub(super) full: u64,
    pub(super) rejected: u64,
}

impl Sums {
    /// Adds the counters of all owners of an entry. Saturating: no value in a file may cause a
    /// panic, or wrap around to a small number.
    fn add(&mut self, words: &Words<&[u8]>) {
        let own = |offset| words.at(offset_of!(EntryWords, own) + offset);
        for (sum, amount) in [
            (&mut self.sent, own(offset_of!(OwnerWords, sent))),
            (&mut self.received, own(offset_of!(OwnerWords, received))),
            (&mut self.redelivered, own(offset_of!(OwnerWords, redelivered))),
            (&mut self.full, own(offset_of!(OwnerWords, full))),
            (&mut self.rejected, own(offset_of!(OwnerWords, rejected))),
        ] {
            *sum = sum.saturating_add(amount);
        }
    }
}

/// Reads the registry of an MPMC or broadcast queue.
pub(super) fn mpmc(source: &Source, order: Order) -> Result<Registry, InspectError> {
    let all = source.words(REGISTRY_OFFSET as u64, order.participants as usize * ENTRY_LEN)?;
    let mut found = Registry {
        participants: Vec::new(),
        sums: Sums::default(),
        lanes: 0,
        words: Vec::new(),
        has_lane: Vec::new(),
        intents: Vec::new(),
        cursors: Vec::new(),
        modes: Vec::new(),
    };
    // After the entries: no consumer is ahead of it.
    let tail = Tail(source.word((CURSORS_OFFSET + offset_of!(OrderCursors, tail)) as u64)?).position();
    for (index, words) in all.pieces(ENTRY_LEN).enumerate() {
        let mut one = participant(source, index, &words)?;
        if let Some(broadcast) = order.broadcast {
            read_as_broadcast(&mut one, &words, broadcast, tail);
        }
        found.sums.add(&words);
        found.words.push(EntryWord(words.at(offset_of!(EntryWords, word))));
        found.has_lane.push(one.has_lane);
        found.lanes += u64::from(one.has_lane);
        found.cursors.push(words.at(CURSOR));
        found.modes.push(words.at(offset_of!(EntryWords, mode)));
        found
            .intents
            .push([one.claim_intent.clone().unwrap_or(0..0), one.take_intent.clone().unwrap_or(0..0)]);
        if one.liveness != Liveness::Gone {
            found.participants.push(one);
        }
    }
    Ok(found)
}

fn participant(source: &Source, index: usize, words: &Words<&[u8]>) -> Result<Participant, InspectError> {
    let own = |offset| words.at(offset_of!(EntryWords, own) + offset);
    let since =
        |counter, before| own(counter).saturating_sub(words.at(offset_of!(EntryWords, before) + before));
    let intent = |offset| Some(Intent(own(offset)).positions()).filter(|positions| !positions.is_empty());
    let word = EntryWord(words.at(offset_of!(EntryWords, word)));
    Ok(Participant {
        entry: index,
        role: match word.role() {
            EntryRole::Producer => Role::Producer,
            EntryRole::Consumer => Role::Consumer,
        },
        liveness: liveness(source, index, word)?,
        generation: word.generation(),
        pid: words.at(offset_of!(EntryWords, pid)) as u32,
        since: time(words.at(offset_of!(EntryWords, since_ns))),
        holds: 0,
        sent: since(offset_of!(OwnerWords, sent), offset_of!(Before, sent)),
        received: since(offset_of!(OwnerWords, received), offset_of!(Before, received)),
        redelivered: since(offset_of!(OwnerWords, redelivered), offset_of!(Before, redelivered)),
        full: since(offset_of!(OwnerWords, full), offset_of!(Before, full)),
        rejected: since(offset_of!(OwnerWords, rejected), offset_of!(Before, rejected)),
        claim_intent: intent(offset_of!(OwnerWords, claim_intent)),
        take_intent: intent(offset_of!(OwnerWords, take_intent)),
        has_lane: words.at(offset_of!(EntryWords, lane_ready)) != 0,
        reading: None,
    })
}

/// The words that have another meaning in a broadcast queue.
fn read_as_broadcast(one: &mut Participant, words: &Words<&[u8]>, broadcast: Broadcast, tail: u64) {
    let lagged = std::mem::take(&mut one.redelivered);
    one.take_intent = None;
    if (one.entry as u64) < broadcast.producers {
        return;
    }
    let next = words.at(offset_of!(EntryWords, own) + offset_of!(OwnerWords, next));
    one.reading = Some(Reading {
        mode: EntryMode::from_word(words.at(offset_of!(EntryWords, mode))).map(ConsumerMode::from),
        next,
        holds_from: words.at(CURSOR).checked_sub(1),
        lag: tail.saturating_sub(next),
        lagged,
    });
}

/// How many messages were delivered to all participants together.
pub(super) fn received(source: &Source, order: Order) -> Result<u64, InspectError> {
    let all = source.words(REGISTRY_OFFSET as u64, order.participants as usize * ENTRY_LEN)?;
    let of = |words: Words<&[u8]>| words.at(offset_of!(EntryWords, own) + offset_of!(OwnerWords, received));
    Ok(all.pieces(ENTRY_LEN).map(of).fold(0, u64::saturating_add))
}

/// Reads the word, then tests the liveness lock, then reads the word again, as recovery does: in
/// between the owner might have detached.
fn liveness(source: &Source, index: usize, word: EntryWord) -> Result<Liveness, InspectError> {
    if !word.is_dirty() {
        return Ok(Liveness::Gone);
    }
    if KernelProbe::new(&source.file).is_alive(index) {
        return Ok(Liveness::Alive);
    }
    let at = REGISTRY_OFFSET + index * ENTRY_LEN + offset_of!(EntryWords, word);
    let again = EntryWord(source.word(at as u64)?);
    Ok(match again == word {
        true => Liveness::Dead,
        false if again.is_dirty() => Liveness::Alive,
        false => Liveness::Gone,
    })
}

/// Reads the registry of an SPSC queue: the current or the last owner of each role.
pub(super) fn spsc(source: &Source) -> Result<Vec<Participant>, InspectError> {
    let all = source.words(REGISTRY_OFFSET as u64, 2 * size_of::<SpscRegistryEntry>())?;
    let mut found = Vec::new();
    for (entry, role) in [(ENTRY_PRODUCER, Role::Producer), (ENTRY_CONSUMER, Role::Consumer)] {
        let at = entry * size_of::<SpscRegistryEntry>();
        let generation = all.at(at + offset_of!(SpscRegistryEntry, generation));
        let is_held = KernelProbe::new(&source.file).is_alive(entry);
        if generation == 0 && !is_held {
            continue;
        }
        found.push(Participant {
            entry,
            role,
            liveness: if is_held { Liveness::Alive } else { Liveness::Gone },
            generation,
            pid: all.at(at + offset_of!(SpscRegistryEntry, pid)) as u32,
            since: None,
            holds: 0,
            sent: 0,
            received: 0,
            redelivered: 0,
            full: 0,
            rejected: 0,
            claim_intent: None,
            take_intent: None,
            has_lane: role == Role::Producer,
            reading: None,
        });
    }
    Ok(found)
}
