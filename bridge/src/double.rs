//! An engine without a network, for tests: a store in memory, and connections that are lost, late and doubled by the
//! numbers of a seed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::engine::{Ack, Cause, Engine, EpochEnd, Last, Outgoing, Place};
use crate::identity::MessageId;

/// One message as stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: Option<MessageId>,
    pub(crate) after: Option<u64>,
    pub(crate) count: u64,
    pub(crate) payload: Bytes,
}

/// What every connection stores into.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) messages: Vec<Stored>,
    /// How many messages, from the first one on, were stored and are removed.
    pub(crate) removed: usize,
}

/// A message on a connection: stored only right after the message with this number.
#[derive(Debug)]
struct Sent {
    expected: u64,
    message: Stored,
}

/// How often what happens, of 256.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// No connection can be had.
    pub(crate) refuse: u8,
    /// A connection is lost, in any step.
    pub(crate) lose: u8,
    /// What is lost with a connection arrives all the same, later.
    pub(crate) late: u8,
}

/// Numbers from a seed.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }

    fn happens(&mut self, often: u8) -> bool {
        self.next() & 255 < u64::from(often)
    }
}

/// The engine.
pub(crate) struct Double {
    store: Arc<Mutex<Store>>,
    random: Random,
    faults: Faults,
    /// On their way, on the present connection.
    sent: VecDeque<Sent>,
    /// On their way, on connections that were given up.
    late: VecDeque<Sent>,
    acks: VecDeque<u64>,
    expected: u64,
    is_open: bool,
    before_step: Option<(usize, Box<dyn FnOnce() + Send>)>,
}

impl Double {
    /// Has this done once, after so many steps.
    pub(crate) fn after_steps(self, steps: usize, act: impl FnOnce() + Send + 'static) -> Self {
        Self { before_step: Some((steps, Box::new(act))), ..self }
    }

    pub(crate) fn new(store: &Arc<Mutex<Store>>, seed: u64, faults: Faults) -> Self {
        Self {
            store: Arc::clone(store),
            random: Random(seed | 1),
            faults,
            sent: VecDeque::new(),
            late: VecDeque::new(),
            acks: VecDeque::new(),
            expected: 0,
            is_open: false,
            before_step: None,
        }
    }

    /// Stores a message that arrives, unless another one than expected is the last; returns its number.
    fn arrive(&self, sent: Sent) -> Option<u64> {
        let mut store = self.store.lock().unwrap();
        (store.messages.len() as u64 == sent.expected).then(|| {
            store.messages.push(sent.message);
            store.messages.len() as u64
        })
    }

    /// Some of what was sent arrives, in order; of older connections, too.
    fn step(&mut self) -> Result<(), EpochEnd> {
        match self.before_step.take() {
            Some((0, act)) => act(),
            Some((steps, act)) => self.before_step = Some((steps - 1, act)),
            None => {}
        }
        if self.random.happens(64)
            && let Some(late) = self.late.pop_front()
        {
            self.arrive(late);
        }
        if self.random.happens(self.faults.lose) {
            return Err(self.lose(Cause::Disconnected, "lost, says the seed"));
        }
        if self.random.happens(128)
            && let Some(sent) = self.sent.pop_front()
        {
            match self.arrive(sent) {
                Some(number) => self.acks.push_back(number),
                None => return Err(self.lose(Cause::Sequence, "another last message")),
            }
        }
        Ok(())
    }

    /// The connection is gone, and with it the acknowledgements on it. What was sent may arrive yet.
    fn lose(&mut self, cause: Cause, why: &str) -> EpochEnd {
        self.is_open = false;
        self.acks.clear();
        let sent = std::mem::take(&mut self.sent);
        // A connection carries a prefix of what was sent on it, whatever becomes of each message.
        let arrives = self.random.happens(self.faults.late);
        let count = if arrives { self.random.next() as usize % (sent.len() + 1) } else { 0 };
        let sent = sent.into_iter().take(count);
        match self.random.happens(128) {
            true => sent.for_each(|sent| {
                self.arrive(sent);
            }),
            false => self.late.extend(sent),
        }
        EpochEnd::lost(cause, why)
    }
}

impl Engine for Double {
    async fn open(&mut self) -> Result<Place, EpochEnd> {
        if self.is_open {
            self.lose(Cause::Disconnected, "given up");
        }
        tokio::task::yield_now().await;
        if self.random.happens(self.faults.refuse) {
            return Err(EpochEnd::lost(Cause::Connect, "refused, says the seed"));
        }
        self.is_open = true;
        let store = self.store.lock().unwrap();
        self.expected = store.messages.len() as u64;
        let last = match store.messages.last() {
            None => Last::None,
            Some(_) if store.removed == store.messages.len() => Last::Gone,
            Some(Stored { id: Some(id), after, count, .. }) => {
                Last::Of { id: *id, after: *after, count: *count }
            }
            Some(Stored { id: None, .. }) => Last::Unnamed,
        };
        Ok(Place { last_sequence: self.expected, last, max_payload: 1000 })
    }

    async fn look_back(&mut self, count: usize) -> Result<Vec<Last>, EpochEnd> {
        if self.random.happens(self.faults.lose) {
            return Err(self.lose(Cause::Disconnected, "lost, says the seed"));
        }
        let store = self.store.lock().unwrap();
        let last = self.expected as usize;
        let of = |at: usize| match &store.messages[at] {
            _ if at < store.removed => Last::Gone,
            Stored { id: Some(id), after, count, .. } => Last::Of { id: *id, after: *after, count: *count },
            Stored { id: None, .. } => Last::Unnamed,
        };
        Ok((last.saturating_sub(count)..last).map(of).collect())
    }

    async fn submit(&mut self, message: &Outgoing) -> Result<(), EpochEnd> {
        assert!(self.is_open, "no epoch");
        let payload = message.payload.clone();
        let stored = Stored { id: Some(message.id), after: message.after, count: message.count, payload };
        self.sent.push_back(Sent { expected: self.expected, message: stored });
        self.expected += 1;
        self.step()
    }

    async fn acked(&mut self) -> Result<Ack, EpochEnd> {
        assert!(self.is_open, "no epoch");
        loop {
            if self.sent.is_empty() && self.acks.is_empty() {
                return std::future::pending().await;
            }
            self.step()?;
            if let Some(sequence) = self.acks.pop_front() {
                return Ok(Ack { sequence, is_duplicate: false });
            }
            tokio::task::yield_now().await;
        }
    }
}
