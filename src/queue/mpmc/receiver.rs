//! One of the consumers.
#![allow(unsafe_code, reason = "vouches for the frames that links refer to")]

mod keeper;
mod ready;

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::blockage::Blockage;
use super::burial::{Burial, now_ns};
use super::mapping::Lanes;
use super::member::Member;
use super::watch::Watch;
use crate::error::AttachError;
use crate::lane::Damage;
use crate::layout::order::{EntryRole, MAX_BATCH};
use crate::links::{Found, FrameRef, Guess, Held, Links, Nothing, RedoScan, SentLetter};
use crate::prefetch;
use crate::queue::Shared;
use crate::queue::bells::Bells;
use crate::queue::kind::{Keeper, Receiver};
use crate::queue::trouble::Trouble;
use crate::wait::{LOOK_AROUND, is_about_to_sleep};

/// One look in so many tells a position that is not committed from none, while waiting: it takes the line from producers.
const LOOKS_PER_EXACT: u64 = 32;
/// A claim is committed within nanoseconds, unless its producer is interrupted or dead: so many looks before it is asked.
const PENDING_LOOKS: u32 = 64;
/// Times that nothing was there before it is looked, now and then, whether somebody has died.
const IDLE_LOOKS: u32 = 64;
/// So often at most does one call begin anew: words that make no sense must not keep it for ever.
const MOST_TURNS: u32 = 1 << 12;

pub(crate) struct MpmcReceiver {
    redo: RedoScan,
    blockage: Blockage,
    /// Where the next take will begin.
    guess: Guess,
    is_held_up: Cell<bool>,
    idle: Cell<u32>,
    watch: Watch,
    /// Lanes that were seen to be ready.
    ready: Vec<Cell<bool>>,
    /// Of a frame that came with good ones: the next look tells of it.
    damage: Cell<Option<Damage>>,
    burial: Arc<Burial>,
    /// Whether frames may be read in place, which burying them takes.
    buries: bool,
    /// Last, so that everything above is gone when the entry is free.
    keeper: MpmcKeeper,
}

/// What guards refer to, from whatever thread.
pub(crate) struct MpmcKeeper {
    /// All lanes, read-only.
    lanes: Lanes,
    /// Vectors that were used before.
    spans: Mutex<Vec<Vec<Taken>>>,
    max_payload: u64,
    granule: u64,
    bells: Bells,
    member: Member,
}

/// A frame that is out.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    position: u64,
    /// Of the payload, in all lanes.
    offset: usize,
    len: usize,
}

/// Frames that were taken together.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    count: usize,
}

impl MpmcReceiver {
    pub(super) fn attach(shared: Arc<Shared>) -> Result<Self, AttachError> {
        // Before a registry entry is taken: it may be refused.
        let burial = Burial::prepare(&shared)?;
        let member = Member::attach(Arc::clone(&shared), EntryRole::Consumer)?;
        let geometry = shared.geometry();
        let lanes = Lanes::map(&shared, &member.links)
            .map_err(shared.not_mapped("mapping the lanes", geometry.lane_len))?;
        Ok(Self {
            redo: RedoScan::new(&member.links),
            blockage: Blockage::default(),
            guess: Guess::at_head(&member.links),
            is_held_up: Cell::new(false),
            idle: Cell::new(0),
            watch: Watch::new(&member.links),
            ready: vec![Cell::new(false); member.links.entries.len()],
            damage: Cell::new(None),
            burial,
            buries: shared.is_trusted(),
            keeper: MpmcKeeper {
                lanes,
                spans: Mutex::default(),
                max_payload: geometry.max_payload,
                granule: geometry.align,
                bells: shared.bells().clone(),
                member,
            },
        })
    }

    #[inline(always)]
    fn links(&self) -> &Links {
        &self.keeper.member.links
    }

    #[inline(always)]
    fn me(&self) -> usize {
        self.keeper.member.me
    }

    #[inline(always)]
    fn is_closer_look(&self, looks: u64) -> bool {
        if looks == LOOK_AROUND {
            // The next look that finds nothing looks around: it may be long before there is another.
            self.idle.set(IDLE_LOOKS - 1);
        }
        is_about_to_sleep(looks) || looks % LOOKS_PER_EXACT == LOOKS_PER_EXACT - 1
    }

