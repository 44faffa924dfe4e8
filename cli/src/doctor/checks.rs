//! Finds what is wrong with a queue that can be read.

use std::time::Duration;

use ringway::inspect::{Liveness, Participant, QueueKind, Snapshot, Survival};
use ringway::{Role, Sharing};

use super::finding::{Finding, Remedy};
use super::{Still, broadcast};
use crate::stat::{dead_letters, dead_letters_path, letters_of_others};
use crate::text::{ago, bytes, counted, duration};

pub(super) fn check(snapshot: &Snapshot, still: &Still, sharing: Sharing) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(outlived(snapshot));
    if !findings.is_empty() {
        // The words that were read may be of several moments.
        findings.extend(file(snapshot, sharing));
        return findings;
    }
    findings.extend(corruption(snapshot));
    if !findings.is_empty() {
        // The other words cannot be trusted either, and no repair is safe.
        findings.extend(file(snapshot, sharing));
        return findings;
    }
    findings.extend(unlinked(snapshot));
    findings.extend(dead(snapshot));
    findings.extend(standing(snapshot, still));
    findings.extend(locks(still));
    findings.extend(roles(snapshot));
    findings.extend(broadcast::floor(snapshot));
    findings.extend(fullness(snapshot));
    findings.extend(letters(snapshot));
    findings.extend(file(snapshot, sharing));
    findings.extend(holders(snapshot));
    findings.extend(dropped(snapshot));
    findings
}

/// Checks a queue on a disk that was last used before the machine was restarted.
fn outlived(snapshot: &Snapshot) -> Option<Finding> {
    (snapshot.boot.survival == Survival::Unproven).then(|| {
        let waiting = match snapshot.backlog.waiting {
            Some(waiting) if snapshot.corruption.is_empty() => format!("{} seem to wait", counted(waiting, "message")),
            _ => "the number of waiting messages is unknown".into(),
        };
        Finding::error(format!(
            "the machine was started again since the queue was last used, and nothing proves that all of it reached the \
             disk: messages may be missing or torn; {waiting}. Or the queue was used in a container with a boot id of its own \
             (systemd-nspawn, LXC), and the machine was not started again: then all of them are there"
        ))
        .advice(
            "--repair drops all of its messages for good, and counts them; to keep them, open it once with \
             CreateOptions::after_power_loss(AfterPowerLoss::Keep) (`peek` shows them); containers that share the host's boot id, \
             or a queue on tmpfs (/dev/shm), avoid this",
        )
        .remedy(Remedy::Discard)
    })
}

fn dropped(snapshot: &Snapshot) -> Option<Finding> {
    let dropped = snapshot.boot.dropped;
    (dropped > 0).then(|| {
        Finding::note(format!(
            "{} were dropped after a power loss, since the queue was created",
            counted(dropped, "message")
        ))
    })
}

fn corruption(snapshot: &Snapshot) -> Vec<Finding> {
    let describe = |corruption: &ringway::Corrupted| {
        Finding::error(corruption.to_string())
            .advice("stop its users; no repair can know the right value, so --repair leaves it alone")
    };
    snapshot.corruption.iter().map(describe).collect()
}

fn unlinked(snapshot: &Snapshot) -> Option<Finding> {
    snapshot.is_unlinked.then(|| {
        Finding::warning("it was unlinked, but its file is still here; no participant can attach".into())
            .advice("--repair removes it if it has no participants")
            .remedy(Remedy::Remove)
    })
}

/// Describes a participant: `consumer in entry 63 (process 123, attached 5m ago)`.
fn who(snapshot: &Snapshot, one: &Participant) -> String {
    let since = one.since.and_then(|since| snapshot.at.duration_since(since).ok());
    let since = since.map_or(String::new(), |since| format!(", attached {} ago", duration(since)));
    format!("{} in entry {} (process {}{since})", one.role, one.entry, one.pid)
}

fn dead(snapshot: &Snapshot) -> Vec<Finding> {
    let is_dead = |one: &&Participant| one.liveness == Liveness::Dead;
    let describe = |one: &Participant| {
        let left = match one.holds {
            0 => String::from("it holds no message"),
            held => format!("it held {}", counted(held, "message")),
        };
        Finding::warning(format!("the {} died; {left}", who(snapshot, one)))
            .advice("--repair recovers it now; otherwise the next participant that it blocks does, or the next dead-peer scan")
            .remedy(Remedy::Recover)
    };
    snapshot.participants.iter().filter(is_dead).map(describe).collect()
}

