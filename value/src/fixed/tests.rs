use std::num::NonZeroU16;
use std::time::Duration;

use proptest::prelude::*;
use ringway::Message;
use ringway::schema::Description;
use rkyv::{Archive, Serialize, rancor};

use crate::{Body, FixedKind, FixedType, MessageType, Part, Value};

#[derive(Archive, Serialize, Message)]
#[allow(dead_code)]
enum Side {
    Buy = 3,
    Sell = 9,
}

#[derive(Archive, Serialize, Message)]
struct Deep {
    of: (u8, [f32; 2]),
    mark: char,
}

#[derive(Archive, Serialize, Message)]
struct Record {
    small: i8,
    large: u128,
    deep: [Deep; 2],
    side: Side,
    is_set: bool,
    never_zero: NonZeroU16,
    time: Duration,
    unit: (),
}

fn record() -> (FixedType, MessageType, Vec<u8>) {
    let deep = |n: u8| Deep { of: (n, [f32::from(n), -0.5]), mark: 'ä' };
    let record = Record {
        small: -7,
        large: 1 << 100,
        deep: [deep(1), deep(2)],
        side: Side::Sell,
        is_set: true,
        never_zero: NonZeroU16::new(513).unwrap(),
        time: Duration::new(5, 999_999_999),
        unit: (),
    };
    let bytes = rkyv::to_bytes::<rancor::Error>(&record).unwrap().to_vec();
    let ty = MessageType::new(&Description::of::<Record>()).unwrap();
    (ty.fixed().unwrap(), ty, bytes)
}

#[test]
fn the_table_is_that_of_the_compiler() {
    let (fixed, ty, _) = record();
    assert_eq!((fixed.size, fixed.align), (size_of::<ArchivedRecord>(), align_of::<ArchivedRecord>()));
    assert_eq!(ty.max_align(), 16);
    let FixedKind::Struct { name: Some(name), fields } = &fixed.kind else { panic!("{fixed:?}") };
    assert_eq!(name, "Record");
    let places: Vec<_> =
        fields.iter().map(|field| (field.name.as_str(), field.offset, field.ty.size)).collect();
    assert_eq!(
        places,
        [
            ("small", std::mem::offset_of!(ArchivedRecord, small), 1),
            ("large", std::mem::offset_of!(ArchivedRecord, large), 16),
            ("deep", std::mem::offset_of!(ArchivedRecord, deep), 2 * size_of::<ArchivedDeep>()),
            ("side", std::mem::offset_of!(ArchivedRecord, side), 1),
            ("is_set", std::mem::offset_of!(ArchivedRecord, is_set), 1),
            ("never_zero", std::mem::offset_of!(ArchivedRecord, never_zero), 2),
            ("time", std::mem::offset_of!(ArchivedRecord, time), 16),
            ("unit", std::mem::offset_of!(ArchivedRecord, unit), 0),
        ]
    );
}

/// What is decoded is written again as it was, and rkyv accepts it.
#[test]
fn what_was_decoded_is_encoded_again() {
    let (fixed, ty, bytes) = record();
    fixed.check(&bytes).unwrap();
    let value = ty.decode_whole(&bytes).unwrap();
    let mut again = vec![0xff; fixed.size];
    fixed.encode(&value, &mut again).unwrap();
    assert_eq!(ty.decode_whole(&again).unwrap(), value);
    let mut aligned = rkyv::util::AlignedVec::<16>::new();
    aligned.extend_from_slice(&again);
    let archived = rkyv::access::<ArchivedRecord, rancor::Error>(&aligned).unwrap();
    assert_eq!((archived.large.to_native(), archived.never_zero.get()), (1 << 100, 513));
    assert_eq!(archived.deep[1].of.1[1], -0.5);
}

