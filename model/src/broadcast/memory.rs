//! The shared words: where each lies, and how it is coded in a byte.

pub(super) const SLOTS: usize = 4;
pub(super) const PRODUCERS: usize = 2;
pub(super) const READERS: usize = 3;
pub(super) const THREADS: usize = 4;
/// Frames of all lanes.
pub(super) const CELLS: usize = 4;
pub(super) const POSITIONS: usize = 8;

pub(super) const TAIL: usize = 0;
pub(super) const FLOOR: usize = 1;
pub(super) const FREE: usize = 2;
/// 0 is NONE, else position + 1.
pub(super) const INTENT: usize = 3;
pub(super) const CURSOR: usize = INTENT + PRODUCERS;
/// Of a reader's registry entry: generation, and DIRTY in the lowest bit.
pub(super) const ENTRY: usize = CURSOR + READERS;
pub(super) const STATE: usize = ENTRY + READERS;
pub(super) const REFERENCE: usize = STATE + SLOTS;
/// Two halves for each cell.
pub(super) const BYTES: usize = REFERENCE + SLOTS;
pub(super) const LOCATIONS: usize = BYTES + 2 * CELLS;

/// A cursor that holds nothing up.
pub(super) const NO_CURSOR: u8 = u8::MAX;

/// Slot words: FREE(lap) or FULL(lap).
pub(super) const VACANT: u8 = 0;
pub(super) const FULL: u8 = 1;

pub(super) fn word(kind: u8, lap: u8) -> u8 {
    lap << 1 | kind
}

pub(super) fn is_full(word: u8) -> bool {
    word & 1 == FULL
}

pub(super) fn lap(word: u8) -> u8 {
    word >> 1
}

pub(super) fn is_dirty(entry: u8) -> bool {
    entry & 1 == 1
}

/// For traces: a location and its value, in words.
pub(super) fn describe(location: usize, value: u8) -> String {
    match location {
        TAIL => format!("tail {value}"),
        FLOOR => format!("floor {value}"),
        FREE => format!("free {value}"),
        l if l < CURSOR => format!("intent {} {}", l - INTENT, i16::from(value) - 1),
        l if l < ENTRY && value == NO_CURSOR => format!("cursor {} NONE", l - CURSOR),
        l if l < ENTRY => format!("cursor {} {value}", l - CURSOR),
        l if l < STATE => format!("entry {} {}", l - ENTRY, if is_dirty(value) { "DIRTY" } else { "CLEAN" }),
        l if l < REFERENCE => {
            format!("slot {} {}({})", l - STATE, if is_full(value) { "FULL" } else { "FREE" }, lap(value))
        }
        l if l < BYTES => format!("reference {} to cell {}", l - REFERENCE, i16::from(value) - 1),
        l => format!("cell {} half {} is {value}", (l - BYTES) / 2, (l - BYTES) % 2),
    }
}
