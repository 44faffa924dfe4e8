//! Every type against every other.

use std::path::Path;

use ringway::schema::Description;
use ringway::{Message, OpenError, SchemaMismatch, spsc};
use rkyv::{Archive, Serialize};

use crate::common::{Image, at, directory};
use crate::shapes::{Shape, all, base};

#[test]
fn every_wrong_pair_is_refused_and_nothing_else() {
    let dir = directory();
    let shapes = all();
    for many in [false, true] {
        for (i, writer) in shapes.iter().enumerate() {
            let path = dir.path().join(format!("{}-{many}", writer.name));
            (writer.create)(&path, many).unwrap();
            let before = Image::of(&path);
            for (j, reader) in shapes.iter().enumerate() {
                let context = format!("written as {}, read as {}", writer.name, reader.name);
                match (reader.open)(&path, many) {
                    Ok(()) => assert_eq!(i, j, "{context}: accepted"),
                    Err(error @ OpenError::WrongSchema { .. }) => {
                        assert_ne!(i, j, "{context}: {error}");
                        let text = error.to_string();
                        assert!(text.contains("the file has") && text.contains("this program has"), "{text}");
                    }
                    Err(other) => panic!("{context}: {other:?}"),
                }
            }
            assert!(Image::of(&path).0 == before.0, "opening changes nothing");
        }
    }
}

#[test]
fn a_message_in_the_queue_stays_for_those_who_know_it() {
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: only this test knows the file.
    let queue = unsafe { spsc::Queue::<mine::Quote>::create(&path) }.unwrap();
    queue.producer().unwrap().send(&mine::Quote { price: 1, size: 2 }).unwrap();
    let before = Image::of(&path);
    // SAFETY: as above.
    let error = unsafe { spsc::Queue::<theirs::Quote>::open(&path) }.unwrap_err();
    assert!(matches!(error, OpenError::WrongSchema { .. }), "{error:?}");
    assert!(Image::of(&path).0 == before.0);
    let frame = queue.consumer().unwrap();
    assert_eq!(frame.try_recv().unwrap().size, 2);
}

mod mine {
    use super::*;

    #[derive(Archive, Serialize, Message)]
    pub(super) struct Quote {
        pub(super) price: u32,
        pub(super) size: u32,
    }

    /// The same type elsewhere, with other attributes, helpers and visibility.
    pub(super) mod deeper {
        use super::*;

        #[derive(Archive, Serialize, Message, Clone, Copy, Debug)]
        #[rkyv(derive(Debug), archived = QuoteInTheFile, resolver = Resolver)]
        #[allow(dead_code)]
        pub(crate) struct Quote {
            price: u32,
            size: usize,
        }
    }
}

mod theirs {
    use super::*;

    #[derive(Archive, Serialize, Message)]
    #[allow(dead_code)]
    pub(super) struct Quote {
        size: u32,
        price: u32,
    }
}

#[test]
fn the_same_type_elsewhere_is_the_same() {
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: only this test knows the file.
    unsafe { spsc::Queue::<mine::Quote>::create(&path) }.unwrap();
    // SAFETY: as above.
    unsafe { spsc::Queue::<mine::deeper::Quote>::open(&path) }.unwrap();
    assert_eq!(Description::of::<mine::Quote>(), Description::of::<mine::deeper::Quote>());
    assert_ne!(Description::of::<mine::Quote>(), Description::of::<theirs::Quote>());
}

/// The error that a program with shape `reader` gets for a file of shape `base`.
#[track_caller]
fn told(reader: &str, expected: &str) {
    let dir = directory();
    let path = dir.path().join("queue");
    (Shape::of::<base::Order>("base").create)(&path, false).unwrap();
    let shapes = all();
    let reader = shapes.iter().find(|shape| shape.name == reader).expect("there is such a shape");
    let error = (reader.open)(&path, false).unwrap_err().to_string();
    let rest = error.strip_prefix(path.to_str().unwrap()).expect("the file is named");
    let advice = rest.strip_prefix(": its messages are not those of this program: ").unwrap();
    let mut rest = advice.strip_prefix(expected).unwrap_or_else(|| panic!("{advice}"));
    // Fields that only one side has are listed before the advice.
    for side in ["; only the file has ", "; only this program has "] {
        if let Some(listed) = rest.strip_prefix(side) {
            rest = &listed[listed.find("; ").expect("advice follows")..];
        }
    }
    assert!(
        rest.starts_with("; all programs must use the same type") || rest.starts_with("; build all"),
        "{advice}"
    );
}

