//! An open queue of objects, and what it cannot put into its file.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PySequence;
use ringway::SendError;

use super::Queue;
use crate::codec::{self, Batch, Raw};
use crate::link::{Link, Wait};
use crate::overflow::{NotBegun, Overflow};
use crate::{errors, exit};

pub(super) struct Open {
    pub(super) link: Link,
    /// 0: unbounded.
    pub(super) maxsize: usize,
    /// An unbounded queue that is full keeps what is put in a list.
    pub(super) overflows: bool,
    pub(super) allow_pickle: bool,
    /// Errors of pickling go to the class's `_on_queue_feeder_error`.
    pub(super) has_error_hook: bool,
    /// Whether this process has put anything.
    pub(super) was_used: AtomicBool,
    /// With the number of the process that it belongs to. Locked with the GIL held, for moments.
    pub(super) overflow: Mutex<(u64, Arc<Overflow>)>,
}

impl Open {
    /// The overflow list of this process.
    pub(super) fn overflow(&self) -> Arc<Overflow> {
        let mut overflow = self.overflow.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = exit::generation();
        if overflow.0 != generation {
            // The parent's, which one of its threads may have locked when it forked: not even
            // dropped.
            std::mem::forget(std::mem::replace(&mut *overflow, (generation, Arc::default())));
        }
        Arc::clone(&overflow.1)
    }

    #[inline]
    pub(super) fn put(&self, slf: &Bound<'_, Queue>, message: &Raw, wait: Wait) -> PyResult<bool> {
        let py = slf.py();
        if !self.overflows {
            return self.link.send(py, message, wait);
        }
        let overflow = self.overflow();
        if overflow.len() == 0 && self.link.send(py, message, Wait::No)? {
            return Ok(true);
        }
        self.put_aside(slf, &overflow, message)?;
        Ok(true)
    }

    /// Puts messages, in order. Returns how many: fewer than there are only if the time was up.
    pub(super) fn put_batch(&self, slf: &Bound<'_, Queue>, messages: &[Raw], wait: Wait) -> PyResult<usize> {
        let py = slf.py();
        if !self.overflows {
            return self.link.send_many(py, messages, wait);
        }
        let sent = match self.overflow().len() {
            0 => self.link.send_many(py, messages, Wait::No)?,
            _ => 0,
        };
        for message in &messages[sent..] {
            self.put(slf, message, wait)?;
        }
        Ok(messages.len())
    }

    #[cold]
    fn put_aside(&self, slf: &Bound<'_, Queue>, overflow: &Arc<Overflow>, message: &Raw) -> PyResult<()> {
        let py = slf.py();
        let pushed = overflow.push_behind(message.to_vec());
        let Some(message) = pushed.map_err(|error| errors::of_send(py, &error))? else { return Ok(()) };
        if let Some(error) = overflow.take_failure() {
            return Err(errors::of_send(py, &error));
        }
        slf.call_method0(pyo3::intern!(py, "_join_at_exit"))?;
        let generation = exit::generation();
        let sender = match overflow.take_sender() {
            Some(sender) => sender,
            None => self.link.sender(py)?.keep(),
        };
        match overflow.begin(message, sender) {
            Ok(None) => {}
            Ok(Some(sender)) => self.link.return_sender(sender, generation),
            Err(NotBegun::Closed) => return Err(errors::of_send(py, &SendError::Closed)),
            Err(NotBegun::Thread(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Puts each object of an iterable, as `Queue.put_many` says.
    pub(super) fn put_each(
        &self,
        slf: &Bound<'_, Queue>,
        objs: &Bound<'_, PyAny>,
        wait: Wait,
    ) -> PyResult<usize> {
        // An iterator may wait for what becomes of its objects.
        let is_sequence = objs.cast::<PySequence>().is_ok();
        let (mut count, mut objects) = (0, objs.try_iter()?);
        loop {
            let (mut batch, mut last) = (Batch::default(), Ok(None));
            while !batch.is_full() {
                last = objects.next().map(|object| codec::encode(&object?)).transpose();
                match last {
                    Ok(Some(message)) if is_sequence => last = Ok(batch.add(message).err()),
                    _ => break,
                }
                if let Ok(Some(_)) = last {
                    break;
                }
            }
            let is_end = !batch.is_full() && matches!(last, Ok(None));
            let put = self.put_batch(slf, batch.messages(), wait)?;
            count += put;
            if put < batch.messages().len() {
                return Ok(count);
            }
            match last? {
                Some(message) if self.put(slf, &message.raw, wait)? => count += 1,
                Some(_) => return Ok(count),
                None if is_end => return Ok(count),
                None => {}
            }
        }
    }
}
