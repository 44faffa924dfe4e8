//! Whatever is wrong with a file, a name, an option or a message has an error of its own, which says what was
//! found, what was expected and what to do. What fails leaves nothing behind and changes nothing.

mod common;

use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Image, Running, at, child_argument, child_of, directory, in_child, names_in};
use ringway::spsc::{BytesQueue, Message, Queue};
use ringway::{
    AttachError, CreateError, OpenError, Options, RecvError, Role, SchemaMismatch, SendError, UnlinkError,
    unlink,
};
use rkyv::{Archive, Serialize};

/// A message with out-of-line data.
#[derive(Archive, Serialize, ringway::Message)]
struct Tick {
    symbol: String,
    prices: Vec<f64>,
}

/// A message without.
#[derive(Archive, Serialize, ringway::Message)]
struct Point {
    x: u64,
    y: u64,
}

fn tick() -> Tick {
    Tick { symbol: "a symbol that is not inlined".into(), prices: vec![1.5, 2.5] }
}

fn create_bytes(name: impl AsRef<Path>, options: &Options) -> Result<BytesQueue, CreateError> {
    // SAFETY: the tests' files are written to by ringway only while they are open.
    unsafe { BytesQueue::create_with(name, options) }
}

fn create_typed<T: Message>(name: impl AsRef<Path>, options: &Options) -> Result<Queue<T>, CreateError> {
    // SAFETY: as in `create_bytes`.
    unsafe { Queue::create_with(name, options) }
}

fn open_bytes(name: impl AsRef<Path>) -> Result<BytesQueue, OpenError> {
    // SAFETY: as in `create_bytes`.
    unsafe { BytesQueue::open(name) }
}

fn open_typed<T: Message>(name: impl AsRef<Path>) -> Result<Queue<T>, OpenError> {
    // SAFETY: as in `create_bytes`.
    unsafe { Queue::open(name) }
}

fn open_or_create_bytes(name: impl AsRef<Path>) -> Result<BytesQueue, OpenError> {
    // SAFETY: as in `create_bytes`.
    unsafe { BytesQueue::open_or_create(name) }
}

fn open_or_create_typed<T: Message>(name: impl AsRef<Path>) -> Result<Queue<T>, OpenError> {
    // SAFETY: as in `create_bytes`.
    unsafe { Queue::open_or_create(name) }
}

fn small() -> Options {
    Options::new().capacity(4096)
}

/// Good files of every shape, each with messages in it.
fn images() -> [(&'static str, Image); 4] {
    let dir = directory();
    let path = |name: &str| dir.path().join(name);
    for (name, options) in [("bytes", small()), ("fixed bytes", small().fixed_len(24))] {
        let queue = create_bytes(path(name), &options).unwrap();
        queue.producer().unwrap().send_many(&[[7; 24], [8; 24]]).unwrap();
    }
    let queue = create_typed::<Tick>(path("typed"), &small()).unwrap();
    queue.producer().unwrap().send(&tick()).unwrap();
    let queue = create_typed::<Point>(path("fixed typed"), &small().fixed_size()).unwrap();
    queue.producer().unwrap().send(&Point { x: 1, y: 2 }).unwrap();
    ["bytes", "fixed bytes", "typed", "fixed typed"].map(|name| (name, Image::of(&path(name))))
}

/// Fails the test unless the message contains every part.
#[track_caller]
fn assert_says(error: &dyn Display, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "the message lacks {part:?}: {text}");
    }
}

/// Fails the test if `action` does not end.
fn soon<R: Send + 'static>(action: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || done.send(action()));
    match result.recv_timeout(common::HANGS) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        other => {
            // A panic of the action is the test's.
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).unwrap();
            other.unwrap()
        }
    }
}

/// Tries to open `path` in every way and to unlink it, all of which must fail with the same error and change nothing;
/// returns it.
#[track_caller]
fn refused(path: &Path) -> OpenError {
    refused_by(path, |at| match unlink(at) {
        Err(UnlinkError::Open(error)) => Some(error),
        other => panic!("unlink: {other:?}"),
    })
}

/// The same for every way to open `path`, and whatever error there is `besides`.
#[track_caller]
fn refused_by(path: &Path, besides: fn(&Path) -> Option<OpenError>) -> OpenError {
    let is_file = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    let bytes = is_file.then(|| std::fs::read(path).unwrap());
    let parent = path.parent().unwrap().to_path_buf();
    let names = names_in(&parent);
    let at = path.to_path_buf();
    let errors = soon(move || {
        let opened = [
            open_bytes(&at).unwrap_err(),
            open_typed::<Tick>(&at).unwrap_err(),
            open_typed::<Point>(&at).unwrap_err(),
            open_or_create_bytes(&at).unwrap_err(),
            open_or_create_typed::<Tick>(&at).unwrap_err(),
        ];
        (opened, besides(&at))
    });
    let ([first, others @ ..], besides) = errors;
    for other in others.into_iter().chain(besides) {
        assert_eq!(format!("{other:?}"), format!("{first:?}"));
    }
    assert_says(&first, &[path.to_str().unwrap()]);
    assert_eq!(names_in(&parent), names);
    if let Some(bytes) = bytes {
        assert!(std::fs::read(path).unwrap() == bytes, "{} was changed", path.display());
    }
    first
}

