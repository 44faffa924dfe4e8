//! The states that were found, each as a fingerprint, and how each was reached.

const EMPTY: u64 = u64::MAX;

pub(super) fn id(index: usize) -> u32 {
    u32::try_from(index).expect("more than 2^32 states or steps")
}

/// The visited states and the plain steps between them.
pub(super) struct Graph {
    pub(super) fingerprints: Vec<u128>,
    pub(super) parents: Vec<u32>,
    pub(super) goal: Vec<bool>,
    /// Plain steps: those out of state `i` are `edges[ends[i - 1]..ends[i]]`.
    pub(super) edges: Vec<u32>,
    pub(super) ends: Vec<u32>,
    /// Open addressing: half a fingerprint above, the state's number below.
    table: Vec<u64>,
}

impl Graph {
    pub(super) fn new() -> Self {
        Self {
            fingerprints: Vec::new(),
            parents: Vec::new(),
            goal: Vec::new(),
            edges: Vec::new(),
            ends: Vec::new(),
            table: vec![EMPTY; 1 << 12],
        }
    }

    pub(super) fn find(&self, print: u128) -> Option<u32> {
        let tag = tag(print);
        let mut at = tag as usize & (self.table.len() - 1);
        while self.table[at] != EMPTY {
            let found = self.table[at] as u32;
            if self.table[at] >> 32 == tag && self.fingerprints[found as usize] == print {
                return Some(found);
            }
            at = (at + 1) & (self.table.len() - 1);
        }
        None
    }

    /// Only after `find` said `None`.
    pub(super) fn insert(&mut self, print: u128, parent: u32, goal: bool) -> u32 {
        if self.fingerprints.len() * 3 > self.table.len() * 2 {
            let old = std::mem::take(&mut self.table);
            self.table = vec![EMPTY; old.len() * 2];
            for entry in old.into_iter().filter(|&entry| entry != EMPTY) {
                place(&mut self.table, entry);
            }
        }
        let new = id(self.fingerprints.len());
        self.fingerprints.push(print);
        self.parents.push(parent);
        self.goal.push(goal);
        place(&mut self.table, tag(print) << 32 | u64::from(new));
        new
    }

    /// For each state: is a goal state reachable by plain steps? States far from the start have high
    /// numbers and are nearer to the goal, so sweeping downwards settles most in the first sweep.
    pub(super) fn can_reach_goal(&self) -> Vec<bool> {
        let mut hope = self.goal.clone();
        let mut changed = true;
        while changed {
            changed = false;
            for i in (0..hope.len()).rev() {
                if !hope[i] {
                    let begin = if i == 0 { 0 } else { self.ends[i - 1] as usize };
                    let mut next = self.edges[begin..self.ends[i] as usize].iter();
                    hope[i] = next.any(|&to| hope[to as usize]);
                    changed |= hope[i];
                }
            }
        }
        hope
    }
}

fn tag(print: u128) -> u64 {
    print as u64 >> 32
}

fn place(table: &mut [u64], entry: u64) {
    let mut at = (entry >> 32) as usize & (table.len() - 1);
    while table[at] != EMPTY {
        at = (at + 1) & (table.len() - 1);
    }
    table[at] = entry;
}
