//! `ringway gc`: queues that no live participant holds.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use ringway::inspect::Snapshot;
use serde::Serialize;

use crate::Ending;
use crate::directory::{self, DEFAULT};
use crate::interrupt;
use crate::output::{Common, FILES, Paint, Progress, print_json, say};
use crate::text::{bytes, counted, duration, parse_duration};

/// What may be said on the command line.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Directories to look at
    #[arg(default_value = DEFAULT)]
    directories: Vec<PathBuf>,
    /// Remove them; without this, they are only listed. Messages in them are lost
    #[arg(long, visible_alias = "yes", short_alias = 'y')]
    remove: bool,
    /// Only queues without messages
    #[arg(long)]
    empty: bool,
    /// Only queues that were created at least so long ago
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "0")]
    min_age: Duration,
    /// Print an object for each file, on a line of its own
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

/// A file that nobody finished within this time was given up: making one takes milliseconds.
const GIVEN_UP: Duration = Duration::from_secs(3600);

/// A file that could go.
#[derive(Serialize)]
struct Candidate {
    path: PathBuf,
    what: &'static str,
    /// Messages that wait or are held; none if they cannot be counted.
    messages: Option<u64>,
    allocated_bytes: u64,
    age_s: Option<f64>,
    /// False if it was only listed, or is in use by now.
    removed: bool,
    error: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Ending> {
    interrupt::watch()?;
    let mut candidates = Vec::new();
    for directory in &arguments.directories {
        candidates.extend(unused(arguments, directory)?);
        candidates.extend(leftovers(directory)?);
    }
    let ending = match arguments.remove && remove(arguments, &mut candidates) {
        true => Ending::Interrupted,
        false => Ending::Well,
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    for candidate in &candidates {
        if arguments.json {
            print_json(&mut out, candidate, true)?;
        } else {
            candidate.show(&mut out, Paint::new(arguments.common.color), arguments.remove)?;
        }
    }
    if !arguments.json && !arguments.common.quiet {
        let freed: u64 = candidates.iter().map(|candidate| candidate.allocated_bytes).sum();
        let number = counted(candidates.len() as u64, "file");
        match (candidates.is_empty(), arguments.remove) {
            (true, _) => say!(&mut out, "nothing to remove")?,
            (false, false) => {
                say!(&mut out, "{number}, {}; nothing was removed: --remove does that", bytes(freed))?;
            }
            (false, true) => {}
        }
    }
    out.flush()?;
    let failed = candidates.iter().filter(|candidate| candidate.error.is_some()).count();
    anyhow::ensure!(failed == 0, "{} could not be removed, see above", counted(failed as u64, "file"));
    Ok(ending)
}

/// Removes them; true if somebody asked for the end meanwhile.
fn remove(arguments: &Arguments, candidates: &mut [Candidate]) -> bool {
    let mut progress = Progress::new(candidates.len() as u64, FILES, arguments.common.quiet);
    for candidate in candidates {
        if interrupt::is_requested() {
            return true;
        }
        let removed = match candidate.what {
            // The lock that attaching takes, and a second look under it.
            "queue" => ringway::unlink_if_unused(&candidate.path).map_err(|error| error.to_string()),
            _ => std::fs::remove_file(&candidate.path)
                .map(|()| true)
                .map_err(|error| format!("{}: removing it failed: {error}", candidate.path.display())),
        };
        match removed {
            Ok(removed) => candidate.removed = removed,
            Err(error) => candidate.error = Some(error),
        }
        progress.inc(1);
    }
    false
}

/// The queues of a directory that nobody alive takes part in.
fn unused(arguments: &Arguments, directory: &Path) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    let queues = directory::queues(directory)?;
    let mut progress = Progress::new(queues.len() as u64, FILES, arguments.common.quiet);
    for (path, inspector) in queues {
        progress.inc(1);
        // What is damaged is for the doctor, and for a person to decide.
        let Ok(snapshot) = inspector.and_then(|inspector| inspector.snapshot()) else { continue };
        if snapshot.is_in_use() || snapshot.age().is_some_and(|age| age < arguments.min_age) {
            continue;
        }
        let messages = messages(&snapshot);
        if arguments.empty && messages != Some(0) {
            continue;
        }
        candidates.push(Candidate {
            path,
            what: "queue",
            messages,
            allocated_bytes: snapshot.file.allocated,
            age_s: snapshot.age().map(|age| age.as_secs_f64()),
            removed: false,
            error: None,
        });
    }
    Ok(candidates)
}

fn messages(snapshot: &Snapshot) -> Option<u64> {
    Some(snapshot.backlog.waiting? + snapshot.backlog.held?)
}

/// What creators left behind that were killed before the file had its name.
fn leftovers(directory: &Path) -> Result<Vec<Candidate>> {
    let is_leftover = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        name.starts_with(".ringway-") && name.ends_with(".tmp")
    };
    let mut candidates = Vec::new();
    for path in directory::files(directory)?.into_iter().filter(is_leftover) {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_none_or(|age| age < GIVEN_UP) {
            continue;
        }
        candidates.push(Candidate {
            path,
            what: "unfinished file",
            messages: Some(0),
            allocated_bytes: std::os::unix::fs::MetadataExt::blocks(&metadata) * 512,
            age_s: age.map(|age| age.as_secs_f64()),
            removed: false,
            error: None,
        });
    }
    Ok(candidates)
}

impl Candidate {
    fn show(&self, out: &mut impl Write, paint: Paint, is_removal: bool) -> Result<()> {
        let done = match (is_removal, self.removed, &self.error) {
            (false, ..) => paint.warning("unused "),
            (true, true, _) => paint.good("removed"),
            (true, false, None) => paint.warning("in use "),
            (true, false, Some(_)) => paint.bad("failed "),
        };
        let messages = match self.messages {
            Some(0) => "empty".into(),
            Some(number) => counted(number, "message"),
            None => "an unknown number of messages".into(),
        };
        let age = self.age_s.map_or("unknown".into(), |age| duration(Duration::from_secs_f64(age)));
        let (path, space) = (self.path.display(), bytes(self.allocated_bytes));
        say!(out, "{done} {path}: {}, {messages}, {space}, age {age}", self.what)?;
        match &self.error {
            Some(error) => say!(out, "        {error}"),
            None => Ok(()),
        }
    }
}
