//! Links with the engine without a network: what is stored is a prefix of what was sent, in order, each message once;
//! and nothing is released that is not stored.

mod deaths;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use ringway::{CreateOptions, mpmc, spsc};

use super::*;
use crate::double::{Double, Faults, Store};
use crate::identity::MessageId;
use crate::stop;

/// Time passes when nothing else can be done.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// The message with this number: of a size that depends on it, 0 bytes included.
fn message(number: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(8 + (number as usize * 7) % 90, number as u8);
    bytes
}

fn number(payload: &[u8]) -> u64 {
    let number = u64::from_le_bytes(payload[..8].try_into().unwrap());
    assert_eq!(payload, message(number), "not what was sent");
    number
}

fn stored(store: &Mutex<Store>) -> Vec<u64> {
    let store = store.lock().unwrap();
    let unpacked = store.messages.iter().flat_map(|stored| match stored.count {
        1 => vec![stored.payload.clone()],
        count => crate::pack::unpack(&stored.payload, count as u32).unwrap(),
    });
    unpacked.map(|payload| number(&payload)).collect()
}

/// A queue of either kind with room for everything that a test sends.
enum Queue {
    Spsc(spsc::BytesQueue),
    Mpmc(mpmc::BytesQueue),
}

impl Queue {
    fn create(is_mpmc: bool, path: &Path) -> Self {
        let options = CreateOptions::new().ring_bytes(1 << 17).max_messages(1 << 12);
        if is_mpmc {
            // SAFETY: only this test has the file.
            Self::Mpmc(unsafe { mpmc::BytesQueue::create_with(path, &options) }.unwrap())
        } else {
            // SAFETY: as above.
            Self::Spsc(
                unsafe { spsc::BytesQueue::create_with(path, &CreateOptions::new().ring_bytes(1 << 17)) }
                    .unwrap(),
            )
        }
    }

    fn send(&self, numbers: std::ops::Range<u64>) {
        let messages: Vec<_> = numbers.map(message).collect();
        match self {
            Self::Spsc(queue) => queue.producer().unwrap().send_many(&messages).unwrap(),
            Self::Mpmc(queue) => queue.producer().unwrap().send_many(&messages).unwrap(),
        }
    }

    fn close(&self) {
        match self {
            Self::Spsc(queue) => queue.close(),
            Self::Mpmc(queue) => queue.close(),
        }
    }

    /// What is left, in order of position.
    fn rest(&self) -> Vec<u64> {
        let mut rest: Vec<(u64, u64)> = match self {
            Self::Spsc(queue) => {
                let consumer = queue.consumer().unwrap();
                consumer
                    .try_iter()
                    .map(|frame| frame.unwrap())
                    .map(|frame| (frame.position(), number(&frame)))
                    .collect()
            }
            Self::Mpmc(queue) => {
                let consumer = queue.consumer().unwrap();
                consumer
                    .try_iter()
                    .map(|frame| frame.unwrap())
                    .map(|frame| (frame.position(), number(&frame)))
                    .collect()
            }
        };
        rest.sort_unstable();
        rest.into_iter().map(|(_, number)| number).collect()
    }
}

fn link(path: &Path, in_flight: usize) -> Outbound {
    Outbound { in_flight: InFlight { messages: in_flight, bytes: 4096 }, ..Outbound::new(path) }
}

