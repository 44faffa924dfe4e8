//! Types of one name, each different from all others: what a program's `Order` becomes while it is worked on.

use std::path::Path;

use ringway::schema::Description;
use ringway::{CreateError, CreateOptions, Message, OpenError, mpmc, spsc};

/// What a test does with a type without naming it.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) describe: fn() -> Description,
    /// Creates a queue, SPSC or MPMC.
    pub(crate) create: fn(&Path, bool) -> Result<(), CreateError>,
    pub(crate) open: fn(&Path, bool) -> Result<(), OpenError>,
}

impl Shape {
    pub(crate) fn of<T: Message>(name: &'static str) -> Self {
        Self { name, describe: Description::of::<T>, create: create::<T>, open: open::<T> }
    }
}

fn create<T: Message>(path: &Path, many: bool) -> Result<(), CreateError> {
    let options = CreateOptions::new().ring_bytes(4096);
    match many {
        // SAFETY: only this test knows the file.
        false => unsafe { spsc::Queue::<T>::create_with(path, &options) }.map(drop),
        // SAFETY: as above.
        true => unsafe { mpmc::Queue::<T>::create_with(path, &options.max_messages(8).max_participants(3)) }
            .map(drop),
    }
}

fn open<T: Message>(path: &Path, many: bool) -> Result<(), OpenError> {
    match many {
        // SAFETY: as in `create`.
        false => unsafe { spsc::Queue::<T>::open(path) }.map(drop),
        // SAFETY: as above.
        true => unsafe { mpmc::Queue::<T>::open(path) }.map(drop),
    }
}

/// One module a shape, whose `Order` is the message.
macro_rules! shapes {
    ($($name:ident { $($items:tt)* })*) => {
        $(
            #[allow(dead_code, reason = "these types are described, and never made")]
            pub(crate) mod $name {
                #[allow(unused_imports)]
                use std::collections::{BTreeMap, HashMap};
                use ringway::Message;
                use rkyv::{Archive, Serialize};
                $($items)*
            }
        )*

        /// All of them.
        pub(crate) fn all() -> Vec<Shape> {
            vec![$(Shape::of::<$name::Order>(stringify!($name))),*]
        }
    };
}

shapes! {
    base {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    fields_swapped {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { price: u64, id: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    field_renamed {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, cost: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    sign_changed {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: i64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    float {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: f64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    narrower {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u32, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    wider {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u128, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    big_endian {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: rkyv::rend::u64_be, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    never_zero {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: std::num::NonZeroU64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    longer_array {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 5], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    array_of_same_size {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [[u16; 2]; 2], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    field_added {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String, user: u32 }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    field_in_padding {
        // Neither the size nor any other offset changes.
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, urgent: bool, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    field_of_no_size {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, none: (), lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    field_removed {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4] }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    byte_instead_of_enum {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: u8, lots: [u16; 4], note: String }
    }
    bool_instead_of_enum {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: bool, lots: [u16; 4], note: String }
    }
    optional {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Option<Side>, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    nested_type_renamed {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Way, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Way { Buy, Sell }
    }
    variant_renamed {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Short }
    }
    variants_swapped {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Sell, Buy }
    }
    variant_added {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell, Short }
    }
    tag_changed {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        #[repr(u8)]
        pub(crate) enum Side { Buy, Sell = 2 }
    }
    variant_with_data {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell(u8) }
    }
    variant_with_other_data {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell(i8) }
    }
    variant_with_named_data {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell { limit: u8 } }
    }
    struct_instead_of_enum {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Side { buy: bool }
    }
    vector_instead_of_string {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: Vec<u8> }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    boxed_text {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: Box<str> }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    of_version_1 {
        #[derive(Archive, Serialize, Message)]
        #[ringway(version = 1)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    of_version_2 {
        #[derive(Archive, Serialize, Message)]
        #[ringway(version = 2)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Side { Buy, Sell }
    }
    nested_version {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64, price: u64, side: Side, lots: [u16; 4], note: String }
        #[derive(Archive, Serialize, Message)]
        #[ringway(version = 7)]
        pub(crate) enum Side { Buy, Sell }
    }
    nested_in_a_pointer {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { legs: Vec<Leg> }
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Leg { price: u64 }
    }
    nested_in_a_pointer_differs {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { legs: Vec<Leg> }
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Leg { price: i64 }
    }
    map {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { legs: HashMap<u32, String> }
    }
    map_with_other_keys {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { legs: HashMap<u64, String> }
    }
    sorted_map {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { legs: BTreeMap<u32, String> }
    }
    tuple_struct {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order(u64, u32);
    }
    tuple_struct_swapped {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order(u32, u64);
    }
    unit_struct {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order;
    }
    whole_enum {
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Order { New(u64), Cancel { id: u64 } }
    }
    whole_enum_in_another_order {
        #[derive(Archive, Serialize, Message)]
        pub(crate) enum Order { Cancel { id: u64 }, New(u64) }
    }
    tree {
        #[derive(Archive, Serialize, Message)]
        #[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source))]
        #[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
        pub(crate) struct Order { id: u64, #[rkyv(omit_bounds)] children: Vec<Order> }
    }
    tree_of_other_leaves {
        #[derive(Archive, Serialize, Message)]
        #[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source))]
        #[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
        pub(crate) struct Order { id: i64, #[rkyv(omit_bounds)] children: Vec<Order> }
    }
    chain {
        #[derive(Archive, Serialize, Message)]
        #[rkyv(serialize_bounds(__S: rkyv::ser::Writer, __S::Error: rkyv::rancor::Source))]
        #[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
        pub(crate) struct Order { id: u64, #[rkyv(omit_bounds)] children: Option<Box<Order>> }
    }
    wrapped {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { #[rkyv(with = rkyv::with::AsBox)] id: u64 }
    }
    not_wrapped {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: u64 }
    }
    niche {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { #[rkyv(with = rkyv::with::NicheInto<rkyv::niche::niching::NaN>)] id: Option<f64> }
    }
    no_niche {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { id: Option<f64> }
    }
    opaque {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { #[ringway(opaque = "Foreign")] id: u64 }
    }
    opaque_of_another_name {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { #[ringway(opaque = "Stranger")] id: u64 }
    }
    opaque_of_another_size {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { #[ringway(opaque = "Foreign")] id: u32 }
    }
    nested_generic {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { pair: Pair<u32, 2> }
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Pair<T, const N: usize> { both: [T; N] }
    }
    nested_generic_of_another_constant {
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Order { pair: Pair<u32, 3> }
        #[derive(Archive, Serialize, Message)]
        pub(crate) struct Pair<T, const N: usize> { both: [T; N] }
    }
}