/// Writes each good image, changed by `change`, and returns what `refused` says of it.
fn refused_images(change: impl Fn(&mut Image)) -> Vec<(&'static str, PathBuf, OpenError)> {
    let dir = directory();
    let images = images();
    let refusals = images.into_iter().map(|(name, mut image)| {
        change(&mut image);
        let path = dir.path().join(name);
        image.write(&path);
        (name, path.clone(), refused(&path))
    });
    refusals.collect()
}

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
    // An empty file may have been a queue once; it has no first bytes that say otherwise.
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
        let OpenError::Damaged { field: "file length", found, .. } = error else { panic!("{error:?}") };
        assert_says(&error, &["file length", &format!("{found:#x}"), "create it anew"]);
    }
}

#[test]
fn another_version() {
    for version in [0, 1, 3, 77, u32::MAX] {
        let change = |image: &mut Image| {
            image.put_u32(at::VERSION, version);
            image.seal();
        };
        for (_, _, error) in refused_images(change) {
            assert!(
                matches!(error, OpenError::WrongVersion { found, expected: 2, .. } if found == version),
                "{error:?}"
            );
            assert_says(&error, &[&format!("version {version}"), "version 2", "use the same version"]);
        }
    }
}

#[test]
fn another_endianness() {
    // As such a machine writes it: every number reversed. It must be told from another version, and from damage.
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
                matches!(error, OpenError::Damaged { field: "endian", found, .. } if found == u64::from(tag))
            );
        }
    }
}

#[test]
fn a_header_that_was_never_finished() {
    for ready in [0, 1, u64::MAX] {
        for (_, _, error) in refused_images(|image| image.put_u64(at::READY, ready)) {
            assert!(matches!(error, OpenError::Unfinished { .. }), "{error:?}");
            assert_says(&error, &["never completed", "remove the file", "create it anew"]);
        }
    }
}

