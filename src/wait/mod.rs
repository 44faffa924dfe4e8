//! Waiting: repeated attempts for a while, then sleep. Knows nothing of queues: the caller supplies
//! the attempt.

mod attempt;
mod backoff;
mod config;
mod sleeps;

pub(crate) use attempt::Attempt;
pub(crate) use backoff::AdaptiveBackoff;
pub use config::WaitStrategy;
use config::{INTERRUPT_CHECK, MAX_CHECKED_SLEEP};
pub(crate) use config::{Parking, WaitConfig};
use sleeps::{MAX_BLOCKED_SLEEP, Sleeps};

use std::time::{Duration, Instant};

use crate::park::{Waitable, Woken};

/// Spin hints before the first yield, some microseconds ...
const SPINS_BEFORE_YIELD: u64 = 512;
/// ... and the maximum of attempts between two yields that had no effect.
const MAX_ATTEMPTS_BETWEEN_YIELDS: u64 = 20_000;
/// A yield that took longer than this had an effect: another thread has run.
const EFFECTIVE_YIELD: Duration = Duration::from_micros(2);
/// After this many effective yields the waiter sleeps. While others run, sleeping gains nothing;
/// but they may have nothing to do with this queue.
const MAX_EFFECTIVE_YIELDS: u32 = 64;
/// The clock is read once in this number of attempts, and before each yield.
const ATTEMPTS_PER_CLOCK_READ: u64 = 64;

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Forever,
    /// This long after the wait begins: a caller that need not wait does not read the clock.
    Within(Duration),
    Deadline(Instant),
}

impl Until {
    /// The deadline `timeout` from now; one too far away to be represented never comes.
    pub(crate) fn after(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Self::Forever, Self::Deadline)
    }

    /// Fixes the deadline: the wait begins now.
    pub(crate) fn fixed(self) -> Self {
        match self {
            Self::Within(timeout) => Self::after(timeout),
            other => other,
        }
    }

    /// Whether more than `time` is left.
    pub(crate) fn is_after(self, time: Duration) -> bool {
        self.left().is_some_and(|left| left > time)
    }

    /// The time that is left; `None` if it is up.
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
    /// A signal handler ran, and the waiter is interruptible.
    Interrupted,
    /// A canceller ended it.
    Cancelled,
}

/// Attempts until `attempt` finds something, with `pause` spin hints between two attempts.
/// `parking` says how to wait.
pub(crate) fn wait<R>(
    until: Until,
    pause: u32,
    parking: &Parking<'_, impl Waitable>,
    mut attempt: impl FnMut(Attempt) -> Option<R>,
) -> Result<R, Ended> {
    let until = until.fixed();
    if parking.wait_config.spins()
        && let Some(done) = spin_until(until, pause, parking.wait_config, &mut attempt)
    {
        return done;
    }
    park_until(until, parking, &mut attempt)
}

