//! A cluster of three servers on this machine, whose stream leader is killed and stopped.

use ringway_bound as _;

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::bridge::Bridge;
use support::scene::Queue;
use support::server::{Server, free_port, newest, programs};
use support::stream::{assert_exact, block_on};
use support::{LONG, wait_until};

/// Three servers that know each other.
struct Cluster {
    servers: Vec<Server>,
    urls: Vec<String>,
}

impl Cluster {
    fn start(program: &Path) -> Self {
        let routes = [0; 3].map(|_| free_port());
        let list = routes.map(|port| format!("nats://127.0.0.1:{port}")).join(",");
        let servers: Vec<_> = (0..3)
            .map(|at| {
                let folder = tempfile::tempdir().unwrap();
                let config = folder.path().join("config");
                let text = format!(
                    "server_name: n{at}\njetstream: {{ max_mem: 64M, max_file: 1G }}\ncluster {{ name: c, listen: \"127.0.0.1:{}\", routes: [{list}] }}\n",
                    routes[at]
                );
                std::fs::write(&config, text).unwrap();
                Server::start_on(program, &["-c", config.to_str().unwrap()], folder, free_port())
            })
            .collect();
        let urls = servers.iter().map(Server::url).collect();
        Self { servers, urls }
    }

    /// The number of the server that leads the stream, asked of the others than `without`.
    fn leader(&self, without: Option<usize>) -> Option<usize> {
        let asked = (0..3).find(|at| Some(*at) != without)?;
        block_on(async {
            let client = async_nats::ConnectOptions::new()
                .connection_timeout(Duration::from_secs(2))
                .connect(self.urls[asked].clone())
                .await
                .ok()?;
            let mut context = async_nats::jetstream::new(client);
            context.set_timeout(Duration::from_secs(1));
            let stream = context.get_stream("TICKS").await.ok()?;
            let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
            leader.strip_prefix('n')?.parse().ok()
        })
    }

    fn wait_for_leader(&self, without: Option<usize>) -> usize {
        let mut leader = None;
        wait_until("the stream has a leader", || {
            leader = self.leader(without).filter(|leader| Some(*leader) != without);
            leader.is_some()
        });
        leader.expect("it was waited for")
    }
}

#[test]
fn the_leader_of_a_replicated_stream_may_be_killed_or_stopped() {
    // The newest alone takes a quarter of a minute.
    let is_long = std::env::var_os("RINGWAY_LONG").is_some();
    let programs = if is_long { programs() } else { vec![newest()] };
    for program in programs {
        let mut cluster = Cluster::start(&program);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks");
        let queue = Queue::create(false, &path);
        let mut arguments =
            vec!["out", path.to_str().unwrap(), "--stream", "TICKS", "--create-stream=replicas=3"];
        arguments.extend(["--ack-deadline", "2s"]);
        let urls = cluster.urls.clone();
        arguments.extend(urls.iter().map(String::as_str));
        // A cluster that has just begun has no leader yet: what it cannot do then is no mistake of the configuration.
        let bridge = Bridge::start(&arguments);
        queue.send(0..2000);
        let leader = cluster.wait_for_leader(None);
        cluster.servers[leader].kill();
        queue.send(2000..4000);
        cluster.wait_for_leader(Some(leader));
        cluster.servers[leader].begin();
        queue.send(4000..6000);
        let leader = cluster.wait_for_leader(None);
        cluster.servers[leader].signal(Signal::SIGSTOP);
        queue.send(6000..8000);
        cluster.wait_for_leader(Some(leader));
        std::thread::sleep(Duration::from_secs(1));
        cluster.servers[leader].signal(Signal::SIGCONT);
        queue.close();
        let start = Instant::now();
        bridge.wait().assert_code(0);
        assert!(start.elapsed() < LONG);
        let leader = cluster.wait_for_leader(None);
        assert_exact(&cluster.urls[leader], "TICKS", 8000);
    }
}