#[test]
fn what_a_field_cannot_be_is_refused_by_its_name() {
    let (fixed, _, bytes) = record();
    for (at, byte, name) in [
        (std::mem::offset_of!(ArchivedRecord, side), 4, "`side`: no variant"),
        (std::mem::offset_of!(ArchivedRecord, is_set), 2, "`is_set`: it is neither"),
        (
            std::mem::offset_of!(ArchivedRecord, deep) + std::mem::offset_of!(ArchivedDeep, mark) + 2,
            0x11,
            "`deep.0.mark`: it is no character",
        ),
        (std::mem::offset_of!(ArchivedRecord, time) + 11, 0xff, "`time`: it has more"),
    ] {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        let error = fixed.check(&bytes).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
    assert!(fixed.check(&bytes[1..]).is_err());
}

fn encoded<T: Message>(value: &Value<'_>) -> Result<Vec<u8>, String> {
    let fixed = MessageType::new(&Description::of::<T>()).unwrap().fixed().unwrap();
    let mut bytes = vec![0; fixed.size];
    fixed.encode(value, &mut bytes).map(|()| bytes).map_err(|error| error.to_string())
}

#[test]
fn numbers_fit_or_are_refused() {
    for (number, fits) in [(-129, false), (-128, true), (127, true), (128, false)] {
        assert_eq!(encoded::<i8>(&Value::Signed(number)).is_ok(), fits, "{number}");
    }
    assert!(encoded::<u8>(&Value::Signed(-1)).is_err() && encoded::<u8>(&Value::Unsigned(256)).is_err());
    assert_eq!(encoded::<u8>(&Value::Signed(255)).unwrap(), [255]);
    assert_eq!(encoded::<u64>(&Value::Unsigned(u64::MAX)).unwrap(), [255; 8]);
    assert!(encoded::<i64>(&Value::Unsigned(1 << 63)).is_err());
    assert_eq!(encoded::<i128>(&Value::Signed128(i128::MIN)).unwrap(), i128::MIN.to_le_bytes());
    assert_eq!(encoded::<u128>(&Value::Unsigned128(u128::MAX)).unwrap(), [255; 16]);
    assert_eq!(encoded::<f32>(&Value::Signed(3)).unwrap(), 3_f32.to_le_bytes());
    assert!(encoded::<NonZeroU16>(&Value::Unsigned(0)).unwrap_err().contains("zero"));
    let list = Value::Bytes(Part { items: vec![1, 2], more: 0 });
    assert!(encoded::<[u8; 3]>(&list).unwrap_err().contains("3 elements, not 2"));
    let field = |name| Value::Struct("", Body::Fields(Part { items: vec![(name, Value::Unit)], more: 0 }));
    assert!(encoded::<Deep>(&field("off")).unwrap_err().contains("no field `off`"));
    assert!(encoded::<Deep>(&field("of")).unwrap_err().contains("`mark`: it has no value"));
}

#[test]
fn what_has_no_fixed_layout_says_what_it_is() {
    for (description, name) in [
        (Description::of::<(u8, String)>(), "`String`"),
        (Description::of::<[Option<u8>; 2]>(), "`Option<u8>`"),
        (Description::of::<Vec<u8>>(), "`Vec<u8>`"),
    ] {
        let error = MessageType::new(&description).unwrap().fixed().unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

/// Tables of types that contain themselves, or each other twice, end.
#[test]
fn hostile_descriptions_end() {
    let itself =
        "message A\n  struct A\n    a: A at offset 0\n    size 4, alignment 4\n  size 4, alignment 4\n";
    assert!(MessageType::parse(itself).unwrap().fixed().is_err());
    let mut doubling = String::from("message A0\n");
    for at in 0..60 {
        let next = if at == 59 { "u8".into() } else { format!("A{}", at + 1) };
        doubling += &format!(
            "  struct A{at}\n    a: {next} at offset 0\n    b: {next} at offset 0\n    size 1, alignment 1\n"
        );
    }
    doubling += "  size 1, alignment 1\n";
    let error = MessageType::parse(&doubling).unwrap().fixed().unwrap_err().to_string();
    assert!(error.contains("too many"), "{error}");
    let variants: String = (0..2000).map(|at| format!("    variant V{at} = 0\n")).collect();
    let fields: String = (0..100).map(|at| format!("    f{at}: E at offset 0\n")).collect();
    let product = format!(
        "message S\n  enum E\n{variants}    size 1, alignment 1\n  struct S\n{fields}    size 1, alignment 1\n  size 1, alignment 1\n"
    );
    let error = MessageType::parse(&product).unwrap().fixed().unwrap_err().to_string();
    assert!(error.contains("too many variants"), "{error}");
    let endless = format!("message [(); {}]\n  size 0, alignment 1\n", usize::MAX);
    MessageType::parse(&endless).unwrap().fixed().unwrap().check(&[]).unwrap();
}

fn any_value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Unit),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Signed),
        any::<u128>().prop_map(Value::Unsigned128),
        any::<f64>().prop_map(Value::Float64),
        any::<char>().prop_map(Value::Char),
        Just(Value::Text("Buy".into(), 0)),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(|items| Value::Bytes(Part { items, more: 0 })),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| {
        prop::collection::vec(inner, 0..8).prop_map(|items| Value::Tuple(Part { items, more: 0 }))
    })
}

proptest! {
    #[test]
    fn any_bytes_are_checked_as_rkyv_checks_them(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9)) {
        let (fixed, ty, mut bytes) = record();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut aligned = rkyv::util::AlignedVec::<16>::new();
        aligned.extend_from_slice(&bytes);
        let is_valid = rkyv::access::<ArchivedRecord, rancor::Error>(&aligned).is_ok();
        prop_assert_eq!(fixed.check(&bytes).is_ok(), is_valid);
        prop_assert_eq!(ty.decode_whole(&bytes).is_ok(), is_valid);
    }

    #[test]
    fn what_is_encoded_is_valid(value in any_value()) {
        let (fixed, _, _) = record();
        let mut bytes = vec![0; fixed.size];
        if fixed.encode(&value, &mut bytes).is_ok() {
            fixed.check(&bytes).unwrap();
        }
    }
}
