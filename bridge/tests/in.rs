//! From streams of real servers into queues: SPSC exactly once, MPMC at least once, whatever dies.

use ringway_bound as _;

mod support;

use std::path::{Path, PathBuf};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use nix::sys::signal::Signal;
use ringway::{CreateOptions, mpmc, spsc};
use support::bridge::Bridge;
use support::messages::{message, number};
use support::server::{Server, newest, programs};
use support::stream::{block_on, len, make, publish, stream};
use support::wait_until;

/// The consumer of a queue of either kind.
enum Queue {
    Spsc(Box<spsc::BytesConsumer>),
    Mpmc(Box<mpmc::BytesConsumer>),
}

impl Queue {
    fn create(is_mpmc: bool, path: &Path) -> Self {
        let options = CreateOptions::new().ring_bytes(1 << 16);
        match is_mpmc {
            true => {
                // SAFETY: only this test and its bridges have the file.
                let queue = unsafe { mpmc::BytesQueue::create_with(path, &options) }.unwrap();
                Self::Mpmc(Box::new(queue.consumer().unwrap()))
            }
            false => {
                // SAFETY: as above.
                let queue = unsafe { spsc::BytesQueue::create_with(path, &options) }.unwrap();
                Self::Spsc(Box::new(queue.consumer().unwrap()))
            }
        }
    }

    /// The numbers of those that are there.
    fn take(&self, got: &mut Vec<u64>) {
        match self {
            Self::Spsc(consumer) => got.extend(consumer.try_iter().map(|frame| number(&frame.unwrap()))),
            Self::Mpmc(consumer) => got.extend(consumer.try_iter().map(|frame| number(&frame.unwrap()))),
        }
    }
}

/// A server with a stream, a queue, and what names them.
struct Scene {
    server: Server,
    queue: Queue,
    got: Vec<u64>,
    path: PathBuf,
    url: String,
    sent: u64,
    /// After which time the server delivers again what is not acknowledged.
    ack_wait: &'static str,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(program: &Path, is_mpmc: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs");
        let server = Server::start(program);
        let url = server.url();
        make(&url, "JOBS", "jobs.>");
        Self {
            server,
            queue: Queue::create(is_mpmc, &path),
            got: Vec::new(),
            path,
            url,
            sent: 0,
            ack_wait: "1s",
            folder,
        }
    }

    /// Stores the next messages into the stream.
    fn store(&mut self, count: u64) {
        let numbers = self.sent..self.sent + count;
        self.sent += count;
        publish(&self.url, numbers.map(|number| ("jobs.some".to_owned(), message(number))));
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let path = self.path.to_str().unwrap();
        [
            &[
                "in",
                &self.url,
                path,
                "--stream",
                "JOBS",
                "--consumer",
                "eu",
                "--batch",
                "64",
                "--ack-wait",
                self.ack_wait,
            ],
            more,
        ]
        .concat()
    }

    fn bridge(&self) -> Bridge {
        Bridge::start(&self.arguments(&[]))
    }

    fn take_until(&mut self, count: usize) {
        let (queue, got) = (&self.queue, &mut self.got);
        wait_until("they come", || {
            queue.take(got);
            got.len() >= count
        });
    }

    /// Takes until the last message was acknowledged.
    fn take_all(&mut self) {
        let (queue, got, url, sent) = (&self.queue, &mut self.got, &self.url, self.sent);
        wait_until("all are acknowledged", || {
            queue.take(got);
            acked(url) == sent
        });
        queue.take(got);
    }

    #[track_caller]
    fn assert_exact(&self) {
        let wrong = self.got.iter().copied().zip(0..).find(|(number, at)| number != at);
        assert!(wrong.is_none(), "{wrong:?} is wrong of {}", self.got.len());
        assert_eq!(self.got.len() as u64, self.sent);
    }
}

/// Up to which message the consumer has acknowledged.
fn acked(url: &str) -> u64 {
    block_on(async {
        let Ok(client) = async_nats::connect(url).await else { return 0 };
        let Ok(stream) = async_nats::jetstream::new(client).get_stream("JOBS").await else { return 0 };
        stream.consumer_info("eu").await.map_or(0, |info| info.ack_floor.stream_sequence)
    })
}

#[test]
fn everything_comes_in_order_once() {
    for program in programs() {
        for is_mpmc in [false, true] {
            let mut scene = Scene::new(&program, is_mpmc);
            scene.store(1000);
            let bridge = scene.bridge();
            scene.take_until(500);
            scene.store(2000);
            scene.take_all();
            bridge.stop().assert_code(0);
            scene.store(100);
            let bridge = scene.bridge();
            scene.take_all();
            bridge.stop().assert_code(0);
            scene.assert_exact();
        }
    }
}

/// Where a bridge may die, and after how many batches.
const POINTS: [&str; 12] = [
    "in.opened",
    "in.pulled",
    "in.pulled:3",
    "in.staged",
    "in.staged:4",
    "in.intended",
    "in.intended:2",
    "in.committed",
    "in.committed:3",
    "in.settled",
    "in.acked",
    "in.acked:2",
];

