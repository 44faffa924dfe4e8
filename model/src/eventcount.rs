//! The eventcount, as `src/park` has it: what a waker does, what a sleeper does, and the futex
//! between them.
//!
//! A waker stores its change through a store buffer (`store_buffer`) and loads `waiters` without a
//! fence, or with one if it finds FENCING, which it may take away. A sleeper reads the event, arms,
//! makes one thread after the other fence and sets BARRIER_DONE (`sure`), or fences alone if another
//! sleeper has set it. It then has the model check the queue, and sleeps if the event is
//! unchanged. The model keeps only whether copies of the event and of `waiters` are current:
//! neither ever has an old value again, because the event counts notifications and `waiters` counts
//! arrivals.

use crate::mistake::Mistake;
use crate::store_buffer::Memory;
use std::ops::Range;

/// All sleepers.
pub const ALL: u8 = u8::MAX;

/// Where a thread is in `notify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Waking {
    No,
    /// Load `waiters`, without a fence.
    Check,
    /// A sleeper may be armed, or out of reach of membarriers, or FENCING is set: fence, and load
    /// it again.
    Fence,
    /// No sleeper is armed: take FENCING away, by a CAS.
    Unfence,
    Increment,
    Wake,
    Clear,
}

/// Where a thread is in `check_and_sleep`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sleeping {
    /// It checks, and begins if it finds nothing.
    No,
    /// Only where a mistake has the event read late.
    ReadKey,
    Arm,
    Barrier,
    /// Set BARRIER_DONE, by a CAS.
    MakeSure,
    /// In the place of these two, if BARRIER_DONE is set.
    Fence,
    /// The model's turn: the last check.
    Check,
    FutexWait,
    Asleep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thread {
    pub waking: Waking,
    wanted: u8,
    /// A close or a cancellation: notifies whatever `waiters` says, and leaves it unchanged.
    unasked: bool,
    /// It woke fewer than it wanted.
    fewer: bool,
    /// Its copy of `waiters`, or what it has armed, is current.
    seen: bool,
    pub sleeping: Sleeping,
    /// The thread that its membarrier reaches next.
    next: u8,
    /// Its copy of the event is current.
    key: bool,
}

const AT_REST: Thread = Thread {
    waking: Waking::No,
    wanted: 0,
    unasked: false,
    fewer: false,
    seen: false,
    sleeping: Sleeping::No,
    next: 0,
    key: false,
};

/// What is constant during a run.
pub struct Rules {
    pub mistake: Option<Mistake>,
    /// Threads that store anything: membarriers need not reach others.
    pub storing: Range<usize>,
    /// Membarriers do not reach thread 0, so NEED_FENCE is set.
    pub unregistered: bool,
    /// A sleep ends by itself.
    pub slices: bool,
}

impl Rules {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
}

/// One eventcount, and the memory that changes go through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Eventcount<const L: usize, const T: usize> {
    pub memory: Memory<L, T>,
    pub armed: bool,
    fencing: bool,
    sure: bool,
    pub threads: [Thread; T],
}

impl<const L: usize, const T: usize> Eventcount<L, T> {
    pub fn new(words: [u8; L]) -> Self {
        let memory = Memory::new(words);
        Self { memory, armed: false, fencing: false, sure: false, threads: [AT_REST; T] }
    }

    /// After a change: wake up to `wanted`.
    pub fn notify(&mut self, thread: usize, wanted: u8) {
        self.threads[thread] = Thread { waking: Waking::Check, wanted, ..self.threads[thread] };
    }

    /// Wake all sleepers, armed or not.
    pub fn notify_all(&mut self, thread: usize) {
        self.threads[thread] =
            Thread { waking: Waking::Increment, wanted: ALL, unasked: true, ..self.threads[thread] };
    }

    /// Another flag in `waiters` was set.
    pub fn flag_changed(&mut self) {
        self.threads.iter_mut().for_each(|thread| thread.seen = false);
    }

