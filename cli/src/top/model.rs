//! What is shown: the queues of a directory, and their recent past.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use anyhow::Result;
use ringway::Role;
use ringway::inspect::{Inspector, Liveness, Snapshot};

use crate::directory;
use crate::stat::{Rates, Tracker};

/// The number of snapshots that are kept per queue.
pub(super) const HISTORY: usize = 120;

/// A queue, and its recent past.
pub(super) struct Row {
    pub(super) path: PathBuf,
    pub(super) state: State,
    /// Messages (or bytes of the ring) sent per second, oldest first.
    pub(super) history: VecDeque<u64>,
}

/// The last snapshot.
pub(super) enum State {
    Seen {
        snapshot: Box<Snapshot>,
        rates: Option<Rates>,
    },
    /// Why the queue cannot be read.
    Broken(String),
}

/// The order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Name,
    Rate,
    Backlog,
}

/// Inspects one file repeatedly.
struct Watched {
    inspector: Inspector,
    tracker: Tracker,
    history: VecDeque<u64>,
}

pub(super) struct Model {
    pub(super) directory: PathBuf,
    pub(super) rows: Vec<Row>,
    pub(super) selected: usize,
    pub(super) order: Order,
    /// By path and uuid: a queue that was created anew under the same name is another one.
    watched: HashMap<(PathBuf, [u8; 16]), Watched>,
}

impl Model {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, rows: Vec::new(), selected: 0, order: Order::Name, watched: HashMap::new() }
    }

    /// Takes a snapshot of every queue.
    pub(super) fn refresh(&mut self) -> Result<()> {
        let selected = self.selected_row().map(|row| row.path.clone());
        let mut before = std::mem::take(&mut self.watched);
        self.rows.clear();
        for (path, found) in directory::queues(&self.directory)? {
            let row = match found {
                Ok(inspector) => {
                    let key = (path.clone(), inspector.header().uuid);
                    let mut watched = before.remove(&key).unwrap_or_else(|| Watched {
                        inspector,
                        tracker: Tracker::default(),
                        history: VecDeque::new(),
                    });
                    let row = watched.refresh(path);
                    self.watched.insert(key, watched);
                    row
                }
                Err(error) => Row { path, state: State::Broken(error.to_string()), history: VecDeque::new() },
            };
            self.rows.push(row);
        }
        self.sort();
        // The same queue stays selected, wherever its row is now.
        if let Some(at) = selected.and_then(|path| self.rows.iter().position(|row| row.path == path)) {
            self.selected = at;
        }
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
        Ok(())
    }

    pub(super) fn selected_row(&self) -> Option<&Row> {
        self.rows.get(self.selected)
    }

    pub(super) fn select(&mut self, step: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(step).min(last);
    }

    pub(super) fn sort_by_next(&mut self) {
        self.order = match self.order {
            Order::Name => Order::Rate,
            Order::Rate => Order::Backlog,
            Order::Backlog => Order::Name,
        };
        self.sort();
    }

    fn sort(&mut self) {
        match self.order {
            Order::Name => self.rows.sort_by(|one, other| one.path.cmp(&other.path)),
            Order::Rate => self.rows.sort_by(|one, other| other.sent().total_cmp(&one.sent())),
            Order::Backlog => self.rows.sort_by_key(|row| std::cmp::Reverse(row.backlog())),
        }
    }
}

impl Watched {
    fn refresh(&mut self, path: PathBuf) -> Row {
        let seen = self.inspector.snapshot().and_then(|it| Ok((it, self.inspector.progress()?)));
        let state = match seen {
            Ok((snapshot, progress)) => {
                let rates = self.tracker.note(&snapshot, &progress);
                if let Some(rates) = &rates {
                    self.history.push_back(rates.sent as u64);
                    if self.history.len() > HISTORY {
                        self.history.pop_front();
                    }
                }
                State::Seen { snapshot: Box::new(snapshot), rates }
            }
            Err(error) => State::Broken(error.to_string()),
        };
        Row { path, state, history: self.history.clone() }
    }
}

impl Row {
    fn sent(&self) -> f64 {
        match &self.state {
            State::Seen { rates: Some(rates), .. } => rates.sent,
            _ => 0.0,
        }
    }

    fn backlog(&self) -> u64 {
        match &self.state {
            State::Seen { snapshot, .. } => snapshot.backlog.waiting.unwrap_or(u64::MAX),
            State::Broken(_) => 0,
        }
    }
}

/// The number of live participants with that role.
pub(super) fn alive(snapshot: &Snapshot, role: Role) -> usize {
    let is_it = |one: &&ringway::inspect::Participant| one.role == role && one.liveness == Liveness::Alive;
    snapshot.participants.iter().filter(is_it).count()
}

/// The number of dead participants that were not recovered yet.
pub(super) fn dead(snapshot: &Snapshot) -> usize {
    snapshot.participants.iter().filter(|one| one.liveness == Liveness::Dead).count()
}
