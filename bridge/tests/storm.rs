//! Kills at random: of bridges, servers and producers. Everything that a producer knows to be committed is stored, in
//! order, each message once. A smoke test by default; `RINGWAY_KILLS=2000` is the long form.

use ringway_bound as _;

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::messages::{message, number};
use support::scene::{Queue, Scene};
use support::server::programs;
use support::stream::payloads;
use support::wait_until;

/// In one queue and stream; then others begin, so that reading a stream back stays quick.
const KILLS_PER_ROUND: u64 = 100;
/// A message's number is that of its producer, shifted by this, plus how many messages it sent before.
const PRODUCER_SHIFT: u32 = 40;

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % bound
    }
}

/// Not a test: a process that sends, started by the storm. It records in a file how many messages are committed.
#[test]
fn a_producer() {
    let variable = |name: &str| std::env::var(name).ok();
    let Some((path, first)) = variable("STORM_QUEUE").zip(variable("STORM_PRODUCER")) else { return };
    let first: u64 = first.parse().unwrap();
    let committed = File::options().write(true).open(variable("STORM_COMMITTED").unwrap()).unwrap();
    let queue = Queue::open(Path::new(&path));
    let mut producer = queue.producer();
    let mut sent = 0_u64;
    loop {
        let batch: Vec<_> = (sent..sent + 20).map(|at| message((first << PRODUCER_SHIFT) + at)).collect();
        sent += producer.try_send_many(&batch) as u64;
        committed.write_all_at(&sent.to_le_bytes(), 0).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

struct Producer {
    child: Child,
    committed: tempfile::NamedTempFile,
}

impl Producer {
    fn start(path: &Path, number: u64) -> Self {
        let committed = tempfile::NamedTempFile::new().unwrap();
        committed.as_file().write_all_at(&[0; 8], 0).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_producer", "--nocapture"]).stdin(Stdio::null()).stdout(Stdio::null());
        command.env("STORM_QUEUE", path).env("STORM_PRODUCER", number.to_string());
        let child = command.env("STORM_COMMITTED", committed.path()).spawn().unwrap();
        Self { child, committed }
    }

    /// Kills it; returns how many messages it knew to be committed.
    fn kill(mut self) -> u64 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut bytes = [0; 8];
        self.committed.as_file().read_exact_at(&mut bytes, 0).unwrap();
        u64::from_le_bytes(bytes)
    }
}

/// What is stored: of each producer a prefix without a gap, at least what it knew to be committed, in its order.
#[track_caller]
fn check(payloads: &[Vec<u8>], committed: &[u64]) {
    let mut counts = vec![0; committed.len()];
    let mut last = 0;
    for payload in payloads {
        let number = number(payload);
        let (producer, at) = ((number >> PRODUCER_SHIFT) as usize, number & ((1 << PRODUCER_SHIFT) - 1));
        assert!(producer >= last, "message {at} of producer {producer} is behind one of producer {last}");
        assert_eq!(at, counts[producer], "of producer {producer}");
        counts[producer] += 1;
        last = producer;
    }
    for (producer, (count, committed)) in counts.iter().zip(committed).enumerate() {
        assert!(
            count >= committed,
            "producer {producer} committed {committed} messages, and {count} are stored"
        );
    }
}

fn round(program: &Path, is_mpmc: bool, kills: u64, random: &mut Random) -> u64 {
    let mut scene = Scene::new(program, is_mpmc);
    let mut bridge = scene.bridge();
    let mut committed = Vec::new();
    let mut producer = Producer::start(&scene.path, 0);
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(random.below(150)));
        match random.below(10) {
            0..6 => {
                bridge.kill();
                bridge = scene.bridge();
            }
            6..8 => {
                scene.server.kill();
                scene.server.begin();
            }
            _ => {
                committed.push(producer.kill());
                producer = Producer::start(&scene.path, committed.len() as u64);
            }
        }
    }
    committed.push(producer.kill());
    assert!(bridge.is_running(), "it gave up: {:?}", bridge.wait());
    scene.queue.close();
    bridge.wait().assert_code(0);
    wait_until("the queue is empty", || scene.queue.is_empty());
    check(&payloads(&scene.url, "TICKS"), &committed);
    committed.iter().sum()
}

#[test]
fn when_any_process_is_killed_nothing_is_lost_or_stored_twice() {
    let kills: u64 =
        std::env::var("RINGWAY_KILLS").map_or(32, |text| text.parse().expect("RINGWAY_KILLS is a number"));
    let seed = std::env::var("RINGWAY_SEED")
        .map_or(0x5eed_1234, |text| text.parse().expect("RINGWAY_SEED is a number"));
    let mut random = Random(seed | 1);
    let programs = programs();
    let (mut done, mut messages, mut rounds) = (0, 0, 0);
    while done < kills {
        let now = (kills - done).min(KILLS_PER_ROUND).min(kills.div_ceil(4));
        messages +=
            round(&programs[rounds % programs.len()], rounds / programs.len() % 2 == 1, now, &mut random);
        done += now;
        rounds += 1;
    }
    println!("{done} kills, {messages} messages");
}