    #[inline(always)]
    fn look(&self, exact: bool) -> Result<Option<Taken>, Damage> {
        for _ in 0..MOST_TURNS {
            if self.redo.is_due(self.links())
                && let Some(again) = self.take_again()
            {
                return again.map(Some);
            }
            match self.links().take(self.me(), &self.guess, exact) {
                Ok(found) => return self.taken(found).map(Some),
                Err(nothing) if self.look_again(nothing) => {}
                Err(_) => break,
            }
        }
        Ok(None)
    }

    #[inline(always)]
    fn taken(&self, found: Found) -> Result<Taken, Damage> {
        Links::add(&self.links().entries[self.me()].own.received, 1);
        self.out(found)
    }

    /// Checks where the frame lies.
    #[inline(always)]
    fn out(&self, found: Found) -> Result<Taken, Damage> {
        let Found { position, frame: FrameRef { lane, offset, len } } = found;
        let keeper = &self.keeper;
        let is_ready = self.ready.get(lane).is_some_and(Cell::get) || self.is_lane_ready(lane);
        let fits = len <= keeper.max_payload && offset <= keeper.lanes.lane_len - len;
        if is_ready && fits && offset & (keeper.granule - 1) == 0 {
            let offset = lane * keeper.lanes.lane_len as usize + offset as usize;
            keeper.lanes.memory.note_read(offset, len as usize);
            return Ok(Taken { position, offset, len: len as usize });
        }
        Err(self.damaged(position, offset))
    }

    /// The frame is lost; those behind it are not.
    #[cold]
    fn damaged(&self, position: u64, offset: u64) -> Damage {
        self.links().release(Held { position, redeliveries: 0 });
        self.keeper.bells.room.notify_all();
        Damage { word: "link", position, found: offset }
    }

    /// The first frame of a lane.
    #[cold]
    fn is_lane_ready(&self, lane: usize) -> bool {
        let is_ready = lane < self.ready.len() && self.links().is_lane_ready(lane);
        if is_ready {
            self.keeper.lanes.prepare(lane);
            self.ready[lane].set(true);
        }
        is_ready
    }

    /// A frame that was handed out before. None while this thread panics: a destructor that drains the queue would be given
    /// the same frame, which its guard puts back, for ever.
    #[cold]
    fn take_again(&self) -> Option<Result<Taken, Damage>> {
        if std::thread::panicking() {
            return None;
        }
        loop {
            let held = self.redo.take(self.links(), self.me())?;
            let Held { position, redeliveries } = held;
            match self.out(Found { position, frame: self.links().frame_at(position) }) {
                Ok(taken)
                    if self.buries && self.links().is_dead_letter(held) && self.bury(taken, redeliveries) => {
                }
                found => {
                    let own = &self.links().entries[self.me()].own;
                    Links::add(&own.received, 1);
                    // One whose taker died before it was marked comes as if it were new.
                    Links::add(&own.redelivered, u64::from(redeliveries > 0));
                    return Some(found);
                }
            }
        }
    }

    /// Moves a frame to the dead-letter queue. False if that does not work: it is delivered like any other then.
    #[cold]
    fn bury(&self, taken: Taken, redeliveries: u64) -> bool {
        let (payload, len) = self.keeper.bytes(taken);
        // SAFETY: the frame is out, as `Keeper` says.
        let payload = unsafe { std::slice::from_raw_parts(payload, len) };
        let (shared, links) = (self.keeper.member.shared(), self.links());
        let letter = SentLetter {
            origin: (taken.position, words_of(shared.uuid())),
            redeliveries,
            holder: links.holder_before(taken.position),
            at_ns: now_ns(),
        };
        let buried = self.burial.bury(shared, links, payload, letter);
        if buried {
            self.keeper.release(taken);
        }
        buried
    }

    /// There is nothing to take. True if looking again may help.
    #[cold]
    fn look_again(&self, nothing: Nothing) -> bool {
        self.is_held_up.set(matches!(nothing, Nothing::Pending(_)));
        match nothing {
            Nothing::Empty => {
                self.idle.set(self.idle.get().wrapping_add(1));
                if self.idle.get().is_multiple_of(IDLE_LOOKS) {
                    self.watch.look(&self.keeper.member);
                }
                false
            }
            Nothing::Pending(position) => {
                for _ in 0..PENDING_LOOKS {
                    if self.links().is_committed(position) {
                        return true;
                    }
                    std::hint::spin_loop();
                }
                self.blockage.look_into(&self.keeper.member, position, true)
            }
        }
    }