#[test]
fn a_bridge_may_die_anywhere_and_spsc_gets_each_message_once() {
    for program in programs() {
        let mut scene = Scene::new(&program, false);
        for point in POINTS {
            scene.store(400);
            let bridge = Bridge::start_with(&scene.arguments(&[]), &[("RINGWAY_DIE_AT", point)]);
            let (queue, got) = (&scene.queue, &mut scene.got);
            let mut bridge = bridge;
            wait_until("it dies", || {
                queue.take(got);
                !bridge.is_running()
            });
            let ended = bridge.wait();
            assert_eq!(ended.status.code(), None, "it did not die at {point}: {}", ended.said);
        }
        let bridge = scene.bridge();
        scene.take_all();
        bridge.stop().assert_code(0);
        scene.assert_exact();
    }
}

#[test]
fn a_bridge_may_die_anywhere_and_mpmc_gets_no_more_than_a_batch_twice() {
    let mut scene = Scene::new(&newest(), true);
    let points = POINTS
        .iter()
        .filter(|point| !["in.staged", "in.intended"].iter().any(|name| point.starts_with(name)));
    let mut kills = 0;
    for point in points {
        scene.store(400);
        let mut bridge = Bridge::start_with(&scene.arguments(&[]), &[("RINGWAY_DIE_AT", point)]);
        let (queue, got) = (&scene.queue, &mut scene.got);
        wait_until("it dies", || {
            queue.take(got);
            !bridge.is_running()
        });
        let ended = bridge.wait();
        assert_eq!(ended.status.code(), None, "it did not die at {point}: {}", ended.said);
        kills += 1;
    }
    let bridge = scene.bridge();
    scene.take_all();
    bridge.stop().assert_code(0);
    let repeated = scene.got.len() as u64 - scene.sent;
    assert!(repeated <= kills * 64, "{repeated} repeated after {kills} kills");
    scene.got.sort_unstable();
    scene.got.dedup();
    scene.assert_exact();
}

/// The server would deliver it again after the ack wait only, and nothing new before, if that is all that may be outstanding.
#[test]
fn what_a_killed_bridge_was_given_is_acknowledged_by_the_next_one() {
    for program in programs() {
        for is_mpmc in [false, true] {
            let mut scene = Scene { ack_wait: "90s", ..Scene::new(&program, is_mpmc) };
            let start = std::time::Instant::now();
            scene.store(200);
            let dying = |point| Bridge::start_with(&scene.arguments(&[]), &[("RINGWAY_DIE_AT", point)]);
            assert_eq!(dying("in.committed").wait().status.code(), None);
            // It repeats a batch, and dies once more.
            assert_eq!(dying("in.committed:2").wait().status.code(), None);
            let bridge = scene.bridge();
            scene.take_all();
            bridge.stop().assert_code(0);
            let repeated = scene.got.len() as u64 - scene.sent;
            assert!(repeated <= if is_mpmc { 2 * 64 } else { 0 }, "{repeated} repeated after two kills");

            // A stop acknowledges what an earlier process was given.
            scene.store(64);
            let dying = Bridge::start_with(&scene.arguments(&[]), &[("RINGWAY_DIE_AT", "in.pulled")]);
            assert_eq!(dying.wait().status.code(), None);
            let bridge = scene.bridge();
            let count = scene.got.len() + 64;
            scene.take_until(count);
            bridge.stop().assert_code(0);
            assert_eq!(acked(&scene.url), scene.sent);
            assert!(start.elapsed() < std::time::Duration::from_secs(60), "it waited for the server");
        }
    }
}

#[test]
fn an_acknowledgement_that_nothing_takes_is_not_confirmed() {
    let mut scene = Scene::new(&newest(), false);
    scene.store(3000);
    let bridge = scene.bridge();
    let (mut last, mut times) = (0, 0);
    wait_until("the queue is full", || {
        let now = acked(&scene.url);
        times = if now == last { times + 1 } else { 0 };
        last = now;
        now >= 64 && times == 20
    });
    // A part of a batch is committed, and is acknowledged at the end.
    block_on(async { stream(&scene.url, "JOBS").await.delete_consumer("eu").await.unwrap() });
    bridge.stop().assert_says(0, "the server has nothing that takes an acknowledgement");
}

#[test]
fn consumers_and_dead_letters_that_would_go_wrong_are_refused() {
    let scene = Scene::new(&newest(), false);
    let path = scene.path.to_str().unwrap();
    let into =
        |more: &[&str]| Bridge::start(&[&["in", &scene.url, path, "--stream", "JOBS"], more].concat()).wait();
    let dead = ["--consumer", "eu", "--on-bad", "dead-letter:jobs.dead"];
    into(&dead).assert_says(3, "would come back as messages of stream JOBS");
    into(&["--consumer", "eu", "--ack-wait", "0s"]).assert_says(2, "--ack-wait");
    block_on(async {
        let config = pull::Config {
            durable_name: Some("bare".into()),
            ack_policy: AckPolicy::All,
            headers_only: true,
            ..Default::default()
        };
        stream(&scene.url, "JOBS").await.create_consumer(config).await.unwrap();
    });
    into(&["--consumer", "bare"]).assert_says(3, "gives headers only");
}

