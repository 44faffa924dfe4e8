//! What a bridge costs beside the client library used directly: rates out and in, and latencies. Each pair is measured in
//! turn, in one process, against one server on this machine; the table has medians and ratios.
//!
//! `cargo bench -p ringway-nats` takes under a minute; `-- --full` more rounds and messages. The server is
//! `target/nats/bin/nats-server` (`cargo xtask nats-servers` installs it), or Debian's.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, Context, stream};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use ringway::{CreateOptions, spsc};
use ringway_bound as _;
use ringway_nats::inbound::Inbound;
use ringway_nats::nats::connect::Servers;
use ringway_nats::nats::consume::NatsSource;
use ringway_nats::nats::consumer::ConsumerOptions;
use ringway_nats::nats::stream::{NewStream, StreamOptions};
use ringway_nats::nats::{Nats, Order};
use ringway_nats::outbound::Outbound;
use ringway_nats::stats::Stats;
use ringway_nats::stop;

/// What both sides have on their way: the bridge's default.
const WINDOW: usize = 1024;
const BATCH: usize = 256;

/// A server that ends with this value.
struct Server {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start() -> Result<Server> {
    let newer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/nats/bin/nats-server");
    let programs = [newer, PathBuf::from("/usr/sbin/nats-server")];
    let program = programs.iter().find(|program| program.exists());
    let program = program.context("no nats-server: `cargo xtask nats-servers` installs one")?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(folder.path());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let server = Server { child, url: format!("nats://127.0.0.1:{port}"), folder };
    for _ in 0..200 {
        if async_nats::connect(&server.url).await.is_ok() {
            return Ok(server);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("{} does not start", program.display())
}

/// One server, and names that are used once.
struct Bench {
    server: Server,
    context: Context,
    next: u32,
}

impl Bench {
    fn name(&mut self) -> String {
        self.next += 1;
        format!("B{}", self.next)
    }

    fn servers(&self) -> Servers {
        Servers { urls: vec![self.server.url.clone()], ..Servers::default() }
    }

    fn queue(&self, name: &str) -> Result<(PathBuf, spsc::BytesQueue)> {
        let path = self.server.folder.path().join(format!("{name}.queue"));
        let options = CreateOptions::new().ring_bytes(64 << 20);
        // SAFETY: only this process has the file.
        let queue = unsafe { spsc::BytesQueue::create_with(&path, &options)? };
        Ok((path, queue))
    }

    async fn stream(&self, name: &str) -> Result<stream::Stream> {
        let config =
            stream::Config { name: name.into(), subjects: vec![name.into()], ..stream::Config::default() };
        Ok(self.context.create_stream(config).await?)
    }

    /// The client publishes, with the headers that a bridge adds, and as many on their way.
    async fn publish(&mut self, count: usize, len: usize) -> Result<(String, Duration)> {
        let name = self.name();
        self.stream(&name).await?;
        let payload = bytes::Bytes::from(vec![7; len]);
        let start = Instant::now();
        let mut acks = FuturesOrdered::new();
        for at in 0..count {
            let mut headers = HeaderMap::new();
            headers.insert(async_nats::header::NATS_EXPECTED_LAST_SEQUENCE, at.to_string());
            headers.insert("Ringway-Id", format!("AAAAAAAAAAAAAAAAAAAAAA.{at}"));
            let ack = self.context.publish_with_headers(name.clone(), headers, payload.clone()).await?;
            acks.push_back(ack.into_future());
            if acks.len() == WINDOW {
                acks.next().await.context("an ack")??;
            }
        }
        while let Some(ack) = acks.next().await {
            ack?;
        }
        Ok((name, start.elapsed()))
    }

    /// A bridge empties a queue.
    async fn out(&mut self, count: usize, len: usize) -> Result<Duration> {
        let name = self.name();
        let (path, queue) = self.queue(&name)?;
        let mut producer = queue.producer()?;
        let options = StreamOptions { name: name.clone(), subject: name, create: Some(NewStream::default()) };
        let engine = Nats::new(self.servers(), options, Order::Strict);
        let feed = std::thread::spawn(move || {
            let payload = vec![7; len];
            (0..count).try_for_each(|_| producer.send(&payload))
        });
        let stats = Arc::new(Stats::default());
        let (stopper, stop) = stop::pair();
        let link = Outbound::new(&path);
        let start = Instant::now();
        let done = async {
            while (stats.messages.get() as usize) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let elapsed = start.elapsed();
            stopper.stop();
            elapsed
        };
        let (ended, elapsed) = tokio::join!(link.run(engine, Arc::clone(&stats), stop), done);
        ended?;
        feed.join().expect("the producer does not panic")?;
        std::fs::remove_file(path)?;
        Ok(elapsed)
    }

    /// The client pulls, and acknowledges each batch.
    async fn pull(&mut self, stream: &str, count: usize) -> Result<Duration> {
        let config = pull::Config {
            durable_name: Some("bare".into()),
            ack_policy: AckPolicy::All,
            max_ack_pending: 2 * BATCH as i64,
            ..pull::Config::default()
        };
        let consumer = self.context.get_stream(stream).await?.create_consumer(config).await?;
        let start = Instant::now();
        let mut messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
        for at in 1..=count {
            let message = messages.next().await.context("a message")??;
            if at % BATCH == 0 || at == count {
                message.ack().await.map_err(|error| anyhow::anyhow!(error))?;
            }
        }
        Ok(start.elapsed())
    }

    /// A bridge fills a queue that is emptied at once.
    async fn fill(&mut self, stream: &str, count: usize) -> Result<Duration> {
        let name = self.name();
        let (path, queue) = self.queue(&name)?;
        let consumer = queue.consumer()?;
        let drain = std::thread::spawn(move || (0..count).try_for_each(|_| consumer.recv().map(drop)));
        let source = NatsSource::new(self.servers(), ConsumerOptions::new(stream, "bridge"));
        let stats = Arc::new(Stats::default());
        let (stopper, stop) = stop::pair();
        let link = Inbound::new(&path);
        let start = Instant::now();
        let done = async {
            while (stats.messages.get() as usize) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let elapsed = start.elapsed();
            stopper.stop();
            elapsed
        };
        let (ended, elapsed) = tokio::join!(link.run(source, Arc::clone(&stats), stop), done);
        ended?;
        drain.join().expect("the consumer does not panic")?;
        std::fs::remove_file(path)?;
        Ok(elapsed)
    }

    /// From the publisher's call to the subscriber of the subject, at a thousand a second: directly, or through a queue and a
    /// bridge.
    async fn latency(&mut self, count: usize, is_bridged: bool) -> Result<Vec<Duration>> {
        let name = self.name();
        self.stream(&name).await?;
        let mut arrivals = async_nats::connect(&self.server.url).await?.subscribe(name.clone()).await?;
        let (path, queue) = self.queue(&name)?;
        let mut producer = queue.producer()?;
        let options = StreamOptions { name: name.clone(), subject: name.clone(), create: None };
        let (stopper, stop) = stop::pair();
        let link = Outbound::new(&path);
        let engine = Nats::new(self.servers(), options, Order::Strict);
        let running = async {
            match is_bridged {
                true => link.run(engine, Arc::default(), stop).await,
                false => Ok(()),
            }
        };
        let origin = Instant::now();
        let stamp = || (origin.elapsed().as_nanos() as u64).to_le_bytes();
        let context = self.context.clone();
        let sends = async {
            let mut beat = tokio::time::interval(Duration::from_millis(1));
            for _ in 0..count {
                beat.tick().await;
                match is_bridged {
                    true => producer.send(&stamp())?,
                    false => drop(context.publish(name.clone(), stamp().to_vec().into()).await?),
                }
            }
            Ok::<_, anyhow::Error>(())
        };
        let arrived = async {
            let mut latencies = Vec::with_capacity(count);
            for _ in 0..count {
                let message = arrivals.next().await.context("a message")?;
                let sent = u64::from_le_bytes(message.payload[..8].try_into()?);
                latencies.push(origin.elapsed().saturating_sub(Duration::from_nanos(sent)));
            }
            stopper.stop();
            Ok::<_, anyhow::Error>(latencies)
        };
        let (ended, sent, latencies) = tokio::join!(running, sends, arrived);
        ended?;
        sent?;
        std::fs::remove_file(path)?;
        latencies
    }
}

fn median<T: Ord + Copy>(values: &mut [T]) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn line(what: &str, len: usize, count: usize, direct: &mut [Duration], bridge: &mut [Duration]) {
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    let (direct, bridge) = (rate(median(direct)), rate(median(bridge)));
    println!("{what:<4} {len:>6} B  {direct:>10.0} /s  {bridge:>10.0} /s  {:>5.2}", bridge / direct);
}

async fn run(is_full: bool) -> Result<()> {
    let server = start().await?;
    let context = jetstream::new(async_nats::connect(&server.url).await?);
    let mut bench = Bench { server, context, next: 0 };
    let (rounds, scale) = if is_full { (9, 5) } else { (3, 1) };
    println!("                 directly          bridge    ratio");
    for (len, count) in [(64, 20_000), (1024, 15_000), (65_536, 1_000)] {
        let count = count * scale;
        let (mut direct, mut out, mut bare, mut into) = (vec![], vec![], vec![], vec![]);
        for _ in 0..rounds {
            let (stream, time) = bench.publish(count, len).await?;
            direct.push(time);
            out.push(bench.out(count, len).await?);
            bare.push(bench.pull(&stream, count).await?);
            into.push(bench.fill(&stream, count).await?);
            for at in 1..=bench.next {
                let _ = bench.context.delete_stream(format!("B{at}")).await;
            }
        }
        line("out", len, count, &mut direct, &mut out);
        line("in", len, count, &mut bare, &mut into);
    }
    let mut direct = bench.latency(1000 * scale, false).await?;
    let mut bridged = bench.latency(1000 * scale, true).await?;
    for (what, part) in [("p50", 50), ("p99", 99)] {
        direct.sort_unstable();
        bridged.sort_unstable();
        let at = |values: &[Duration]| values[(values.len() * part / 100).min(values.len() - 1)];
        println!(
            "latency out, {what}: {:?} directly, {:?} through a queue and a bridge",
            at(&direct),
            at(&bridged)
        );
    }
    Ok(())
}

fn main() -> Result<()> {
    let is_full = std::env::args().any(|argument| argument == "--full");
    // Test runners build and start benchmarks, too.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(is_full))
}
