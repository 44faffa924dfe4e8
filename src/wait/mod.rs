//! Waiting: by looking again for a while, then asleep. Knows nothing of epoch: the caller says how to look.

mod backoff;
mod config;

pub(crate) use backoff::AdaptiveBackoff;
pub use config::WaitStrategy;
pub(crate) use config::{Parking, WaitConfig};

use std::time::{Duration, Instant};

use crate::park::{Waitable, Woken};

/// Spin hints before the processor is offered to others for the first time, some microseconds ...
const SPINS_BEFORE_YIELD: u64 = 512;
/// ... and at most between two yields that nobody takes.
const MAX_ATTEMPTS_BETWEEN_YIELDS: u64 = 20_000;
/// An offer that took longer than this was taken: somebody else has run.
const EFFECTIVE_YIELD: Duration = Duration::from_micros(2);
/// So many yields may be taken before whoever waits sleeps. While others run, there is nothing to be won by sleeping; but
/// they may have nothing to do with this queue.
const MAX_EFFECTIVE_YIELDS: u32 = 64;
/// The clock is read once in so many attempts; when the processor is offered to others, each time.
const ATTEMPTS_PER_CLOCK_READ: u64 = 64;
/// The first sleep of a sleep; each one after is twice as long, up to what the waiter allows. Short ones first: somebody may
/// have died who should have rung. But no shorter than the kernel's tick: a timer that is to go off before it has to be set
/// in hardware, and taken back when the sleeper is woken, which makes a wake twice as long or more.
const FIRST_SLEEP: Duration = Duration::from_millis(10);
/// The first and the longest sleep while what is waited for is held up by somebody who may be dying: nobody epoch for a
/// death.
const FIRST_BLOCKED_SLEEP: Duration = Duration::from_micros(50);
const MAX_BLOCKED_SLEEP: Duration = Duration::from_millis(1);

/// What `look` is told before a sleep, instead of the number of attempts before: to look as closely as it can, at the queue.
pub(crate) const BEFORE_PARK: u64 = u64::MAX - 1;
/// And to look around as well: somebody may have died. Not before the first sleep of a call: where each message is slept for, to
/// ask for the time would take as long as all else.
pub(crate) const WITH_DEAD_PEER_SCAN: u64 = u64::MAX;

/// Whether a look is one of those before and after sleeps.
pub(crate) fn is_before_park(attempts: u64) -> bool {
    attempts >= BEFORE_PARK
}

/// Whether a look is one of those, one `one_in`, that are closer than the others.
pub(crate) fn is_exact(attempts: u64, one_in: u64) -> bool {
    is_before_park(attempts) || attempts.is_multiple_of(one_in)
}

/// As many attempts and one more, which the caller has taken before.
pub(crate) fn next_attempt(attempts: u64) -> u64 {
    if is_before_park(attempts) { attempts } else { attempts + 1 }
}

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Forever,
    /// So long after the wait begins: nobody attempts at the clock who need not wait.
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

/// Looks until `look` finds something; `pause` spin hints between two attempts. How it waits, `parking` says.
pub(crate) fn wait<R>(
    until: Until,
    pause: u32,
    parking: &Parking<'_, impl Waitable>,
    mut attempt: impl FnMut(u64) -> Option<R>,
) -> Result<R, Ended> {
    let until = until.fixed();
    if parking.wait_config.spins()
        && let Some(done) = spin_until(until, pause, parking.wait_config, &mut attempt)
    {
        return done;
    }
    park_until(until, parking, &mut attempt)
}

/// None if that was long enough.
fn spin_until<R>(
    until: Until,
    pause: u32,
    wait_config: &WaitConfig,
    attempt: &mut impl FnMut(u64) -> Option<R>,
) -> Option<Result<R, Ended>> {
    let mut attempts = 0_u64;
    let first = (SPINS_BEFORE_YIELD / u64::from(pause)).max(2);
    let mut yields = Yields { next: first, gap: first, taken: 0, away: Duration::ZERO };
    let mut began = None;
    loop {
        if let Some(found) = attempt(attempts) {
            return Some(Ok(found));
        }
        attempts += 1;
        let is_yield = attempts == yields.next;
        if is_yield || attempts.is_multiple_of(ATTEMPTS_PER_CLOCK_READ) {
            if let Some(ended) = wait_config.has_ended(until) {
                return Some(Err(ended));
            }
            if let Some(most) = wait_config.spin_for() {
                let spun = began.get_or_insert_with(Instant::now).elapsed().saturating_sub(yields.away);
                if spun >= most || yields.taken >= MAX_EFFECTIVE_YIELDS {
                    return None;
                }
            }
        }
        if is_yield { yields.make(attempts) } else { spin(pause) }
    }
}

