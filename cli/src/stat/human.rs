//! Prints a queue in human-readable form.

mod broadcast;

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use ringway::Delivery;
use ringway::inspect::{
    Boot, Cursors, FrameShape, Header, Liveness, Participant, QueueKind, Snapshot, Survival,
};

use super::Rates;
use crate::output::{Paint, Rows, say};
use crate::text::{ago, bytes, count, counted, duration, rate, time, uuid};

pub(crate) use broadcast::{holder, lag_from, mode};

/// The maximum number of held messages that are listed.
const MAX_HELD: usize = 10;

/// `SPSC`, `MPMC`, `broadcast`.
pub(crate) fn kind(header: &Header) -> &'static str {
    match header.kind {
        QueueKind::Spsc => "SPSC",
        QueueKind::Mpmc => "MPMC",
        QueueKind::Broadcast => "broadcast",
    }
}

/// `any size up to 1 MiB`, `64 bytes each`.
pub(crate) fn shape(header: &Header) -> String {
    match header.shape {
        FrameShape::Variable => format!("any size up to {}", bytes(header.max_message)),
        FrameShape::Fixed(len) => format!("{} each", counted(len, "byte")),
    }
}

/// Describes a queue in one line.
pub(crate) fn describe(header: &Header) -> String {
    let ring = match header.order {
        None => format!("{} of ring", bytes(header.ring_bytes)),
        Some(order) => format!(
            "{} a producer, {}, {}",
            bytes(header.ring_bytes),
            counted(order.max_messages, "slot"),
            counted(order.max_participants, "participant")
        ),
    };
    let ring = match header.order.and_then(|order| order.broadcast) {
        None => ring,
        Some(broadcast) => {
            let gating = if broadcast.gating { "" } else { ", no gating" };
            format!("{ring} ({}){gating}", counted(broadcast.max_producers, "producer"))
        }
    };
    let checksums = if header.has_checksums { " with checksums" } else { "" };
    format!(
        "{} queue of `{}`{checksums}, {ring}, messages: {}",
        kind(header),
        header.schema.name,
        shape(header)
    )
}

pub(super) fn show(
    out: &mut impl Write,
    paint: Paint,
    snapshot: &Snapshot,
    rates: Option<&Rates>,
) -> Result<()> {
    let header = &snapshot.header;
    say!(out, "{}", paint.bold(snapshot.path.display()))?;
    say!(out, "  {}", describe(header))?;
    let created = match header.created {
        Some(created) => format!("{} ({})", time(created), ago(created, snapshot.at)),
        None => "at an unknown time".into(),
    };
    say!(out, "  {} created {created}", paint.dim(uuid(header.uuid)))?;
    let file = &snapshot.file;
    say!(
        out,
        "  file     {}, {} of it on the filesystem; mode {:04o}, owner {}",
        bytes(file.len),
        bytes(file.allocated),
        file.mode,
        file.uid
    )?;
    if let Some(order) = header.order.filter(|order| order.broadcast.is_none()) {
        let delivery = match (order.delivery, order.max_redeliveries) {
            (Delivery::AtMostOnce, _) => "at most once".into(),
            (_, None) => String::from("at least once"),
            (_, Some(most)) => {
                format!(
                    "at least once; dead letter after {}",
                    if most == 1 { "1 redelivery".into() } else { format!("{most} redeliveries") }
                )
            }
        };
        say!(out, "  delivery {delivery}")?;
    }
    let is_attached = snapshot.participants.iter().any(|participant| participant.liveness == Liveness::Alive);
    show_last_use(out, paint, &snapshot.boot, is_attached)?;
    if snapshot.is_unlinked {
        say!(out, "  {}", paint.bad("unlinked: no participant can attach"))?;
    }
    if snapshot.is_closed {
        let left =
            if snapshot.is_drained() { "and drained: nothing is left to be done" } else { "but not drained" };
        say!(out, "  {}", paint.bold(format!("closed, {left}")))?;
    }
    show_traffic(out, paint, snapshot, rates)?;
    show_participants(out, paint, snapshot)?;
    show_held(out, paint, snapshot, rates)?;
    for corruption in &snapshot.corruption {
        say!(out, "  {} {corruption}", paint.bad("corrupted:"))?;
    }
    Ok(())
}

