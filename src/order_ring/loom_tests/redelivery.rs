//! Frames that are redelivered, concurrently with consumers that scan for them.

use loom::thread;

use super::*;

/// One thread sends, takes and rejects; the other scans for frames to redeliver, and must find the
/// frame at the latest when the first is done, though it scans only where the epoch tells it to.
/// Nothing but the slot connects the two.
#[test]
fn a_reject_beside_a_scan() {
    explore_deaths(Some(3), |at| {
        let world = World::new(shape(2));
        let mut feeder = world.producer(0).unwrap();
        let mut rejecter = world.consumer(1).unwrap();
        let mut scanner = world.consumer(2).unwrap();
        let here = world.clone();
        let thread = thread::spawn(move || {
            assert_eq!(feeder.send(&[1], 1), 1);
            let done = here.until_crash(1, at, || {
                rejecter.recv(1).unwrap();
                rejecter.reject(0);
                rejecter
            });
            (done.is_none(), done, feeder)
        });
        for _ in 0..2 {
            if scanner.take_redelivery().is_some() {
                scanner.release_all();
            }
        }
        let (died, rejecter, feeder) = thread.join().unwrap();
        let mut alive = vec![Alive::Producer(feeder), Alive::Consumer(scanner)];
        alive.extend(rejecter.map(Alive::Consumer));
        finish(&world, alive);
        died
    });
}

/// Rejects at both ends of the ring, while a consumer scans it.
#[test]
fn two_rejects_beside_a_scan() {
    explore(Some(3), || {
        let world = World::new(shape(3));
        let mut feeder = world.producer(0).unwrap();
        let mut rejecters = [world.consumer(1).unwrap(), world.consumer(2).unwrap()];
        for (message, rejecter) in rejecters.iter_mut().enumerate() {
            assert_eq!(feeder.send(&[message as u8 + 1], 1), 1);
            rejecter.recv(1).unwrap();
        }
        let mut scanner = world.consumer(3).unwrap();
        let threads = rejecters.map(|mut rejecter| {
            thread::spawn(move || {
                rejecter.reject(0);
                rejecter
            })
        });
        while scanner.take_redelivery().is_some() {
            scanner.release_all();
        }
        let mut alive = vec![Alive::Producer(feeder), Alive::Consumer(scanner)];
        alive.extend(threads.map(|thread| Alive::Consumer(thread.join().unwrap())));
        finish(&world, alive);
    });
}

/// A frame goes to one of two consumers that both scan for it; the other continues its scan after
/// it.
#[test]
fn two_scans_for_two_frames() {
    for attempts in [1, 2] {
        explore_deaths(Some(3), move |at| {
            let world = World::new(shape(3));
            let mut feeder = world.producer(0).unwrap();
            let mut corpse = world.consumer(3).unwrap();
            for message in 1..=2 {
                assert_eq!(feeder.send(&[message], 1), 1);
                corpse.recv(1).unwrap();
            }
            drop(corpse);
            world.kill(3);
            let [mut one, mut other] = [1, 2].map(|entry| world.consumer(entry).unwrap());
            world.recover().unwrap();
            let scan = move |scanner: &mut Consumer| {
                for _ in 0..attempts {
                    scanner.take_redelivery();
                }
            };
            let here = world.clone();
            let thread = thread::spawn(move || {
                let done = here.until_crash(1, at, || {
                    scan(&mut one);
                    one
                });
                (done.is_none(), done)
            });
            scan(&mut other);
            let (died, one) = thread.join().unwrap();
            let mut alive = vec![Alive::Producer(feeder), Alive::Consumer(other)];
            alive.extend(one.map(Alive::Consumer));
            finish(&world, alive);
            died
        });
    }
}
