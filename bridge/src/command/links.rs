//! Links that run together: their names, their end, what is said of them meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ringway_nats::failure::Failure;
use ringway_nats::metrics::{Direction, LinkState};
use ringway_nats::notify::{Manager, watchdog_interval};
use ringway_nats::serve::serve;
use ringway_nats::stats::Stats;
use ringway_nats::stop::{self, Stop};
use tokio::net::TcpListener;

use super::{inbound, out, run_until_stopped};

/// One link, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    Out(out::Arguments),
    In(inbound::Arguments),
}

impl Link {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Out(arguments) => arguments.name(),
            Self::In(arguments) => arguments.name(),
        }
    }

    pub(crate) fn direction(&self) -> Direction {
        match self {
            Self::Out(_) => Direction::Out,
            Self::In(_) => Direction::In,
        }
    }

    async fn run(&self, stats: Arc<Stats>, stop: Stop) -> Result<(), Failure> {
        let done = match self {
            Self::Out(arguments) => arguments.run(Arc::clone(&stats), stop).await,
            Self::In(arguments) => arguments.run(Arc::clone(&stats), stop).await,
        };
        if done.is_err() {
            stats.set_failed();
        }
        done
    }
}

/// Runs links until all have ended. One that fails ends the others: none fails unnoticed.
///
/// # Errors
/// That of the first link that failed.
pub(crate) fn run(links: &[Link], listen: Option<SocketAddr>) -> Result<(), Failure> {
    run_until_stopped(async |stop| supervise(links, listen, stop).await)
}

/// The links as others see them. Metrics tell them apart by name and direction: a second link of the same name, such as
/// another stream into the same queue, is called `NAME#2`.
fn states(links: &[Link]) -> Vec<LinkState> {
    let mut states: Vec<LinkState> = Vec::with_capacity(links.len());
    for link in links {
        let (first, direction) = (link.name(), link.direction());
        let numbered = (2_u32..).map(|number| format!("{first}#{number}"));
        let is_free =
            |name: &String| !states.iter().any(|state| state.name == *name && state.direction == direction);
        let name = std::iter::once(first.clone()).chain(numbered).find(is_free);
        let name = name.expect("there are more numbers than links");
        states.push(LinkState { name, direction, stats: Arc::new(Stats::default()) });
    }
    states
}

async fn supervise(links: &[Link], listen: Option<SocketAddr>, mut stop: Stop) -> Result<(), Failure> {
    let manager = Manager::from_environment();
    let states: Arc<[LinkState]> = states(links).into();
    let listener = match listen {
        Some(address) => {
            Some(TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?)
        }
        None => None,
    };
    let served = async {
        match listener {
            Some(listener) => drop(serve(listener, Arc::clone(&states)).await),
            None => std::future::pending().await,
        }
    };
    tokio::pin!(served);
    let (stopper, inner) = stop::pair();
    let mut running: FuturesUnordered<_> = links
        .iter()
        .zip(states.iter())
        .map(|(link, state)| {
            let running = link.run(Arc::clone(&state.stats), inner.clone());
            async move { (state, running.await) }
        })
        .collect();
    let every = watchdog_interval();
    let mut beat = every.map(tokio::time::interval);
    manager.ready();
    let mut failed = None;
    let mut is_ending = false;
    loop {
        tokio::select! {
            done = running.next() => match done {
                None => return failed.map_or(Ok(()), Err),
                Some((LinkState { name, direction, .. }, Ok(()))) => tracing::info!(link = name, "{direction}: ended"),
                Some((LinkState { name, direction, .. }, Err(failure))) => {
                    if links.len() > 1 {
                        tracing::error!(link = name, "{direction}: {}; the other links end, too", super::tame(&failure.to_string()));
                    }
                    stopper.stop();
                    failed.get_or_insert(failure);
                }
            },
            () = stop.requested(), if !is_ending => {
                is_ending = true;
                manager.stopping();
                stopper.stop();
            }
            () = super::tick(&mut beat) => manager.alive(),
            () = &mut served => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use ringway_nats::metrics::render;

    use super::*;
    use crate::command::file;

    #[test]
    fn links_of_the_same_queue_have_series_of_their_own() {
        let link = |direction: &str, queue: &str, stream: &str| {
            let consumer = if direction == "in" { "consumer = \"eu\"" } else { "" };
            format!("[[{direction}]]\nurl = \"u\"\nqueue = \"{queue}\"\nstream = \"{stream}\"\n{consumer}\n")
        };
        let text = [
            link("in", "jobs", "A"),
            link("in", "jobs#2", "B"),
            link("in", "jobs", "C"),
            link("out", "jobs", "D"),
        ];
        let links = file::parse(&text.concat()).unwrap().links;
        let states = states(&links);
        let names: Vec<_> = states.iter().map(|state| (state.direction, &state.name[..])).collect();
        let of_in = [(Direction::In, "jobs"), (Direction::In, "jobs#2"), (Direction::In, "jobs#3")];
        assert_eq!(names, [&[(Direction::Out, "jobs")], &of_in[..]].concat());
        let text = render(&states);
        let mut series: Vec<_> =
            text.lines().filter_map(|line| line.rsplit_once(' ').map(|(name, _)| name)).collect();
        series.retain(|name| !name.starts_with('#'));
        let count = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), count);
    }
}
