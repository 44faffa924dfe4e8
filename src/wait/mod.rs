//! Waiting: by looking again for a while, then asleep. Knows nothing of rings: the caller says how to look.

mod patience;
mod style;

pub(crate) use patience::Patience;
pub use style::Wait;
pub(crate) use style::{Parking, Style};

use std::time::{Duration, Instant};

use crate::park::{Listen, Woken};

/// Spin hints before the processor is offered to others for the first time, some microseconds ...
const HINTS_BEFORE_OFFER: u64 = 512;
/// ... and at most between two offers that nobody takes.
const MOST_LOOKS_BETWEEN_OFFERS: u64 = 20_000;
/// An offer that took longer than this was taken: somebody else has run.
const TAKEN: Duration = Duration::from_micros(2);
/// So many offers may be taken before whoever waits sleeps. While others run, there is nothing to be won by sleeping; but
/// they may have nothing to do with this queue.
const MOST_TAKEN: u32 = 64;
/// The clock is read once in so many looks; when the processor is offered to others, each time.
const LOOKS_PER_CLOCK: u64 = 64;
/// The first slice of a sleep; each one after is twice as long, up to what the waiter allows. Short ones first: somebody may
/// have died who should have rung. But no shorter than the kernel's tick: a timer that is to go off before it has to be set
/// in hardware, and taken back when the sleeper is woken, which makes a wake twice as long or more.
const FIRST_SLICE: Duration = Duration::from_millis(10);
/// The first and the longest slice while what is waited for is held up by somebody who may be dying: nobody rings for a
/// death.
const FIRST_HELD_UP: Duration = Duration::from_micros(50);
const MOST_HELD_UP: Duration = Duration::from_millis(1);

/// What `look` is told before a sleep, instead of the number of looks before: to look as closely as it can, at the queue.
pub(crate) const BEFORE_SLEEP: u64 = u64::MAX - 1;
/// And to look around as well: somebody may have died. Not before the first sleep of a call: where each message is slept for, to
/// ask for the time would take as long as all else.
pub(crate) const LOOK_AROUND: u64 = u64::MAX;

/// Whether a look is one of those before and after sleeps.
pub(crate) fn is_about_to_sleep(looks: u64) -> bool {
    looks >= BEFORE_SLEEP
}

/// Whether a look is one of those, one `in_so_many`, that are closer than the others.
pub(crate) fn is_closer_look(looks: u64, in_so_many: u64) -> bool {
    is_about_to_sleep(looks) || looks.is_multiple_of(in_so_many)
}

/// As many looks and one more, which the caller has taken before.
pub(crate) fn one_look_more(looks: u64) -> u64 {
    if is_about_to_sleep(looks) { looks } else { looks + 1 }
}

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Forever,
    /// So long after the wait begins: nobody looks at the clock who need not wait.
    Within(Duration),
    Deadline(Instant),
}

impl Until {
    /// The deadline `timeout` from now; one too far away to be represented counts as never.
    pub(crate) fn after(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Self::Forever, Self::Deadline)
    }

    /// The wait begins now.
    pub(crate) fn fixed(self) -> Self {
        match self {
            Self::Within(timeout) => Self::after(timeout),
            other => other,
        }
    }

    /// Whether so much time is left.
    pub(crate) fn is_after(self, time: Duration) -> bool {
        self.left().is_some_and(|left| left > time)
    }

    /// What is left of the time; none if it is up.
    fn left(self) -> Option<Duration> {
        match self {
            Self::Forever | Self::Within(_) => Some(Duration::MAX),
            Self::Deadline(deadline) => {
                deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            }
        }
    }
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The time is up.
    Timeout,
    /// A signal handler ran, and the waiter wants to know.
    Interrupted,
    /// Somebody ended it.
    Cancelled,
}

/// Looks until `look` finds something; `pause` spin hints between two looks. How it waits, `parking` says.
pub(crate) fn wait<R>(
    until: Until,
    pause: u32,
    parking: &Parking<'_, impl Listen>,
    mut look: impl FnMut(u64) -> Option<R>,
) -> Result<R, Ended> {
    let until = until.fixed();
    if parking.style.spins()
        && let Some(done) = look_for_a_while(until, pause, parking.style, &mut look)
    {
        return done;
    }
    look_and_sleep(until, parking, &mut look)
}

/// None if that was long enough.
fn look_for_a_while<R>(
    until: Until,
    pause: u32,
    style: &Style,
    look: &mut impl FnMut(u64) -> Option<R>,
) -> Option<Result<R, Ended>> {
    let mut looks = 0_u64;
    let first = (HINTS_BEFORE_OFFER / u64::from(pause)).max(2);
    let mut offers = Offers { next: first, gap: first, taken: 0, away: Duration::ZERO };
    let mut began = None;
    loop {
        if let Some(found) = look(looks) {
            return Some(Ok(found));
        }
        looks += 1;
        let is_offer = looks == offers.next;
        if is_offer || looks.is_multiple_of(LOOKS_PER_CLOCK) {
            if let Some(ended) = style.has_ended(until) {
                return Some(Err(ended));
            }
            if let Some(most) = style.spin_for() {
                let spun = began.get_or_insert_with(Instant::now).elapsed().saturating_sub(offers.away);
                if spun >= most || offers.taken >= MOST_TAKEN {
                    return None;
                }
            }
        }
        if is_offer { offers.make(looks) } else { spin(pause) }
    }
}