    /// Takes up to `most` frames; one of them may be damaged.
    ///
    /// A function of its own, so that its loops have all registers. By the time that the last frame is marked, the first
    /// lines of the first ones are there.
    #[inline(never)]
    fn take_run(&self, most: u64, spans: &mut Vec<Taken>, exact: bool) -> Result<Option<Damage>, Nothing> {
        let links = self.links();
        let run = links.take_many(self.me(), &self.guess, most, exact)?;
        let mut damage = None;
        links.mark_run(self.me(), run, |found| match self.out(found) {
            Ok(taken) => {
                prefetch::to_read(self.keeper.lanes.memory.payload(taken.offset));
                spans.push(taken);
            }
            Err(found) => damage = Some(found),
        });
        Links::add(&links.entries[self.me()].own.received, spans.len() as u64);
        Ok(damage)
    }

    #[inline(always)]
    fn look_for_many(&self, max: usize, spans: &mut Vec<Taken>, exact: bool) -> Result<Option<Run>, Damage> {
        spans.clear();
        if max == 0 {
            return Ok(None);
        }
        if let Some(damage) = self.damage.take() {
            return Err(damage);
        }
        for _ in 0..MOST_TURNS {
            if self.redo.is_due(self.links())
                && let Some(again) = self.take_again()
            {
                spans.push(again?);
                return Ok(Some(Run { count: 1 }));
            }
            match self.take_run((max as u64).min(MAX_BATCH), spans, exact) {
                Ok(Some(damage)) if spans.is_empty() => return Err(damage),
                // A run that holds nothing but tombstones: go on behind it.
                Ok(None) if spans.is_empty() => {}
                Ok(damage) => {
                    self.damage.set(damage);
                    return Ok(Some(Run { count: spans.len() }));
                }
                Err(nothing) if self.look_again(nothing) => {}
                Err(_) => break,
            }
        }
        Ok(None)
    }
}

/// As letters carry it.
fn words_of(uuid: [u8; 16]) -> [u64; 2] {
    let number = u128::from_ne_bytes(uuid);
    [number as u64, (number >> 64) as u64]
}

// SAFETY: a position is taken once, by the CAS on `head`, and again only after it was put back; the lease makes this the
// only participant with its number.
unsafe impl Receiver for MpmcReceiver {
    type Keeper = MpmcKeeper;

    #[inline(always)]
    fn keeper(&self) -> &MpmcKeeper {
        &self.keeper
    }

    #[inline(always)]
    fn take(&self) -> Result<Option<Taken>, Damage> {
        self.look(true)
    }

    #[inline(always)]
    fn take_patiently(&self, looks: u64) -> Result<Option<Taken>, Damage> {
        self.look(self.is_closer_look(looks))
    }

    fn may_take(&self, looks: u64) -> Result<bool, Damage> {
        Ok(self.is_ready(looks))
    }

    #[inline(always)]
    fn take_many(&self, max: usize, spans: &mut Vec<Taken>) -> Result<Option<Run>, Damage> {
        self.look_for_many(max, spans, true)
    }

    #[inline(always)]
    fn take_many_patiently(
        &self,
        max: usize,
        spans: &mut Vec<Taken>,
        looks: u64,
    ) -> Result<Option<Run>, Damage> {
        self.look_for_many(max, spans, self.is_closer_look(looks))
    }

    /// From now on nothing is claimed, should whoever closes have died before it said so.
    fn finish_close(&self) {
        self.links().close();
    }

    fn is_drained(&self) -> bool {
        self.links().is_drained()
    }

    fn has_more(&self) -> bool {
        self.links().has_more()
    }

    fn position(&self) -> u64 {
        self.links().next_take()
    }

    fn waiting(&self) -> u64 {
        self.links().waiting()
    }

    fn is_held_up(&self) -> bool {
        self.is_held_up.get()
    }

    fn has_producer(&self) -> std::io::Result<bool> {
        let leases = self.keeper.member.leases();
        leases.answered(self.links().has_live(EntryRole::Producer, &leases))
    }

    fn trouble(&self) -> Option<&Trouble> {
        Some(self.keeper.member.trouble())
    }

    fn watch_slice(&self) -> Duration {
        self.watch.slice()
    }
}
