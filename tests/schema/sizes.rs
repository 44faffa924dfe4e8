//! Types whose archives all have one size are stored without headers, unless the options request
//! them.

use ringway::{CreateError, CreateOptions, Framing, Message, mpmc, spsc};
use rkyv::{Archive, Serialize};

use crate::common::{Image, at, directory};

#[derive(Archive, Serialize, Message, Clone, Copy)]
struct Point {
    x: u64,
    y: Option<u16>,
    z: [Place; 2],
}

#[derive(Archive, Serialize, Message, Clone, Copy)]
enum Place {
    Nowhere,
    At(u32),
}

const POINT: Point = Point { x: 1, y: Some(2), z: [Place::Nowhere, Place::At(3)] };

/// Framing and length of messages of a new queue; a message is sent and received.
fn framing<T: Message>(options: &CreateOptions, value: &T) -> (u32, u64) {
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: only this test knows the file.
    let queue = unsafe { spsc::Queue::<T>::create_with(&path, options) }.unwrap();
    let consumer = queue.consumer().unwrap();
    queue.producer().unwrap().send(value).unwrap();
    consumer.try_recv().unwrap();
    let many = dir.path().join("many");
    // SAFETY: as above.
    let queue = unsafe { mpmc::Queue::<T>::create_with(&many, options) }.unwrap();
    let consumer = queue.consumer().unwrap();
    queue.producer().unwrap().send(value).unwrap();
    consumer.try_recv().unwrap();
    let [one, many] = [path, many].map(|path| {
        let image = Image::of(&path);
        (image.u32_at(at::FRAMING), image.u64_at(at::FIXED_LEN))
    });
    assert_eq!(one, many);
    one
}

#[test]
fn types_without_anything_elsewhere_are_stored_without_headers() {
    let small = || CreateOptions::new().ring_bytes(4096);
    assert_eq!(framing(&small(), &POINT), (2, 32));
    assert_eq!(framing(&small().framing(Framing::FixedByType), &POINT), (2, 32));
    assert_eq!(framing(&small().framing(Framing::Variable), &POINT), (1, 0));
    assert_eq!(framing(&small(), &(7_u64, 'x', [true; 3])), (2, 16));
    assert_eq!(framing(&small(), &[1_u8; 3]), (2, 3));

    assert_eq!(framing(&small(), &String::from("a")), (1, 0));
    assert_eq!(framing(&small(), &Some(Box::new(1_u8))), (1, 0));
    assert_eq!(framing(&small(), &(1_u64, Vec::<u8>::new())), (1, 0));
    // An empty type has no size for cells.
    assert_eq!(framing(&small(), &()), (1, 0));
}

#[test]
fn fixed_size_is_refused_where_it_cannot_be() {
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: only this test knows the file.
    let error = unsafe {
        spsc::Queue::<Vec<Point>>::create_with(&path, &CreateOptions::new().framing(Framing::FixedByType))
    }
    .unwrap_err();
    assert!(matches!(error, CreateError::InvalidOptions { .. }), "{error:?}");
    assert!(error.to_string().contains("`Vec<Point>` has some"), "{error}");
    assert!(!path.exists());
}

#[test]
fn headers_are_no_matter_of_the_type() {
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: only this test knows the file.
    let queue =
        unsafe { spsc::Queue::create_with(&path, &CreateOptions::new().framing(Framing::Variable)) }.unwrap();
    queue.producer().unwrap().send(&POINT).unwrap();
    // SAFETY: as above.
    let queue = unsafe { spsc::Queue::<Point>::open_or_create(&path) }.unwrap();
    let point = queue.consumer().unwrap();
    let point = point.try_recv().unwrap();
    assert!(point.x == 1 && point.y.as_ref().is_some_and(|y| *y == 2));
    assert!(matches!(point.z, [ArchivedPlace::Nowhere, ArchivedPlace::At(at)] if at == 3));
}
