//! How much of a message is decoded, and how much memory that takes at most.

use crate::decode::Failure;

/// What is wrong with a message that reaches the limits.
pub(super) const TOO_MANY: Failure = "it has more values than its bytes account for";

/// How much of a message is decoded.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// The maximum depth of nested values.
    pub(super) depth: usize,
    /// The maximum number of values of a message ...
    pub(super) values: usize,
    /// ... and of bytes of their texts and lists of bytes, which count four times, and of their names
    /// if `counts_names`.
    pub(super) bytes: usize,
    pub(super) counts_names: bool,
    /// The maximum number of bytes that are shown of what is not decoded.
    pub(super) raw: usize,
    /// The maximum number of bytes of memory for values. `None`: as many as `values` allows, which
    /// are few.
    pub(super) heap: Option<usize>,
}

/// Bytes of memory for the values of one byte of a message: a struct of a struct of one byte, in a
/// list, takes 208.
const HEAP_PER_BYTE: usize = 256;
/// Bytes of memory for the values of any message, however short: values without bytes, mostly.
const MIN_HEAP: usize = 1 << 16;

/// Bytes of an address as text.
pub(super) const LONGEST_ADDRESS: usize = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535".len();

impl Limits {
    /// What a person, or a reader of JSON, can look at.
    pub(super) const TO_DECODE: Self =
        Self { depth: 64, values: 1000, bytes: 1 << 16, counts_names: true, raw: 64, heap: None };

    /// All of a message of this length, unless pointers lead to the same bytes again and again.
    /// Values that are nested may begin at the same byte.
    pub(super) fn of_all(len: usize) -> Self {
        Self {
            depth: 128,
            values: len.saturating_mul(16).saturating_add(1000),
            bytes: len.saturating_mul(8).saturating_add(1 << 10),
            counts_names: false,
            raw: usize::MAX,
            heap: Some(len.saturating_mul(HEAP_PER_BYTE).saturating_add(MIN_HEAP)),
        }
    }
}
