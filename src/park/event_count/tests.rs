use std::sync::Arc;

use super::*;

fn event() -> EventCount {
    EventCount::new(Ref::on_heap(Arc::default()))
}

fn flags(event: &EventCount) -> u64 {
    event.words.waiters.load(Ordering::Relaxed) % 0x100
}

/// The flags after arming, if the kernel has membarrier.
const AFTER_ARMING: u64 = Waiters::ARMED | Waiters::FENCING | Waiters::BARRIER_DONE;

#[test]
fn arming_after_a_barrier_needs_only_a_fence_until_wakers_stop_fencing() {
    assert!(barrier::register());
    let event = event();
    event.arm();
    assert_eq!(flags(&event), AFTER_ARMING);
    // No thread sleeps: the notification wakes none and removes ARMED, then fences meet no
    // sleeper.
    let other = event.clone();
    other.notify(1);
    assert_eq!((flags(&event), other.epoch()), (Waiters::FENCING | Waiters::BARRIER_DONE, 1));
    (1..MAX_IDLE_FENCES).for_each(|_| other.notify(1));
    assert_eq!(flags(&event), Waiters::FENCING | Waiters::BARRIER_DONE, "the next one would end it");
    event.arm();
    assert_eq!(flags(&event), AFTER_ARMING);
    other.notify(1);
    (0..MAX_IDLE_FENCES).for_each(|_| other.notify(1));
    assert_eq!((flags(&event), other.epoch()), (0, 2));
    (0..2 * MAX_IDLE_FENCES).for_each(|_| other.notify(1));
    assert_eq!((flags(&event), other.epoch()), (0, 2));
}

#[test]
fn a_barrier_covers_only_what_was_armed_before_it() {
    let event = event();
    let (_, first) = event.register();
    let (_, second) = event.register();
    event.set_barrier_done(first);
    assert_eq!(flags(&event), Waiters::ARMED | Waiters::FENCING);
    event.set_barrier_done(second);
    assert_eq!(flags(&event), AFTER_ARMING);
}

/// A task that waits again reuses what it has armed, and nothing else.
#[cfg(feature = "async")]
#[test]
fn rearming_is_free_until_a_notification_or_another_arming() {
    let event = event();
    let first = event.rearm(None);
    assert_eq!(event.rearm(Some(first)), first);
    event.notify(1);
    let second = event.rearm(Some(first));
    assert_ne!(second, first);
    event.arm();
    assert_ne!(event.rearm(Some(second)), second);
}