/// Every sleep is a sleep: whoever should have rung may be dead.
#[cold]
fn park_until<R>(
    until: Until,
    parking: &Parking<'_, impl Waitable>,
    attempt: &mut impl FnMut(u64) -> Option<R>,
) -> Result<R, Ended> {
    let Parking { event, wait_config, max_sleep } = *parking;
    let began = wait_config.learns().then(Instant::now);
    let mut sleep = FIRST_SLEEP;
    let mut blocked_sleep = FIRST_BLOCKED_SLEEP;
    let mut before_park = BEFORE_PARK;
    wait_config.set_blocked(false);
    loop {
        // The first look spares whoever was woken the price of arming.
        if let Some(found) = attempt(BEFORE_PARK) {
            began.inspect(|began| wait_config.learn(*began));
            return Ok(found);
        }
        let key = event.arm();
        if let Some(found) = attempt(before_park) {
            return Ok(found);
        }
        if let Some(ended) = wait_config.has_ended(until) {
            // Whoever has not slept has not looked around.
            let found = if before_park == BEFORE_PARK { attempt(WITH_DEAD_PEER_SCAN) } else { None };
            return found.ok_or(ended);
        }
        wait_config.note_sleep();
        before_park = WITH_DEAD_PEER_SCAN;
        let blocked = wait_config.is_blocked();
        let idle_slice = max_sleep.min(wait_config.watch());
        let (now, most) =
            if blocked { (&mut blocked_sleep, MAX_BLOCKED_SLEEP) } else { (&mut sleep, idle_slice) };
        *now = (*now).min(most);
        match event.sleep(key, (*now).min(until.left().unwrap_or_default())) {
            Woken::Interrupted if wait_config.is_interruptible() => return Err(Ended::Interrupted),
            Woken::TimedOut => *now = (*now * 2).min(most),
            // If the next look finds nothing all the same, somebody may be in the way who is about to die.
            Woken::Notified => (sleep, blocked_sleep) = (FIRST_SLEEP.min(max_sleep), FIRST_BLOCKED_SLEEP),
            Woken::Interrupted => {}
        }
        if !blocked {
            blocked_sleep = FIRST_BLOCKED_SLEEP;
        }
    }
}

/// When to offer the processor to others. Where there are more threads than processors, whoever is waited for may need
/// it: that shows when an offer is taken, and then it is offered after each look. Else yields become rare.
struct Yields {
    /// Looks until the next one, from the beginning.
    next: u64,
    gap: u64,
    /// How many were taken ...
    taken: u32,
    /// ... and for how long.
    away: Duration,
}

impl Yields {
    #[cold]
    fn make(&mut self, attempts: u64) {
        let start = Instant::now();
        std::thread::yield_now();
        let away = start.elapsed();
        if away > EFFECTIVE_YIELD {
            self.gap = 1;
            self.taken += 1;
            self.away += away;
        } else {
            self.gap = (self.gap * 2).min(MAX_ATTEMPTS_BETWEEN_YIELDS);
        }
        self.next = attempts + self.gap;
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
    use crate::park::EventCount;
    use crate::shared_ref::Ref;

    #[test]
    fn a_deadline_is_never_early_and_comes() {
        for wait_style in [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park] {
            let (event, wait_config) =
                (EventCount::new(Ref::on_heap(std::sync::Arc::default())), WaitConfig::default());
            wait_config.set(wait_style);
            let parking =
                Parking { event: &event, wait_config: &wait_config, max_sleep: Duration::from_millis(100) };
            let timeout = Duration::from_millis(20);
            let start = Instant::now();
            assert_eq!(wait::<()>(Until::after(timeout), 1, &parking, |_| None), Err(Ended::Timeout));
            assert!(start.elapsed() >= timeout);
            let mut attempts = 0;
            let mut after = |most: u32| {
                attempts = 0;
                move |_: u64| {
                    attempts += 1;
                    (attempts >= most).then_some(7)
                }
            };
            assert_eq!(wait(Until::Forever, 1, &parking, after(5)), Ok(7));
            assert_eq!(wait(Until::after(Duration::MAX), 1, &parking, after(5)), Ok(7));
        }
    }

    #[test]
    fn a_cancelled_handle_stops_waiting_and_nothing_else() {
        for wait_style in [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park] {
            let (event, wait_config) =
                (EventCount::new(Ref::on_heap(std::sync::Arc::default())), WaitConfig::default());
            wait_config.set(wait_style);
            let parking =
                Parking { event: &event, wait_config: &wait_config, max_sleep: Duration::from_millis(100) };
            let canceller = wait_config.canceller(&event);
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
