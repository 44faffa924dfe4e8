//! Impossible numbers in a header.

use super::*;

#[test]
fn header_fields_that_cannot_be() {
    // A field, an impossible value, and the field that the error names: some numbers only
    // contradict each other.
    let cases = [
        (at::CAPACITY, 0, "ring capacity"),
        (at::CAPACITY, u64::MAX, "ring capacity"),
        (at::CAPACITY, 1 << 63, "ring capacity"),
        (at::CAPACITY, 1 << 45, "ring capacity"),
        (at::STRIDE, 0, "stride|fixed message length"),
        (at::STRIDE, u64::MAX, "stride|fixed message length"),
        (at::ALIGN, 0, "payload alignment"),
        (at::ALIGN, 3, "payload alignment"),
        (at::ALIGN, 256, "payload alignment"),
        (at::ALIGN, 1 << 63, "payload alignment"),
        (at::ALIGN, u64::MAX, "payload alignment"),
        (at::LANE_OFFSET, 0, "lane offset"),
        (at::LANE_OFFSET, 0x2001, "lane offset"),
        (at::LANE_OFFSET, u64::MAX, "lane offset"),
        (at::LANE_OFFSET, u64::MAX - 0xfff, "lane offset"),
        (at::LANE_LEN, 0, "lane length"),
        (at::LANE_LEN, u64::MAX, "lane length"),
        (at::LANE_LEN, u64::MAX - 0x1fff, "lane length"),
        (at::MAX_PAYLOAD, 0, "largest payload"),
        (at::MAX_PAYLOAD, u64::MAX, "largest payload"),
        (at::FIXED_LEN, u64::MAX, "fixed_len|fixed message length"),
        (at::FIXED_LEN, 1 << 63, "fixed_len|fixed message length"),
        (at::FIXED_LEN, 23, "fixed_len|fixed message length|stride|largest payload"),
        (at::NAME_LEN, 193, "name_len"),
        (at::NAME_LEN, u64::MAX, "name_len"),
        (at::NAME_LEN, 1 << 63, "name_len"),
    ];
    for (offset, value, fields) in cases {
        let change = |image: &mut Image| {
            image.put_u64(offset, value);
            image.seal();
        };
        for (name, _, error) in refused_images(change) {
            let OpenError::Corrupted { field, .. } = error else {
                panic!("{name}: {value:#x} at {offset:#x}: {error:?}")
            };
            assert!(
                fields.split('|').any(|allowed| allowed == field),
                "{name}: {value:#x} at {offset:#x} gave `{field}`"
            );
            assert_says(
                &error,
                &["header is corrupted", &format!("`{field}`"), "remove the file", "create it anew"],
            );
        }
    }
}

#[test]
fn framings_that_cannot_be() {
    for framing in [0, 3, u32::MAX] {
        let change = |image: &mut Image| {
            image.put_u32(at::FRAMING, framing);
            image.seal();
        };
        for (_, _, error) in refused_images(change) {
            let OpenError::Corrupted { field, found, .. } = error else { panic!("{error:?}") };
            assert_eq!((field, found), ("framing", framing.into()));
            assert_says(&error, &["`framing`", &format!("{framing:#x}")]);
        }
    }
    // The other framing, with the numbers of this one.
    let change = |image: &mut Image| {
        image.put_u32(at::FRAMING, 3 - image.u32_at(at::FRAMING));
        image.seal();
    };
    for (_, _, error) in refused_images(change) {
        assert!(matches!(error, OpenError::Corrupted { .. }), "{error:?}");
    }
}

#[test]
fn names_that_are_no_text() {
    let change = |image: &mut Image| {
        image.put(at::NAME, &[0xff, 0xfe]);
        image.seal();
    };
    for (_, _, error) in refused_images(change) {
        assert!(matches!(error, OpenError::Corrupted { field: "name_len", .. }), "{error:?}");
    }
}

