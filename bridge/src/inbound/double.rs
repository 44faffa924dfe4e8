//! A source without a network, for tests: a stream in memory, and connections that are lost by the numbers of a seed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::source::{Incoming, Origin, Source, SourceName};
use ringway::schema::Description;

use crate::engine::{Cause, EpochEnd};
use crate::types::TypeTag;

/// What the server has.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) messages: Vec<Incoming>,
    pub(crate) types: HashMap<TypeTag, Description>,
    pub(crate) created: i64,
    pub(crate) acked: u64,
    pub(crate) dead: Vec<(String, u64, String)>,
}

pub(crate) struct Double {
    stream: Arc<Mutex<Stream>>,
    seed: u64,
    /// How often a connection is lost, of 256.
    lose: u64,
    given: u64,
    /// An acknowledgement that is on its way.
    acking: Option<u64>,
    batch: usize,
}

impl Double {
    pub(crate) fn new(stream: &Arc<Mutex<Stream>>, seed: u64, lose: u64) -> Self {
        Self { stream: Arc::clone(stream), seed: seed | 1, lose, given: 0, acking: None, batch: 16 }
    }

    fn after_given(&self, count: usize) -> Vec<Incoming> {
        let stream = self.stream.lock().unwrap();
        let is_next = |message: &&Incoming| message.sequence > self.given;
        stream.messages.iter().filter(is_next).take(count).cloned().collect()
    }

    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed >> 16
    }

    /// A step of the connection: what is on its way arrives, or is lost with it.
    fn step(&mut self) -> Result<(), EpochEnd> {
        if self.random() % 256 < self.lose {
            self.acking = None;
            return Err(EpochEnd::lost(Cause::Disconnected, "lost, says the seed"));
        }
        if let Some(acked) = self.acking.take() {
            let mut stream = self.stream.lock().unwrap();
            stream.acked = stream.acked.max(acked);
        }
        Ok(())
    }
}

impl Source for Double {
    async fn open(&mut self) -> Result<Origin, EpochEnd> {
        tokio::task::yield_now().await;
        self.step()?;
        let stream = self.stream.lock().unwrap();
        let name = SourceName { stream: "S".into(), created: stream.created, consumer: "c".into() };
        Ok(Origin { name, acked: stream.acked })
    }

    async fn start(&mut self, after: u64) -> Result<(), EpochEnd> {
        self.given = after;
        self.step()
    }

    async fn pull(&mut self) -> Result<Vec<Incoming>, EpochEnd> {
        loop {
            tokio::task::yield_now().await;
            self.step()?;
            let count = self.random() as usize % self.batch + 1;
            let batch = self.after_given(count);
            if let Some(last) = batch.last() {
                self.given = last.sequence;
                return Ok(batch);
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    async fn ack(&mut self, through: u64) -> Result<(), EpochEnd> {
        self.step()?;
        self.acking = Some(through);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), EpochEnd> {
        self.step()
    }

    async fn keep(&mut self) -> Result<(), EpochEnd> {
        self.step()
    }

    async fn describe(&mut self, tag: TypeTag) -> Result<Option<Description>, EpochEnd> {
        self.step()?;
        Ok(self.stream.lock().unwrap().types.get(&tag).cloned())
    }

    async fn dead_letter(&mut self, subject: &str, message: &Incoming, reason: &str) -> Result<(), EpochEnd> {
        self.step()?;
        self.stream.lock().unwrap().dead.push((subject.into(), message.sequence, reason.into()));
        Ok(())
    }
}
