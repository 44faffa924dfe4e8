//! All systems: which cases each takes part in, and how it may wait.

use ::ringway::kind::{Mpmc, Spsc};
use anyhow::{Context, Result};

use super::disruptor::Disruptors;
use super::iceoryx::Iceoryxes;
use super::ipc_channel::IpcChannels;
use super::ipmpsc::Ipmpscs;
use super::posix_mq::PosixMqs;
use super::ringway::Ringways;
use super::seqpacket::Seqpackets;
use super::shmem_ipc::ShmemIpcs;
use super::streams::{Pipe, Streams, UnixStream};
use super::values::{Array, Channel, Flume, Kanal, Nexus, NexusPair, Of, Rtrb};
use super::{ringfire, shaq};
use crate::case::{Case, Shape};
use crate::measure::{Answer, Scope, Task, processes, threads};
use crate::wait::Way;

/// Without a limit.
const MANY: usize = usize::MAX;
const SPSC: Shape = Shape::PAIR;
const MPSC: Shape = Shape::new(MANY, 1);
const MPMC: Shape = Shape::new(MANY, MANY);

/// A system in one scope.
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    /// The maximum numbers of producers and consumers that share it.
    pub(crate) most: Shape,
    /// Whether it has calls that wait, worth trying for throughput ...
    waits: bool,
    /// ... and whether it can sleep in the kernel until a message arrives, immediately or after a
    /// while.
    sleeps: bool,
    /// Why a case is impossible, if it is.
    except: fn(Case) -> Option<&'static str>,
    pub(crate) measure: fn(&Task) -> Result<Answer>,
}

impl Rival {
    /// The ways of waiting that are tried in a case; the best counts.
    pub(crate) fn ways(&self, case: Case) -> Result<Vec<Way>, &'static str> {
        if let Some(reason) = (self.except)(case) {
            return Err(reason);
        }
        let tried = |others: [Way; 2]| {
            let own = self.waits.then_some(Way::Own);
            Ok(own.into_iter().chain(others).collect())
        };
        match case {
            Case::Throughput { shape: Shape::PAIR, .. } => tried([Way::Spin, Way::Pause]),
            Case::Throughput { shape, .. } if shape.producers > self.most.producers => {
                Err("takes one producer only")
            }
            Case::Throughput { shape, .. } if shape.consumers > self.most.consumers => {
                Err("no two consumers can share the messages")
            }
            Case::Throughput { .. } => tried([Way::Yield, Way::Pause]),
            Case::Latency { parked: false, .. } => Ok(vec![Way::Spin]),
            Case::Latency { parked: true, .. } if self.sleeps => Ok(vec![Way::Own]),
            Case::Latency { parked: true, .. } => Err("cannot sleep until a message comes"),
            Case::Crash(_) if self.scope == Scope::Threads => Err("threads of one process die together"),
            // All workers share two cores.
            Case::Crash(_) if self.waits => Ok(vec![Way::Own]),
            Case::Crash(_) => Ok(vec![Way::Yield]),
            Case::Limit(_) => Err("is no limit of the machine"),
        }
    }
}

/// The system of that name.
pub(crate) fn find(name: &str, scope: Scope) -> Result<&'static Rival> {
    let rival = ALL.iter().find(|rival| rival.name == name && rival.scope == scope);
    rival.with_context(|| format!("there is no system called `{name}` between {}", scope.name()))
}

fn nothing(_: Case) -> Option<&'static str> {
    None
}

/// In the order in which they are shown.
pub(crate) static ALL: &[Rival] = &[
    Rival {
        name: "ringway",
        scope: Scope::Processes,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: processes::<Ringways<Spsc>, Ringways<Mpmc>>,
    },
    Rival {
        name: "ringway",
        scope: Scope::Threads,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: threads::<Ringways<Spsc>, Ringways<Mpmc>>,
    },
    Rival {
        name: "rtrb",
        scope: Scope::Threads,
        most: SPSC,
        waits: false,
        sleeps: false,
        except: nothing,
        measure: threads::<Of<Rtrb>, Of<Rtrb>>,
    },
    Rival {
        name: "nexus-queue",
        scope: Scope::Threads,
        most: MPMC,
        waits: false,
        sleeps: false,
        except: |case| match case {
            Case::Throughput { shape: Shape { producers: 2.., consumers: 2.. }, .. } => {
                Some("has no queue for several producers and several consumers")
            }
            _ => None,
        },
        measure: threads::<Of<NexusPair>, Of<Nexus>>,
    },
    Rival {
        name: "disruptor",
        scope: Scope::Threads,
        most: MPSC,
        waits: false,
        sleeps: false,
        except: nothing,
        measure: threads::<Disruptors, Disruptors>,
    },
    Rival {
        name: "crossbeam-queue",
        scope: Scope::Threads,
        most: MPMC,
        waits: false,
        sleeps: false,
        except: nothing,
        measure: threads::<Of<Array>, Of<Array>>,
    },
    Rival {
        name: "crossbeam-channel",
        scope: Scope::Threads,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: threads::<Of<Channel>, Of<Channel>>,
    },
    Rival {
        name: "flume",
        scope: Scope::Threads,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: threads::<Of<Flume>, Of<Flume>>,
    },
    Rival {
        name: "kanal",
        scope: Scope::Threads,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: threads::<Of<Kanal>, Of<Kanal>>,
    },
    Rival {
        name: "iceoryx2",
        scope: Scope::Processes,
        most: MPSC,
        waits: false,
        sleeps: true,
        except: nothing,
        measure: processes::<Iceoryxes, Iceoryxes>,
    },
    Rival {
        name: "ringfire",
        scope: Scope::Processes,
        most: MPMC,
        waits: false,
        sleeps: true,
        except: |case| match case {
            Case::Latency { bytes: 65_536.., parked: true } => Some("its blobs have no call that sleeps"),
            _ => None,
        },
        measure: processes::<ringfire::Pairs, ringfire::Manys>,
    },
    Rival {
        name: "shaq",
        scope: Scope::Processes,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: processes::<shaq::Pairs, shaq::Manys>,
    },
    Rival {
        name: "shmem-ipc",
        scope: Scope::Processes,
        most: SPSC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: processes::<ShmemIpcs, ShmemIpcs>,
    },
    Rival {
        name: "ipc-channel",
        scope: Scope::Processes,
        most: MPSC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: processes::<IpcChannels, IpcChannels>,
    },
    Rival {
        name: "ipmpsc",
        scope: Scope::Processes,
        most: MPSC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: processes::<Ipmpscs, Ipmpscs>,
    },
    Rival {
        name: "pipe",
        scope: Scope::Processes,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: processes::<Streams<Pipe>, Streams<Pipe>>,
    },
    Rival {
        name: "unix-stream",
        scope: Scope::Processes,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: processes::<Streams<UnixStream>, Streams<UnixStream>>,
    },
    Rival {
        name: "unix-seqpacket",
        scope: Scope::Processes,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: processes::<Seqpackets, Seqpackets>,
    },
    Rival {
        name: "posix-mq",
        scope: Scope::Processes,
        most: MPMC,
        waits: true,
        sleeps: true,
        except: nothing,
        measure: processes::<PosixMqs, PosixMqs>,
    },
];
