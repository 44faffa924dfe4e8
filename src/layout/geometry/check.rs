//! Checks of geometries that were read from files.

use super::{
    Broadcast, Framing, Geometry, MAX_CAPACITY, MAX_DESCRIPTION, MAX_SLOTS, MIN_CAPACITY, MIN_GRANULES,
    MIN_PARTICIPANTS, MIN_SLOTS, Order, PAGE, Policy,
};
use crate::layout::LEAD;
use crate::layout::commit::WORD;
use crate::layout::order::{MAX_PARTICIPANTS, MAX_REDELIVERIES, PackedFrameRef};

impl Geometry {
    /// Checks that every field is one that [`Geometry::new`] could have computed; otherwise returns
    /// the first field that is not, and its value. For geometries read from files.
    pub(crate) fn check(&self) -> Result<(), (&'static str, u64)> {
        if !self.align.is_power_of_two() || self.align > LEAD as u64 {
            return Err(("payload alignment", self.align));
        }
        if self.description_len > MAX_DESCRIPTION {
            return Err(("description length", self.description_len));
        }
        if self.max_payload < self.trailer {
            return Err(("largest payload", self.max_payload));
        }
        let expected = match (self.order, self.framing) {
            (Some(order), _) => {
                self.check_mpmc(&order)?;
                Self::mpmc_with(self.framing, self.align, self.capacity, self.description_len, order)
            }
            (None, Framing::Variable) => {
                self.check_variable()?;
                Self::with(self.framing, self.align, self.capacity, self.stride, self.description_len)
            }
            (None, Framing::Fixed { len }) => {
                self.check_fixed(len)?;
                Self::with(self.framing, self.align, self.capacity, self.stride, self.description_len)
            }
        };
        for (field, found, expected) in [
            ("largest payload", self.max_payload, expected.max_payload),
            ("lane offset", self.lane_offset, expected.lane_offset),
            ("lane length", self.lane_len, expected.lane_len),
        ] {
            if found != expected {
                return Err((field, found));
            }
        }
        Ok(())
    }

    fn check_mpmc(&self, order: &Order) -> Result<(), (&'static str, u64)> {
        order.check(self.description_len)?;
        let fixed_len = match self.framing {
            Framing::Variable => 0,
            Framing::Fixed { len } if (1..=MAX_CAPACITY / 4).contains(&len) => len,
            Framing::Fixed { len } => return Err(("fixed message length", len)),
        };
        let least = (2 * (fixed_len + 2 * self.align)).max(PAGE);
        if !self.capacity.is_power_of_two() || !(least..=PackedFrameRef::MAX_LANE).contains(&self.capacity) {
            return Err(("lane capacity", self.capacity));
        }
        if self.align < PackedFrameRef::UNIT {
            return Err(("payload alignment", self.align));
        }
        if self.stride != 1 {
            return Err(("stride", self.stride));
        }
        Ok(())
    }

    fn check_variable(&self) -> Result<(), (&'static str, u64)> {
        if self.align < WORD {
            return Err(("payload alignment", self.align));
        }
        let smallest = MIN_CAPACITY.max(MIN_GRANULES * self.align);
        if !self.capacity.is_power_of_two() || !(smallest..=MAX_CAPACITY).contains(&self.capacity) {
            return Err(("ring capacity", self.capacity));
        }
        if self.stride != 1 {
            return Err(("stride", self.stride));
        }
        Ok(())
    }

    fn check_fixed(&self, len: u64) -> Result<(), (&'static str, u64)> {
        if len == 0 || len > MAX_CAPACITY {
            return Err(("fixed message length", len));
        }
        if self.stride != len.next_multiple_of(self.align) {
            return Err(("stride", self.stride));
        }
        let bytes = self.capacity.checked_mul(self.stride);
        if self.capacity < 2 || bytes.is_none_or(|bytes| bytes > MAX_CAPACITY.max(2 * self.stride)) {
            return Err(("ring capacity", self.capacity));
        }
        Ok(())
    }
}

impl Order {
    pub(super) fn check(&self, description_len: u64) -> Result<(), (&'static str, u64)> {
        if !self.slots.is_power_of_two() || !(MIN_SLOTS..=MAX_SLOTS).contains(&self.slots) {
            return Err(("number of slots", self.slots));
        }
        if !(1..=self.slots).contains(&self.max_messages) {
            return Err(("maximum messages", self.max_messages));
        }
        if !(MIN_PARTICIPANTS..=MAX_PARTICIPANTS).contains(&self.participants) {
            return Err(("number of participants", self.participants));
        }
        if self.policy.max_redeliveries >= MAX_REDELIVERIES {
            return Err(("most redeliveries", self.policy.max_redeliveries));
        }
        if let Some(Broadcast { producers, .. }) = self.broadcast {
            if !(1..self.participants).contains(&producers) {
                return Err(("number of producers", producers));
            }
            if self.policy != Policy::PLAIN {
                return Err(("most redeliveries", self.policy.max_redeliveries));
            }
        }
        let expected = Self::new(self.slots, self.participants, description_len, self.policy).slots_offset;
        if self.slots_offset == expected { Ok(()) } else { Err(("slots offset", self.slots_offset)) }
    }
}
