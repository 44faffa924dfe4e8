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

async fn supervise(links: &[Link], listen: Option<SocketAddr>, mut stop: Stop) -> Result<(), Failure> {
    let manager = Manager::from_environment();
    let state = |link: &Link| LinkState {
        name: link.name(),
        direction: link.direction(),
        stats: Arc::new(Stats::default()),
    };
    let states: Arc<[LinkState]> = links.iter().map(state).collect();
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