/// For queues on disks: the boot in which the queue was last used, and what follows from it.
fn show_last_use(out: &mut impl Write, paint: Paint, boot: &Boot, is_attached: bool) -> Result<()> {
    let state = match boot.survival {
        Survival::InMemory => return Ok(()),
        Survival::Unused => paint.plain("never used"),
        Survival::InUse if is_attached => paint.plain("used in this one; in doubt if the power fails now"),
        // It was killed, or sealing failed.
        Survival::InUse => paint.warning(
            "used in this one, and not sealed when the last participant left; in doubt if the power fails now: \
             `ringway sync` seals it",
        ),
        Survival::Sealed => paint.plain("used in this one, left in order"),
        Survival::Proven => paint.plain("used in an earlier one; all of it is there"),
        Survival::Unproven => {
            paint.bad("used in an earlier one; nothing proves that all of it is there: see `ringway doctor`")
        }
        _ => paint.warning("the process could not be identified"),
    };
    let id = boot.id.map_or(paint.plain(""), |id| paint.dim(format!(" ({})", uuid(id))));
    let dropped = match boot.dropped {
        0 => String::new(),
        dropped => format!("; {} dropped after power losses", counted(dropped, "message")),
    };
    say!(out, "  boot     {state}{id}{dropped}")
}

fn or_unknown(number: Option<u64>) -> String {
    number.map_or("?".into(), count)
}

fn show_traffic(
    out: &mut impl Write,
    paint: Paint,
    snapshot: &Snapshot,
    rates: Option<&Rates>,
) -> Result<()> {
    let backlog = &snapshot.backlog;
    let percent = backlog.used as f64 * 100.0 / backlog.capacity.max(1) as f64;
    let used = format!("{percent:.0} % used");
    let used = if percent >= 90.0 { paint.warning(used) } else { paint.plain(used) };
    let is_broadcast = snapshot.header.kind == QueueKind::Broadcast;
    if is_broadcast {
        broadcast::show_backlog(out, paint, snapshot, &used.to_string())?;
    } else {
        say!(
            out,
            "  backlog  {} waiting ({} to be redelivered), {} in flight, {} uncommitted; {}, {used}",
            paint.bold(or_unknown(backlog.waiting)),
            count(backlog.redeliveries),
            or_unknown(backlog.held),
            count(backlog.pending),
            bytes(backlog.bytes)
        )?;
    }
    match snapshot.cursors {
        Cursors::Spsc { tail, head, released, taken, redelivered_until, .. } => say!(
            out,
            "  cursors  tail {tail}, taken {taken}, released {released}, head {head}, redelivered below {redelivered_until}"
        )?,
        Cursors::Mpmc { tail, head, .. } => say!(out, "  cursors  tail {tail}, head {head}")?,
        Cursors::Broadcast { tail, floor, free, .. } => {
            say!(out, "  cursors  tail {tail}, floor {floor}, free {free}")?;
        }
        _ => {}
    }
    if let Some(rates) = rates {
        let unit = if rates.is_bytes { "bytes of ring/s" } else { "messages/s" };
        say!(
            out,
            "  rates    {} in, {} out ({unit}, over {})",
            paint.bold(rate(rates.sent)),
            paint.bold(rate(rates.taken)),
            duration(rates.over)
        )?;
    }
    if let Some(counters) = &snapshot.counters {
        if is_broadcast {
            broadcast::show_counters(out, counters)?;
        } else {
            say!(
                out,
                "  counters sent {}, received {}, redelivered {}, rejected {}, no room {}",
                count(counters.sent),
                count(counters.received),
                count(counters.redelivered),
                count(counters.rejected),
                count(counters.full)
            )?;
            say!(
                out,
                "           deaths {}, recoveries {}, tombstones {}, requeued {}, dead letters {} (failed {})",
                count(counters.deaths),
                count(counters.recoveries),
                count(counters.tombstones),
                count(counters.requeued),
                count(counters.dead_letters),
                count(counters.dead_letters_failed)
            )?;
        }
        // Only where a consumer uses it: others would read that nothing is ever done.
        if let Some(unfinished) = snapshot.backlog.unfinished.filter(|_| counters.done > 0) {
            say!(out, "  tasks    {} done, {} unfinished", count(counters.done), count(unfinished))?;
        }
        if counters.recovery_failures > 0 {
            let error = std::io::Error::from_raw_os_error(counters.recovery_errno as i32);
            let reason =
                if counters.recovery_errno == 0 { String::new() } else { format!(", last: {error}") };
            let times = count(counters.recovery_failures);
            let text = format!("participants could not look after dead ones {times} times{reason}");
            say!(out, "           {}", paint.warning(text))?;
        }
        if let Some(failure) = counters.dead_letter_failure {
            let text = format!("the last letter that failed, {}: {failure}", ago(failure.at, snapshot.at));
            say!(out, "           {}", paint.warning(text))?;
        }
    }
    if let Some(dead) = super::dead_letters(snapshot) {
        let number = or_unknown(dead.backlog.waiting);
        say!(out, "  letters  {} waiting in {}", paint.warning(number), dead.path.display())?;
        if let Some(others) = super::letters_of_others(snapshot, &dead).filter(|others| *others > 0) {
            say!(
                out,
                "           {} of them of an earlier queue of this name",
                paint.warning(count(others))
            )?;
        }
    }
    let locks = [(snapshot.locks.attach, "attaching or unlinking"), (snapshot.locks.recovery, "recovering")];
    for (_, what) in locks.iter().filter(|(is_held, _)| *is_held) {
        say!(out, "  {}", paint.warning(format!("a process is {what} now")))?;
    }
    Ok(())
}

