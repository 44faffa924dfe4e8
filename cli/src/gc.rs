//! `ringway gc`: queues that no live participant is attached to.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use ringway::inspect::{QueueKind, Snapshot};
use serde::Serialize;

use crate::directory::{self, DEFAULT};
use crate::ending::Outcome;
use crate::interrupt;
use crate::json_path::JsonPath;
use crate::output::{Common, FILES, Paint, Progress, print_json, say};
use crate::text::{bytes, counted, duration, parse_duration};

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Directories to search
    #[arg(default_value = DEFAULT)]
    directories: Vec<PathBuf>,
    /// Remove the files, and the messages in them; without this they are only listed
    #[arg(long, visible_alias = "yes", short_alias = 'y')]
    remove: bool,
    /// Only queues without messages
    #[arg(long)]
    empty: bool,
    /// Only files that are at least this old
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "0")]
    min_age: Duration,
    /// Print an object for each file, on a line of its own
    #[arg(long)]
    json: bool,
    /// Print only names, unescaped, each followed by a zero byte, for `xargs -0`; with --remove,
    /// those of removed files
    #[arg(long, short = '0', conflicts_with = "json")]
    null: bool,
    #[command(flatten)]
    common: Common,
}

/// A file that could be removed.
#[derive(Serialize)]
struct Candidate {
    #[serde(flatten)]
    path: JsonPath,
    what: &'static str,
    /// Messages that wait or are held; `None` if they cannot be counted.
    messages: Option<u64>,
    allocated_bytes: u64,
    age_s: Option<f64>,
    /// False if the file was only listed, or is in use now.
    removed: bool,
    error: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    interrupt::watch()?;
    let mut candidates = Vec::new();
    for directory in &arguments.directories {
        candidates.extend(unused(arguments, directory)?);
        candidates.extend(leftovers(arguments, directory)?);
    }
    let ending = match arguments.remove && remove(arguments, &mut candidates) {
        true => Outcome::Interrupted,
        false => Outcome::Well,
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    for candidate in &candidates {
        if arguments.json {
            print_json(&mut out, candidate, true)?;
        } else if arguments.null {
            candidate.give(&mut out, arguments.remove)?;
        } else {
            candidate.show(&mut out, Paint::new(arguments.common.color), arguments.remove)?;
        }
    }
    if !arguments.json && !arguments.null && !arguments.common.quiet {
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

/// Removes the files; true if an interrupt was requested before all were removed.
fn remove(arguments: &Arguments, candidates: &mut [Candidate]) -> bool {
    let mut progress = Progress::new(candidates.len() as u64, FILES, arguments.common.quiet);
    for candidate in candidates {
        if interrupt::is_requested() {
            return true;
        }
        // Removal takes the lock that attaching takes (of an unfinished file: that of its creator),
        // and checks again under it.
        match ringway::unlink_if_unused(candidate.path.as_path()) {
            Ok(removed) => candidate.removed = removed,
            Err(error) => candidate.error = Some(error.to_string()),
        }
        progress.inc(1);
    }
    false
}

/// The queues of a directory that no live participant is attached to.
fn unused(arguments: &Arguments, directory: &Path) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    let queues = directory::queues(directory)?;
    let mut progress = Progress::new(queues.len() as u64, FILES, arguments.common.quiet);
    for (path, inspector) in queues {
        progress.inc(1);
        // A corrupted file is left to the doctor, and to the user's decision.
        let Ok(snapshot) = inspector.and_then(|inspector| inspector.snapshot()) else { continue };
        if snapshot.is_in_use() || snapshot.age().is_some_and(|age| age < arguments.min_age) {
            continue;
        }
        let messages = messages(&snapshot);
        if arguments.empty && messages != Some(0) {
            continue;
        }
        candidates.push(Candidate {
            path: path.into(),
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
    if snapshot.header.kind == QueueKind::Broadcast {
        // What consumers hold is retained, too.
        return snapshot.backlog.waiting;
    }
    Some(snapshot.backlog.waiting? + snapshot.backlog.held?)
}

/// Files whose creator was killed before they had their name. The temporary name says what they
/// are, and the creator's lock whether a creator is alive. The contents are whatever was written
/// before.
fn leftovers(arguments: &Arguments, directory: &Path) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for path in directory::files(directory)?.into_iter().filter(|path| ringway::is_temporary_name(path)) {
        // A file that cannot be probed may be in use.
        let Ok(false) = ringway::is_in_use(&path) else { continue };
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.unwrap_or_default() < arguments.min_age {
            continue;
        }
        candidates.push(Candidate {
            path: path.into(),
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
    /// The name for machines; after a removal, only if the file was removed.
    fn give(&self, out: &mut impl Write, is_removal: bool) -> Result<()> {
        if is_removal && !self.removed {
            return Ok(());
        }
        let mut name = self.path.as_path().as_os_str().as_bytes().to_vec();
        name.push(0);
        out.write_all(&name).context("writing to standard output")
    }

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
        let (path, space) = (self.path.as_path().display(), bytes(self.allocated_bytes));
        say!(out, "{done} {path}: {}, {messages}, {space}, age {age}", self.what)?;
        match &self.error {
            Some(error) => say!(out, "        {error}"),
            None => Ok(()),
        }
    }
}
