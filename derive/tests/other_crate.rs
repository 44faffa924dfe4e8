//! The derive macro in a crate that is not the library.

use ringway_bound as _;

use std::path::Path;

use ringway::schema::Description;
use ringway::{Message, OpenError, spsc};
use rkyv::{Archive, Serialize};

/// The message of `tests/golden/typed.ringway`, which another crate and an earlier build have written.
#[derive(Archive, Serialize, Message)]
struct Reading {
    sensor: String,
    values: Vec<u32>,
    time: u64,
}

mod changed {
    #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
    #[allow(dead_code)]
    pub(crate) struct Reading {
        sensor: String,
        values: Vec<u32>,
        time: i64,
    }
}

#[test]
fn what_another_crate_and_an_earlier_build_wrote_is_understood() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().join("queue");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/typed.ringway");
    std::fs::write(&path, std::fs::read(golden).unwrap()).unwrap();
    assert_eq!(Description::recorded(&path).unwrap(), Description::of::<Reading>());
    // SAFETY: no other process has the file.
    let queue = unsafe { spsc::Queue::<Reading>::open(&path) }.unwrap();
    let consumer = queue.consumer().unwrap();
    let first = consumer.try_recv().unwrap();
    assert_eq!(
        (first.sensor.as_str(), first.values.len(), first.time.to_native()),
        ("sensor number 0", 0, 0)
    );
    // SAFETY: as above.
    let error = unsafe { spsc::Queue::<changed::Reading>::open(&path) }.unwrap_err();
    assert!(matches!(error, OpenError::WrongSchema { .. }), "{error:?}");
    assert!(
        error.to_string().contains(
            "field `time` of `Reading`: the file has u64 at offset 16, this program has i64 at offset 16"
        ),
        "{error}"
    );
}

/// The library under another name, as in a crate that re-exports it.
mod handed_on {
    pub(crate) mod queues {
        pub(crate) use ringway::*;
    }

    #[derive(rkyv::Archive, rkyv::Serialize, queues::Message)]
    #[ringway(crate = self::queues)]
    #[allow(dead_code)]
    pub(crate) struct Sample<T> {
        value: T,
        r#where: Place,
    }

    #[derive(rkyv::Archive, rkyv::Serialize, queues::Message)]
    #[ringway(crate = self::queues, version = 4)]
    #[allow(dead_code)]
    pub(crate) enum Place {
        Here,
        There(#[ringway(opaque = "Distance")] f32),
    }
}

#[test]
fn the_library_may_be_anywhere() {
    assert_eq!(
        Description::of::<handed_on::Sample<u16>>().text(),
        "\
message Sample<u16>
  struct Sample<u16>
    value: u16 at offset 0
    where: Place at offset 4
      enum Place version 4
        variant Here = 0
        variant There = 1
          0: Distance (size 4, alignment 4) at offset 4
        size 8, alignment 4
    size 12, alignment 4
  size 12, alignment 4
"
    );
}

/// Attributes of rkyv's of every form: those without effect are skipped.
#[derive(Archive, Serialize, Message)]
#[rkyv(bytecheck(), resolver = Made, archived = InTheFile, archive_bounds(T: Sync))]
#[rkyv(attr(doc = "in the file"))]
#[allow(dead_code)]
struct Decorated<'a, T: Copy + Default, const N: usize>
where
    T: Send,
{
    #[rkyv(attr(doc = "some"))]
    some: [T; N],
    #[rkyv(with = rkyv::with::InlineAsBox)]
    text: &'a str,
    #[rkyv(with = rkyv::with::Map<rkyv::with::AsBox>)]
    boxed: Vec<u8>,
    #[rkyv(with = rkyv::with::Skip)]
    skipped: u64,
}

#[test]
fn attributes_that_do_not_matter_are_passed_over() {
    let text = Description::of::<Decorated<'_, u32, 3>>();
    assert_eq!(text.name(), "Decorated<u32, 3>");
    for line in [
        "some: [u32; 3] at offset 0",
        "text: Box<str> at offset 12",
        "boxed: Vec<Box<u8>> at offset 20",
        "skipped: () at offset 28",
    ] {
        assert!(text.text().contains(line), "{line}\n{}", text.text());
    }
}
