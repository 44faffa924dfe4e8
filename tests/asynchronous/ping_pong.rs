use std::time::Instant;

use ringway::asynchronous::{AsyncConsumer, AsyncProducer};
use ringway::kind::{Kind, Mpmc, Spsc};

use super::tools::{create, open, run};
use crate::common::{Running, child_argument, child_of, directory};

const ROUNDS: u64 = 3000;

/// Two processes, both with tokio: a number there, and one more back.
fn between_two_processes<K: Kind>(test: &str) {
    if let Some(directory) = child_argument(test) {
        let there = open::<K>(&directory.join("there")).consumer().unwrap();
        let back = open::<K>(&directory.join("back")).producer().unwrap();
        let (mut there, mut back) = (AsyncConsumer::new(there).unwrap(), AsyncProducer::new(back).unwrap());
        return run(async move {
            for _ in 0..ROUNDS {
                let number = there.recv_with(|frame| u64::from_ne_bytes(frame[..].try_into().unwrap())).await;
                back.send(&(number.unwrap() + 1).to_ne_bytes()).await.unwrap();
            }
        });
    }
    let dir = directory();
    let there = create::<K>(&dir.path().join("there"), 4096).producer().unwrap();
    let back = create::<K>(&dir.path().join("back"), 4096).consumer().unwrap();
    let child = Running::start(&mut child_of(test, dir.path()));
    let (mut there, mut back) = (AsyncProducer::new(there).unwrap(), AsyncConsumer::new(back).unwrap());
    let start = Instant::now();
    run(async move {
        for round in 0..ROUNDS {
            there.send(&(round * 2).to_ne_bytes()).await.unwrap();
            assert_eq!(*back.recv().await.unwrap(), (round * 2 + 1).to_ne_bytes());
        }
    });
    println!("{:?} a round trip", start.elapsed() / ROUNDS as u32);
    assert!(child.finish().succeeded().contains("1 passed"));
}

#[test]
fn spsc() {
    between_two_processes::<Spsc>("asynchronous::ping_pong::spsc");
}

#[test]
fn mpmc() {
    between_two_processes::<Mpmc>("asynchronous::ping_pong::mpmc");
}
