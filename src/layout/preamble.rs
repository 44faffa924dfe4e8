//! The preamble: identity and geometry of the file. Written once, read with `pread`, never trusted.

use super::geometry::{Framing, Geometry, Order, Policy};
use super::{ENDIAN_TAG, FORMAT_VERSION, MAGIC, READY, TRAILER};

/// Bytes of the preamble, `ready` word included.
pub(crate) const PREAMBLE_LEN: usize = 0x400;
/// Maximum length of the recorded schema name, in bytes.
pub(crate) const NAME_LEN: usize = 192;

const CHECKSUM_OFFSET: usize = 0x3f0;
const READY_OFFSET: usize = 0x3f8;

/// A value with a fixed offset in the preamble, in native byte order.
trait Field: Sized {
    fn put(&self, to: &mut [u8]);
    fn get(from: &[u8]) -> Self;
}

macro_rules! integer_fields {
    ($($ty:ty)*) => {$(
        impl Field for $ty {
            fn put(&self, to: &mut [u8]) {
                to.copy_from_slice(&self.to_ne_bytes());
            }
            fn get(from: &[u8]) -> Self {
                let mut bytes = [0; size_of::<$ty>()];
                bytes.copy_from_slice(from);
                <$ty>::from_ne_bytes(bytes)
            }
        }
    )*};
}
integer_fields!(u32 u64);

impl<const N: usize> Field for [u8; N] {
    fn put(&self, to: &mut [u8]) {
        to.copy_from_slice(self);
    }
    fn get(from: &[u8]) -> Self {
        let mut bytes = [0; N];
        bytes.copy_from_slice(from);
        bytes
    }
}

