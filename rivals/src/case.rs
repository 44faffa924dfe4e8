//! What is measured: the cases, their names, and which of them a run has.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, bail};
use serde::{Deserialize, Serialize};

/// Sizes of messages in bytes.
const SIZES: [usize; 6] = [8, 64, 256, 1024, 65_536, 1_048_576];
const LATENCY_SIZES: [usize; 4] = [8, 64, 1024, 65_536];
const QUICK_SIZES: [usize; 2] = [64, 65_536];
const SHAPES: [Shape; 4] = [Shape::new(2, 1), Shape::new(1, 2), Shape::new(2, 2), Shape::new(4, 4)];
const MEMCPY_SIZES: [usize; 2] = [65_536, 1_048_576];

/// Bytes of messages in a crash case: writes of this size to a pipe are atomic, so that all systems
/// have a chance.
pub(crate) const CRASH_BYTES: usize = 4096;

/// How many producers and consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
}

impl Shape {
    /// One of each.
    pub(crate) const PAIR: Self = Self::new(1, 1);

    pub(crate) const fn new(producers: usize, consumers: usize) -> Self {
        Self { producers, consumers }
    }
}

/// Which worker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Victim {
    Producer,
    Consumer,
}

/// Limits of the machine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Limit {
    /// A cache line there and back.
    Pingpong,
    /// Lines of 64 bytes through shared memory.
    Stream,
    /// Copies of this number of bytes, by one core.
    Memcpy { bytes: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Case {
    Throughput {
        shape: Shape,
        bytes: usize,
        batch: bool,
    },
    /// Round trips; the receivers sleep before a message arrives, if it is `parked`.
    Latency {
        bytes: usize,
        parked: bool,
    },
    Crash(Victim),
    Limit(Limit),
}

impl Case {
    /// All cases, or those of a quick run.
    pub(crate) fn all(quick: bool) -> Vec<Self> {
        let sizes = |all: &'static [usize]| if quick { &QUICK_SIZES[..] } else { all };
        let throughput = |shape| {
            let both =
                |bytes: &usize| [false, true].map(|batch| Self::Throughput { shape, bytes: *bytes, batch });
            sizes(&SIZES).iter().flat_map(both).collect::<Vec<_>>()
        };
        let latency = |bytes: &usize| [false, true].map(|parked| Self::Latency { bytes: *bytes, parked });
        let latency = (if quick { &QUICK_SIZES[..1] } else { &LATENCY_SIZES[..] }).iter().flat_map(latency);
        let mut cases = vec![Self::Limit(Limit::Pingpong), Self::Limit(Limit::Stream)];
        cases.extend(MEMCPY_SIZES.map(|bytes| Self::Limit(Limit::Memcpy { bytes })));
        cases.extend(throughput(Shape::PAIR));
        cases.extend(SHAPES.into_iter().flat_map(throughput));
        cases.extend(latency);
        cases.extend([Victim::Producer, Victim::Consumer].map(Self::Crash));
        cases
    }

    /// Bytes of a message.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Throughput { bytes, .. } | Self::Latency { bytes, .. } => bytes,
            Self::Crash(_) => CRASH_BYTES,
            Self::Limit(Limit::Memcpy { bytes }) => bytes,
            Self::Limit(_) => 64,
        }
    }

    /// The unit of its figures.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Throughput { .. } | Self::Limit(Limit::Stream | Limit::Memcpy { .. }) => "msg/s",
            Self::Latency { .. } | Self::Crash(_) | Self::Limit(Limit::Pingpong) => "ns",
        }
    }

    /// The heading under which it is shown.
    pub(crate) fn group(self) -> String {
        match self {
            Self::Throughput { shape: Shape::PAIR, batch, .. } => format!("spsc/{}", way(batch)),
            Self::Throughput { shape, batch, .. } => format!("mpmc/{shape}/{}", way(batch)),
            Self::Latency { parked, .. } => format!("latency/{}", if parked { "park" } else { "spin" }),
            Self::Crash(_) => "crash".into(),
            Self::Limit(_) => "limit".into(),
        }
    }
}

fn way(batch: bool) -> &'static str {
    if batch { "batch" } else { "single" }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}p{}c", self.producers, self.consumers)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Throughput { shape: Shape::PAIR, bytes, batch } => write!(f, "spsc/{bytes}/{}", way(batch)),
            Self::Throughput { shape, bytes, batch } => write!(f, "mpmc/{shape}/{bytes}/{}", way(batch)),
            Self::Latency { bytes, parked } => {
                write!(f, "latency/{bytes}/{}", if parked { "park" } else { "spin" })
            }
            Self::Crash(Victim::Producer) => f.write_str("crash/producer"),
            Self::Crash(Victim::Consumer) => f.write_str("crash/consumer"),
            Self::Limit(Limit::Pingpong) => f.write_str("limit/pingpong"),
            Self::Limit(Limit::Stream) => f.write_str("limit/stream"),
            Self::Limit(Limit::Memcpy { bytes }) => write!(f, "limit/memcpy/{bytes}"),
        }
    }
}

impl FromStr for Case {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let number = |text: &str| text.parse::<usize>().map_err(Error::from);
        let batch = |text: &str| match text {
            "single" => Ok(false),
            "batch" => Ok(true),
            other => bail!("`{other}` in the case `{name}`: expected `single` or `batch`"),
        };
        Ok(match name.split('/').collect::<Vec<_>>()[..] {
            ["spsc", bytes, how] => {
                Self::Throughput { shape: Shape::PAIR, bytes: number(bytes)?, batch: batch(how)? }
            }
            ["mpmc", shape, bytes, how] => {
                let (producers, consumers) =
                    match shape.strip_suffix('c').and_then(|both| both.split_once('p')) {
                        Some((producers, consumers)) => (number(producers)?, number(consumers)?),
                        None => bail!("`{shape}` in the case `{name}`: expected something like `2p1c`"),
                    };
                Self::Throughput {
                    shape: Shape { producers, consumers },
                    bytes: number(bytes)?,
                    batch: batch(how)?,
                }
            }
            ["latency", bytes, "spin"] => Self::Latency { bytes: number(bytes)?, parked: false },
            ["latency", bytes, "park"] => Self::Latency { bytes: number(bytes)?, parked: true },
            ["crash", "producer"] => Self::Crash(Victim::Producer),
            ["crash", "consumer"] => Self::Crash(Victim::Consumer),
            ["limit", "pingpong"] => Self::Limit(Limit::Pingpong),
            ["limit", "stream"] => Self::Limit(Limit::Stream),
            ["limit", "memcpy", bytes] => Self::Limit(Limit::Memcpy { bytes: number(bytes)? }),
            _ => bail!("there is no case called `{name}`"),
        })
    }
}

impl TryFrom<String> for Case {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

impl From<Case> for String {
    fn from(case: Case) -> Self {
        case.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for case in Case::all(false).into_iter().chain(Case::all(true)) {
            assert_eq!(case.to_string().parse::<Case>().unwrap(), case);
        }
        for wrong in ["spsc/64", "spsc/x/single", "spsc/64/both", "mpmc/2x/64/batch", "crash/both", ""] {
            assert!(wrong.parse::<Case>().is_err(), "{wrong:?}");
        }
    }
}