#[test]
fn a_dead_letter_fits_without_its_reason_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    std::fs::write(&config, "max_payload: 4096\njetstream: {}\n").unwrap();
    let server = Server::start_with(&newest(), &["-c", config.to_str().unwrap()]);
    let (url, path) = (server.url(), folder.path().join("jobs"));
    let options = CreateOptions::new().ring_bytes(4096);
    // SAFETY: only this test and its bridges have the file.
    let _queue = unsafe { spsc::BytesQueue::create_with(&path, &options) }.unwrap();
    make(&url, "JOBS", "jobs.>");
    make(&url, "DEAD", "dead");
    let arguments = ["in", &url, path.to_str().unwrap(), "--stream", "JOBS", "--consumer", "eu"];
    let arguments = [&arguments[..], &["--on-bad", "dead-letter:dead"]].concat();
    publish(&url, [("jobs.some".to_owned(), vec![0; 4096 - 48])]);
    let bridge = Bridge::start(&arguments);
    wait_until("it is moved", || acked(&url) == 1);
    bridge.stop().assert_code(0);
    assert_eq!(len(&url, "DEAD"), 1);
    publish(&url, [("jobs.some".to_owned(), vec![0; 4096])]);
    Bridge::start(&arguments).wait().assert_says(3, "message 2 of the stream cannot be moved elsewhere");
    assert_eq!(acked(&url), 1);
}

#[test]
fn bridges_and_servers_may_be_killed_at_any_moment() {
    // More for a long run.
    let rounds = std::env::var("RINGWAY_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(4);
    for program in programs() {
        let mut scene = Scene::new(&program, false);
        let mut state = 0x9e37_79b9_u64;
        for round in 0..rounds {
            scene.store(500);
            let bridge = scene.bridge();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let target = scene.got.len() + (state >> 33) as usize % 500;
            scene.take_until(target);
            if round % 4 == 3 {
                scene.server.kill();
                scene.server.begin();
            }
            bridge.kill();
        }
        let bridge = scene.bridge();
        scene.take_all();
        bridge.stop().assert_code(0);
        scene.assert_exact();
    }
}

#[test]
fn a_full_queue_holds_the_stream_up_and_a_stop_ends_the_wait() {
    let mut scene = Scene::new(&newest(), false);
    scene.store(3000);
    let bridge = scene.bridge();
    wait_until("the queue is full", || acked(&scene.url) >= 64);
    bridge.stop().assert_code(0);
    let full = acked(&scene.url);
    assert!(full < 1000, "64 KiB do not hold {full} messages");
    let bridge = scene.bridge();
    scene.take_all();
    bridge.signal(Signal::SIGTERM);
    bridge.wait().assert_code(0);
    scene.assert_exact();
}

#[test]
fn what_does_not_fit_is_refused_with_words() {
    let mut scene = Scene::new(&newest(), false);
    let path = scene.path.to_str().unwrap().to_owned();
    let url = scene.url.clone();
    let into = |more: &[&str]| Bridge::start(&[&["in", &url, &path], more].concat()).wait();
    into(&["--stream", "NONE", "--consumer", "eu"]).assert_says(3, "the server has no stream NONE");
    into(&["--stream", "JOBS", "--consumer", "a.b"]).assert_says(3, "is no name for a consumer");
    into(&["--stream", "JOBS"]).assert_says(2, "--consumer");
    into(&["--stream", "JOBS", "--consumer", "eu", "--on-bad", "drop"]).assert_says(2, "dead-letter:SUBJECT");

    scene.store(10);
    publish(&url, std::iter::once(("jobs.large".to_owned(), vec![0; 60_000])));
    into(&["--stream", "JOBS", "--consumer", "eu"])
        .assert_says(3, "message 11 of the stream (subject jobs.large)");
    assert_eq!(acked(&url), 10);
    into(&["--stream", "JOBS", "--consumer", "eu", "--filter", "jobs.some"])
        .assert_says(3, "is for all subjects");

    make(&url, "DEAD", "dead");
    let arguments = [
        "in",
        &url,
        &path,
        "--stream",
        "JOBS",
        "--consumer",
        "eu",
        "--ack-wait",
        "1s",
        "--on-bad",
        "dead-letter:dead",
    ];
    let bridge = Bridge::start(&arguments);
    wait_until("it is acknowledged", || acked(&url) == 11);
    bridge.stop().assert_code(0);
    assert_eq!(support::stream::len(&url, "DEAD"), 1);
    scene.take_until(10);
    scene.assert_exact();

    let missing = scene.folder.path().join("nothing");
    let missing = missing.to_str().unwrap();
    Bridge::start(&["in", &url, missing, "--stream", "JOBS", "--consumer", "other"])
        .wait()
        .assert_says(1, "nothing");
}
