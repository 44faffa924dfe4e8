//! Messages of another type, kind or format.

use super::*;

#[test]
fn messages_less_aligned_than_their_type() {
    // Consistent headers, but rkyv would write roots to addresses that do not suit the type.
    fn check<T: Message>(mut image: Image, align: u64) {
        let dir = directory();
        let path = dir.path().join("queue");
        if image.u32_at(at::FRAMING) == 1 {
            image.put_u64(at::MAX_PAYLOAD, image.u64_at(at::CAPACITY) / 2 - align - 8);
        }
        image.put_u64(at::ALIGN, align);
        image.seal();
        image.write(&path);
        let error = open_typed::<T>(&path).unwrap_err();
        assert!(matches!(error, OpenError::Corrupted { found, .. } if found == align), "{align}: {error:?}");
        assert_says(&error, &["alignment", &format!("{align:#x}")]);
        assert_eq!(std::fs::read(&path).unwrap(), image.0);
    }
    let dir = directory();
    create_typed::<u128>(dir.path().join("variable"), &small().framing(Framing::Variable)).unwrap();
    check::<u128>(Image::of(&dir.path().join("variable")), 8);
    create_typed::<Point>(dir.path().join("fixed"), &small().framing(Framing::FixedByType)).unwrap();
    for align in [1, 2, 4] {
        check::<Point>(Image::of(&dir.path().join("fixed")), align);
    }
}

#[test]
fn messages_of_another_size_than_their_type() {
    let dir = directory();
    let path = dir.path().join("queue");
    let (_, mut image) = images().into_iter().find(|(name, _)| *name == "fixed typed").unwrap();
    // 170 messages of 24 bytes instead of 256 of 16.
    for (field, value) in [
        (at::FIXED_LEN, 24),
        (at::STRIDE, 24),
        (at::CAPACITY, 170),
        (at::MAX_PAYLOAD, 24),
        (at::LANE_LEN, 8192),
    ] {
        image.put_u64(field, value);
    }
    image.seal();
    image.write(&path);
    let error = open_typed::<Point>(&path).unwrap_err();
    assert!(matches!(error, OpenError::Corrupted { found: 24, .. }), "{error:?}");
}

#[test]
fn another_kind_of_queue() {
    let dir = directory();
    let path = dir.path().join("queue");
    for kind in [0, 4, u32::MAX] {
        for (_, mut image) in images() {
            image.put_u32(at::KIND, kind);
            image.seal();
            image.write(&path);
            let error = refused_by(&path, |_| None);
            let OpenError::WrongKind { ref expected, .. } = error else { panic!("{error:?}") };
            assert_eq!(expected, "SPSC, MPMC or broadcast");
            assert_says(&error, &["kind", "expected SPSC", "open it as"]);
            // This process does not know what peers that have it open would need to be told.
            unlink(&path).unwrap_err();
            assert_eq!(names_in(dir.path()), ["queue"]);
        }
    }
    // A file whose header is MPMC, without the rest of an MPMC queue.
    for (_, mut image) in images() {
        image.put_u32(at::KIND, 2);
        image.seal();
        image.write(&path);
        let error = refused_by(&path, |_| None);
        assert!(matches!(error, OpenError::Corrupted { field: "delivery", .. }), "{error:?}");
    }
}

/// Types with the names of others that are archived differently.
mod other {
    use rkyv::{Archive, Serialize};

    #[derive(Archive, Serialize, ringway::Message)]
    pub(crate) struct Tick {
        pub(crate) symbol: String,
        pub(crate) price: f64,
        pub(crate) volume: u64,
    }

    /// Archived like the type of that name, with a different name.
    #[derive(Archive, Serialize, ringway::Message)]
    pub(crate) struct Pair {
        pub(crate) x: u64,
        pub(crate) y: u64,
    }
}

#[test]
fn another_type_of_message() {
    let dir = directory();
    let write = |name: &str| {
        let path = dir.path().join(name);
        images().into_iter().find(|(image, _)| *image == name).unwrap().1.write(&path);
        (path.clone(), std::fs::read(path).unwrap())
    };
    let check = |(path, bytes): &(PathBuf, Vec<u8>), error: OpenError, found: &str, expected: &str| {
        let OpenError::WrongType { found: f, expected: e, .. } = &error else { panic!("{error:?}") };
        assert!(f.contains(found) && e.contains(expected), "{error}");
        assert_says(
            &error,
            &[path.to_str().unwrap(), found, &format!("expected {expected}"), "must use the same type"],
        );
        assert_eq!(&std::fs::read(path).unwrap(), bytes);
    };

    let ticks = write("typed");
    // The same name, and other fields.
    let error = open_typed::<other::Tick>(&ticks.0).unwrap_err();
    let OpenError::WrongSchema { mismatch: SchemaMismatch::Shape { at: None, found, expected, .. }, .. } =
        &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(found, "field `prices` (Vec<f64> at offset 8) of `Tick`");
    assert_eq!(expected, "field `price` (f64 at offset 8) of `Tick`");
    assert_says(&error, &[ticks.0.to_str().unwrap(), found, expected, "must use the same type"]);
    assert_eq!(std::fs::read(&ticks.0).unwrap(), ticks.1);
    // Another name and size, and no type at all.
    check(&ticks, open_typed::<String>(&ticks.0).unwrap_err(), "`Tick`", "`String`");
    check(&ticks, open_or_create_typed::<String>(&ticks.0).unwrap_err(), "`Tick`", "`String`");
    check(&ticks, open_bytes(&ticks.0).unwrap_err(), "`Tick`", "`bytes`");
    check(&ticks, open_or_create_bytes(&ticks.0).unwrap_err(), "`Tick`", "`bytes`");

    let points = write("fixed typed");
    // The same size, another name.
    check(&points, open_typed::<other::Pair>(&points.0).unwrap_err(), "`Point`", "`Pair`");

    for name in ["bytes", "fixed bytes"] {
        let bytes = write(name);
        check(&bytes, open_typed::<Tick>(&bytes.0).unwrap_err(), "`bytes`", "`Tick`");
        check(&bytes, open_typed::<[u8; 24]>(&bytes.0).unwrap_err(), "`bytes`", "`[u8; 24]`");
    }
    // So that the fields are not dead code: these types are only ever compared.
    let (tick, pair) =
        (other::Tick { symbol: String::new(), price: 0.0, volume: 0 }, other::Pair { x: 0, y: 0 });
    assert!(tick.symbol.is_empty() && tick.price == 0.0 && tick.volume == pair.x + pair.y);
}