/// Carries until the queue is closed and empty, or for so many milliseconds.
fn carry(link: &Outbound, engine: Double, stop_after: Option<u64>) -> Result<Arc<Stats>, Failure> {
    let stats = Arc::new(Stats::default());
    let (stopper, stop) = stop::pair();
    runtime().block_on(async {
        let run = link.run(engine, Arc::clone(&stats), stop);
        tokio::pin!(run);
        match stop_after {
            None => run.await,
            Some(after) => {
                tokio::select! {
                    outcome = &mut run => outcome,
                    () = tokio::time::sleep(Duration::from_millis(after)) => {
                        stopper.stop();
                        run.await
                    }
                }
            }
        }
    })?;
    Ok(stats)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_message_is_stored_once_and_in_order(
        is_mpmc: bool,
        seed: u64,
        faults in (0_u8..128, 0_u8..40, 0_u8..=255),
        in_flight in 1_usize..300,
        pack in proptest::option::of(10_usize..700),
        stops in proptest::collection::vec((0_u64..1500, 1_u64..200), 0..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue");
        let queue = Queue::create(is_mpmc, &path);
        let store = Arc::new(Mutex::new(Store::default()));
        let faults = Faults { refuse: faults.0, lose: faults.1, late: faults.2 };
        let mut sent = 0;
        for (at, (stop_after, count)) in stops.into_iter().enumerate() {
            queue.send(sent..sent + count);
            sent += count;
            let engine = Double::new(&store, seed ^ at as u64, faults);
            // With and without packs in turn.
            let link = Outbound { pack: pack.filter(|_| at % 2 == 0), ..link(&path, in_flight) };
            carry(&link, engine, Some(stop_after)).unwrap();
            let stored = stored(&store);
            prop_assert!(stored.iter().copied().eq(0..stored.len() as u64), "{stored:?}");
        }
        queue.send(sent..sent + 50);
        sent += 50;
        queue.close();
        let last = Outbound { pack, ..link(&path, in_flight) };
        let stats = carry(&last, Double::new(&store, !seed, faults), None).unwrap();
        let stored = stored(&store);
        prop_assert!(stored.iter().copied().eq(0..sent), "of {sent} are stored: {stored:?}");
        prop_assert_eq!(queue.rest(), Vec::<u64>::new());
        prop_assert!(stats.messages.get() >= 50);
        prop_assert_eq!(stats.in_flight.get(), 0);
        prop_assert_eq!(stats.foreign.get(), 0);
    }

    #[test]
    fn what_is_not_stored_is_given_back(is_mpmc: bool, seed: u64, in_flight in 1_usize..300, stop_after in 0_u64..400) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue");
        let queue = Queue::create(is_mpmc, &path);
        queue.send(0..300);
        let store = Arc::new(Mutex::new(Store::default()));
        let faults = Faults { refuse: 100, lose: 30, late: 200 };
        carry(&link(&path, in_flight), Double::new(&store, seed, faults), Some(stop_after)).unwrap();
        let (stored, rest) = (stored(&store).len() as u64, queue.rest());
        let first = rest.first().copied().unwrap_or(300);
        prop_assert!(rest.iter().copied().eq(first..300), "{rest:?}");
        prop_assert!(first <= stored, "released up to {first}, stored up to {stored}");
    }
}

#[test]
fn a_queue_made_anew_is_refused_unless_it_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue");
    let store = Arc::new(Mutex::new(Store::default()));
    let queue = Queue::create(false, &path);
    queue.send(0..10);
    queue.close();
    carry(&link(&path, 4), Double::new(&store, 1, Faults::default()), None).unwrap();
    drop(queue);
    std::fs::remove_file(&path).unwrap();
    let queue = Queue::create(false, &path);
    queue.send(10..20);
    queue.close();
    let refused = carry(&link(&path, 4), Double::new(&store, 1, Faults::default()), None).unwrap_err();
    assert_eq!(refused.exit_code(), 3, "{refused}");
    assert!(refused.to_string().contains("of another queue"), "{refused}");
    assert_eq!(stored(&store), (0..10).collect::<Vec<_>>());
    let takes_over = Outbound { takes_over: true, ..link(&path, 4) };
    carry(&takes_over, Double::new(&store, 1, Faults { lose: 60, late: 255, refuse: 50 }), None).unwrap();
    assert_eq!(stored(&store), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_second_bridge_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue");
    let store = Arc::new(Mutex::new(Store::default()));
    let queue = Queue::create(false, &path);
    queue.send(0..100);
    queue.close();
    let Queue::Spsc(bytes) = &queue else { unreachable!() };
    let id = MessageId { queue: bytes.uuid(), position: 99_999 };
    let engine = Double::new(&store, 5, Faults::default());
    // The engine's first step finds what the other bridge has stored since the epoch began.
    let intruder = Arc::clone(&store);
    let engine = engine.after_steps(0, move || {
        let payload = message(77).into();
        intruder.lock().unwrap().messages.push(crate::double::Stored {
            id: Some(id),
            after: None,
            count: 1,
            payload,
        });
    });
    let refused = carry(&link(&path, 40), engine, None).unwrap_err();
    assert_eq!(refused.exit_code(), 3, "{refused}");
    assert!(refused.to_string().contains("another bridge"), "{refused}");
    assert_eq!(queue.rest(), (0..100).collect::<Vec<_>>(), "nothing was released");
}