    /// It found nothing and begins to sleep, from reading the event on.
    pub fn begin(&mut self, thread: usize, rules: &Rules) {
        let late = rules.makes(Mistake::KeyReadLast) || rules.makes(Mistake::KeyReadAfterArm);
        let me = &mut self.threads[thread];
        (me.sleeping, me.key) = (Sleeping::Arm, !late);
    }

    /// At the start: it sleeps already.
    pub fn fall_asleep(&mut self, thread: usize) {
        (self.armed, self.fencing, self.sure) = (true, true, true);
        self.threads[thread].sleeping = Sleeping::Asleep;
    }

    /// The check after the barrier found nothing.
    pub fn found_nothing(&mut self, thread: usize, rules: &Rules) {
        let late = rules.makes(Mistake::KeyReadLast);
        self.threads[thread].sleeping = if late { Sleeping::ReadKey } else { Sleeping::FutexWait };
    }

    /// It is awake, or dead.
    pub fn rest(&mut self, thread: usize) {
        self.threads[thread] = AT_REST;
    }

    /// The check found something: no sleep.
    pub fn stay_awake(&mut self, thread: usize) {
        let Thread { waking, wanted, unasked, fewer, seen, .. } = self.threads[thread];
        self.threads[thread] = Thread { waking, wanted, unasked, fewer, seen, ..AT_REST };
    }

    /// Steps of `notify`, if the thread is in it.
    pub fn waking(&self, t: usize, rules: &Rules, mut each: impl FnMut(Self, String)) {
        let me = self.threads[t];
        let mut n = self.clone();
        let thread = &mut n.threads[t];
        match me.waking {
            Waking::No => {}
            Waking::Check => {
                let asked = self.fencing && !rules.makes(Mistake::FencingIgnored);
                let must = rules.unregistered && !rules.makes(Mistake::NeedFenceIgnored);
                thread.waking = if self.armed || asked || must { Waking::Fence } else { Waking::No };
                each(n, format!("armed? {}", self.armed));
            }
            Waking::Fence => {
                let late = rules.makes(Mistake::WakeBeforeIncrement);
                thread.seen = true;
                thread.waking = match self.armed {
                    true if late => Waking::Wake,
                    true => Waking::Increment,
                    false => Waking::No,
                };
                n.memory.drain_all(t);
                if !self.armed && self.fencing {
                    let mut tired = n.clone();
                    tired.threads[t].waking = Waking::Unfence;
                    each(tired, "fences, in vain for the last time".into());
                }
                each(n, format!("fences; armed? {}", self.armed));
            }
            Waking::Unfence => {
                thread.waking = Waking::No;
                if me.seen {
                    n.fencing = false;
                    n.sure = self.sure && rules.makes(Mistake::UnfenceKeepsSure);
                    n.flag_changed();
                }
                each(n, format!("not fencing any more? {}", me.seen));
            }
            Waking::Increment => {
                if !self.memory.is_drained(t) {
                    return;
                }
                let late = rules.makes(Mistake::WakeBeforeIncrement) && !me.unasked;
                thread.waking = match late {
                    true if me.fewer => Waking::Clear,
                    true => Waking::No,
                    false => Waking::Wake,
                };
                n.threads.iter_mut().for_each(|thread| thread.key = false);
                each(n, "increments".into());
            }
            Waking::Wake => self.futex_wake(t, rules, each),
            Waking::Clear => {
                let blind = rules.makes(Mistake::ClearWithoutArrivals);
                thread.waking = Waking::No;
                if me.seen || blind {
                    n.armed = false;
                    n.flag_changed();
                }
                each(n, format!("not armed any more? {}", me.seen || blind));
            }
        }
    }

