//! Numbers, characters and other plain types. Little-endian, aligned archives have the plain names;
//! those of other formats, which a type can also select explicitly, have names that say so.

use std::marker::{PhantomData, PhantomPinned};
use std::num::{NonZeroI8, NonZeroU8};

use rkyv::net::{
    ArchivedIpAddr, ArchivedIpv4Addr, ArchivedIpv6Addr, ArchivedSocketAddr, ArchivedSocketAddrV4,
    ArchivedSocketAddrV6,
};
use rkyv::niche::option_nonzero::{
    ArchivedOptionNonZeroI8, ArchivedOptionNonZeroI16, ArchivedOptionNonZeroI32, ArchivedOptionNonZeroI64,
    ArchivedOptionNonZeroI128, ArchivedOptionNonZeroU8, ArchivedOptionNonZeroU16, ArchivedOptionNonZeroU32,
    ArchivedOptionNonZeroU64, ArchivedOptionNonZeroU128,
};
use rkyv::ops::ArchivedRangeFull;
use rkyv::rend::unaligned::{
    NonZeroI16_ube, NonZeroI16_ule, NonZeroI32_ube, NonZeroI32_ule, NonZeroI64_ube, NonZeroI64_ule,
    NonZeroI128_ube, NonZeroI128_ule, NonZeroU16_ube, NonZeroU16_ule, NonZeroU32_ube, NonZeroU32_ule,
    NonZeroU64_ube, NonZeroU64_ule, NonZeroU128_ube, NonZeroU128_ule, char_ube, char_ule, f32_ube, f32_ule,
    f64_ube, f64_ule, i16_ube, i16_ule, i32_ube, i32_ule, i64_ube, i64_ule, i128_ube, i128_ule, u16_ube,
    u16_ule, u32_ube, u32_ule, u64_ube, u64_ule, u128_ube, u128_ule,
};
use rkyv::rend::{
    NonZeroI16_be, NonZeroI16_le, NonZeroI32_be, NonZeroI32_le, NonZeroI64_be, NonZeroI64_le, NonZeroI128_be,
    NonZeroI128_le, NonZeroU16_be, NonZeroU16_le, NonZeroU32_be, NonZeroU32_le, NonZeroU64_be, NonZeroU64_le,
    NonZeroU128_be, NonZeroU128_le, char_be, char_le, f32_be, f32_le, f64_be, f64_le, i16_be, i16_le, i32_be,
    i32_le, i64_be, i64_le, i128_be, i128_le, u16_be, u16_le, u32_be, u32_le, u64_be, u64_le, u128_be,
    u128_le,
};
use rkyv::time::ArchivedDuration;

use crate::describe::{Describer, Structure};

macro_rules! plain {
    ($($ty:ty = $name:expr,)*) => {$(
        impl Structure for $ty {
            fn describe(describer: &mut Describer) {
                describer.known($name);
            }
        }
    )*};
}

plain! {
    () = "()",
    bool = "bool",
    u8 = "u8",
    i8 = "i8",
    NonZeroU8 = "NonZeroU8",
    NonZeroI8 = "NonZeroI8",
    PhantomPinned = "PhantomPinned",
    ArchivedRangeFull = "RangeFull",
    ArchivedDuration = "Duration",
    ArchivedIpAddr = "IpAddr",
    ArchivedIpv4Addr = "Ipv4Addr",
    ArchivedIpv6Addr = "Ipv6Addr",
    ArchivedSocketAddr = "SocketAddr",
    ArchivedSocketAddrV4 = "SocketAddrV4",
    ArchivedSocketAddrV6 = "SocketAddrV6",
    ArchivedOptionNonZeroI8 = "OptionNonZeroI8",
    ArchivedOptionNonZeroI16 = "OptionNonZeroI16",
    ArchivedOptionNonZeroI32 = "OptionNonZeroI32",
    ArchivedOptionNonZeroI64 = "OptionNonZeroI64",
    ArchivedOptionNonZeroI128 = "OptionNonZeroI128",
    ArchivedOptionNonZeroU8 = "OptionNonZeroU8",
    ArchivedOptionNonZeroU16 = "OptionNonZeroU16",
    ArchivedOptionNonZeroU32 = "OptionNonZeroU32",
    ArchivedOptionNonZeroU64 = "OptionNonZeroU64",
    ArchivedOptionNonZeroU128 = "OptionNonZeroU128",
}

// A type parameter that is only marked does not affect the archive.
impl<T: ?Sized> Structure for PhantomData<T> {
    fn describe(describer: &mut Describer) {
        describer.known("PhantomData");
    }
}

macro_rules! numbers {
    ($($name:literal: $le:ty, $be:ty, $ule:ty, $ube:ty;)*) => {
        plain! {$(
            $le = $name,
            $be = concat!($name, "_be"),
            $ule = concat!($name, "_ule"),
            $ube = concat!($name, "_ube"),
        )*}
    };
}

numbers! {
    "i16": i16_le, i16_be, i16_ule, i16_ube;
    "i32": i32_le, i32_be, i32_ule, i32_ube;
    "i64": i64_le, i64_be, i64_ule, i64_ube;
    "i128": i128_le, i128_be, i128_ule, i128_ube;
    "u16": u16_le, u16_be, u16_ule, u16_ube;
    "u32": u32_le, u32_be, u32_ule, u32_ube;
    "u64": u64_le, u64_be, u64_ule, u64_ube;
    "u128": u128_le, u128_be, u128_ule, u128_ube;
    "f32": f32_le, f32_be, f32_ule, f32_ube;
    "f64": f64_le, f64_be, f64_ule, f64_ube;
    "char": char_le, char_be, char_ule, char_ube;
    "NonZeroI16": NonZeroI16_le, NonZeroI16_be, NonZeroI16_ule, NonZeroI16_ube;
    "NonZeroI32": NonZeroI32_le, NonZeroI32_be, NonZeroI32_ule, NonZeroI32_ube;
    "NonZeroI64": NonZeroI64_le, NonZeroI64_be, NonZeroI64_ule, NonZeroI64_ube;
    "NonZeroI128": NonZeroI128_le, NonZeroI128_be, NonZeroI128_ule, NonZeroI128_ube;
    "NonZeroU16": NonZeroU16_le, NonZeroU16_be, NonZeroU16_ule, NonZeroU16_ube;
    "NonZeroU32": NonZeroU32_le, NonZeroU32_be, NonZeroU32_ule, NonZeroU32_ube;
    "NonZeroU64": NonZeroU64_le, NonZeroU64_be, NonZeroU64_ule, NonZeroU64_ube;
    "NonZeroU128": NonZeroU128_le, NonZeroU128_be, NonZeroU128_ule, NonZeroU128_ube;
}
