//! The fields of the preamble and their offsets.

use super::{CHECKSUM_OFFSET, NAME_LEN, PREAMBLE_LEN};

/// A value with a fixed offset in the preamble, in native byte order.
pub(super) trait Field: Sized {
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
            pub(super) fn put_fields(&self, to: &mut [u8; PREAMBLE_LEN]) {
                $(self.$name.put(&mut to[$offset..$offset + size_of::<$ty>()]);)*
            }
            pub(super) fn get_fields(from: &[u8; PREAMBLE_LEN]) -> Self {
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
    /// 1 SPSC, 2 MPMC, 3 broadcast.
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
    // MPMC and broadcast only, otherwise 0:
    slots: u64 = 0x178,
    participants: u64 = 0x180,
    slots_offset: u64 = 0x188,
    /// 1 at least once, 2 at most once.
    delivery: u32 = 0x190,
    /// A message with more redeliveries than this is dead-lettered; 0: never.
    max_redeliveries: u32 = 0x194,
    /// How many messages may be claimed and not released; 0: as many as there are slots.
    max_messages: u64 = 0x198,
    // Broadcast only, otherwise 0:
    /// How many of the registry entries are producers'.
    producers: u64 = 0x1a0,
    /// Which consumers are admitted: 1 all, 2 only those that producers do not wait for.
    admitted: u64 = 0x1a8,
    // Typed queues only, otherwise 0:
    /// The version that the type's author gave it.
    type_version: u64 = 0x1c0,
    /// Offset and length of the description of the type.
    description_offset: u64 = 0x1c8,
    description_len: u64 = 0x1d0,
}
