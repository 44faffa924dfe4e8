//! From queues into streams of real servers: nothing is lost or stored twice, whatever dies.

use ringway_bound as _;

mod support;

use nix::sys::signal::Signal;
use support::bridge::Bridge;
use support::scene::{Queue, Scene};
use support::server::{Server, newest, programs};
use support::stream::{assert_exact, len};
use support::wait_until;

#[test]
fn everything_is_stored_in_order_once() {
    for program in programs() {
        for is_mpmc in [false, true] {
            let scene = Scene::new(&program, is_mpmc);
            scene.queue.send(0..1000);
            let bridge = scene.bridge();
            scene.queue.send(1000..5000);
            wait_until("all are stored", || len(&scene.url, "TICKS") == 5000);
            bridge.stop().assert_code(0);
            assert!(scene.queue.is_empty());
            scene.queue.send(5000..5100);
            scene.queue.close();
            scene.bridge().wait().assert_code(0);
            assert_exact(&scene.url, "TICKS", 5100);
        }
    }
}

/// Where a bridge may die, and after how many messages.
const POINTS: [&str; 11] = [
    "out.taken",
    "out.opened",
    "out.submit",
    "out.submit:300",
    "out.submitted",
    "out.submitted:700",
    "out.acked",
    "out.acked:3",
    "out.released",
    "out.released:2",
    "out.give_back",
];

#[test]
fn a_bridge_may_die_anywhere() {
    for program in programs() {
        for is_mpmc in [false, true] {
            let scene = Scene::new(&program, is_mpmc);
            let mut sent = 0;
            for point in POINTS {
                scene.queue.send(sent..sent + 1000);
                sent += 1000;
                let bridge = scene.dying(point, &[]);
                if point == "out.give_back" {
                    bridge.signal(Signal::SIGTERM);
                }
                let ended = bridge.wait();
                assert_eq!(ended.status.code(), None, "it did not die at {point}: {}", ended.said);
            }
            scene.queue.close();
            scene.bridge().wait().assert_code(0);
            assert!(scene.queue.is_empty());
            assert_exact(&scene.url, "TICKS", sent);
        }
    }
}

#[test]
fn packs_may_be_cut_differently_after_a_death() {
    for is_mpmc in [false, true] {
        let scene = Scene::new(&newest(), is_mpmc);
        let mut sent = 0;
        // A bridge that packs, after one that does not, and the other way round.
        let packs: [&[&str]; 3] = [&["--pack"], &[], &["--pack=1000"]];
        for (at, point) in POINTS.iter().filter(|point| **point != "out.give_back").enumerate() {
            scene.queue.send(sent..sent + 1000);
            sent += 1000;
            // There are fewer submissions than messages, so that it may not get as far.
            let point = point.split(':').next().unwrap();
            let ended = scene.dying(point, packs[at % 3]).wait();
            assert_eq!(ended.status.code(), None, "it did not die at {point}: {}", ended.said);
        }
        scene.queue.close();
        Bridge::start(&scene.arguments(&["--pack"])).wait().assert_code(0);
        assert_exact(&scene.url, "TICKS", sent);
        assert!(len(&scene.url, "TICKS") < sent, "nothing was packed");
    }
}

#[test]
fn a_server_may_be_killed_while_messages_are_on_their_way() {
    for program in programs() {
        let mut scene = Scene::new(&program, false);
        let bridge = scene.bridge();
        for round in 0..5_u64 {
            scene.queue.send(round * 3000..(round + 1) * 3000);
            wait_until("some are stored", || len(&scene.url, "TICKS") > round * 3000 + 200);
            scene.server.kill();
            scene.server.begin();
        }
        scene.queue.close();
        bridge.wait().assert_code(0);
        assert_exact(&scene.url, "TICKS", 15_000);
    }
}

#[test]
fn what_does_not_fit_is_refused_with_words() {
    let scene = Scene::new(&newest(), false);
    let path = scene.path.to_str().unwrap();
    let out = |more: &[&str]| Bridge::start(&[&["out", path, &scene.url], more].concat()).wait();
    out(&["--stream", "NONE"]).assert_says(3, "the server has no stream NONE; say --create-stream");
    out(&["--stream", "a.b"]).assert_says(3, "is no name for a stream");
    out(&["--stream", "TICKS", "--subject", "a..b"]).assert_says(2, "is no subject to publish to");
    out(&["--stream", "TICKS", "--creds", "/nothing/there"]).assert_says(3, "/nothing/there: No such file");
    let bare = Server::start_with(&newest(), &[]);
    Bridge::start(&["out", path, &bare.url(), "--stream", "TICKS"])
        .wait()
        .assert_says(3, "the server has no JetStream");
    let guarded = Server::start_with(&newest(), &["-js", "--auth", "secret"]);
    Bridge::start(&["out", path, &guarded.url(), "--stream", "T"])
        .wait()
        .assert_says(3, "does not accept these credentials");
    let missing = scene.path.with_file_name("nothing");
    let ended = Bridge::start(&["out", missing.to_str().unwrap(), &scene.url, "--stream", "TICKS"]).wait();
    ended.assert_says(1, "nothing");
}

#[test]
fn a_token_is_read_from_its_file_for_each_connection() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let mut server = Server::start_with(&newest(), &["-js", "--auth", "secret"]);
    let path = folder.path().join("ticks");
    let queue = Queue::create(false, &path);
    let url = server.url();
    let arguments = [
        "out",
        path.to_str().unwrap(),
        &url,
        "--stream",
        "TICKS",
        "--create-stream",
        "--token-file",
        token.to_str().unwrap(),
    ];
    let bridge = Bridge::start(&arguments);
    queue.send(0..100);
    wait_until("all are taken and released", || queue.is_empty());
    server.kill();
    std::fs::write(&token, "another").unwrap();
    let mut server = server.with_arguments(&["-js", "--auth", "another"]);
    queue.send(100..200);
    wait_until("all are taken and released", || queue.is_empty());
    bridge.stop().assert_code(0);
    server.kill();
    let server = server.with_arguments(&["-js"]);
    assert_exact(&server.url(), "TICKS", 200);
}
