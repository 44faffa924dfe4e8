//! The state of links, as Prometheus reads it, and as one asks whether they are ready.

use std::fmt::{self, Write};
use std::sync::Arc;

use crate::engine::Cause;
use crate::stats::Stats;

/// One link, as others see it.
#[derive(Clone, Debug)]
pub struct LinkState {
    /// What it is called: the queue, as it was given. With the direction it names the link's metrics.
    pub name: String,
    /// Where it carries to.
    pub direction: Direction,
    /// What it has done and is doing.
    pub stats: Arc<Stats>,
}

/// Where a link carries messages to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into a stream.
    Out,
    /// Into a queue.
    In,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Out => "out",
            Self::In => "in",
        })
    }
}

type Value = fn(&Stats) -> u64;

/// Name, kind, what it means, and where it comes from.
const METRICS: [(&str, &str, &str, Value); 11] = [
    (
        "messages_total",
        "counter",
        "Messages carried: acknowledged by the server (out), committed to the queue (in).",
        |stats| stats.messages.get(),
    ),
    ("bytes_total", "counter", "Their bytes.", |stats| stats.bytes.get()),
    ("in_flight", "gauge", "Messages taken and not acknowledged.", |stats| stats.in_flight.get()),
    ("acks_duplicate_total", "counter", "Messages that the server had already.", |stats| {
        stats.duplicates.get()
    }),
    ("redelivered_total", "counter", "Messages that came again after a crash or an outage.", |stats| {
        stats.redelivered.get()
    }),
    ("foreign_total", "counter", "Messages that a consumer other than the bridge had returned.", |stats| {
        stats.foreign.get()
    }),
    ("lost_tail_total", "counter", "Acknowledged messages that the server lost.", |stats| {
        stats.lost_tail.get()
    }),
    ("too_large_total", "counter", "Messages that did not fit the other side.", |stats| {
        stats.too_large.get()
    }),
    ("epochs_total", "counter", "Connections with which messages could be carried.", |stats| {
        stats.epochs.get()
    }),
    ("connected", "gauge", "1 while there is one.", |stats| u64::from(stats.is_connected())),
    ("failed", "gauge", "1 after the link has failed.", |stats| u64::from(stats.has_failed())),
];

/// All metrics of all links, in Prometheus' text format.
///
/// ```
/// use ringway_nats::metrics::{Direction, LinkState, render};
///
/// let link = LinkState { name: "ticks".into(), direction: Direction::Out, stats: Default::default() };
/// let text = render(&[link]);
/// assert!(text.contains("ringway_bridge_messages_total{link=\"ticks\",direction=\"out\"} 0\n"));
/// ```
#[must_use]
pub fn render(links: &[LinkState]) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in METRICS {
        head(&mut text, name, kind, help);
        for link in links {
            line(&mut text, name, link, "", value(&link.stats));
        }
    }
    head(&mut text, "epoch_ends_total", "counter", "Ends of such connections, by cause.");
    for link in links {
        for cause in Cause::ALL {
            let more = format!(",cause=\"{}\"", cause.word());
            line(&mut text, "epoch_ends_total", link, &more, link.stats.ends(cause));
        }
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP ringway_bridge_{name} {help}\n# TYPE ringway_bridge_{name} {kind}");
}

fn line(text: &mut String, name: &str, link: &LinkState, more: &str, value: u64) {
    let LinkState { name: link, direction, .. } = link;
    let link = label(link);
    let _ =
        writeln!(text, "ringway_bridge_{name}{{link=\"{link}\",direction=\"{direction}\"{more}}} {value}");
}

/// The name as the value of a label.
fn label(name: &str) -> String {
    let mut label = String::new();
    for c in name.chars() {
        match c {
            '\\' | '"' => label.extend(['\\', c]),
            '\n' => label.push_str("\\n"),
            c if c.is_control() => label.push('?'),
            c => label.push(c),
        }
    }
    label
}

/// What keeps links from being ready, one line each; empty if all are connected.
#[must_use]
pub fn not_ready(links: &[LinkState]) -> String {
    let mut text = String::new();
    for link in links.iter().filter(|link| !link.stats.is_connected()) {
        let state = if link.stats.has_failed() { "has failed" } else { "is not connected" };
        let _ = writeln!(text, "{} {}: {state}", link.direction, link.name.escape_debug());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_labels() {
        let stats = Arc::new(Stats::default());
        let name = "a\"} 1\nx\\\u{1b}[2J".to_owned();
        let link = LinkState { name, direction: Direction::In, stats };
        let text = render(std::slice::from_ref(&link));
        assert!(text.contains(r#"in_flight{link="a\"} 1\nx\\?[2J",direction="in"} 0"#), "{text}");
        assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("ringway_bridge_")));
        assert_eq!(
            not_ready(std::slice::from_ref(&link)),
            "in a\\\"} 1\\nx\\\\\\u{1b}[2J: is not connected\n"
        );
        link.stats.set_connected(true);
        assert_eq!(not_ready(&[link]), "");
    }
}