/// Positions that were between two states in all snapshots of the doctor.
fn standing(snapshot: &Snapshot, still: &Still) -> Vec<Finding> {
    let stands = snapshot.pending.iter().filter(|one| still.pending.contains(&one.position));
    let describe = |one: &ringway::inspect::PendingPosition| {
        let what = if one.is_take { "taken but not marked" } else { "claimed but not committed" };
        let owner = one.entry.and_then(|entry| snapshot.participants.iter().find(|it| it.entry == entry));
        let position = one.position;
        match owner {
            Some(owner) if owner.liveness == Liveness::Alive => Finding::warning(format!(
                "position {position} is {what}, and stands still: the {} lives{}",
                who(snapshot, owner),
                if is_stopped(snapshot, owner.pid) { " but is stopped" } else { "" }
            ))
            .advice("consumers cannot pass it; continue that process (SIGCONT) or kill it"),
            _ => Finding::warning(format!("position {position} is {what}, by a participant that is gone"))
                .advice("--repair recovers it now; otherwise the participant that it blocks does")
                .remedy(Remedy::Recover),
        }
    };
    stands.take(16).map(describe).collect()
}

/// Whether the process of that pid is stopped, as far as this process can see it. In another pid
/// namespace the pid may belong to another process; a participant has the file mapped.
fn is_stopped(snapshot: &Snapshot, pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which may contain any bytes.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    let Ok(metadata) = std::fs::metadata(&snapshot.path) else { return false };
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata).to_string();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let has_mapped = || maps.lines().any(|line| line.split_whitespace().nth(4) == Some(&*inode));
    matches!(state, Some('T' | 't')) && has_mapped()
}

fn locks(still: &Still) -> Vec<Finding> {
    let locks = [
        (still.attach, "the attach lock", "no process can attach or unlink"),
        (still.recovery, "the recovery lock", "no process can recover what dead participants left"),
    ];
    let held = locks.into_iter().filter(|(is_held, ..)| *is_held);
    held.map(|(_, lock, effect)| {
        Finding::warning(format!("{lock} is held all the time: {effect}"))
            .advice("its holder is stopped or swapped out: continue or kill that process")
    })
    .collect()
}

fn alive(snapshot: &Snapshot, role: Role) -> impl Iterator<Item = &Participant> {
    snapshot.participants.iter().filter(move |one| one.role == role && one.liveness == Liveness::Alive)
}

fn roles(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    let waiting = snapshot.backlog.waiting;
    let is_broadcast = snapshot.header.kind == QueueKind::Broadcast;
    // Broadcast: what is retained waits for no consumer in particular.
    if !is_broadcast && alive(snapshot, Role::Consumer).next().is_none() && waiting != Some(0) {
        let number = waiting.map_or("messages".into(), |number| counted(number, "message"));
        findings.push(Finding::note(format!("there is no consumer, and messages wait: {number}")));
    }
    let stopped = snapshot.participants.iter().filter(|one| one.liveness == Liveness::Alive);
    for one in stopped.filter(|one| is_stopped(snapshot, one.pid)) {
        findings.push(
            Finding::warning(format!(
                "the {} is stopped; it keeps what it holds: {}",
                who(snapshot, one),
                counted(one.holds, "message")
            ))
            .advice(match is_broadcast {
                true => "continue it (SIGCONT), or kill it: then it holds no producer up",
                false => "continue it (SIGCONT), or kill it: then what it holds goes to others",
            }),
        );
    }
    if let Some(order) = snapshot.header.order {
        let free = order.max_participants.saturating_sub(snapshot.participants.len() as u64);
        if free == 0 {
            findings.push(
                Finding::warning(format!("all {} registry entries are in use", order.max_participants))
                    .advice("stop one; how many there can be was fixed when the queue was created (`--participants`)"),
            );
        }
    }
    findings
}

fn fullness(snapshot: &Snapshot) -> Option<Finding> {
    if snapshot.header.kind == QueueKind::Broadcast {
        return None;
    }
    let backlog = &snapshot.backlog;
    // Fifteen sixteenths.
    let is_full = backlog.used >= backlog.capacity - backlog.capacity / 16;
    let what = format!(
        "it is full: {} of {} slots or bytes are in use, so producers wait",
        backlog.used, backlog.capacity
    );
    // A consumer receives: a full ring is then how the queue slows producers down.
    let has_consumer = alive(snapshot, Role::Consumer).next().is_some();
    is_full.then(|| match has_consumer {
        true => Finding::note(what).advice(
            "if it stays so, consumers are too slow, or hold messages for long: add some, or see who holds what",
        ),
        false => Finding::warning(what).advice("there is no consumer: start one"),
    })
}

