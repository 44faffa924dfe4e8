//! `ringway stat`.

mod human;
pub(crate) mod json;
mod prometheus;
mod rates;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use ringway::inspect::{Inspector, Peek, Snapshot};

use crate::directory;
use crate::ending::Outcome;
use crate::interrupt;
use crate::output::{Common, Paint, complain, print_json, print_raw, say};
use crate::text::{counted, parse_duration};

pub(crate) use human::{describe, holder, lag_from, liveness, mode, process, shape};
pub(crate) use rates::{Rates, Tracker};

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Queues, or directories of queues
    #[arg(required = true)]
    queues: Vec<PathBuf>,
    /// Print JSON: an object for each queue, on one line if there are several or with --interval
    #[arg(long, conflicts_with = "prometheus")]
    json: bool,
    /// Print metrics in the text format of Prometheus
    #[arg(long)]
    prometheus: bool,
    /// Repeat every TIME and show rates
    #[arg(long, short, value_name = "TIME", value_parser = parse_duration)]
    interval: Option<Duration>,
    /// With --interval: stop after N reports
    #[arg(long, short = 'n', value_name = "N", requires = "interval")]
    count: Option<u64>,
    #[command(flatten)]
    common: Common,
}

/// A queue that is inspected repeatedly.
struct Watched {
    inspector: Inspector,
    tracker: Tracker,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    interrupt::watch()?;
    let mut watched = Vec::new();
    let mut broken = 0;
    for target in &arguments.queues {
        let is_directory = target.is_dir();
        for (_, inspector) in directory::meant(target)? {
            match inspector {
                Ok(inspector) => watched.push(Watched { inspector, tracker: Tracker::default() }),
                // The other queues of the directory are still shown.
                Err(error) if is_directory => {
                    complain!("{error}");
                    broken += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    let ending = repeat(arguments, &mut watched)?;
    anyhow::ensure!(broken == 0, "{} cannot be looked into, see above", counted(broken, "file"));
    Ok(ending)
}

fn repeat(arguments: &Arguments, watched: &mut [Watched]) -> Result<Outcome> {
    let Some(interval) = arguments.interval else {
        show(arguments, watched)?;
        return Ok(Outcome::Well);
    };
    // The first report needs an earlier snapshot to compare with.
    for one in watched.iter_mut() {
        one.tracker.note(&one.inspector.snapshot()?, &one.inspector.progress()?);
    }
    let mut then = Instant::now();
    let mut shown = 0;
    while arguments.count.is_none_or(|count| shown < count) {
        then += interval;
        if interrupt::sleep_until(then) {
            return Ok(Outcome::Interrupted);
        }
        show(arguments, watched)?;
        shown += 1;
    }
    Ok(Outcome::Well)
}

/// The maximum number of dead letters that are read to find out which queue they come from.
const MAX_LETTERS: usize = 1 << 16;

/// The name of a queue's dead-letter queue.
pub(crate) fn dead_letters_path(snapshot: &Snapshot) -> PathBuf {
    let mut name = snapshot.path.clone().into_os_string();
    name.push(".dead");
    PathBuf::from(name)
}

/// Takes a snapshot of the dead-letter queue, if there is one.
pub(crate) fn dead_letters(snapshot: &Snapshot) -> Option<Snapshot> {
    Snapshot::read(dead_letters_path(snapshot)).ok()
}

/// How many of the dead letters come from an earlier queue of the same name; `None` if that cannot
/// be found out.
pub(crate) fn letters_of_others(snapshot: &Snapshot, dead: &Snapshot) -> Option<u64> {
    let letters = Inspector::open(&dead.path).ok()?;
    let peeked = letters.peek(&Peek::new().most(MAX_LETTERS).bytes(0)).ok()?;
    let origins = peeked.frames.iter().filter_map(|frame| frame.dead_letter);
    Some(origins.filter(|letter| letter.queue != snapshot.header.uuid.into()).count() as u64)
}

fn show(arguments: &Arguments, watched: &mut [Watched]) -> Result<()> {
    let mut samples: Vec<(Snapshot, Option<Rates>)> = Vec::new();
    for one in watched.iter_mut() {
        let snapshot = one.inspector.snapshot()?;
        let rates = one.tracker.note(&snapshot, &one.inspector.progress()?);
        samples.push((snapshot, rates));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if arguments.prometheus {
        print_raw(&mut out, &prometheus::text(&samples))?;
    } else if arguments.json {
        let is_one_line = arguments.interval.is_some() || samples.len() != 1;
        for (snapshot, rates) in &samples {
            print_json(&mut out, &json::Queue::new(snapshot, rates.as_ref()), is_one_line)?;
        }
    } else {
        let paint = Paint::new(arguments.common.color);
        for (at, (snapshot, rates)) in samples.iter().enumerate() {
            if at > 0 || (arguments.interval.is_some() && !arguments.common.quiet) {
                say!(&mut out, "")?;
            }
            human::show(&mut out, paint, snapshot, rates.as_ref())?;
        }
    }
    io::Write::flush(&mut out)?;
    Ok(())
}
