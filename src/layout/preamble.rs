//! The preamble: identity and geometry of the file. Written once, read with `pread`, never trusted.

#[cfg(test)]
mod exhaustive;
mod fields;
#[cfg(test)]
mod tests;

use fields::Field;
pub(crate) use fields::Preamble;

use super::geometry::{Broadcast, Framing, Geometry, Order, Policy};
use super::{ENDIAN_TAG, FORMAT_VERSION, MAGIC, READY, TRAILER};

/// Bytes of the preamble, `ready` word included.
pub(crate) const PREAMBLE_LEN: usize = 0x400;
/// Maximum length of the recorded schema name, in bytes.
pub(crate) const NAME_LEN: usize = 192;

const CHECKSUM_OFFSET: usize = 0x3f0;
const READY_OFFSET: usize = 0x3f8;

/// Incompatible feature: each message has a trailer with a checksum after it.
const CHECKSUMS: u64 = 1;
pub(crate) const KIND_SPSC: u32 = 1;
pub(crate) const KIND_MPMC: u32 = 2;
pub(crate) const KIND_BROADCAST: u32 = 3;
const ADMITS_ALL: u64 = 1;
const ADMITS_NO_GATES: u64 = 2;
const AT_LEAST_ONCE: u32 = 1;
const AT_MOST_ONCE: u32 = 2;
/// At least once, with room for the origins of dead letters.
const DEAD_LETTERS: u32 = 3;
const FRAMING_VARIABLE: u32 = 1;
const FRAMING_FIXED: u32 = 2;

/// What is wrong with a preamble, in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PreambleError {
    Magic { found: [u8; 8] },
    Endianness,
    Version { found: u32 },
    NotReady,
    Incompatible { bits: u64 },
    Checksum { found: u64, expected: u64 },
    Kind { found: u32 },
    Field { name: &'static str, found: u64 },
}

impl Preamble {
    /// Creates the preamble of a new queue; the caller fills in identity and schema.
    pub(crate) fn new(geometry: &Geometry) -> Self {
        let (framing, fixed_len) = match geometry.framing {
            Framing::Variable => (FRAMING_VARIABLE, 0),
            Framing::Fixed { len } => (FRAMING_FIXED, len),
        };
        Self {
            magic: MAGIC,
            version: FORMAT_VERSION,
            endian: ENDIAN_TAG,
            compat: 0,
            incompat: if geometry.trailer != 0 { CHECKSUMS } else { 0 },
            kind: geometry.kind(),
            framing,
            fixed_len,
            align: geometry.align,
            capacity: geometry.capacity,
            stride: geometry.stride,
            max_payload: geometry.max_payload,
            lane_offset: geometry.lane_offset,
            lane_len: geometry.lane_len,
            created_ns: 0,
            uuid: [0; 16],
            rkyv_format: 0,
            type_size: 0,
            type_align: 0,
            fingerprint: [0; 32],
            name_len: 0,
            name: [0; NAME_LEN],
            slots: geometry.order.map_or(0, |order| order.slots),
            participants: geometry.order.map_or(0, |order| order.participants),
            slots_offset: geometry.order.map_or(0, |order| order.slots_offset),
            delivery: match geometry.order {
                None => 0,
                Some(order) if order.policy.at_most_once => AT_MOST_ONCE,
                Some(order) if order.policy.is_dead_letter_queue => DEAD_LETTERS,
                Some(_) => AT_LEAST_ONCE,
            },
            max_redeliveries: geometry.order.map_or(0, |order| order.policy.max_redeliveries as u32),
            max_messages: geometry
                .order
                .filter(|order| order.max_messages != order.slots)
                .map_or(0, |order| order.max_messages),
            producers: geometry.broadcast().map_or(0, |broadcast| broadcast.producers),
            admitted: match geometry.broadcast() {
                None => 0,
                Some(Broadcast { admits_gates: true, .. }) => ADMITS_ALL,
                Some(Broadcast { admits_gates: false, .. }) => ADMITS_NO_GATES,
            },
            type_version: 0,
            description_offset: geometry.description_offset(),
            description_len: geometry.description_len,
        }
    }

    /// Whether each message has a trailer with a checksum after it.
    pub(crate) fn has_checksums(&self) -> bool {
        self.incompat & CHECKSUMS != 0
    }

    /// Records a schema name, cut at a character boundary if it is too long.
    pub(crate) fn set_name(&mut self, name: &str) {
        let name = &name[..name.floor_char_boundary(NAME_LEN)];
        self.name = [0; NAME_LEN];
        self.name[..name.len()].copy_from_slice(name.as_bytes());
        self.name_len = name.len() as u64;
    }

    /// The recorded schema name.
    pub(crate) fn schema_name(&self) -> &str {
        let len = usize::try_from(self.name_len).unwrap_or(NAME_LEN).min(NAME_LEN);
        std::str::from_utf8(&self.name[..len]).unwrap_or("")
    }

    /// The bytes of a complete preamble.
    pub(crate) fn encode(&self) -> [u8; PREAMBLE_LEN] {
        let mut bytes = [0; PREAMBLE_LEN];
        self.put_fields(&mut bytes);
        let sum = checksum(&bytes[..CHECKSUM_OFFSET]);
        sum.put(&mut bytes[CHECKSUM_OFFSET..READY_OFFSET]);
        READY.put(&mut bytes[READY_OFFSET..]);
        bytes
    }