#[test]
fn no_single_number_can_break_the_header() {
    let fields = [
        at::FIXED_LEN,
        at::ALIGN,
        at::CAPACITY,
        at::STRIDE,
        at::MAX_PAYLOAD,
        at::LANE_OFFSET,
        at::LANE_LEN,
        at::NAME_LEN,
    ];
    let dir = directory();
    let path = dir.path().join("queue");
    for (name, image) in images() {
        for field in fields {
            let good = image.u64_at(field);
            let mut values = vec![good.wrapping_sub(1), good + 1, good / 2, good * 2, good + 4096, !good];
            values.extend((0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1, u64::MAX << bit]));
            values.retain(|value| *value != good);
            for value in values {
                let mut image = image.clone();
                image.put_u64(field, value);
                image.seal();
                image.write(&path);
                // Some such headers are consistent: the name is another one, fixed-size messages
                // are aligned otherwise, or are a few less in the same pages. However the file is
                // read, nothing may panic.
                let slots_fit = |slots: u64| {
                    let bytes = slots.checked_mul(image.u64_at(at::STRIDE));
                    bytes.is_some_and(|bytes| bytes <= image.u64_at(at::LANE_LEN) - 128)
                };
                let consistent = match field {
                    at::NAME_LEN => value <= 192,
                    at::ALIGN => {
                        let fits = value.is_power_of_two() && image.u64_at(at::STRIDE).is_multiple_of(value);
                        image.u32_at(at::FRAMING) == 2 && fits
                    }
                    at::CAPACITY => image.u32_at(at::FRAMING) == 2 && slots_fit(value),
                    _ => false,
                };
                match (open_bytes(&path), open_typed::<Tick>(&path), open_typed::<Point>(&path)) {
                    (
                        Err(OpenError::Corrupted { .. }),
                        Err(OpenError::Corrupted { .. }),
                        Err(OpenError::Corrupted { .. }),
                    ) => {}
                    _ if consistent => {}
                    other => panic!("{name}: {value:#x} at {field:#x}: {other:?}"),
                }
                assert_eq!(std::fs::read(&path).unwrap(), image.0, "the file was changed");
            }
        }
    }
}

#[test]
fn a_header_that_promises_more_than_the_file_has() {
    // Consistent in itself, up to the largest possible queue.
    for capacity in [8192, 1 << 30, 1 << 44] {
        let change = |image: &mut Image| {
            let stride = image.u64_at(at::STRIDE);
            let slots = capacity / stride;
            image.put_u64(at::CAPACITY, slots);
            image.put_u64(at::LANE_LEN, (128 + slots * stride).next_multiple_of(4096));
            if stride == 1 {
                image.put_u64(at::MAX_PAYLOAD, slots / 2 - image.u64_at(at::ALIGN) - 8);
            }
            image.seal();
        };
        for (name, _, error) in refused_images(change) {
            let OpenError::Truncated { found, expected, .. } = error else { panic!("{name}: {error:?}") };
            assert!(expected > capacity.max(found), "{name}: {expected} {found}");
        }
    }
}

#[test]
fn shared_words_that_cannot_be() {
    let dir = directory();
    let path = dir.path().join("queue");
    let words = [
        at::TAIL,
        at::HEAD,
        at::RELEASED,
        at::TAKEN,
        at::REDELIVERED_UNTIL,
        at::REDELIVERY_COUNT,
        at::FIRST_WORD,
    ];
    let values = [
        1,
        8,
        64,
        4096,
        8192,
        1 << 20,
        1 << 61,
        (1 << 62) + 64,
        1 << 63,
        (1 << 63) + 1,
        u64::MAX - 7,
        u64::MAX,
    ];
    for (name, image) in images() {
        if name.contains("typed") {
            continue;
        }
        for word in words {
            for value in values {
                let mut image = image.clone();
                image.put_u64(word, value);
                image.write(&path);
                let queue = open_bytes(&path).unwrap();
                // Many wrong numbers are possible ones, and some are found only later. What is
                // promised is that nothing panics, hangs, or reads outside of the file.
                let mut corrupted = Vec::new();
                match queue.producer() {
                    Ok(mut producer) => match producer.try_send(&[1; 24]) {
                        Ok(()) | Err(SendError::Full | SendError::PositionsExhausted) => {}
                        Err(error @ SendError::Corrupted(_)) => corrupted.push(error.to_string()),
                        Err(other) => panic!("{name}: {value:#x} at {word:#x}: {other:?}"),
                    },
                    Err(error @ AttachError::Corrupted(_)) => corrupted.push(error.to_string()),
                    Err(other) => panic!("{name}: {value:#x} at {word:#x}: {other:?}"),
                }
                match queue.consumer() {
                    Ok(consumer) => loop {
                        match consumer.try_recv() {
                            Ok(frame) => {
                                assert!(frame.len() <= queue.max_message());
                                // Both ways to end it count with the redelivery words.
                                frame.reject();
                                let frame = consumer.try_recv().unwrap();
                                assert!(frame.redeliveries() >= 1, "{name}: {value:#x} at {word:#x}");
                            }
                            Err(RecvError::Empty) => break,
                            Err(error @ RecvError::Corrupted(_)) => {
                                corrupted.push(error.to_string());
                                break;
                            }
                            Err(other) => panic!("{name}: {value:#x} at {word:#x}: {other:?}"),
                        }
                    },
                    Err(error @ AttachError::Corrupted(_)) => corrupted.push(error.to_string()),
                    Err(other) => panic!("{name}: {value:#x} at {word:#x}: {other:?}"),
                }
                for text in &corrupted {
                    assert_says(
                        &text,
                        &[path.to_str().unwrap(), "corrupted", "impossible", "create it anew"],
                    );
                }
                // The owner's own cursor beyond any position is always found.
                if word == at::TAIL && value > 1 << 62 {
                    assert!(!corrupted.is_empty(), "{name}: {value:#x} at {word:#x} went unnoticed");
                }
            }
        }
    }
}
