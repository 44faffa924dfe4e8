//! Descriptions, as humans read them.

use std::mem::offset_of;

use ringway::schema::Description;
use ringway::{Message, OpenError, mpmc, spsc};
use rkyv::{Archive, Archived, Serialize};

use crate::common::directory;
use crate::shapes::all;

#[derive(Archive, Serialize, Message)]
#[ringway(version = 3)]
#[allow(dead_code)]
struct Book {
    r#type: Kind,
    best: (f64, u32),
    orders: Vec<Order>,
    by_owner: std::collections::HashMap<String, Order>,
}

#[derive(Archive, Serialize, Message)]
#[repr(u8)]
#[allow(dead_code)]
enum Kind {
    Spot,
    Future { expiry: u32, strike: Option<f64> } = 10,
    Swap(u8, Box<Order>),
}

#[derive(Archive, Serialize, Message)]
#[allow(dead_code)]
struct Order {
    id: u64,
}

#[test]
fn everything_is_said_once() {
    let description = Description::of::<Book>();
    assert_eq!(
        description.text(),
        "\
message Book
  struct Book version 3
    type: Kind at offset 0
      enum Kind
        variant Spot = 0
        variant Future = 10
          expiry: u32 at offset 4
          strike: Option<f64> at offset 8
        variant Swap = 11
          0: u8 at offset 1
          1: Box<Order> at offset 4
            struct Order
              id: u64 at offset 0
              size 8, alignment 8
        size 24, alignment 8
    best: (f64, u32) at offset 24
    orders: Vec<Order> at offset 40
    by_owner: HashMap<String, Order> at offset 48
    size 64, alignment 8
  size 64, alignment 8
"
    );
    assert_eq!((description.name(), description.version()), ("Book", 3));
    assert_eq!((description.size(), description.align()), (64, 8));
    assert_eq!(description.format(), "rkyv 0.8, little-endian, aligned, 32-bit pointers");
    assert_eq!(description.to_string(), description.text());
}

/// The offsets in a description are the offsets in the archive.
#[test]
fn offsets_are_true() {
    assert_eq!(offset_of!(Archived<Book>, best), 24);
    assert_eq!(offset_of!(Archived<Book>, by_owner), 48);
    assert_eq!((size_of::<Archived<Book>>(), align_of::<Archived<Book>>()), (64, 8));
    // Offsets within variants are computed by the rule of the language; an archive shows whether it
    // is followed.
    let future = Kind::Future { expiry: 0x1234_5678, strike: Some(1.5) };
    let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&future).unwrap();
    let root = &bytes[bytes.len() - size_of::<Archived<Kind>>()..];
    assert_eq!(root[0], 10);
    assert_eq!(root[4..8], 0x1234_5678_u32.to_le_bytes());
    assert_eq!(root[8], 1, "the option's own tag");
    assert_eq!(root[16..24], 1.5_f64.to_le_bytes());
    let swap = rkyv::to_bytes::<rkyv::rancor::Error>(&Kind::Swap(77, Box::new(Order { id: 5 }))).unwrap();
    assert_eq!(swap[swap.len() - size_of::<Archived<Kind>>()..][..2], [11, 77]);
}

#[test]
fn the_file_says_what_the_type_says() {
    let dir = directory();
    for shape in all() {
        for many in [false, true] {
            let path = dir.path().join(format!("{} {many}", shape.name));
            (shape.create)(&path, many).unwrap();
            let recorded = Description::recorded(&path).unwrap();
            assert_eq!(recorded, (shape.describe)());
            assert_eq!(recorded.difference(&(shape.describe)()), None);
        }
    }
    let path = dir.path().join("bytes");
    // SAFETY: only this test knows the file.
    unsafe { mpmc::BytesQueue::create(&path) }.unwrap();
    let bytes = Description::recorded(&path).unwrap();
    assert_eq!((bytes.name(), bytes.text(), bytes.format().as_str()), ("bytes", "", "none"));
    assert_eq!((bytes.size(), bytes.align(), bytes.fingerprint()), (0, 0, [0; 32]));
    assert!(matches!(Description::recorded(dir.path().join("none")), Err(OpenError::NotFound { .. })));
}

