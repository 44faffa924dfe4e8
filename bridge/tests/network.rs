//! Networks that lose, delay and hold what is said: acknowledgements lost, connections half open, and late messages of
//! connections that were given up.

use ringway_bound as _;

mod support;

use std::time::Duration;

use support::bridge::Bridge;
use support::proxy::Proxy;
use support::scene::Scene;
use support::server::{newest, programs};
use support::stream::{assert_exact, len, numbers};
use support::wait_until;

/// A bridge through a proxy.
fn through(scene: &Scene, proxy: &Proxy, more: &[&str]) -> Bridge {
    let url = proxy.url();
    let arguments = ["out", scene.path.to_str().unwrap(), &url, "--stream", "TICKS", "--create-stream"];
    Bridge::start(&[&arguments[..], more].concat())
}

#[test]
fn acknowledgements_that_are_lost_repeat_nothing() {
    for program in programs() {
        for is_mpmc in [false, true] {
            let scene = Scene::new(&program, is_mpmc);
            let proxy = Proxy::start(scene.server.port());
            let bridge = through(&scene, &proxy, &[]);
            for round in 1..=4 {
                scene.queue.send((round - 1) * 1000..round * 1000);
                wait_until("all before are stored", || len(&scene.url, "TICKS") > (round - 1) * 1000);
                proxy.lose_answers(true);
                std::thread::sleep(Duration::from_millis(50));
                proxy.cut(false);
                proxy.lose_answers(false);
            }
            scene.queue.close();
            bridge.wait().assert_code(0);
            assert_exact(&scene.url, "TICKS", 4000);
        }
    }
}

/// The server's window of ids is 100 ms, and the outage longer: it has forgotten what it stored.
#[test]
fn an_outage_may_be_longer_than_the_servers_window() {
    for (order, is_exact) in [("strict", true), ("shared", false)] {
        let scene = Scene::new(&newest(), false);
        let proxy = Proxy::start(scene.server.port());
        let options = ["--create-stream=duplicate-window=100ms", "--order", order];
        let url = proxy.url();
        let arguments = ["out", scene.path.to_str().unwrap(), &url, "--stream", "TICKS"];
        let bridge = Bridge::start(&[&arguments[..], &options].concat());
        scene.queue.send(0..10);
        wait_until("the first are stored", || len(&scene.url, "TICKS") == 10);
        proxy.lose_answers(true);
        scene.queue.send(10..20);
        wait_until("the others are stored", || len(&scene.url, "TICKS") == 20);
        proxy.cut(true);
        std::thread::sleep(Duration::from_secs(1));
        proxy.lose_answers(false);
        proxy.cut(false);
        scene.queue.close();
        bridge.wait().assert_code(0);
        match is_exact {
            true => assert_exact(&scene.url, "TICKS", 20),
            // What strict order is for.
            false => assert!(
                numbers(&scene.url, "TICKS").len() > 20,
                "nothing was stored twice: this tests nothing"
            ),
        }
    }
}

#[test]
fn a_connection_that_is_half_open_is_given_up_and_what_it_says_later_does_no_harm() {
    for is_mpmc in [false, true] {
        let scene = Scene::new(&newest(), is_mpmc);
        let proxies = [Proxy::start(scene.server.port()), Proxy::start(scene.server.port())];
        // The client picks one of them for each connection.
        let urls = proxies.each_ref().map(Proxy::url);
        let arguments = ["out", scene.path.to_str().unwrap(), &urls[0], &urls[1], "--stream", "TICKS"];
        let bridge =
            Bridge::start(&[&arguments[..], &["--create-stream", "--ack-deadline", "300ms"]].concat());
        for round in 1..=6_u64 {
            let proxy = &proxies[(round % 2) as usize];
            proxy.hold(true);
            scene.queue.send((round - 1) * 500..round * 500);
            wait_until("they get there by the other way", || len(&scene.url, "TICKS") == round * 500);
            proxy.hold(false);
        }
        scene.queue.close();
        bridge.wait().assert_code(0);
        assert_exact(&scene.url, "TICKS", 3000);
    }
}

#[test]
fn a_slow_network_delays_and_that_is_all() {
    let scene = Scene::new(&newest(), true);
    let proxy = Proxy::start(scene.server.port());
    proxy.delay(Duration::from_millis(10));
    let bridge = through(&scene, &proxy, &["--in-flight-messages", "100"]);
    scene.queue.send(0..2000);
    scene.queue.close();
    bridge.wait().assert_code(0);
    assert_exact(&scene.url, "TICKS", 2000);
}