#[test]
fn features_from_the_future() {
    for bits in [1, 1 << 63, u64::MAX] {
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
    // The checksum itself, and something under it.
    for byte in [at::CHECKSUM, at::CHECKSUM + 7, at::CAPACITY, at::NAME, at::CHECKSUM - 1] {
        for (_, _, error) in refused_images(|image| image.0[byte] ^= 0x10) {
            assert!(matches!(error, OpenError::Damaged { field: "checksum", .. }), "{byte:#x}: {error:?}");
            assert_says(&error, &["header is damaged", "`checksum`", "remove the file", "create it anew"]);
        }
    }
}

#[test]
fn header_fields_that_cannot_be() {
    // A field, an impossible value, and the field that the error names: some numbers only contradict each other.
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
            let OpenError::Damaged { field, .. } = error else {
                panic!("{name}: {value:#x} at {offset:#x}: {error:?}")
            };
            assert!(
                fields.split('|').any(|allowed| allowed == field),
                "{name}: {value:#x} at {offset:#x} gave `{field}`"
            );
            assert_says(
                &error,
                &["header is damaged", &format!("`{field}`"), "remove the file", "create it anew"],
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
            let OpenError::Damaged { field, found, .. } = error else { panic!("{error:?}") };
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
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn names_that_are_no_text() {
    let change = |image: &mut Image| {
        image.put(at::NAME, &[0xff, 0xfe]);
        image.seal();
    };
    for (_, _, error) in refused_images(change) {
        assert!(matches!(error, OpenError::Damaged { field: "name_len", .. }), "{error:?}");
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
                // Some such headers are consistent: the name is another one, messages of a fixed size are aligned
                // otherwise, or are a few less in the same pages. Whatever it is taken for, nothing may panic.
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
                        Err(OpenError::Damaged { .. }),
                        Err(OpenError::Damaged { .. }),
                        Err(OpenError::Damaged { .. }),
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
    // Consistent in itself, up to the largest queue that there can be.
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
        assert!(matches!(error, OpenError::Damaged { found, .. } if found == align), "{align}: {error:?}");
        assert_says(&error, &["alignment", &format!("{align:#x}")]);
        assert_eq!(std::fs::read(&path).unwrap(), image.0);
    }
    let dir = directory();
    create_typed::<u128>(dir.path().join("variable"), &small().any_size()).unwrap();
    check::<u128>(Image::of(&dir.path().join("variable")), 8);
    create_typed::<Point>(dir.path().join("fixed"), &small().fixed_size()).unwrap();
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
    assert!(matches!(error, OpenError::Damaged { found: 24, .. }), "{error:?}");
}

#[test]
fn another_kind_of_queue() {
    let dir = directory();
    let path = dir.path().join("queue");
    for kind in [0, 3, u32::MAX] {
        for (_, mut image) in images() {
            image.put_u32(at::KIND, kind);
            image.seal();
            image.write(&path);
            let error = refused_by(&path, |_| None);
            let OpenError::WrongKind { ref expected, .. } = error else { panic!("{error:?}") };
            assert_eq!(expected, "SPSC or MPMC");
            assert_says(&error, &["kind", "expected SPSC", "open it as"]);
            // Nobody here knows what would have to be told to those who have it open.
            unlink(&path).unwrap_err();
            assert_eq!(names_in(dir.path()), ["queue"]);
        }
    }
    // One that says it is MPMC, and has nothing that such a queue has.
    for (_, mut image) in images() {
        image.put_u32(at::KIND, 2);
        image.seal();
        image.write(&path);
        let error = refused_by(&path, |_| None);
        assert!(matches!(error, OpenError::Damaged { field: "delivery", .. }), "{error:?}");
    }
}

/// Types that are called as others, but are archived differently.
mod other {
    use rkyv::{Archive, Serialize};

    #[derive(Archive, Serialize, ringway::Message)]
    pub(crate) struct Tick {
        pub(crate) symbol: String,
        pub(crate) price: f64,
        pub(crate) volume: u64,
    }

    /// Archived as its namesake, and called differently.
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
    let OpenError::WrongSchema { mismatch: SchemaMismatch::Shape { at: None, found, expected }, .. } = &error
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
        // Big-endian, unaligned, 64-bit pointers, something unheard of, none at all.
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

#[test]
fn what_is_no_file() {
    let dir = directory();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir(path("directory")).unwrap();
    nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    drop(create_bytes(path("queue"), &small()).unwrap());
    symlink(path("queue"), path("link")).unwrap();
    symlink(path("nothing"), path("dangling")).unwrap();
    let queue = std::fs::read(path("queue")).unwrap();
    for (name, what) in [
        (path("directory"), "a directory"),
        (path("fifo"), "a FIFO"),
        (path("link"), "a symbolic link"),
        (path("dangling"), "a symbolic link"),
        (PathBuf::from("/dev/null"), "a device"),
    ] {
        let error = refused(&name);
        assert!(matches!(error, OpenError::NotAFile { found, .. } if found == what), "{error:?}");
        assert_says(&error, &["expected a queue file", what]);
        if !name.starts_with(dir.path()) {
            // Who may not write to /dev is told so.
            continue;
        }
        let before = names_in(dir.path());
        let (bytes, typed) = soon(move || {
            (create_bytes(&name, &small()).unwrap_err(), create_typed::<Tick>(&name, &small()).unwrap_err())
        });
        for error in [bytes, typed] {
            assert!(matches!(error, CreateError::AlreadyExists { .. }), "{error:?}");
        }
        assert_eq!(names_in(dir.path()), before);
    }
    assert_eq!(std::fs::read(path("queue")).unwrap(), queue, "what the link points to is untouched");
    assert!(!path("nothing").exists());
}

#[test]
fn what_exists_is_never_replaced() {
    let dir = directory();
    let path = dir.path().join("queue");
    for precious in [&b"not a queue"[..], b""] {
        std::fs::write(&path, precious).unwrap();
        for error in [
            create_bytes(&path, &small()).unwrap_err(),
            create_typed::<Tick>(&path, &small()).unwrap_err(),
            create_typed::<Point>(&path, &small().fixed_size()).unwrap_err(),
        ] {
            assert!(matches!(error, CreateError::AlreadyExists { .. }), "{error:?}");
            assert_says(&error, &[path.to_str().unwrap(), "exists", "open it", "unlink it first"]);
        }
        assert_eq!(std::fs::read(&path).unwrap(), precious);
        assert_eq!(names_in(dir.path()), ["queue"]);
    }
}

#[test]
fn what_is_not_there() {
    let dir = directory();
    let path = dir.path().join("nothing");
    for error in [open_bytes(&path).unwrap_err(), open_typed::<Tick>(&path).unwrap_err()] {
        assert!(matches!(error, OpenError::NotFound { .. }), "{error:?}");
        assert_says(&error, &[path.to_str().unwrap(), "no such file", "create the queue first"]);
    }
    let error = unlink(&path).unwrap_err();
    assert!(matches!(error, UnlinkError::Open(OpenError::NotFound { .. })), "{error:?}");
    assert_says(&error, &[path.to_str().unwrap(), "no such file"]);
    assert_eq!(names_in(dir.path()), [""; 0]);
}

#[test]
fn a_directory_that_is_not_there() {
    let dir = directory();
    std::fs::write(dir.path().join("file"), b"no directory").unwrap();
    for parent in ["nothing", "file"] {
        let path = dir.path().join(parent).join("queue");
        let mut errors = vec![
            create_bytes(&path, &small()).unwrap_err(),
            create_typed::<Tick>(&path, &small()).unwrap_err(),
        ];
        for error in
            [open_or_create_bytes(&path).unwrap_err(), open_or_create_typed::<Tick>(&path).unwrap_err()]
        {
            match error {
                OpenError::Create(error) => errors.push(error),
                other => panic!("{other:?}"),
            }
        }
        for error in errors {
            assert!(matches!(error, CreateError::NoDirectory { .. }), "{error:?}");
            assert_says(&error, &[path.to_str().unwrap(), "directory", "does not exist", "create it first"]);
        }
        assert!(matches!(open_bytes(&path), Err(OpenError::NotFound { .. })));
        assert!(matches!(open_typed::<Tick>(&path), Err(OpenError::NotFound { .. })));
        assert_eq!(names_in(dir.path()), ["file"]);
    }
}

#[test]
fn names_that_name_no_file() {
    let dir = directory();
    let with_slash = format!("{}/", dir.path().display());
    let with_nul = dir.path().join(Path::new(std::ffi::OsStr::from_bytes(b"a\0b")));
    let names = [
        (Path::new(""), "empty", "give a name"),
        (&with_nul, "NUL", "no file name can"),
        (Path::new("a\0b"), "NUL", "no file name can"),
        (Path::new(&with_slash), "a directory", "not a file name"),
        (Path::new(".."), "a directory", "not a file name"),
    ];
    let before = names_in(Path::new("."));
    for (name, found, advice) in names {
        for error in
            [create_bytes(name, &small()).unwrap_err(), create_typed::<Tick>(name, &small()).unwrap_err()]
        {
            assert!(matches!(error, CreateError::BadName { .. }), "{name:?}: {error:?}");
            assert_says(&error, &["cannot create", found, advice]);
        }
        for error in [
            open_bytes(name).unwrap_err(),
            open_typed::<Tick>(name).unwrap_err(),
            open_or_create_bytes(name).unwrap_err(),
        ] {
            assert!(matches!(error, OpenError::BadName { .. }), "{name:?}: {error:?}");
            assert_says(&error, &["cannot open", found, advice]);
        }
        assert!(matches!(unlink(name), Err(UnlinkError::Open(OpenError::BadName { .. }))));
    }
    assert_eq!(names_in(dir.path()), [""; 0]);
    assert_eq!(names_in(Path::new(".")), before);
}

#[test]
fn options_that_cannot_be() {
    let dir = directory();
    let path = dir.path().join("queue");
    let bytes = |options: Options| create_bytes(&path, &options).unwrap_err();
    let typed = |options: Options| create_typed::<Tick>(&path, &options).unwrap_err();
    let cases = [
        (bytes(small().align(3)), "alignment is 3", "power of two from 1 to 128"),
        (typed(small().align(48)), "alignment is 48", "power of two from 1 to 128"),
        (bytes(small().align(0)), "alignment is 0", "power of two"),
        (bytes(small().align(256)), "alignment is 256", "power of two"),
        (typed(small().align(usize::MAX)), &usize::MAX.to_string(), "power of two"),
        (bytes(small().fixed_len(8).align(5)), "alignment is 5", "power of two"),
        (bytes(small().fixed_len(0)), "length is 0", "must be from 1"),
        (bytes(small().fixed_len(usize::MAX)), &usize::MAX.to_string(), "must be from 1"),
        (typed(small().fixed_len(8)), "`fixed_len` is for queues of bytes", "say `fixed_size`"),
        (bytes(small().fixed_size()), "`fixed_size` is for typed queues", "say `fixed_len(bytes)`"),
        (
            create_typed::<()>(&path, &small().fixed_size()).unwrap_err(),
            "`fixed_size` needs a type",
            "has none",
        ),
        (
            typed(small().fixed_size()),
            "`fixed_size` needs a type without out-of-line data",
            "`Tick` has some",
        ),
        (bytes(Options::new().capacity(usize::MAX)), &usize::MAX.to_string(), "at most 17592186044416"),
        (typed(Options::new().capacity((1 << 44) + 1)), "17592186044417", "at most 17592186044416"),
        (bytes(small().start_position(4)), "start position 4", "no frame boundary"),
    ];
    for (error, found, expected) in cases {
        assert!(matches!(error, CreateError::BadOptions { .. }), "{error:?}");
        assert_says(&error, &["cannot create", found, expected]);
        assert_eq!(names_in(dir.path()), [""; 0]);
    }
    // Bad options are bad whether the queue exists or not.
    // SAFETY: as in `create_bytes`.
    let error = unsafe { BytesQueue::open_or_create_with(&path, &small().fixed_len(0)) }.unwrap_err();
    assert!(matches!(error, OpenError::Create(CreateError::BadOptions { .. })), "{error:?}");
    // SAFETY: as in `create_bytes`.
    let error = unsafe { Queue::<Tick>::open_or_create_with(&path, &small().fixed_len(8)) }.unwrap_err();
    assert!(matches!(error, OpenError::Create(CreateError::BadOptions { .. })), "{error:?}");
    assert_eq!(names_in(dir.path()), [""; 0]);
}

/// Creating in `directory` must fail for lack of room and leave nothing.
fn assert_no_room(directory: &Path, capacity: usize) {
    let path = directory.join("queue");
    let options = Options::new().capacity(capacity);
    let mut errors = vec![
        create_bytes(&path, &options).unwrap_err(),
        create_bytes(&path, &options.clone().fixed_len(64)).unwrap_err(),
        create_typed::<Tick>(&path, &options).unwrap_err(),
        create_typed::<Point>(&path, &options.clone().fixed_size()).unwrap_err(),
    ];
    // SAFETY: as in `create_bytes`.
    match unsafe { BytesQueue::open_or_create_with(&path, &options) }.unwrap_err() {
        OpenError::Create(error) => errors.push(error),
        other => panic!("{other:?}"),
    }
    for error in errors {
        let CreateError::NoSpace { needed, .. } = error else { panic!("{error:?}") };
        assert!(needed > capacity as u64);
        assert_says(
            &error,
            &[path.to_str().unwrap(), "no room", &needed.to_string(), "free some space", "less capacity"],
        );
        assert_eq!(names_in(directory), [""; 0]);
    }
}

#[test]
fn more_than_any_disk_has() {
    // The largest capacity that is a capacity: 16 TiB.
    assert_no_room(directory().path(), 1 << 44);
}

#[test]
fn a_full_disk() {
    let output = in_child("a_full_disk", || {
        let dir = directory();
        if let Err(error) = mount_small(dir.path()) {
            println!("skipped: no small filesystem can be mounted here: {error}");
            return;
        }
        let free = || nix::sys::statvfs::statvfs(dir.path()).unwrap().blocks_free();
        let before = free();
        assert_no_room(dir.path(), 1 << 20);
        assert_eq!(free(), before, "what could not be created takes no room");
        // There is room for a small one, and its room was taken at once: all of it can be filled.
        let queue = create_bytes(dir.path().join("queue"), &small()).unwrap();
        let mut filler = std::fs::File::create(dir.path().join("filler")).unwrap();
        while std::io::Write::write_all(&mut filler, &[1; 4096]).is_ok() {}
        assert_eq!(free(), 0);
        let mut producer = queue.producer().unwrap();
        while producer.try_send(&[7; 100]).is_ok() {}
        assert_eq!(&*queue.consumer().unwrap().recv().unwrap(), [7; 100]);
        drop((producer, queue, filler));
        unmount(dir.path());
    });
    if let Some(output) = output {
        println!("{output}");
    }
}

/// Mounts a filesystem of 64 KiB that only this thread sees.
fn mount_small(directory: &Path) -> std::io::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    let (tmpfs, root) = (c"tmpfs".as_ptr(), c"/".as_ptr());
    let null = std::ptr::null();
    // Without this the mount would show outside too.
    // SAFETY: the strings end in NUL, and the others may be null for this kind of call.
    if unsafe { libc::mount(null, root, null, libc::MS_REC | libc::MS_PRIVATE, null.cast()) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let directory = std::ffi::CString::new(directory.as_os_str().as_bytes())?;
    let options = c"size=64k".as_ptr().cast();
    // SAFETY: all strings end in NUL.
    if unsafe { libc::mount(tmpfs, directory.as_ptr(), tmpfs, 0, options) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

fn unmount(directory: &Path) {
    let directory = std::ffi::CString::new(directory.as_os_str().as_bytes()).unwrap();
    // SAFETY: the string ends in NUL.
    let result = unsafe { libc::umount2(directory.as_ptr(), libc::MNT_DETACH) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_limit_on_file_sizes() {
    in_child("a_limit_on_file_sizes", || {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        use nix::sys::signal::{SigHandler, Signal, signal};
        let dir = directory();
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        // By default the kernel ends a process that goes beyond the limit.
        // SAFETY: no handler is installed.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, 64 * 1024, hard).unwrap();
        assert_no_room(dir.path(), 1 << 20);
        create_bytes(dir.path().join("small"), &small()).unwrap();
    });
}

#[test]
fn no_permission() {
    let output = in_child("no_permission", || {
        let dir = directory();
        let path = dir.path().join("queue");
        drop(create_bytes(&path, &small()).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let is_root = is_root();
        for file_mode in [0o000, 0o444] {
            mode(&path, file_mode);
            // Not to be written, so that nothing can be created either.
            mode(dir.path(), 0o555);
            if is_root && !become_user(65534) {
                println!(
                    "skipped: root cannot drop its privileges here: {}",
                    std::io::Error::last_os_error()
                );
                return;
            }
            if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
                println!("skipped: this process may do everything, though it is not root");
                return;
            }
            let opened = [
                open_bytes(&path).unwrap_err(),
                open_typed::<Tick>(&path).unwrap_err(),
                open_or_create_bytes(&path).unwrap_err(),
                match unlink(&path) {
                    Err(UnlinkError::Open(error)) => error,
                    other => panic!("{other:?}"),
                },
            ];
            let new = dir.path().join("new");
            let created = [
                create_bytes(&new, &small()).unwrap_err(),
                create_typed::<Tick>(&new, &small()).unwrap_err(),
            ];
            assert!(!is_root || become_user(0));
            for error in opened {
                assert!(matches!(error, OpenError::PermissionDenied { .. }), "{error:?}");
                assert_says(
                    &error,
                    &[path.to_str().unwrap(), "no permission", "read and write", "change its mode"],
                );
            }
            for error in created {
                assert!(matches!(error, CreateError::PermissionDenied { .. }), "{error:?}");
                assert_says(
                    &error,
                    &[new.to_str().unwrap(), "no permission", "create a file there", "another directory"],
                );
            }
            mode(dir.path(), 0o755);
            mode(&path, 0o600);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
            assert_eq!(names_in(dir.path()), ["queue"]);
        }
        println!("looked at all modes");

        // The queue may be written to, but its name may not be removed: then it goes on living.
        mode(&path, 0o666);
        mode(dir.path(), 0o555);
        assert!(!is_root || become_user(65534));
        let unlinked = unlink(&path).unwrap_err();
        assert!(!is_root || become_user(0));
        mode(dir.path(), 0o755);
        mode(&path, 0o600);
        assert!(matches!(&unlinked, UnlinkError::Io { step: "removing the file", .. }), "{unlinked:?}");
        assert_says(&unlinked, &[path.to_str().unwrap(), "removing the file", "denied"]);
        let queue = open_bytes(&path).unwrap();
        queue.producer().unwrap().send(b"alive").unwrap();
        assert_eq!(&*queue.consumer().unwrap().recv().unwrap(), b"alive");
    });
    if let Some(output) = output {
        assert!(output.contains("looked at all modes") || output.contains("skipped: "), "{output}");
        println!("{output}");
    }
}

fn is_root() -> bool {
    // SAFETY: it takes no pointers and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Changes the effective user of this whole process; false if that is not allowed.
fn become_user(id: u32) -> bool {
    // SAFETY: it takes no pointers and changes nothing but the process's own credentials.
    if unsafe { libc::seteuid(id) } != 0 {
        return false;
    }
    // The kernel takes a process that did this for one with secrets, and closes its own /proc/self/fd to it.
    // SAFETY: it takes no pointers and changes this process only.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) == 0 }
}

#[test]
fn only_queues_are_unlinked() {
    let dir = directory();
    let path = dir.path().join("file");
    common::write_own(&path, b"a letter that somebody wants to keep");
    let error = unlink(&path).unwrap_err();
    assert!(matches!(error, UnlinkError::Open(OpenError::NotAQueue { .. })), "{error:?}");
    assert_says(&error, &[path.to_str().unwrap(), "not a ringway queue"]);
    assert_eq!(std::fs::read(&path).unwrap(), b"a letter that somebody wants to keep");
    // Of whatever type they are.
    for (_, image) in images() {
        image.write(&path);
        unlink(&path).unwrap();
        assert_eq!(names_in(dir.path()), [""; 0]);
    }
}

#[test]
fn an_unlinked_queue_takes_nobody_any_more() {
    let dir = directory();
    let (path, other) = (dir.path().join("queue"), dir.path().join("another name of it"));
    fn check_attach<P: std::fmt::Debug>(result: Result<P, AttachError>, path: &Path) {
        let error = result.unwrap_err();
        assert!(matches!(error, AttachError::Unlinked { .. }), "{error:?}");
        assert_says(&error, &[path.to_str().unwrap(), "unlinked", "create it anew"]);
    }
    let bytes = create_bytes(&path, &small()).unwrap();
    std::fs::hard_link(&path, &other).unwrap();
    unlink(&path).unwrap();
    check_attach(bytes.producer(), &path);
    check_attach(bytes.consumer(), &path);
    assert!(matches!(open_bytes(&path), Err(OpenError::NotFound { .. })));
    let error = open_bytes(&other).unwrap_err();
    assert!(matches!(error, OpenError::Unlinked { .. }), "{error:?}");
    assert_says(&error, &[other.to_str().unwrap(), "unlinked", "create it anew"]);
    std::fs::remove_file(&other).unwrap();

    let typed = create_typed::<Tick>(&path, &small()).unwrap();
    std::fs::hard_link(&path, &other).unwrap();
    unlink(&path).unwrap();
    check_attach(typed.producer(), &path);
    check_attach(typed.consumer(), &path);
    assert!(matches!(open_typed::<Tick>(&path), Err(OpenError::NotFound { .. })));
    assert!(matches!(open_typed::<Tick>(&other), Err(OpenError::Unlinked { .. })));
    // The name is free for another queue.
    create_bytes(&path, &small()).unwrap();
}

#[track_caller]
fn assert_taken<P: std::fmt::Debug>(result: Result<P, AttachError>, path: &Path, role: Role, holder: u32) {
    let error = result.unwrap_err();
    let comm = std::fs::read_to_string(format!("/proc/{holder}/comm")).unwrap();
    let AttachError::RoleTaken { role: found, pid, name, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*found, *pid, name.as_deref()), (role, holder, Some(comm.trim_end())));
    assert_says(
        &error,
        &[
            path.to_str().unwrap(),
            &format!("live {role}"),
            &format!("process {holder} ({})", comm.trim_end()),
            "stop that one first",
        ],
    );
}

#[test]
fn a_role_that_is_taken_by_this_process() {
    let dir = directory();
    let path = dir.path().join("queue");
    let me = std::process::id();
    for options in [small(), small().fixed_len(8)] {
        let queue = create_bytes(&path, &options).unwrap();
        let _held = (queue.producer().unwrap(), queue.consumer().unwrap());
        for queue in [queue.clone(), open_bytes(&path).unwrap()] {
            assert_taken(queue.producer(), &path, Role::Producer, me);
            assert_taken(queue.consumer(), &path, Role::Consumer, me);
        }
        unlink(&path).unwrap();
    }
    let queue = create_typed::<Tick>(&path, &small()).unwrap();
    let held = (queue.producer().unwrap(), queue.consumer().unwrap());
    for queue in [queue.clone(), open_typed(&path).unwrap()] {
        assert_taken(queue.producer(), &path, Role::Producer, me);
        assert_taken(queue.consumer(), &path, Role::Consumer, me);
    }
    drop(held);
    let _free_again = (queue.producer().unwrap(), queue.consumer().unwrap());
}

#[test]
fn a_role_that_is_taken_by_another_process() {
    const TEST: &str = "a_role_that_is_taken_by_another_process";
    if let Some(path) = child_argument(TEST) {
        let queue = open_bytes(path).unwrap();
        let _held = (queue.producer().unwrap(), queue.consumer().unwrap());
        println!("\nholding both");
        // Until the parent lets go of our input.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create_bytes(&path, &small()).unwrap();
    let mut child = Running::start(&mut child_of(TEST, &path));
    child.wait_for_line("holding both");
    assert_taken(queue.producer(), &path, Role::Producer, child.id());
    assert_taken(queue.consumer(), &path, Role::Consumer, child.id());
    child.finish().succeeded();
    let _free_again = (queue.producer().unwrap(), queue.consumer().unwrap());
}

#[test]
fn a_message_that_is_too_large() {
    #[track_caller]
    fn check(error: SendError, expected: (usize, usize)) {
        let SendError::TooLarge { len, max } = error else { panic!("{error:?}") };
        assert_eq!((len, max), expected);
        assert_says(&error, &[&format!("{len} bytes"), &format!("at most {max}"), "more capacity"]);
    }
    let dir = directory();
    let queue = create_bytes(dir.path().join("bytes"), &small()).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let max = queue.max_message();
    let (good, bad) = (vec![1; max], vec![2; max + 1]);
    let wait = Duration::from_secs(60);
    check(producer.try_send(&bad).unwrap_err(), (max + 1, max));
    check(producer.send(&bad).unwrap_err(), (max + 1, max));
    check(producer.send_timeout(&bad, wait).unwrap_err(), (max + 1, max));
    check(producer.try_claim(max + 1).map(drop).unwrap_err(), (max + 1, max));
    check(producer.claim(usize::MAX).map(drop).unwrap_err(), (usize::MAX, max));
    check(producer.claim_timeout(1 << 62, wait).map(drop).unwrap_err(), (1 << 62, max));
    check(producer.try_send_many(&[&bad]).unwrap_err(), (max + 1, max));
    check(producer.send_many(&[&[3][..], &bad]).unwrap_err(), (max + 1, max));
    // Nothing of all that was sent but the message before the bad one; the queue goes on working.
    producer.send(&good).unwrap();
    assert_eq!(&*consumer.try_recv().unwrap(), [3]);
    assert_eq!(&*consumer.try_recv().unwrap(), good);
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));

    let queue = create_typed::<Tick>(dir.path().join("typed"), &small()).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let max = queue.max_message();
    let huge = || Tick { symbol: String::new(), prices: vec![0.0; 1000] };
    let len = 8000 + size_of::<ArchivedTick>();
    check(producer.try_send(&huge()).unwrap_err(), (len, max));
    check(producer.send(&huge()).unwrap_err(), (len, max));
    check(producer.send_timeout(&huge(), wait).unwrap_err(), (len, max));
    check(producer.try_send_many(&[huge()]).unwrap_err(), (len, max));
    check(producer.send_many(&[tick(), huge()]).unwrap_err(), (len, max));
    assert_eq!(consumer.try_recv().unwrap().symbol, tick().symbol);
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn a_message_of_another_length() {
    #[track_caller]
    fn check(error: SendError, expected: (usize, usize)) {
        let SendError::WrongLength { len, expected: fixed } = error else { panic!("{error:?}") };
        assert_eq!((len, fixed), expected);
        assert_says(
            &error,
            &[
                &format!("has {len} bytes"),
                &format!("exactly {fixed} bytes"),
                "without the fixed-size option",
            ],
        );
    }
    let dir = directory();
    let queue = create_bytes(dir.path().join("bytes"), &small().fixed_len(24)).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for len in [0, 1, 23, 25, 1 << 20] {
        let bad = vec![1; len];
        check(producer.try_send(&bad).unwrap_err(), (len, 24));
        check(producer.send(&bad).unwrap_err(), (len, 24));
        check(producer.send_timeout(&bad, Duration::from_secs(60)).unwrap_err(), (len, 24));
        check(producer.claim(len).map(drop).unwrap_err(), (len, 24));
        check(producer.try_send_many(&[&bad]).unwrap_err(), (len, 24));
        check(producer.batch().unwrap().try_claim(len).map(drop).unwrap_err(), (len, 24));
    }
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));

    // A type that has out-of-line data only sometimes: rkyv keeps short strings inline.
    #[derive(Archive, Serialize, ringway::Message)]
    struct Text(#[ringway(opaque = "Text", inline)] String);
    let queue = create_typed::<Text>(dir.path().join("typed"), &small()).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let long = Text("longer than eight".to_owned());
    let (len, expected) = (long.0.len().next_multiple_of(4) + 8, 8);
    check(producer.try_send(&long).unwrap_err(), (len, expected));
    check(producer.send(&long).unwrap_err(), (len, expected));
    check(producer.try_send_many(std::slice::from_ref(&long)).unwrap_err(), (len, expected));
    producer.send(&Text("short".to_owned())).unwrap();
    assert_eq!(consumer.try_recv().unwrap().0, *"short");
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn shared_words_that_cannot_be() {
    let dir = directory();
    let path = dir.path().join("queue");
    let words = [at::TAIL, at::HEAD, at::RELEASED, at::TAKEN, at::REDO_UNTIL, at::REDO_COUNT, at::FIRST_WORD];
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
                // Many a wrong number is a possible one, and some are noticed only later. What is promised is that
                // nothing panics, hangs, or reads what is not there.
                let mut damaged = Vec::new();
                match queue.producer() {
                    Ok(mut producer) => match producer.try_send(&[1; 24]) {
                        Ok(()) | Err(SendError::Full | SendError::Exhausted) => {}
                        Err(error @ SendError::Damaged(_)) => damaged.push(error.to_string()),
                        Err(other) => panic!("{name}: {value:#x} at {word:#x}: {other:?}"),
                    },
                    Err(error @ AttachError::Damaged(_)) => damaged.push(error.to_string()),
                    Err(other) => panic!("{name}: {value:#x} at {word:#x}: {other:?}"),
                }
                match queue.consumer() {
                    Ok(consumer) => loop {
                        match consumer.try_recv() {
                            Ok(frame) => {
                                assert!(frame.len() <= queue.max_message());
                                // Both ways to be done with it count with the redelivery words.
                                frame.reject();
                                let frame = consumer.try_recv().unwrap();
                                assert!(frame.redeliveries() >= 1, "{name}: {value:#x} at {word:#x}");
                            }
                            Err(RecvError::Empty) => break,
                            Err(error @ RecvError::Damaged(_)) => {
                                damaged.push(error.to_string());
                                break;
                            }
                            Err(other) => panic!("{name}: {value:#x} at {word:#x}: {other:?}"),
                        }
                    },
                    Err(error @ AttachError::Damaged(_)) => damaged.push(error.to_string()),
                    Err(other) => panic!("{name}: {value:#x} at {word:#x}: {other:?}"),
                }
                for text in &damaged {
                    assert_says(&text, &[path.to_str().unwrap(), "damaged", "impossible", "create it anew"]);
                }
                // The owner's own cursor beyond any position is always noticed.
                if word == at::TAIL && value > 1 << 62 {
                    assert!(!damaged.is_empty(), "{name}: {value:#x} at {word:#x} went unnoticed");
                }
            }
        }
    }
}