macro_rules! preamble {
    ($($(#[$doc:meta])* $name:ident: $ty:ty = $offset:literal,)*) => {
        /// The fields of the preamble, in the order of the file.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct Preamble { $($(#[$doc])* pub(crate) $name: $ty,)* }

        impl Preamble {
            fn put_fields(&self, to: &mut [u8; PREAMBLE_LEN]) {
                $(self.$name.put(&mut to[$offset..$offset + size_of::<$ty>()]);)*
            }
            fn get_fields(from: &[u8; PREAMBLE_LEN]) -> Self {
                Self { $($name: <$ty as Field>::get(&from[$offset..$offset + size_of::<$ty>()]),)* }
            }
        }

        // Fields are in order, aligned, without overlap, and before the checksum.
        const _: () = {
            let fields = [$(($offset, size_of::<$ty>(), align_of::<$ty>()),)*];
            let mut i = 0;
            let mut end = 0;
            while i < fields.len() {
                assert!(fields[i].0 >= end && fields[i].0 % fields[i].2 == 0);
                end = fields[i].0 + fields[i].1;
                i += 1;
            }
            assert!(end <= CHECKSUM_OFFSET);
        };
    };
}

preamble! {
    magic: [u8; 8] = 0x000,
    version: u32 = 0x008,
    endian: u32 = 0x00c,
    /// Bits that an older reader may ignore.
    compat: u64 = 0x010,
    /// Bits that a reader must know, or refuse the file.
    incompat: u64 = 0x018,
    /// 1 SPSC, 2 MPMC.
    kind: u32 = 0x020,
    /// 1 variable-size frames, 2 fixed-size ones.
    framing: u32 = 0x024,
    /// Fixed-size framing: bytes of a message; otherwise 0.
    fixed_len: u64 = 0x028,
    align: u64 = 0x030,
    capacity: u64 = 0x038,
    stride: u64 = 0x040,
    max_payload: u64 = 0x048,
    lane_offset: u64 = 0x050,
    lane_len: u64 = 0x058,
    /// Nanoseconds since 1970. Diagnostic only.
    created_ns: u64 = 0x060,
    uuid: [u8; 16] = 0x068,
    /// 0: bytes; otherwise the bits of `describe::Format`.
    rkyv_format: u64 = 0x078,
    /// Size and alignment of the archived type; 0 for bytes.
    type_size: u64 = 0x080,
    type_align: u64 = 0x088,
    /// SHA-256 of the description of the type; all 0: there is none.
    fingerprint: [u8; 32] = 0x090,
    name_len: u64 = 0x0b0,
    name: [u8; NAME_LEN] = 0x0b8,
    // MPMC only, otherwise 0:
    slots: u64 = 0x178,
    participants: u64 = 0x180,
    slots_offset: u64 = 0x188,
    /// 1 at least once, 2 at most once.
    delivery: u32 = 0x190,
    /// A message with more redeliveries than this is dead-lettered; 0: never.
    max_redeliveries: u32 = 0x194,
    /// How many messages may be claimed and not released; 0: as many as there are slots.
    max_messages: u64 = 0x198,
    // Typed queues only, otherwise 0:
    /// The version that the type's author gave it.
    type_version: u64 = 0x1c0,
    /// Offset and length of the description of the type.
    description_offset: u64 = 0x1c8,
    description_len: u64 = 0x1d0,
}

/// Incompatible feature: each message has a trailer with a checksum after it.
const CHECKSUMS: u64 = 1;
pub(crate) const KIND_SPSC: u32 = 1;
pub(crate) const KIND_MPMC: u32 = 2;
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
            kind: if geometry.order.is_some() { KIND_MPMC } else { KIND_SPSC },
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
        if ![KIND_SPSC, KIND_MPMC].contains(&preamble.kind) {
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
    /// The part of the geometry that only an MPMC queue has.
    fn order(&self) -> Result<Option<Order>, (&'static str, u64)> {
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
            KIND_MPMC if ![AT_LEAST_ONCE, AT_MOST_ONCE, DEAD_LETTERS].contains(&self.delivery) => {
                Err(("delivery", self.delivery.into()))
            }
            KIND_MPMC => Ok(Some(Order {
                slots: self.slots,
                max_messages: if self.max_messages == 0 { self.slots } else { self.max_messages },
                participants: self.participants,
                slots_offset: self.slots_offset,
                policy: Policy {
                    at_most_once: self.delivery == AT_MOST_ONCE,
                    max_redeliveries: self.max_redeliveries.into(),
                    is_dead_letter_queue: self.delivery == DEAD_LETTERS,
                },
            })),
            other => Err(("kind", other.into())),
        }
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): enough against accidents, and no dependency.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod exhaustive;

#[cfg(test)]
mod tests {
    use super::super::GeometryRequest;
    use super::*;

    fn sample() -> Preamble {
        let request = GeometryRequest {
            framing: Framing::Variable,
            capacity: 4096,
            align: 16,
            description_len: 100,
            order: None,
        };
        let mut preamble = Preamble::new(&Geometry::new(request).unwrap());
        preamble.set_name("Tick");
        preamble
    }

    fn refused(change: impl FnOnce(&mut Preamble)) -> PreambleError {
        let mut preamble = sample();
        change(&mut preamble);
        Preamble::decode(&preamble.encode()).unwrap_err()
    }

    #[test]
    fn what_is_written_is_read() {
        let preamble = sample();
        let (read, geometry) = Preamble::decode(&preamble.encode()).unwrap();
        assert_eq!(read, preamble);
        assert_eq!(read.schema_name(), "Tick");
        assert_eq!(geometry.capacity, 4096);
    }

    #[test]
    fn each_kind_of_corruption_has_its_error() {
        use PreambleError as E;
        assert!(matches!(refused(|p| p.magic = *b"notmagic"), E::Magic { .. }));
        assert_eq!(refused(|p| p.endian = ENDIAN_TAG.swap_bytes()), E::Endianness);
        assert_eq!(refused(|p| p.version = 1), E::Version { found: 1 });
        assert_eq!(refused(|p| p.incompat = 4), E::Incompatible { bits: 4 });
        assert!(matches!(refused(|p| p.framing = 3), E::Field { name: "framing", .. }));
        assert!(matches!(refused(|p| p.fixed_len = 3), E::Field { name: "fixed_len", .. }));
        assert!(matches!(refused(|p| p.align = 3), E::Field { name: "payload alignment", .. }));
        assert!(matches!(refused(|p| p.capacity = u64::MAX), E::Field { name: "ring capacity", .. }));
        assert_eq!(refused(|p| p.stride = 2), E::Field { name: "stride", found: 2 });
        assert_eq!(refused(|p| p.lane_offset = 0), E::Field { name: "lane offset", found: 0 });
        assert_eq!(refused(|p| p.lane_len = u64::MAX), E::Field { name: "lane length", found: u64::MAX });
        assert_eq!(refused(|p| p.max_payload = 7), E::Field { name: "largest payload", found: 7 });
        assert!(matches!(refused(|p| p.name_len = 1000), E::Field { name: "name_len", .. }));
        assert!(matches!(
            refused(|p| p.description_len = 1 << 21),
            E::Field { name: "description length", .. }
        ));
        assert!(matches!(refused(|p| p.description_len = 4000), E::Field { name: "lane offset", .. }));
        assert!(matches!(refused(|p| p.description_offset = 0), E::Field { name: "description offset", .. }));
    }

    #[test]
    fn every_single_byte_counts() {
        let good = sample().encode();
        for at in 0..PREAMBLE_LEN {
            for flip in 1..=255 {
                let mut bytes = good;
                bytes[at] ^= flip;
                assert!(Preamble::decode(&bytes).is_err(), "byte {at:#x} ^ {flip:#x} was accepted");
            }
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let mut preamble = sample();
        preamble.set_name(&"é".repeat(NAME_LEN));
        assert_eq!(preamble.schema_name(), "é".repeat(NAME_LEN / 2));
    }
}