fn letters(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings: Vec<_> = wrong_letters(snapshot).into_iter().collect();
    if let Some(counters) = snapshot.counters
        && counters.dead_letters_failed > 0
    {
        findings.push(
            Finding::warning(format!(
                "{} should have become dead letters and could not: they were delivered once more instead",
                counted(counters.dead_letters_failed, "message")
            ))
            .advice(match counters.dead_letter_failure {
                Some(failure) => format!("the last time, {}: {failure}", ago(failure.at, snapshot.at)),
                None => {
                    "receive from the dead-letter queue, or check the space and the mode of its directory"
                        .into()
                }
            }),
        );
    }
    if let Some(dead) = dead_letters(snapshot)
        && dead.backlog.waiting != Some(0)
    {
        let number = dead.backlog.waiting.map_or("some".into(), |number| counted(number, "message"));
        let path = dead.path.display();
        let finding = Finding::note(format!("dead letters wait in {path}: {number}"));
        findings.push(match letters_of_others(snapshot, &dead) {
            Some(others) if others > 0 => finding.advice(format!(
                "{} of an earlier queue of this name: `ringway peek` says of which; `unlink_with_letters` removes a queue with \
                 its letters",
                counted(others, "message")
            )),
            _ => finding,
        });
    }
    findings
}

/// A file that has the name of the dead-letter queue and cannot be it.
fn wrong_letters(snapshot: &Snapshot) -> Option<Finding> {
    snapshot.header.order?.max_redeliveries?;
    let path = dead_letters_path(snapshot);
    let what = match Snapshot::read(&path) {
        Err(_) if !path.try_exists().unwrap_or(false) => return None,
        Err(error) => error.to_string(),
        Ok(dead) => {
            let (own, found) = (&snapshot.header.schema, &dead.header.schema);
            let is_right =
                (&own.name, own.fingerprint, own.format) == (&found.name, found.fingerprint, found.format);
            if is_right && dead.header.order.is_some() {
                return None;
            }
            format!(
                "{}: its messages are {}, or it is no MPMC queue, and the messages here are {}",
                path.display(),
                found.name,
                own.name
            )
        }
    };
    Some(
        Finding::warning(format!("this cannot be the dead-letter queue, and no consumer can attach: {what}"))
            .advice("receive what is in it with the program that made it, or move it away, then unlink it"),
    )
}

fn file(snapshot: &Snapshot, sharing: Sharing) -> Vec<Finding> {
    let mut findings = Vec::new();
    let file = &snapshot.file;
    if file.allocated < file.needed {
        findings.push(
            Finding::warning(format!(
                "the file has holes: {} of at least {} are on the filesystem; a full disk would end processes with \
                 SIGBUS",
                bytes(file.allocated),
                bytes(file.needed)
            ))
            .advice("it was copied, or its filesystem compresses or copies on write: create it anew on another one"),
        );
    }
    findings.extend(writers(file.mode, sharing));
    findings
}

/// Which users may write to the file. A mode that `sharing` gives is intended: the group's always,
/// all users' if that is given on the command line.
fn writers(mode: u32, sharing: Sharing) -> Option<Finding> {
    match (mode & 0o777, sharing) {
        (mode, _) if mode & 0o022 == 0 => None,
        (0o660, _) => Some(Finding::note("it is shared with the file's group (mode 0660)".into())),
        (0o666, Sharing::Everybody) => Some(Finding::note("it is shared with everybody (mode 0666)".into())),
        _ => Some(Finding::warning(format!("others may write to the file (mode {mode:04o})")).advice(
            "every process that can write it must be trusted: chmod it if that is not intended; if it is, say \
             `--sharing everybody`",
        )),
    }
}

/// Which participants hold messages, and since when. That is not a fault in itself.
fn holders(snapshot: &Snapshot) -> Vec<Finding> {
    /// Participants attached for less than this cannot have held a message for long.
    const LONG: Duration = Duration::from_secs(1);
    if snapshot.header.kind == QueueKind::Broadcast {
        return Vec::new();
    }
    let is_holder = |one: &&Participant| one.holds > 0 && one.liveness == Liveness::Alive;
    let holders = snapshot.participants.iter().filter(is_holder).filter(|one| {
        let there = one.since.and_then(|since| snapshot.at.duration_since(since).ok());
        there.is_none_or(|there| there >= LONG)
    });
    holders
        .map(|one| {
            let oldest = snapshot.held.iter().find(|frame| frame.entry == one.entry);
            let oldest = match (oldest, snapshot.header.kind) {
                (Some(frame), QueueKind::Mpmc) => format!(", the oldest at position {}", frame.position),
                _ => String::new(),
            };
            Finding::note(format!(
                "the {} holds {}{oldest}",
                who(snapshot, one),
                counted(one.holds, "message")
            ))
        })
        .collect()
}