/// Every sleep is a slice: whoever should have rung may be dead.
#[cold]
fn look_and_sleep<R>(
    until: Until,
    parking: &Parking<'_, impl Listen>,
    look: &mut impl FnMut(u64) -> Option<R>,
) -> Result<R, Ended> {
    let Parking { bell, style, most_slice } = *parking;
    let began = style.learns().then(Instant::now);
    let mut slice = FIRST_SLICE;
    let mut held_up_slice = FIRST_HELD_UP;
    let mut before_sleep = BEFORE_SLEEP;
    style.set_held_up(false);
    loop {
        // The first look spares whoever was woken the price of arming.
        if let Some(found) = look(BEFORE_SLEEP) {
            began.inspect(|began| style.learn(*began));
            return Ok(found);
        }
        let ticket = bell.arm();
        if let Some(found) = look(before_sleep) {
            return Ok(found);
        }
        if let Some(ended) = style.has_ended(until) {
            // Whoever has not slept has not looked around.
            let found = if before_sleep == BEFORE_SLEEP { look(LOOK_AROUND) } else { None };
            return found.ok_or(ended);
        }
        style.note_sleep();
        before_sleep = LOOK_AROUND;
        let held_up = style.is_held_up();
        let idle_slice = most_slice.min(style.watch());
        let (now, most) = if held_up { (&mut held_up_slice, MOST_HELD_UP) } else { (&mut slice, idle_slice) };
        *now = (*now).min(most);
        match bell.sleep(ticket, (*now).min(until.left().unwrap_or_default())) {
            Woken::Interrupted if style.is_interruptible() => return Err(Ended::Interrupted),
            Woken::SliceEnded => *now = (*now * 2).min(most),
            // If the next look finds nothing all the same, somebody may be in the way who is about to die.
            Woken::Rung => (slice, held_up_slice) = (FIRST_SLICE.min(most_slice), FIRST_HELD_UP),
            Woken::Interrupted => {}
        }
        if !held_up {
            held_up_slice = FIRST_HELD_UP;
        }
    }
}

/// When to offer the processor to others. Where there are more threads than processors, whoever is waited for may need
/// it: that shows when an offer is taken, and then it is offered after each look. Else offers become rare.
struct Offers {
    /// Looks until the next one, from the beginning.
    next: u64,
    gap: u64,
    /// How many were taken ...
    taken: u32,
    /// ... and for how long.
    away: Duration,
}

impl Offers {
    #[cold]
    fn make(&mut self, looks: u64) {
        let start = Instant::now();
        std::thread::yield_now();
        let away = start.elapsed();
        if away > TAKEN {
            self.gap = 1;
            self.taken += 1;
            self.away += away;
        } else {
            self.gap = (self.gap * 2).min(MOST_LOOKS_BETWEEN_OFFERS);
        }
        self.next = looks + self.gap;
    }
}

fn spin(hints: u32) {
    for _ in 0..hints {
        std::hint::spin_loop();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::park::Bell;
    use crate::shared_ref::Ref;

    #[test]
    fn a_deadline_is_never_early_and_comes() {
        for wait_style in [Wait::Spin, Wait::SpinThenPark, Wait::Park] {
            let (bell, style) = (Bell::new(Ref::on_heap(std::sync::Arc::default())), Style::default());
            style.set(wait_style);
            let parking = Parking { bell: &bell, style: &style, most_slice: Duration::from_millis(100) };
            let timeout = Duration::from_millis(20);
            let start = Instant::now();
            assert_eq!(wait::<()>(Until::after(timeout), 1, &parking, |_| None), Err(Ended::Timeout));
            assert!(start.elapsed() >= timeout);
            let mut looks = 0;
            let mut after = |most: u32| {
                looks = 0;
                move |_: u64| {
                    looks += 1;
                    (looks >= most).then_some(7)
                }
            };
            assert_eq!(wait(Until::Forever, 1, &parking, after(5)), Ok(7));
            assert_eq!(wait(Until::after(Duration::MAX), 1, &parking, after(5)), Ok(7));
        }
    }

    #[test]
    fn whoever_is_cancelled_stops_waiting_and_nothing_else() {
        for wait_style in [Wait::Spin, Wait::SpinThenPark, Wait::Park] {
            let (bell, style) = (Bell::new(Ref::on_heap(std::sync::Arc::default())), Style::default());
            style.set(wait_style);
            let parking = Parking { bell: &bell, style: &style, most_slice: Duration::from_millis(100) };
            let canceller = style.canceller(&bell);
            canceller.cancel();
            assert_eq!(wait::<()>(Until::Forever, 1, &parking, |_| None), Err(Ended::Cancelled));
            assert_eq!(wait(Until::Forever, 1, &parking, |_| Some(7)), Ok(7));
            canceller.reset();
            std::thread::scope(|scope| {
                scope.spawn(|| canceller.cancel());
                assert_eq!(wait::<()>(Until::Forever, 1, &parking, |_| None), Err(Ended::Cancelled));
            });
        }
    }
}
