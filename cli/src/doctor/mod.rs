//! `ringway doctor`: what is wrong, which participants hold messages and since when, which repair
//! is safe.

mod broadcast;
mod checks;
mod finding;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use ringway::InspectError;
use ringway::inspect::{Inspector, Snapshot};
use serde::Serialize;

use crate::directory::{self, DEFAULT};
use crate::ending::Outcome;
use crate::interrupt;
use crate::json_path::JsonPath;
use crate::output::{Common, FILES, Paint, Progress, print_json, say};
use crate::queue::SharingArguments;
use crate::text::counted;

use finding::{Finding, Remedy, Severity};

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Queues, or directories of queues
    #[arg(default_value = DEFAULT)]
    queues: Vec<PathBuf>,
    /// Do the repairs that are safe: recover what dead participants left, remove what was unlinked
    /// already, drop messages that nothing proves after a power loss
    #[arg(long)]
    repair: bool,
    /// Print an object for each queue, on a line of its own
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sharing: SharingArguments,
    #[command(flatten)]
    common: Common,
}

/// A lock that is held for microseconds is probed again for this time, if it is found taken.
const TIME_LIMIT: Duration = Duration::from_millis(300);

/// One queue's findings.
#[derive(Serialize)]
struct Diagnosis {
    #[serde(flatten)]
    path: JsonPath,
    /// Whether no finding is worse than a note.
    healthy: bool,
    findings: Vec<Finding>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    interrupt::watch()?;
    let mut out = io::stdout().lock();
    let paint = Paint::new(arguments.common.color);
    let mut is_all_well = true;
    let mut seen = 0;
    for target in &arguments.queues {
        let targets = directory::meant(target)?;
        let mut progress = Progress::new(targets.len() as u64, FILES, arguments.common.quiet);
        for (path, inspector) in targets {
            if interrupt::is_requested() {
                return Ok(Outcome::Interrupted);
            }
            let diagnosis = diagnose(arguments, path, inspector)?;
            is_all_well &= diagnosis.healthy;
            seen += 1;
            progress.inc(1);
            progress.suspend(|| match arguments.json {
                true => print_json(&mut out, &diagnosis, true),
                false => diagnosis.show(&mut out, paint, arguments),
            })?;
        }
    }
    if seen == 0 && !arguments.json && !arguments.common.quiet {
        say!(&mut out, "no queues")?;
    }
    Ok(if is_all_well { Outcome::Well } else { Outcome::Findings })
}

fn diagnose(
    arguments: &Arguments,
    path: PathBuf,
    inspector: Result<Inspector, InspectError>,
) -> Result<Diagnosis> {
    let inspector = match inspector {
        Ok(inspector) => inspector,
        Err(error) => return Ok(Diagnosis::new(path, vec![Finding::broken(&error)])),
    };
    let mut findings = examine(&inspector, arguments)?;
    if arguments.repair {
        let mut done = Vec::new();
        for remedy in findings.iter().filter_map(|finding| finding.remedy) {
            if !done.contains(&remedy) {
                done.push(remedy);
            }
        }
        if !done.is_empty() {
            let outcomes: Vec<Finding> = done.into_iter().map(|remedy| apply(&path, remedy)).collect();
            // The queue is checked again: what is still wrong is found again, what is repaired is
            // not.
            findings = if path.exists() { examine(&inspector, arguments)? } else { Vec::new() };
            findings.splice(0..0, outcomes);
        }
    }
    Ok(Diagnosis::new(path, findings))
}

fn examine(inspector: &Inspector, arguments: &Arguments) -> Result<Vec<Finding>> {
    let mut snapshot = inspector.snapshot()?;
    // A position between two states leaves it in a moment, unless its participant is stopped.
    let mut still = Still::new(&snapshot);
    let start = Instant::now();
    while !still.is_nothing() && start.elapsed() < TIME_LIMIT && !interrupt::is_requested() {
        std::thread::sleep(Duration::from_millis(10));
        snapshot = inspector.snapshot()?;
        still.keep(&snapshot);
    }
    Ok(checks::check(&snapshot, &still, arguments.sharing.sharing.into()))
}

/// What has not changed from snapshot to snapshot.
struct Still {
    attach: bool,
    recovery: bool,
    /// Positions between two states.
    pending: Vec<u64>,
}

impl Still {
    fn new(snapshot: &Snapshot) -> Self {
        Self {
            attach: snapshot.locks.attach,
            recovery: snapshot.locks.recovery,
            pending: snapshot.pending.iter().map(|one| one.position).collect(),
        }
    }

    fn keep(&mut self, snapshot: &Snapshot) {
        let now = Self::new(snapshot);
        self.attach &= now.attach;
        self.recovery &= now.recovery;
        self.pending.retain(|position| now.pending.contains(position));
    }

    fn is_nothing(&self) -> bool {
        !self.attach && !self.recovery && self.pending.is_empty()
    }
}

fn apply(path: &Path, remedy: Remedy) -> Finding {
    match remedy {
        Remedy::Recover => match ringway::recover(path) {
            Ok(done) => Finding::done(format!(
                "recovered: {} dead, {} requeued, {} of uncommitted positions, {} free again",
                done.deaths,
                counted(done.requeued, "message"),
                counted(done.tombstones, "tombstone"),
                counted(done.entries_freed, "registry record")
            )),
            Err(error) => Finding::new(Severity::Error, format!("recovering failed: {error}")),
        },
        Remedy::Discard => match ringway::discard_unproven(path) {
            Ok(Some(messages)) => Finding::done(format!("dropped {}", counted(messages, "message"))),
            Ok(None) => Finding::done("nothing was in doubt any more".into()),
            Err(error) => Finding::new(Severity::Error, format!("dropping its messages failed: {error}")),
        },
        Remedy::Remove => match ringway::unlink_if_unused(path) {
            Ok(true) => Finding::done("removed".into()),
            Ok(false) => Finding::new(Severity::Warning, "not removed: it has participants".into()),
            Err(error) => Finding::new(Severity::Error, format!("removing it failed: {error}")),
        },
    }
}

impl Diagnosis {
    fn new(path: PathBuf, findings: Vec<Finding>) -> Self {
        let healthy = findings.iter().all(|finding| finding.severity == Severity::Note);
        Self { path: path.into(), healthy, findings }
    }

    fn show(&self, out: &mut impl Write, paint: Paint, arguments: &Arguments) -> Result<()> {
        let is_quiet = arguments.common.quiet;
        if self.healthy && is_quiet {
            return Ok(());
        }
        let verdict = if self.healthy { paint.good("well") } else { paint.bad("needs attention") };
        say!(out, "{}: {verdict}", paint.bold(self.path.as_path().display()))?;
        for finding in &self.findings {
            if is_quiet && finding.severity == Severity::Note {
                continue;
            }
            let label = match finding.severity {
                Severity::Note => paint.dim("note   "),
                Severity::Warning => paint.warning("warning"),
                Severity::Error => paint.bad("error  "),
            };
            say!(out, "  {label} {}", finding.what)?;
            if let Some(advice) = &finding.advice {
                say!(out, "          {}", paint.dim(advice))?;
            }
        }
        Ok(())
    }
}
