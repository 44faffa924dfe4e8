//! `ringway tail`: the newest messages, and new ones as they are sent; of one file, or of whichever
//! file has the name.

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use ringway::inspect::{Inspector, Peek as Selection, Start};
use ringway::{InspectError, OpenError};

use super::{Tail, Viewer};
use crate::ending::Outcome;
use crate::interrupt;
use crate::output::complain;

/// Why a file is followed no further.
enum Stop {
    Ended(Outcome),
    /// The name leads to another file.
    Renamed,
}

pub(crate) fn tail(arguments: &Tail) -> Result<Outcome> {
    interrupt::watch()?;
    let what = &arguments.what;
    let mut inspector = Inspector::open(&what.queue)?;
    let mut is_first = true;
    loop {
        let schema = what.schema(&inspector);
        let mut out = io::BufWriter::new(io::stdout().lock());
        let stop = follow(arguments, what.viewer(&inspector, &schema, &mut out), is_first)?;
        drop(out);
        let path = inspector.path().display();
        match stop {
            Stop::Ended(ending) => return Ok(ending),
            Stop::Renamed if arguments.follow_name => {}
            Stop::Renamed => bail!(
                "{path}: the queue that was shown is no longer found by its name: it was removed or renamed, or another file is \
                 in its place; -F follows the name"
            ),
        }
        if !what.common.quiet {
            complain!("{path}: another file has the name, or none; its messages are shown from now on");
        }
        let Some(next) = reopen(arguments)? else { return Ok(Outcome::Interrupted) };
        inspector = next;
        is_first = false;
    }
}

/// Shows the newest messages (all messages, if the file has only now got the name), then new ones
/// as they are sent, if that is requested.
fn follow<W: Write>(arguments: &Tail, mut viewer: Viewer<'_, W>, is_first: bool) -> Result<Stop> {
    let coming = Selection::new().held(true);
    let mut seen = match is_first {
        true => viewer.show_newest(arguments.what.count)?,
        false => viewer.show(&coming, Start::Oldest, usize::MAX)?,
    };
    let mut is_renamed = false;
    loop {
        viewer.out.flush()?;
        let is_following = arguments.follow || arguments.follow_name;
        if !is_following || seen.last.corruption.is_some() || seen.mismatches > 0 {
            return seen.check(viewer.inspector).map(Stop::Ended);
        }
        if is_renamed {
            return Ok(Stop::Renamed);
        }
        if interrupt::sleep_until(Instant::now() + arguments.interval) {
            return Ok(Stop::Ended(Outcome::Interrupted));
        }
        // First, so that everything that was sent before is shown.
        is_renamed = leads_elsewhere(viewer.inspector, &arguments.what.queue);
        seen = viewer.show(&coming, Start::From(seen.last.next), 1 << 16)?;
    }
}

/// Whether the name leads to another queue now, to another file, or to none.
fn leads_elsewhere(inspector: &Inspector, name: &Path) -> bool {
    match Inspector::open(name) {
        Ok(now) => now.header().uuid != inspector.header().uuid,
        // Nothing is known about the name in this case.
        Err(
            InspectError::Open(OpenError::Io { .. } | OpenError::PermissionDenied { .. })
            | InspectError::Io { .. },
        ) => false,
        Err(_) => true,
    }
}

/// The queue that has the name, once there is one; `None` if an interrupt is requested before.
fn reopen(arguments: &Tail) -> Result<Option<Inspector>> {
    loop {
        match Inspector::open(&arguments.what.queue) {
            Ok(inspector) => return Ok(Some(inspector)),
            Err(InspectError::Open(OpenError::NotFound { .. })) => {}
            Err(error) => return Err(error.into()),
        }
        if interrupt::sleep_until(Instant::now() + arguments.interval) {
            return Ok(None);
        }
    }
}
