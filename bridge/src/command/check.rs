//! `ringway-bridge check`: whether the links of a file could run. Changes nothing.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};
use ringway::OpenError;
use ringway::inspect::Inspector;
use ringway::schema::Description;
use ringway_nats::engine::EpochEnd;
use ringway_nats::failure::Failure;
use ringway_nats::nats::check::{self, QueueFacts};

use super::file::Config;
use super::links::Link;
use super::tame;

/// Checks all links, and says of each what it found.
///
/// # Errors
/// [`Failure::Refused`] if a link would be refused; [`Failure::Failed`] if that cannot be found out for one.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting the runtime")?;
    let (mut refused, mut failed) = (0, 0);
    for link in &config.links {
        let outcome = runtime.block_on(one(link));
        let (verdict, lines) = match outcome {
            Ok(lines) => ("ok", lines),
            Err(Failure::Refused(why)) => {
                refused += 1;
                ("refused", vec![why])
            }
            Err(failure @ Failure::Failed(_)) => {
                failed += 1;
                ("not checked", vec![failure.to_string()])
            }
        };
        let mut out = std::io::stdout().lock();
        let written = writeln!(out, "{} {}: {verdict}", link.direction(), tame(&link.name()))
            .and_then(|()| lines.iter().try_for_each(|line| writeln!(out, "  {}", tame(line))));
        written.context("writing to standard output")?;
    }
    // A thread may be looking up a server's name, for as long as the network is away.
    runtime.shutdown_background();
    match (refused, failed) {
        (0, 0) => Ok(()),
        (0, failed) => Err(anyhow!("{failed} links could not be checked").into()),
        (refused, _) => Err(Failure::Refused(format!("{refused} links would be refused"))),
    }
}

async fn one(link: &Link) -> Result<Vec<String>, Failure> {
    let checked = match link {
        Link::Out(arguments) => {
            let facts = facts(arguments.queue())?;
            let (servers, options, order) = arguments.engine()?;
            let link = arguments.link();
            let consumers = link.check_consumers()?;
            let said = check::outbound(&servers, &options, order, link.takes_over, &facts).await;
            said.map(|said| consumers.into_iter().chain(said).collect())
        }
        Link::In(arguments) => {
            let is_missing = arguments.creates() && !is_there(arguments.queue());
            let facts = if is_missing { None } else { Some(facts(arguments.queue())?) };
            let (servers, options) = arguments.source();
            check::inbound(&servers, &options, arguments.dead_letters(), facts.as_ref()).await
        }
    };
    checked.map_err(|end| match end {
        EpochEnd::Refused(why) | EpochEnd::Misconfigured(why) => Failure::Refused(why),
        EpochEnd::Lost { error, .. } => anyhow!(error).into(),
    })
}

fn is_there(queue: &Path) -> bool {
    !matches!(Description::recorded(queue), Err(OpenError::NotFound { .. }))
}

fn facts(queue: &Path) -> Result<QueueFacts, Failure> {
    let inspector = Inspector::open(queue).map_err(|error| anyhow!(error))?;
    let header = inspector.header();
    let (uuid, max_message) = (header.uuid.into(), header.max_message as usize);
    let description = Description::recorded(queue).map_err(|error| anyhow!(error))?;
    Ok(QueueFacts { uuid, description, max_message })
}