/// `None` if it has spun for long enough.
fn spin_until<R>(
    until: Until,
    pause: u32,
    wait_config: &WaitConfig,
    attempt: &mut impl FnMut(Attempt) -> Option<R>,
) -> Option<Result<R, Ended>> {
    let mut attempts = 0_u64;
    let first = (SPINS_BEFORE_YIELD / u64::from(pause)).max(2);
    let mut yields = Yields { next: first, gap: first, taken: 0, away: Duration::ZERO };
    let mut began = None;
    loop {
        if let Some(found) = attempt(Attempt::Spin(attempts)) {
            return Some(Ok(found));
        }
        attempts += 1;
        let is_yield = attempts == yields.next;
        if is_yield || attempts.is_multiple_of(ATTEMPTS_PER_CLOCK_READ) {
            if let Some(ended) = wait_config.has_ended(until) {
                return Some(Err(ended));
            }
            if wait_config.is_interrupted_by_check() {
                return Some(Err(Ended::Interrupted));
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

/// Every sleep has a timeout: the participant that should have notified may be dead.
#[cold]
fn park_until<R>(
    until: Until,
    parking: &Parking<'_, impl Waitable>,
    attempt: &mut impl FnMut(Attempt) -> Option<R>,
) -> Result<R, Ended> {
    let Parking { event, wait_config, max_sleep } = *parking;
    let began = wait_config.learns().then(Instant::now);
    let mut sleeps = Sleeps::default();
    wait_config.set_blocked(false);
    loop {
        // The first attempt spares a woken waiter the price of arming.
        if let Some(found) = attempt(Attempt::BeforePark) {
            began.inspect(|began| wait_config.learn(*began));
            return Ok(found);
        }
        let key = event.arm();
        if let Some(found) = attempt(sleeps.attempt_when_armed()) {
            return Ok(found);
        }
        if let Some(ended) = wait_config.has_ended(until) {
            // A waiter that has not slept has made no dead-peer scan.
            let found = if sleeps.have_been { None } else { attempt(Attempt::WithDeadPeerScan) };
            if found.is_some() {
                wait_config.did_not_end(ended);
            }
            return found.ok_or(ended);
        }
        // Notifications may end each sleep before its first piece has passed.
        if wait_config.is_interrupted_by_check() {
            return Err(Ended::Interrupted);
        }
        wait_config.note_sleep();
        let is_blocked = wait_config.is_blocked();
        let check = wait_config.interrupt_check();
        let max_sleep = if check.is_some() { max_sleep.min(MAX_CHECKED_SLEEP) } else { max_sleep };
        let most = if is_blocked { MAX_BLOCKED_SLEEP } else { max_sleep.min(wait_config.watch()) };
        let timeout = sleeps.next(is_blocked, most).min(until.left().unwrap_or_default());
        let woken = match check {
            None => event.sleep(key, timeout),
            Some(check) => sleep_in_pieces(event, &key, timeout, check).ok_or(Ended::Interrupted)?,
        };
        match woken {
            Woken::Interrupted if wait_config.is_interruptible() => return Err(Ended::Interrupted),
            Woken::TimedOut => sleeps.lengthen(is_blocked, most),
            Woken::Notified => sleeps.restart(max_sleep),
            Woken::Interrupted => {}
        }
        if !is_blocked {
            sleeps.forget_blocked();
        }
    }
}

/// Sleeps, and calls `check` after each piece: a signal that arrives just before a piece does not end
/// it. `None` if the check ends the wait.
fn sleep_in_pieces<W: Waitable>(
    event: &W,
    key: &W::Key,
    slice: Duration,
    check: fn() -> bool,
) -> Option<Woken> {
    let mut left = slice;
    loop {
        let piece = left.min(INTERRUPT_CHECK);
        let woken = event.sleep(key.clone(), piece);
        if woken != Woken::Notified && check() {
            return None;
        }
        left -= piece;
        if woken != Woken::TimedOut || left.is_zero() {
            return Some(woken);
        }
    }
}

/// Decides when to yield. Where there are more threads than processors, the thread that is waited
/// for may need the processor: an effective yield shows that, and then each attempt is followed by
/// a yield. Else yields become rare.
struct Yields {
    /// The number of attempts, counted from the first, at which the next yield is due.
    next: u64,
    gap: u64,
    /// The number of effective yields ...
    taken: u32,
    /// ... and the time that they took.
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
    use crate::sync::{AtomicU32, Ordering};

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
                move |_: Attempt| {
                    attempts += 1;
                    (attempts >= most).then_some(7)
                }
            };
            assert_eq!(wait(Until::Forever, 1, &parking, after(5)), Ok(7));
            assert_eq!(wait(Until::after(Duration::MAX), 1, &parking, after(5)), Ok(7));
        }
    }

    #[test]
    fn interrupts_end_one_wait_and_checks_each() {
        for wait_style in [WaitStrategy::Spin, WaitStrategy::SpinThenPark, WaitStrategy::Park] {
            let (event, wait_config) =
                (EventCount::new(Ref::on_heap(std::sync::Arc::default())), WaitConfig::default());
            wait_config.set(wait_style);
            let parking =
                Parking { event: &event, wait_config: &wait_config, max_sleep: Duration::from_millis(100) };
            let wait = |timeout| wait::<()>(Until::after(timeout), 1, &parking, |_| None);
            let canceller = wait_config.canceller(&event);
            canceller.interrupt();
            canceller.interrupt();
            assert!(!canceller.is_cancelled());
            assert_eq!(wait(Duration::MAX), Err(Ended::Interrupted));
            assert_eq!(wait(Duration::from_millis(1)), Err(Ended::Timeout), "once");
            wait_config.set_interrupt_check(Some(|| true));
            assert_eq!(wait(Duration::MAX), Err(Ended::Interrupted));
            assert_eq!(wait(Duration::MAX), Err(Ended::Interrupted));
            wait_config.set_interrupt_check(Some(|| false));
            assert_eq!(wait(Duration::from_millis(50)), Err(Ended::Timeout));
        }
    }

    /// Each sleep ends at once: what others get is announced to this waiter too.
    #[test]
    fn notifications_do_not_keep_the_interrupt_check_from_being_called() {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        for wait_style in [WaitStrategy::SpinThenPark, WaitStrategy::Park] {
            let (event, wait_config) =
                (EventCount::new(Ref::on_heap(std::sync::Arc::default())), WaitConfig::default());
            wait_config.set(wait_style);
            let parking =
                Parking { event: &event, wait_config: &wait_config, max_sleep: Duration::from_millis(100) };
            CALLS.store(0, Ordering::Relaxed);
            wait_config.set_interrupt_check(Some(|| CALLS.fetch_add(1, Ordering::Relaxed) == 2));
            let ended = wait::<()>(Until::after(Duration::from_secs(10)), 1, &parking, |_| {
                event.force_notify_all();
                None
            });
            assert_eq!(ended, Err(Ended::Interrupted));
        }
    }

    #[test]
    fn an_interrupt_that_does_not_end_a_call_ends_the_next_one() {
        let (event, wait_config) =
            (EventCount::new(Ref::on_heap(std::sync::Arc::default())), WaitConfig::default());
        wait_config.set(WaitStrategy::Park);
        let parking =
            Parking { event: &event, wait_config: &wait_config, max_sleep: Duration::from_millis(100) };
        wait_config.canceller(&event).interrupt();
        let last = |which| (which == Attempt::WithDeadPeerScan).then_some(7);
        let in_time = Until::after(Duration::from_secs(10));
        assert_eq!(wait(in_time, 1, &parking, last), Ok(7), "found by the last attempt");
        assert_eq!(wait::<()>(in_time, 1, &parking, |_| None), Err(Ended::Interrupted));
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
