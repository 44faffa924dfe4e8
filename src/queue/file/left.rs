//! The backlog of a queue that this program cannot open; for error texts. Read from the file, which
//! is not mapped.

use std::fs::File;
use std::mem::offset_of;

use crate::layout::order::{Head, Tail};
use crate::layout::{CURSORS_OFFSET, ConsumerWords, Cursors, Framing, Geometry, OrderCursors};
use crate::shm;

/// The backlog, a moment ago: "12 messages". None if it cannot be told.
pub(in crate::queue) fn waiting(file: &File, geometry: &Geometry) -> Option<String> {
    let word = |at: usize| {
        let mut bytes = [0; 8];
        let is_read = shm::read_exact_at(file, &mut bytes, (CURSORS_OFFSET + at) as u64);
        is_read.is_ok_and(|is_whole| is_whole).then(|| u64::from_ne_bytes(bytes))
    };
    let (number, of_what) = if geometry.order.is_some() {
        let tail = Tail(word(offset_of!(OrderCursors, tail))?).position();
        (tail.checked_sub(Head(word(offset_of!(OrderCursors, head))?).position())?, "message")
    } else {
        let released = offset_of!(Cursors, consumer) + offset_of!(ConsumerWords, released);
        let unit = match geometry.framing {
            Framing::Variable => "byte",
            Framing::Fixed { .. } => "message",
        };
        (word(offset_of!(Cursors, tail))?.checked_sub(word(released)?)?, unit)
    };
    // No queue has more than that: the words are corrupt.
    let most = geometry.order.map_or(geometry.capacity, |order| order.slots);
    let plural = if number == 1 { "" } else { "s" };
    let of_what = match of_what {
        "byte" => format!("byte{plural} of messages"),
        other => format!("{other}{plural}"),
    };
    (number <= most).then(|| format!("{number} {of_what}"))
}