    /// Reads and checks a preamble. The geometry that comes with it is consistent.
    pub(crate) fn decode(bytes: &[u8; PREAMBLE_LEN]) -> Result<(Self, Geometry), PreambleError> {
        let preamble = Self::get_fields(bytes);
        if preamble.magic != MAGIC {
            return Err(PreambleError::Magic { found: preamble.magic });
        }
        if preamble.endian == ENDIAN_TAG.swap_bytes() {
            return Err(PreambleError::Endianness);
        }
        if preamble.version != FORMAT_VERSION {
            return Err(PreambleError::Version { found: preamble.version });
        }
        if u64::get(&bytes[READY_OFFSET..]) != READY {
            return Err(PreambleError::NotReady);
        }
        if preamble.incompat & !CHECKSUMS != 0 {
            return Err(PreambleError::Incompatible { bits: preamble.incompat & !CHECKSUMS });
        }
        let (found, expected) =
            (u64::get(&bytes[CHECKSUM_OFFSET..READY_OFFSET]), checksum(&bytes[..CHECKSUM_OFFSET]));
        if found != expected {
            return Err(PreambleError::Checksum { found, expected });
        }
        if ![KIND_SPSC, KIND_MPMC, KIND_BROADCAST].contains(&preamble.kind) {
            return Err(PreambleError::Kind { found: preamble.kind });
        }
        let geometry = preamble.geometry()?;
        Ok((preamble, geometry))
    }

    fn geometry(&self) -> Result<Geometry, PreambleError> {
        let field = |name, found| Err(PreambleError::Field { name, found });
        if self.endian != ENDIAN_TAG {
            return field("endian", self.endian.into());
        }
        let framing = match (self.framing, self.fixed_len) {
            (FRAMING_VARIABLE, 0) => Framing::Variable,
            (FRAMING_FIXED, len) => Framing::Fixed { len },
            (FRAMING_VARIABLE, len) => return field("fixed_len", len),
            (other, _) => return field("framing", other.into()),
        };
        if self.name_len > NAME_LEN as u64
            || std::str::from_utf8(&self.name[..self.name_len as usize]).is_err()
        {
            return field("name_len", self.name_len);
        }
        let order = match self.order() {
            Ok(order) => order,
            Err((name, found)) => return field(name, found),
        };
        let geometry = Geometry {
            framing,
            align: self.align,
            capacity: self.capacity,
            stride: self.stride,
            max_payload: self.max_payload,
            lane_offset: self.lane_offset,
            lane_len: self.lane_len,
            description_len: self.description_len,
            order,
            trailer: if self.incompat & CHECKSUMS != 0 { TRAILER } else { 0 },
        };
        match geometry.check() {
            Ok(()) if self.description_offset != geometry.description_offset() => {
                field("description offset", self.description_offset)
            }
            Ok(()) => Ok(geometry),
            Err((name, found)) => field(name, found),
        }
    }
}

impl Preamble {
    /// The part of the geometry that an SPSC queue does not have.
    fn order(&self) -> Result<Option<Order>, (&'static str, u64)> {
        let broadcast = self.broadcast()?;
        match self.kind {
            KIND_SPSC => {
                let zeros = [
                    ("slots", self.slots),
                    ("participants", self.participants),
                    ("slots_offset", self.slots_offset),
                    ("delivery", self.delivery.into()),
                    ("max_redeliveries", self.max_redeliveries.into()),
                    ("max_messages", self.max_messages),
                ];
                zeros.into_iter().find(|(_, found)| *found != 0).map_or(Ok(None), Err)
            }
            KIND_BROADCAST if self.delivery != AT_LEAST_ONCE => Err(("delivery", self.delivery.into())),
            KIND_BROADCAST if self.incompat & CHECKSUMS != 0 => Err(("checksums", self.incompat)),
            KIND_MPMC if ![AT_LEAST_ONCE, AT_MOST_ONCE, DEAD_LETTERS].contains(&self.delivery) => {
                Err(("delivery", self.delivery.into()))
            }
            KIND_MPMC | KIND_BROADCAST => Ok(Some(Order {
                slots: self.slots,
                max_messages: match self.max_messages {
                    0 => self.slots,
                    most if most < self.slots => most,
                    most => return Err(("maximum messages", most)),
                },
                participants: self.participants,
                slots_offset: self.slots_offset,
                policy: Policy {
                    at_most_once: self.delivery == AT_MOST_ONCE,
                    max_redeliveries: self.max_redeliveries.into(),
                    is_dead_letter_queue: self.delivery == DEAD_LETTERS,
                },
                broadcast,
            })),
            other => Err(("kind", other.into())),
        }
    }

    fn broadcast(&self) -> Result<Option<Broadcast>, (&'static str, u64)> {
        match (self.kind, self.admitted) {
            (KIND_BROADCAST, ADMITS_ALL | ADMITS_NO_GATES) => {
                Ok(Some(Broadcast { producers: self.producers, admits_gates: self.admitted == ADMITS_ALL }))
            }
            (KIND_BROADCAST, other) => Err(("admitted consumers", other)),
            (_, 0) if self.producers == 0 => Ok(None),
            (_, 0) => Err(("producers", self.producers)),
            (_, other) => Err(("admitted consumers", other)),
        }
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): enough against accidents, and no dependency.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
