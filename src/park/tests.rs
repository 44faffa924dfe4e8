use std::sync::Arc;

use super::*;

fn bell() -> Bell {
    Bell::new(Ref::on_heap(Arc::default()))
}

fn flags(bell: &Bell) -> u64 {
    bell.words.waiting.load(Ordering::Relaxed) % ARRIVAL
}

/// What the others tell, if the kernel has membarrier.
const AFTER_ARMING: u64 = ARMED | FENCING | SURE;

#[test]
fn whoever_arms_after_a_barrier_is_sure_until_wakers_fence_no_more() {
    assert!(barrier::register());
    let bell = bell();
    bell.arm();
    assert_eq!(flags(&bell), AFTER_ARMING);
    // Nobody sleeps: the ring wakes none and takes ARMED away, then fences are in vain.
    let other = bell.clone();
    other.notify(1);
    assert_eq!((flags(&bell), other.rings()), (FENCING | SURE, 1));
    (1..MOST_IN_VAIN).for_each(|_| other.notify(1));
    assert_eq!(flags(&bell), FENCING | SURE, "the next one would end it");
    bell.arm();
    assert_eq!(flags(&bell), AFTER_ARMING);
    other.notify(1);
    (0..MOST_IN_VAIN).for_each(|_| other.notify(1));
    assert_eq!((flags(&bell), other.rings()), (0, 2));
    (0..2 * MOST_IN_VAIN).for_each(|_| other.notify(1));
    assert_eq!((flags(&bell), other.rings()), (0, 2));
}

#[test]
fn nobody_is_sure_by_what_somebody_else_has_armed() {
    let bell = bell();
    let (_, first) = bell.announce();
    let (_, second) = bell.announce();
    bell.make_sure(first);
    assert_eq!(flags(&bell), ARMED | FENCING);
    bell.make_sure(second);
    assert_eq!(flags(&bell), AFTER_ARMING);
}

/// A task that waits again goes on with what it has armed, and with nothing else.
#[cfg(feature = "async")]
#[test]
fn arming_again_holds_as_long_as_nobody_rings_or_arms() {
    let bell = bell();
    let first = bell.arm_again(None);
    assert_eq!(bell.arm_again(Some(first)), first);
    bell.notify(1);
    let second = bell.arm_again(Some(first));
    assert_ne!(second, first);
    bell.arm();
    assert_ne!(bell.arm_again(Some(second)), second);
}
