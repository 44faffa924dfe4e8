//! What would lose or repeat messages is refused, with exit code 3 and words; and bridges that share.

use ringway_bound as _;

mod support;

use std::time::Duration;

use async_nats::jetstream::stream::{Config, RetentionPolicy};
use nix::sys::signal::Signal;
use ringway::{CreateOptions, Message, spsc};
use rkyv::{Archive, Serialize};
use support::bridge::Bridge;
use support::messages::number;
use support::scene::{Queue, Scene};
use support::server::{Server, newest, programs};
use support::stream::{assert_exact, block_on, context, len, numbers, payloads, stream};
use support::wait_until;

#[test]
fn a_stream_of_another_queue_is_continued_by_takeover_only() {
    let scene = Scene::new(&newest(), false);
    scene.queue.send(0..50);
    scene.queue.close();
    scene.bridge().wait().assert_code(0);
    std::fs::remove_file(&scene.path).unwrap();
    let queue = Queue::create(true, &scene.path);
    queue.send(50..100);
    queue.close();
    scene.bridge().wait().assert_says(3, "ends with a message of another queue");
    Bridge::start(&scene.arguments(&["--takeover"])).wait().assert_code(0);
    assert_exact(&scene.url, "TICKS", 100);
}

#[test]
fn a_stream_whose_last_message_is_gone_is_refused_if_anything_is_in_doubt() {
    let scene = Scene::new(&newest(), false);
    scene.queue.send(0..50);
    let bridge = scene.dying("out.acked", &["--in-flight-messages", "40"]);
    assert_eq!(bridge.wait().status.code(), None);
    block_on(async { stream(&scene.url, "TICKS").await.purge().await.unwrap() });
    scene.bridge().wait().assert_says(3, "last message is gone");
    scene.queue.close();
    Bridge::start(&scene.arguments(&["--takeover"])).wait().assert_code(0);
    // Nothing is in doubt: what comes now was never given to a bridge.
    block_on(async { stream(&scene.url, "TICKS").await.purge().await.unwrap() });
    std::fs::remove_file(&scene.path).unwrap();
    let queue = Queue::create(false, &scene.path);
    queue.send(0..10);
    queue.close();
    scene.bridge().wait().assert_code(0);
    assert_exact(&scene.url, "TICKS", 10);
}

#[test]
fn a_stream_that_another_program_stores_into_is_refused() {
    let scene = Scene::new(&newest(), false);
    scene.queue.send(0..50);
    let bridge = scene.bridge();
    wait_until("all are stored", || len(&scene.url, "TICKS") == 50);
    block_on(async {
        let context = context(&scene.url).await;
        context.publish("ringway.ticks", "not from a queue".into()).await.unwrap().await.unwrap();
    });
    scene.queue.send(50..60);
    bridge.wait().assert_says(3, "another program");
    scene.bridge().wait().assert_code(3);
    let Queue::Spsc(queue) = &scene.queue else { unreachable!() };
    assert_eq!(
        number(&queue.consumer().unwrap().try_recv().unwrap()),
        50,
        "nothing was released that is not stored"
    );
}

#[test]
fn a_stream_made_anew_under_the_bridge_is_refused() {
    let scene = Scene::new(&newest(), false);
    scene.queue.send(0..50);
    let bridge = scene.bridge();
    wait_until("all are stored", || len(&scene.url, "TICKS") == 50);
    block_on(async { context(&scene.url).await.delete_stream("TICKS").await.unwrap() });
    scene.queue.send(50..60);
    bridge.wait().assert_says(3, "the stream was made anew");
}

#[test]
fn streams_that_do_not_keep_or_take_messages_are_refused() {
    let scene = Scene::new(&newest(), false);
    let create = |config| {
        block_on(async { context(&scene.url).await.create_stream(config).await.map(|_| ()).unwrap() })
    };
    let config = |name: &str, subject: &str| Config {
        name: name.into(),
        subjects: vec![subject.into()],
        ..Config::default()
    };
    create(Config { retention: RetentionPolicy::WorkQueue, ..config("WORK", "ringway.ticks") });
    create(config("ELSE", "else.*"));
    let out = |name: &str, more: &[&str]| {
        let arguments = ["out", scene.path.to_str().unwrap(), &scene.url, "--stream", name];
        Bridge::start(&[&arguments[..], more].concat())
    };
    out("WORK", &[]).wait().assert_says(3, "strict order needs retention `limits`");
    out("ELSE", &[])
        .wait()
        .assert_says(3, "does not take the subject ringway.ticks: its subjects are else.*");
    scene.queue.send(0..10);
    scene.queue.close();
    out("WORK", &["--order", "shared"]).wait().assert_code(0);
    assert_eq!(len(&scene.url, "WORK"), 10);
}