#[test]
fn a_type_of_another_size_under_the_same_header() {
    let dir = directory();
    let path = dir.path().join("queue");
    let (_, mut image) = images().into_iter().find(|(name, _)| *name == "typed").unwrap();
    for size in [0, 15, 17, u64::MAX] {
        image.put_u64(at::TYPE_SIZE, size);
        image.seal();
        image.write(&path);
        let error = open_typed::<Tick>(&path).unwrap_err();
        assert!(matches!(error, OpenError::WrongType { .. }), "{error:?}");
        assert_says(&error, &[&format!("{size} bytes"), "16 bytes"]);
    }
}

#[test]
fn another_rkyv_format() {
    let dir = directory();
    let path = dir.path().join("queue");
    for (name, image) in images() {
        let good = image.u64_at(at::RKYV_FORMAT);
        // Big-endian, unaligned, 64-bit pointers, an unknown setting, none at all.
        for bits in [good ^ 2, good ^ 4, good & 0xff | 8 << 8, u64::MAX, u64::from(good == 0)] {
            let mut image = image.clone();
            image.put_u64(at::RKYV_FORMAT, bits);
            image.seal();
            image.write(&path);
            let error = match name {
                "typed" => open_typed::<Tick>(&path).unwrap_err(),
                "fixed typed" => open_typed::<Point>(&path).unwrap_err(),
                _ => open_bytes(&path).unwrap_err(),
            };
            let OpenError::WrongFormat { found, expected, .. } = &error else { panic!("{name}: {error:?}") };
            assert_ne!(found, expected, "{bits:#x}");
            assert_says(&error, &[path.to_str().unwrap(), found, expected, "same rkyv version and features"]);
            assert_eq!(std::fs::read(&path).unwrap(), image.0);
        }
        if name == "typed" {
            let mut image = image.clone();
            image.put_u64(at::RKYV_FORMAT, good ^ 2);
            image.seal();
            image.write(&path);
            let error = open_typed::<Tick>(&path).unwrap_err();
            assert_says(&error, &["big-endian, aligned", "little-endian, aligned", "rkyv 0.8"]);
        }
    }
}

/// Added and missing fields are named, and the messages that would be lost are counted.
#[test]
fn a_type_with_other_fields_and_messages_of_the_old_one() {
    use ringway::kind::Mpmc;
    use ringway::mpmc;
    mod new {
        #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
        pub(super) struct Tick {
            pub(super) symbol: String,
            pub(super) fee: u32,
            pub(super) prices: Vec<f64>,
            pub(super) venue: u8,
        }
        #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
        pub(super) struct Point {
            pub(super) x: u64,
        }
    }
    let dir = directory();
    let path = dir.path().join("q");
    // SAFETY: as in `create_bytes`.
    let queue = unsafe { mpmc::Queue::<Tick>::create_with(&path, &small()) }.unwrap();
    queue.producer().unwrap().send_many(&[tick(), tick(), tick()]).unwrap();
    drop(queue.consumer().unwrap().recv().unwrap());
    // SAFETY: as in `create_bytes`.
    let error = unsafe { ringway::kind::Queue::<new::Tick, Mpmc>::open(&path) }.unwrap_err();
    assert_says(
        &error,
        &[
            "only this program has field `fee`, field `venue`",
            "It holds 2 messages of the file's type",
            "receive that first",
        ],
    );
    assert!(!error.to_string().contains("only the file has"), "{error}");
    // SPSC of fixed size: messages; of variable size: bytes.
    let path = dir.path().join("points");
    let queue = create_typed::<Point>(&path, &small()).unwrap();
    queue.producer().unwrap().send(&Point { x: 1, y: 2 }).unwrap();
    let error = open_typed::<new::Point>(&path).unwrap_err();
    assert_says(&error, &["only the file has field `y`", "It holds 1 message of the file's type"]);
    let path = dir.path().join("ticks");
    create_typed::<Tick>(&path, &small()).unwrap();
    assert_says(&open_typed::<new::Tick>(&path).unwrap_err(), &["It holds 0 bytes of messages"]);
}