#[test]
fn the_first_field_that_differs_is_named() {
    told(
        "sign_changed",
        "field `price` of `Order`: the file has u64 at offset 8, this program has i64 at offset 8",
    );
    told(
        "fields_swapped",
        "the file has field `id` (u64 at offset 0) of `Order`, this program has field `price` (u64 at offset 0) of \
         `Order`",
    );
    told(
        "longer_array",
        "field `lots` of `Order`: the file has [u16; 4] at offset 18, this program has [u16; 5] at offset 18",
    );
    told(
        "field_removed",
        "the file has field `note` (String at offset 28) of `Order`, this program has the end (size 32, alignment 8) of \
         `Order`",
    );
    told("nested_version", "enum `Side` of `Order`: the file has no version, this program has version 7");
    told(
        "variant_renamed",
        "the file has variant `Sell` = 1 of `Side`, this program has variant `Short` = 1 of `Side`",
    );
    told("tag_changed", "variant `Sell` of `Side`: the file has 1, this program has 2");
    told(
        "variant_with_data",
        "the file has the end (size 1, alignment 1) of `Side`, this program has field `0` (u8 at offset 1) of `Side`",
    );
    told("of_version_2", "the file has no version of `Order`, this program has version 2");
}

#[test]
fn versions_are_told_on_both_sides() {
    let dir = directory();
    let path = dir.path().join("queue");
    let shapes = all();
    let shape = |name: &str| shapes.iter().find(|shape| shape.name == name).unwrap();
    (shape("of_version_1").create)(&path, false).unwrap();
    let error = (shape("of_version_2").open)(&path, false).unwrap_err();
    let OpenError::WrongSchema { mismatch, .. } = &error else { panic!("{error:?}") };
    let expected = SchemaMismatch::Version { name: "Order".into(), found: 1, expected: 2 };
    assert_eq!(*mismatch, expected);
    assert!(error.to_string().contains("version 1 of `Order`, this program has version 2"), "{error}");
    assert_eq!(Description::recorded(&path).unwrap().version(), 1);
}

#[test]
fn messages_of_another_name_are_another_type() {
    #[derive(Archive, Serialize, Message)]
    #[allow(dead_code)]
    struct Renamed {
        price: u32,
        size: u32,
    }
    #[derive(Archive, Serialize, Message)]
    #[ringway(name = "Quote")]
    #[allow(dead_code)]
    struct CalledOtherwise {
        price: u32,
        size: u32,
    }
    fn open<T: Message>(path: &Path) -> Result<(), OpenError> {
        // SAFETY: only this test knows the file.
        unsafe { spsc::Queue::<T>::open(path) }.map(drop)
    }
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: as above.
    unsafe { spsc::Queue::<mine::Quote>::create(&path) }.unwrap();
    let error = open::<Renamed>(&path).unwrap_err();
    assert!(matches!(error, OpenError::WrongType { .. }), "{error:?}");
    open::<CalledOtherwise>(&path).unwrap();
}

/// The settings of rkyv cannot differ in one build; the header contains them, and shows them to
/// other builds.
#[test]
fn other_settings_of_rkyv_come_before_other_types() {
    let dir = directory();
    let path = dir.path().join("queue");
    (Shape::of::<base::Order>("base").create)(&path, false).unwrap();
    let good = Image::of(&path);
    let bits = good.u64_at(at::RKYV_FORMAT);
    let unaligned = bits ^ 4;
    let big_endian = bits ^ 2;
    let wide_pointers = bits & !0xff00 | 8 << 8;
    let narrow_pointers = bits & !0xff00 | 2 << 8;
    let older = bits & !0xffff_0000 | 7 << 16;
    let newer = bits & !0xffff_0000 | 1 << 24;
    for (bits, expected) in [
        (unaligned, "rkyv 0.8, little-endian, unaligned, 32-bit pointers"),
        (big_endian, "rkyv 0.8, big-endian, aligned, 32-bit pointers"),
        (wide_pointers, "rkyv 0.8, little-endian, aligned, 64-bit pointers"),
        (narrow_pointers, "rkyv 0.8, little-endian, aligned, 16-bit pointers"),
        (older, "rkyv 0.7, little-endian, aligned, 32-bit pointers"),
        (newer, "rkyv 1.0, little-endian, aligned, 32-bit pointers"),
        (1 << 40 | bits, "unknown bits 0x10000000000"),
    ] {
        let mut image = good.clone();
        image.put_u64(at::RKYV_FORMAT, bits);
        // Such settings would change the size as well, and that is not the reported difference.
        image.put_u64(at::TYPE_SIZE, 99);
        image.seal();
        image.write(&path);
        for shape in all() {
            let error = (shape.open)(&path, false).unwrap_err();
            let OpenError::WrongFormat { found, .. } = error else { panic!("{}: {error:?}", shape.name) };
            assert!(found.ends_with(expected), "{found}");
        }
    }
}
