//! Weak memory: stores that wait in a buffer before any other thread can see them.
//!
//! Each thread has a buffer of the stores that it has executed and that are not yet visible. A
//! store may leave the buffer, at any time, unless an earlier one to the same location is still in
//! it; and if it is a Release store, unless *any* earlier one is still in it. So two Relaxed stores
//! to different locations may become visible in either order, as may a Release store and a Relaxed
//! one after it: what ARM does, and what C++ allows. A thread sees its own stores immediately. A
//! read-modify-write acts on memory itself; with Release, only once the thread's buffer is empty.
//!
//! A process that is killed stops between two instructions. The stores that it has executed still
//! become visible, in the orders above, and the kernel releases its liveness lock after that.
//!
//! What is missing from the full C++ model: loads are executed in program order, when they are
//! reached (as if every load were Acquire), and a read-modify-write is visible to all threads
//! immediately. So a missing Acquire, or a store that overtakes an earlier *load*, is not found
//! here.

/// Stores that one thread can have under way; a thread whose buffer is full waits.
pub const ROOM: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Relaxed,
    Release,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Store {
    pub location: u8,
    pub value: u8,
    release: bool,
}

/// Memory of `L` one-byte words, shared by `T` threads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Memory<const L: usize, const T: usize> {
    words: [u8; L],
    stores: [[Store; ROOM]; T],
    lengths: [u8; T],
}

impl<const L: usize, const T: usize> Memory<L, T> {
    pub fn new(words: [u8; L]) -> Self {
        Memory { words, stores: [[Store::default(); ROOM]; T], lengths: [0; T] }
    }

    /// The thread's stores that are under way, oldest first.
    pub fn pending(&self, thread: usize) -> &[Store] {
        &self.stores[thread][..usize::from(self.lengths[thread])]
    }

    /// What all threads see: also what a thread without stores of its own loads.
    pub fn visible(&self, location: usize) -> u8 {
        self.words[location]
    }

    pub fn load(&self, thread: usize, location: usize) -> u8 {
        let own = self.pending(thread).iter().rev().find(|store| usize::from(store.location) == location);
        own.map_or(self.words[location], |store| store.value)
    }

    pub fn has_room(&self, thread: usize) -> bool {
        self.pending(thread).len() < ROOM
    }

    /// Whether all of the thread's stores are visible.
    pub fn is_drained(&self, thread: usize) -> bool {
        self.lengths[thread] == 0
    }

    pub fn store(&mut self, thread: usize, location: usize, value: u8, order: Order) {
        let at = usize::from(self.lengths[thread]);
        self.stores[thread][at] = Store { location: location as u8, value, release: order == Order::Release };
        self.lengths[thread] += 1;
    }

    /// Whether a read-modify-write of `location` may take place now.
    pub fn may_modify(&self, thread: usize, location: usize, order: Order) -> bool {
        let mut pending = self.pending(thread).iter();
        match order {
            Order::Release => pending.len() == 0,
            Order::Relaxed => pending.all(|store| usize::from(store.location) != location),
        }
    }

    /// The write of a read-modify-write that may take place.
    pub fn modify(&mut self, location: usize, value: u8) {
        self.words[location] = value;
    }

    /// The thread's stores that may become visible next, by their place in its buffer.
    pub fn ripe(&self, thread: usize) -> impl Iterator<Item = (usize, Store)> {
        let pending = self.pending(thread);
        let ripe = |&(at, store): &(usize, Store)| {
            let earlier = &pending[..at];
            if store.release { at == 0 } else { earlier.iter().all(|e| e.location != store.location) }
        };
        pending.iter().copied().enumerate().filter(ripe)
    }

    /// Makes a ripe store visible.
    pub fn drain(&mut self, thread: usize, at: usize) {
        let Store { location, value, .. } = self.stores[thread][at];
        self.words[usize::from(location)] = value;
        self.stores[thread][at..].rotate_left(1);
        self.stores[thread][ROOM - 1] = Store::default();
        self.lengths[thread] -= 1;
    }

    /// A full barrier, here or forced from elsewhere by `membarrier`.
    pub fn drain_all(&mut self, thread: usize) {
        while !self.is_drained(thread) {
            self.drain(thread, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(memory: &Memory<3, 1>) -> Vec<u8> {
        memory.ripe(0).map(|(_, store)| store.value).collect()
    }

    #[test]
    fn relaxed_stores_overtake_one_another_and_release_stores() {
        let mut memory = Memory::<3, 1>::new([0; 3]);
        memory.store(0, 0, 1, Order::Release);
        memory.store(0, 1, 2, Order::Relaxed);
        memory.store(0, 1, 3, Order::Relaxed);
        memory.store(0, 2, 4, Order::Release);
        assert_eq!(values(&memory), [1, 2], "3 waits for 2, 4 for all");
        assert_eq!((memory.load(0, 1), memory.visible(1)), (3, 0));
        memory.drain(0, 1);
        assert_eq!((memory.visible(0), memory.visible(1)), (0, 2));
        assert_eq!(values(&memory), [1, 3]);
        memory.drain_all(0);
        assert_eq!((memory.visible(0), memory.visible(1), memory.visible(2)), (1, 3, 4));
    }

    #[test]
    fn read_modify_writes_wait_for_what_they_release() {
        let mut memory = Memory::<3, 1>::new([0; 3]);
        memory.store(0, 0, 1, Order::Relaxed);
        assert!(memory.may_modify(0, 1, Order::Relaxed));
        assert!(!memory.may_modify(0, 0, Order::Relaxed));
        assert!(!memory.may_modify(0, 1, Order::Release));
    }
}
