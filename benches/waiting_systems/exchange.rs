//! One message there, one back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::System;
use super::processes::{Shared, in_two};

/// Nanoseconds.
pub(crate) struct Samples {
    pub(crate) one_way: Vec<u64>,
    pub(crate) round_trip: Vec<u64>,
}

/// More than the length of a round.
const MOST: usize = 1 << 12;
/// The first ones do not count.
const WARM_UP: usize = 20;

/// Since the machine was started, the same for both processes.
fn now() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

pub(crate) fn exchange(system: &dyn System, count: usize, pause: Duration) -> Samples {
    let (there, back) = (system.way("there"), system.way("back"));
    let took: Shared<[AtomicU64; MOST]> = Shared::default();
    let all = count + WARM_UP;
    let round_trip = in_two(
        || {
            let (mut receive, mut send) = (there.receiver(), back.sender());
            for slot in &took[..all] {
                let sent = receive();
                slot.store(now().saturating_sub(sent), Ordering::Relaxed);
                send(sent);
            }
        },
        || {
            let (mut send, mut receive) = (there.sender(), back.receiver());
            let one = |_| {
                let before = Instant::now();
                while before.elapsed() < pause {
                    std::hint::spin_loop();
                }
                let sent = now();
                send(sent);
                assert_eq!(receive(), sent);
                now() - sent
            };
            (0..all).map(one).skip(WARM_UP).collect()
        },
    );
    let one_way = took[WARM_UP..all].iter().map(|slot| slot.load(Ordering::Relaxed)).collect();
    Samples { one_way, round_trip }
}