fn show_participants(out: &mut impl Write, paint: Paint, snapshot: &Snapshot) -> Result<()> {
    if snapshot.participants.is_empty() {
        return say!(out, "  no participants");
    }
    if snapshot.header.kind == QueueKind::Broadcast {
        return broadcast::show_participants(out, paint, snapshot);
    }
    let is_mpmc = snapshot.header.kind == QueueKind::Mpmc;
    let mut header = vec!["entry", "role", "", "process", "holds"];
    if is_mpmc {
        header.extend(["sent", "received", "again", "no room", "since"]);
    }
    let mut rows = Rows::new(&header);
    for one in &snapshot.participants {
        let mut row = vec![
            one.entry.to_string(),
            one.role.to_string(),
            liveness(one).into(),
            process(one),
            count(one.holds),
        ];
        if is_mpmc {
            let since = one.since.map_or("?".into(), |since| ago(since, snapshot.at));
            row.extend([
                count(one.sent),
                count(one.received),
                count(one.redelivered),
                count(one.full),
                since,
            ]);
        }
        rows.add(row);
    }
    say_rows(out, paint, snapshot, &rows)
}

/// Prints the header, and a row for each participant.
fn say_rows(out: &mut impl Write, paint: Paint, snapshot: &Snapshot, rows: &Rows) -> Result<()> {
    for (at, line) in rows.lines().enumerate() {
        let one = at.checked_sub(1).and_then(|at| snapshot.participants.get(at));
        match one.map(|one| one.liveness) {
            None => say!(out, "{}", paint.dim(line))?,
            Some(Liveness::Alive) => say!(out, "{line}")?,
            Some(Liveness::Dead) => say!(out, "{}", paint.bad(line))?,
            Some(Liveness::Gone) => say!(out, "{}", paint.dim(line))?,
        }
    }
    Ok(())
}

pub(crate) fn liveness(one: &Participant) -> &'static str {
    match one.liveness {
        Liveness::Alive => "alive",
        Liveness::Dead => "DEAD",
        Liveness::Gone => "gone",
    }
}

/// The pid, and the process name if this process can see one of that pid. In another pid namespace
/// the pid may belong to another process.
pub(crate) fn process(one: &Participant) -> String {
    let name = std::fs::read_to_string(format!("/proc/{}/comm", one.pid)).unwrap_or_default();
    match name.trim_end() {
        name if !name.is_empty() && one.liveness == Liveness::Alive => format!("{} ({name})", one.pid),
        _ => one.pid.to_string(),
    }
}

fn show_held(out: &mut impl Write, paint: Paint, snapshot: &Snapshot, rates: Option<&Rates>) -> Result<()> {
    if snapshot.held.is_empty() {
        return Ok(());
    }
    say!(out, "  {}", paint.dim("held messages, oldest first"))?;
    let mut rows = Rows::new(&["position", "by entry", "bytes", "redeliveries", "for"]);
    for frame in snapshot.held.iter().take(MAX_HELD) {
        rows.add([
            frame.position.to_string(),
            frame.entry.to_string(),
            count(frame.len),
            count(frame.redeliveries),
            held_for(snapshot, frame.position, frame.entry, rates),
        ]);
    }
    rows.lines().try_for_each(|line| say!(out, "{line}"))?;
    let more = snapshot.backlog.held.unwrap_or(0).saturating_sub(MAX_HELD as u64);
    if more > 0 {
        say!(out, "  and {} more", count(more))?;
    }
    Ok(())
}

/// How long a message has been held: at least since it was first seen held, at most since its
/// holder attached.
pub(crate) fn held_for(snapshot: &Snapshot, position: u64, entry: usize, rates: Option<&Rates>) -> String {
    let least = rates.and_then(|rates| rates.held.get(&(position, entry))).copied();
    let most = most_held(snapshot, entry);
    match (least, most) {
        (Some(least), Some(most)) => format!("{} to {}", duration(least), duration(most)),
        (None, Some(most)) => format!("at most {}", duration(most)),
        (Some(least), None) => format!("at least {}", duration(least)),
        (None, None) => "?".into(),
    }
}

/// How long ago the holder attached.
pub(crate) fn most_held(snapshot: &Snapshot, entry: usize) -> Option<Duration> {
    let holder = snapshot.participants.iter().find(|one| one.entry == entry)?;
    snapshot.at.duration_since(holder.since?).ok()
}