/// The fingerprint is the output of `sha256sum` for the text.
#[test]
fn fingerprints_are_those_of_other_tools() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let description = Description::of::<Book>();
    let child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("coreutils have it");
    child.stdin.take().unwrap().write_all(description.text().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let hex: String = description.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap().split(' ').next(), Some(&*hex));
}

/// A fingerprint that a build with other compilers, on other days, must produce as well.
#[test]
fn fingerprints_do_not_change_from_build_to_build() {
    let hex: String =
        Description::of::<Book>().fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "8c952543190aceec55590704bfd6fdd61e36d05df743db42a21f6222978dfc92");
}

#[derive(Archive, Serialize, Message)]
#[allow(dead_code)]
struct Borrowed<'a> {
    #[rkyv(with = rkyv::with::InlineAsBox)]
    text: &'a str,
}

#[derive(Archive, Serialize, Message)]
#[allow(dead_code)]
struct Owned {
    text: Box<str>,
}

#[derive(Archive, Serialize, Message)]
struct Envelope<T> {
    #[allow(dead_code)]
    sender: u32,
    #[allow(dead_code)]
    content: T,
}

mod one {
    #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
    pub(super) struct Part(pub(super) u32);
}

mod two {
    #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
    pub(super) struct Part(pub(super) u64);
}

#[test]
fn generic_types_and_namesakes_are_told_apart() {
    let text = Description::of::<(Envelope<u8>, Envelope<Vec<Order>>, one::Part, two::Part, one::Part)>();
    assert_eq!(text.name(), "(Envelope<u8>, Envelope<Vec<Order>>, Part, Part#2, Part)");
    let count = |what: &str| text.text().lines().filter(|line| line.trim() == what).count();
    for heading in
        ["struct Envelope<u8>", "struct Envelope<Vec<Order>>", "struct Order", "struct Part", "struct Part#2"]
    {
        assert_eq!(count(heading), 1, "{heading}\n{}", text.text());
    }
    assert_eq!(count("content: Vec<Order> at offset 4"), 1, "{}", text.text());
    // An archive does not contain where text is borrowed from.
    let (borrowed, owned) = (Description::of::<Borrowed<'_>>(), Description::of::<Owned>());
    assert_eq!(borrowed.text(), owned.text().replace("Owned", "Borrowed"));
    assert_eq!(one::Part(1).0 as u64, two::Part(1).0);
}

/// Values that borrow can be sent as they are.
#[test]
fn borrowed_values_are_messages() {
    let dir = directory();
    let text = String::from("borrowed, and longer than what stands in the root");
    // SAFETY: only this test knows the file.
    let queue = unsafe { spsc::Queue::<Borrowed<'_>>::create(dir.path().join("q")) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(&Borrowed { text: &text }).unwrap();
    assert_eq!(&*consumer.recv().unwrap().text, text);
}

/// A type that is archived as it is.
#[derive(Archive, Serialize, rkyv::Portable, rkyv::bytecheck::CheckBytes, Message, Clone, Copy)]
#[bytecheck(crate = rkyv::bytecheck)]
#[rkyv(as = Color)]
#[repr(C)]
struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

/// An archived type written by hand, with bytes and names only.
#[derive(Message)]
#[ringway(archived, name = "Switch")]
#[repr(i8)]
#[allow(dead_code)]
enum ArchivedSwitch {
    Off = -1,
    On,
}

#[test]
fn archived_types_describe_themselves() {
    assert_eq!(
        Description::of::<Color>().text(),
        "message Color\n  struct Color\n    red: u8 at offset 0\n    green: u8 at offset 1\n    blue: u8 at offset 2\n    \
         size 3, alignment 1\n  size 3, alignment 1\n"
    );
    let dir = directory();
    // SAFETY: only this test knows the file.
    let queue = unsafe { spsc::Queue::<Color>::create(dir.path().join("q")) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.send(&Color { red: 1, green: 2, blue: 3 }).unwrap();
    let frame = consumer.recv().unwrap();
    assert_eq!((frame.red, frame.green, frame.blue), (1, 2, 3));

    fn is_described<T: ringway::schema::Structure>() {}
    is_described::<ArchivedSwitch>();
}
