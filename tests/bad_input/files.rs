//! A file that is no queue file, or another one.

use super::*;

#[test]
fn the_images_are_good_as_they_are() {
    let dir = directory();
    let path = dir.path().join("queue");
    for (name, image) in images() {
        let mut sealed = image.clone();
        sealed.seal();
        assert_eq!(sealed.0, image.0, "the checksum is computed as the library does");
        // Bits that older readers may ignore.
        sealed.put_u64(at::COMPAT, 1 << 63 | 1);
        sealed.seal();
        for image in [image, sealed] {
            image.write(&path);
            let opened = match name {
                "bytes" | "fixed bytes" => {
                    open_bytes(&path).map(|queue| queue.consumer().unwrap().try_recv().unwrap().len())
                }
                "typed" => open_typed::<Tick>(&path)
                    .map(|queue| queue.consumer().unwrap().try_recv().unwrap().prices.len()),
                _ => open_typed::<Point>(&path)
                    .map(|queue| queue.consumer().unwrap().try_recv().unwrap().y.to_native() as usize),
            };
            assert!(matches!(opened, Ok(24 | 2)), "{name}: {opened:?}");
        }
    }
}

#[test]
fn a_file_that_is_no_queue() {
    let dir = directory();
    let path = dir.path().join("file");
    let text = b"Dear Sir or Madam, this is a letter and no queue at all. ".repeat(400);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(1 << 16)
    .collect();
    for contents in [&text[..], &text[..100], b"hi", &noise, &noise[..1000], &[0; 1 << 14]] {
        common::write_own(&path, contents);
        let error = refused(&path);
        let OpenError::NotAQueue { found, .. } = &error else { panic!("{error:?}") };
        let begin = &contents[..contents.len().min(8)];
        assert_eq!(&found[..begin.len()], begin);
        assert_says(
            &error,
            &["not a ringway queue", "RINGWAY", "expected", "found", &begin.escape_ascii().to_string()],
        );
    }
}

#[test]
fn a_file_that_is_cut_short() {
    // An empty file may have been a queue once; it has no first bytes that contradict it.
    let mut cut = vec![0, 8, 9, 100, at::PREAMBLE_END - 1];
    // The header is whole, the file is not.
    cut.extend([at::PREAMBLE_END, at::TAIL, at::REGISTRY, at::LANE - 1, at::LANE, at::LANE + 1]);
    for len in cut {
        for (_, _, error) in refused_images(|image| image.0.truncate(len)) {
            let OpenError::Truncated { found, expected, .. } = error else { panic!("{len}: {error:?}") };
            assert_eq!(found, len as u64);
            assert!(expected > found && (len >= at::PREAMBLE_END || expected == at::PREAMBLE_END as u64));
            assert_says(
                &error,
                &["truncated", &format!("{found} bytes"), &format!("expected {expected}"), "create it anew"],
            );
        }
    }
    for (_, _, error) in refused_images(|image| {
        image.0.pop();
    }) {
        assert!(matches!(error, OpenError::Truncated { found, expected, .. } if found + 1 == expected));
    }
}

#[test]
fn a_file_that_is_too_long() {
    for (_, _, error) in refused_images(|image| image.0.push(0)) {
        let OpenError::Corrupted { field: "file length", found, .. } = error else { panic!("{error:?}") };
        assert_says(&error, &["file length", &format!("{found:#x}"), "create it anew"]);
    }
}

#[test]
fn another_version() {
    for version in [0, 1, 2, 4, 77, u32::MAX] {
        let change = |image: &mut Image| {
            image.put_u32(at::VERSION, version);
            image.seal();
        };
        for (_, _, error) in refused_images(change) {
            assert!(
                matches!(error, OpenError::WrongVersion { found, expected: 3, .. } if found == version),
                "{error:?}"
            );
            assert_says(
                &error,
                &[&format!("version {version}"), "version 3", "use the same version", "remove the file"],
            );
        }
    }
}

#[test]
fn another_endianness() {
    // As a big-endian machine writes it: every number reversed. It must be distinguished from
    // another version, and from corruption.
    let change = |image: &mut Image| {
        for word in [at::VERSION, at::ENDIAN, at::KIND, at::FRAMING] {
            image.put_u32(word, image.u32_at(word).swap_bytes());
        }
        for word in (at::FIXED_LEN..at::LANE_LEN + 8).step_by(8) {
            image.put_u64(word, image.u64_at(word).swap_bytes());
        }
        image.seal();
        image.put_u64(at::CHECKSUM, image.u64_at(at::CHECKSUM).swap_bytes());
    };
    for (_, _, error) in refused_images(change) {
        assert!(matches!(error, OpenError::WrongEndianness { .. }), "{error:?}");
        assert_says(&error, &["other endianness", "cannot be moved"]);
    }
}

#[test]
fn an_endianness_that_is_none() {
    for tag in [0, 1, 0x0201_0403, u32::MAX] {
        let change = |image: &mut Image| {
            image.put_u32(at::ENDIAN, tag);
            image.seal();
        };
        for (_, _, error) in refused_images(change) {
            assert!(
                matches!(error, OpenError::Corrupted { field: "endian", found, .. } if found == u64::from(tag))
            );
        }
    }
}

#[test]
fn a_header_that_was_never_finished() {
    for ready in [0, 1, u64::MAX] {
        for (_, _, error) in refused_images(|image| image.put_u64(at::READY, ready)) {
            assert!(matches!(error, OpenError::Incomplete { .. }), "{error:?}");
            assert_says(&error, &["never completed", "remove the file", "create it anew"]);
        }
    }
}

#[test]
fn features_from_the_future() {
    for bits in [1 << 1, 1 << 63, !1] {
        let change = |image: &mut Image| {
            image.put_u64(at::INCOMPAT, bits);
            image.seal();
        };
        for (_, _, error) in refused_images(change) {
            assert!(matches!(error, OpenError::UnknownFeatures { bits: found, .. } if found == bits));
            assert_says(&error, &[&format!("{bits:#x}"), "does not know", "newest version"]);
        }
    }
}

#[test]
fn a_checksum_that_does_not_fit() {
    // The checksum itself, and a byte that it covers.
    for byte in [at::CHECKSUM, at::CHECKSUM + 7, at::CAPACITY, at::NAME, at::CHECKSUM - 1] {
        for (_, _, error) in refused_images(|image| image.0[byte] ^= 0x10) {
            assert!(matches!(error, OpenError::Corrupted { field: "checksum", .. }), "{byte:#x}: {error:?}");
            assert_says(&error, &["header is corrupted", "`checksum`", "remove the file", "create it anew"]);
        }
    }
}