#[test]
fn a_second_bridge_stands_by_and_goes_on() {
    for is_mpmc in [false, true] {
        let scene = Scene::new(&newest(), is_mpmc);
        let (first, mut second) = (scene.bridge(), scene.bridge());
        scene.queue.send(0..2000);
        wait_until("some are stored", || len(&scene.url, "TICKS") > 0);
        std::thread::sleep(Duration::from_millis(300));
        assert!(second.is_running());
        // Which of them stands by is not known.
        first.kill();
        scene.queue.send(2000..4000);
        scene.queue.close();
        second.wait().assert_code(0);
        assert_exact(&scene.url, "TICKS", 4000);
    }
}

#[test]
fn shared_bridges_store_everything_and_the_server_drops_what_it_knows() {
    for program in programs() {
        let scene = Scene::new(&program, true);
        let shared = ["--order", "shared"];
        let mut sent = 0;
        for point in ["out.opened", "out.submitted:300", "out.acked", "out.released:2"] {
            scene.queue.send(sent..sent + 1000);
            sent += 1000;
            let ended = scene.dying(point, &shared).wait();
            assert_eq!(ended.status.code(), None, "it did not die at {point}: {}", ended.said);
        }
        let bridges = [0; 2].map(|_| Bridge::start(&scene.arguments(&shared)));
        wait_until("all are released", || scene.queue.is_empty());
        scene.queue.close();
        bridges.into_iter().for_each(|bridge| bridge.wait().assert_code(0));
        let mut numbers = numbers(&scene.url, "TICKS");
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..sent), "{} of {sent}", numbers.len());
    }
}

#[test]
fn a_bridge_that_is_asked_to_end_gives_back_what_the_server_does_not_take() {
    for is_mpmc in [false, true] {
        let mut scene = Scene::new(&newest(), is_mpmc);
        scene.queue.send(0..10);
        let bridge = Bridge::start(&scene.arguments(&["--drain", "200ms"]));
        wait_until("all are stored", || len(&scene.url, "TICKS") == 10);
        scene.server.signal(Signal::SIGSTOP);
        scene.queue.send(10..500);
        std::thread::sleep(Duration::from_millis(100));
        bridge.stop().assert_says(0, "the queue gets them back");
        scene.server.kill();
        scene.server.begin();
        scene.queue.close();
        scene.bridge().wait().assert_code(0);
        assert_exact(&scene.url, "TICKS", 500);
    }
}

#[derive(Archive, Serialize, Message)]
struct Tick {
    symbol: String,
    price: f64,
}

#[test]
fn typed_messages_carry_their_type_and_its_description_is_kept() {
    for program in programs() {
        let server = Server::start(&program);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks");
        // SAFETY: only this test and its bridge have the file.
        let queue = unsafe { spsc::Queue::<Tick>::create_with(&path, &CreateOptions::new()) }.unwrap();
        queue.producer().unwrap().send(&Tick { symbol: "RWY".into(), price: 1.5 }).unwrap();
        queue.close();
        let url = server.url();
        let arguments = ["out", path.to_str().unwrap(), &url, "--stream", "TICKS", "--create-stream"];
        Bridge::start(&arguments).wait().assert_code(0);
        let description = ringway::schema::Description::recorded(&path).unwrap();
        let fingerprint = ringway_nats::nats::types::fingerprint(&description);
        let header = block_on(async {
            let message = stream(&url, "TICKS").await.get_raw_message(1).await.unwrap();
            message.headers.get("Ringway-Type").unwrap().as_str().to_owned()
        });
        assert_eq!(header, fingerprint);
        assert_eq!(payloads(&url, "RINGWAY_TYPES"), [description.text().as_bytes()]);
        // Another bridge of the same type finds it there.
        std::fs::remove_file(&path).unwrap();
        // SAFETY: as above.
        let queue = unsafe { spsc::Queue::<Tick>::create(&path) }.unwrap();
        queue.close();
        Bridge::start(&[&arguments[..], &["--takeover"]].concat()).wait().assert_code(0);
        assert_eq!(len(&url, "RINGWAY_TYPES"), 1);
    }
}

#[test]
fn a_message_above_the_servers_limit_ends_the_link_and_stays_in_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    std::fs::write(&config, "max_payload: 4096\njetstream: {}\n").unwrap();
    let server = Server::start_with(&newest(), &["-c", config.to_str().unwrap()]);
    let path = folder.path().join("ticks");
    // SAFETY: only this test and its bridge have the file.
    let queue = unsafe { spsc::BytesQueue::create(&path) }.unwrap();
    queue.producer().unwrap().send_many(&[vec![1; 4096 - 256], vec![2; 4096 - 255], vec![3; 10]]).unwrap();
    let url = server.url();
    let bridge =
        Bridge::start(&["out", path.to_str().unwrap(), &url, "--stream", "TICKS", "--create-stream"]);
    bridge.wait().assert_says(3, "has 3841 bytes, and the server takes 3840 at most");
    assert_eq!(len(&url, "TICKS"), 1);
    assert_eq!(queue.consumer().unwrap().try_recv().unwrap().len(), 4096 - 255);
}
