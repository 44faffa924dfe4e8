//! What must hold in every state, and what must stay reachable.

use super::*;

impl Broadcast {
    /// B1 and B4.
    pub(super) fn holds(&self, s: &State) -> Result<(), String> {
        let [tail, floor, free] = [TAIL, FLOOR, FREE].map(|l| s.memory.visible(l));
        // These are themselves what several mistakes do: then the harm that follows has to show.
        if self.mistake.is_some() {
            return Ok(());
        }
        if free > floor || floor > tail {
            return Err(format!("B1: free {free}, floor {floor}, tail {tail}"));
        }
        for (r, reader) in s.readers.iter().enumerate().take(self.bounds.readers.len()) {
            let joined = matches!(
                reader.pc,
                ReaderPc::Ready
                    | ReaderPc::Reference
                    | ReaderPc::FirstHalf
                    | ReaderPc::SecondHalf
                    | ReaderPc::Release
            );
            if self.bounds.readers[r] == Mode::Reliable && joined && free > reader.next {
                return Err(format!("B1: free {free}, reader {r} is at {}", reader.next));
            }
        }
        for slot in 0..usize::from(self.bounds.slots) {
            let open = self.open_position(slot, s.memory.visible(STATE + slot));
            if open < free && !self.one_writer() {
                return Err(format!("B4: free {free}, {open} is not committed"));
            }
        }
        Ok(())
    }

    /// Living producers have sent everything, living readers are at the end.
    pub(super) fn is_goal(&self, s: &State) -> bool {
        // One writer's last messages may be there though it died before it stored `tail`.
        let is_end = |next: u8| {
            next >= s.memory.visible(TAIL) && s.memory.visible(self.state_of(next)) != self.full(next)
        };
        let is_sent = |p: &Producer| p.pc == ProducerPc::Killed || self.is_done(p);
        let is_at_end = |r: &Reader| match r.pc {
            ReaderPc::Killed | ReaderPc::Out | ReaderPc::Stopped => true,
            ReaderPc::Ready => is_end(r.next),
            _ => false,
        };
        s.producers.iter().take(self.bounds.producers).all(is_sent)
            && s.readers.iter().take(self.bounds.readers.len()).all(is_at_end)
            && (0..self.threads()).all(|t| s.memory.is_drained(t))
    }
}