    /// Any `wanted` of the sleepers.
    fn futex_wake(&self, t: usize, rules: &Rules, mut each: impl FnMut(Self, String)) {
        let me = self.threads[t];
        let sleepers: Vec<usize> =
            (0..T).filter(|&other| self.threads[other].sleeping == Sleeping::Asleep).collect();
        let woken = sleepers.len().min(me.wanted.into());
        let fewer = woken < usize::from(me.wanted);
        let waking = match () {
            () if me.unasked => Waking::No,
            () if rules.makes(Mistake::WakeBeforeIncrement) => Waking::Increment,
            () if fewer || rules.makes(Mistake::ClearAlways) => Waking::Clear,
            () => Waking::No,
        };
        for chosen in (0..1_u16 << sleepers.len()).filter(|set| set.count_ones() as usize == woken) {
            let mut n = self.clone();
            (n.threads[t].waking, n.threads[t].fewer) = (waking, fewer);
            for (bit, &sleeper) in sleepers.iter().enumerate() {
                if chosen >> bit & 1 == 1 {
                    n.threads[sleeper].sleeping = Sleeping::No;
                }
            }
            each(n, format!("futex_wake({}) wakes {woken}", me.wanted));
        }
    }

    /// Steps from `Arm` to `Asleep`, except the check.
    pub fn sleeping(&self, t: usize, rules: &Rules) -> Option<(Self, String)> {
        let me = self.threads[t];
        let mut n = self.clone();
        let thread = &mut n.threads[t];
        let checks = !rules.makes(Mistake::CheckBeforeArm);
        let after_barrier = if checks { Sleeping::Check } else { Sleeping::FutexWait };
        let label = match me.sleeping {
            Sleeping::No | Sleeping::Check => return None,
            Sleeping::Asleep if !rules.slices => return None,
            Sleeping::ReadKey => {
                let is_last = rules.makes(Mistake::KeyReadLast);
                (thread.key, thread.sleeping) =
                    (true, if is_last { Sleeping::FutexWait } else { Sleeping::Barrier });
                "reads the eventcount".into()
            }
            Sleeping::Arm => {
                thread.next = rules.storing.start as u8;
                thread.sleeping = match rules.mistake {
                    Some(Mistake::NoMembarrier) => Sleeping::Check,
                    Some(Mistake::KeyReadAfterArm) => Sleeping::ReadKey,
                    _ if self.sure => Sleeping::Fence,
                    _ => Sleeping::Barrier,
                };
                (n.armed, n.fencing) = (true, true);
                n.sure = self.sure || rules.makes(Mistake::SureTooEarly);
                n.flag_changed();
                n.threads[t].seen = true;
                format!("arms; sure? {}", self.sure)
            }
            Sleeping::Barrier => {
                let reached = usize::from(me.next);
                thread.next += 1;
                if reached + 1 == rules.storing.end {
                    (thread.next, thread.sleeping) = (0, Sleeping::MakeSure);
                }
                if !(rules.unregistered && reached == 0) {
                    n.memory.drain_all(reached);
                }
                format!("membarrier reaches thread {reached}")
            }
            Sleeping::MakeSure => {
                thread.sleeping = after_barrier;
                let makes = me.seen || rules.makes(Mistake::SureBlindly);
                if makes && !self.sure {
                    n.sure = true;
                    n.flag_changed();
                }
                format!("sure from now on? {makes}")
            }
            Sleeping::Fence => {
                thread.sleeping = after_barrier;
                n.memory.drain_all(t);
                "fences".into()
            }
            Sleeping::FutexWait => {
                let sleeps = me.key;
                thread.sleeping = if sleeps { Sleeping::Asleep } else { Sleeping::No };
                thread.key = false;
                format!("futex_wait {}", if sleeps { "sleeps" } else { "EAGAIN" })
            }
            Sleeping::Asleep => {
                thread.sleeping = Sleeping::No;
                "slice ends".into()
            }
        };
        Some((n, label))
    }

    /// Stores that become visible.
    pub fn draining(&self, t: usize) -> impl Iterator<Item = (Self, String)> {
        self.memory.ripe(t).map(move |(at, store)| {
            let mut n = self.clone();
            n.memory.drain(t, at);
            (n, format!("its store of {} to word {} is visible", store.value, store.location))
        })
    }
}