#[test]
fn a_message_whose_place_another_program_takes_is_not_released() {
    let dir = tempfile::tempdir().unwrap();
    let mut were_stored = 0;
    for seed in 1..60 {
        let path = dir.path().join(format!("queue{seed}"));
        let store = Arc::new(Mutex::new(Store::default()));
        let queue = Queue::create(seed % 2 == 0, &path);
        queue.send(0..100);
        queue.close();
        // Everything that was sent arrives, also after the connection is lost.
        let intruder = Arc::clone(&store);
        let engine =
            Double::new(&store, seed, Faults { late: 255, ..Faults::default() }).after_steps(20, move || {
                let payload = message(1000).into();
                intruder.lock().unwrap().messages.push(crate::double::Stored {
                    id: None,
                    after: None,
                    count: 1,
                    payload,
                });
            });
        let refused = carry(&link(&path, 40), engine, None).unwrap_err();
        assert!(refused.to_string().contains("another program"), "{refused}");
        were_stored += usize::from(stored(&store).last() != Some(&1000));
        let (rest, stored) = (queue.rest(), stored(&store));
        let first = rest.first().copied().unwrap_or(100);
        assert!(rest.iter().copied().eq(first..100), "{rest:?}");
        assert!((0..first).all(|number| stored.contains(&number)), "released up to {first}, of {stored:?}");
    }
    assert!(were_stored > 10, "the case that is dangerous was met {were_stored} times only");
}

#[test]
fn a_message_that_is_too_large_stops_the_link_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue");
    let store = Arc::new(Mutex::new(Store::default()));
    let queue = Queue::create(true, &path);
    let Queue::Mpmc(bytes) = &queue else { unreachable!() };
    bytes.producer().unwrap().send_many(&[vec![0; 1000], vec![0; 1001]]).unwrap();
    let stats = Arc::new(Stats::default());
    let (_stopper, stop) = stop::pair();
    let engine = Double::new(&store, 5, Faults::default());
    let refused = runtime().block_on(link(&path, 10).run(engine, Arc::clone(&stats), stop)).unwrap_err();
    assert!(refused.to_string().contains("has 1001 bytes, and the server takes 1000"), "{refused}");
    assert_eq!((refused.exit_code(), stats.too_large.get()), (3, 1));
    assert_eq!(store.lock().unwrap().messages.len(), 1);
    assert_eq!(bytes.consumer().unwrap().try_recv().unwrap().len(), 1001);
}

#[test]
fn strict_order_refuses_another_consumer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue");
    let store = Arc::new(Mutex::new(Store::default()));
    let queue = Queue::create(true, &path);
    let Queue::Mpmc(bytes) = &queue else { unreachable!() };
    queue.send(0..10);
    let other = bytes.consumer().unwrap();
    let refused = carry(&link(&path, 4), Double::new(&store, 1, Faults::default()), None).unwrap_err();
    assert_eq!(refused.exit_code(), 3, "{refused}");
    assert!(refused.to_string().contains("2 consumers"), "{refused}");
    drop(other);
    assert_eq!(queue.rest(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_queue_that_is_not_there_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nothing");
    let store = Arc::new(Mutex::new(Store::default()));
    let failed = carry(&link(&path, 4), Double::new(&store, 1, Faults::default()), None).unwrap_err();
    assert_eq!(failed.exit_code(), 1);
    assert!(failed.to_string().contains("nothing"), "{failed}");
}

#[test]
fn messages_that_no_copy_could_align_are_refused() {
    let refused = check_alignment(64, 16).unwrap_err();
    assert_eq!(refused.exit_code(), 3, "{refused}");
    assert!(refused.to_string().contains("CreateOptions::align(64)"), "{refused}");
    check_alignment(16, 16).unwrap();
}
