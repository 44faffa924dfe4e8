//! How much memory the values of a hostile message take: no more than its length accounts for.
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ringway_bound as _;
use ringway_value::MessageType;

struct Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: isize) {
    NOW.set(NOW.get() + bytes);
    MOST.set(MOST.get().max(NOW.get()));
}

// SAFETY: the system's allocator does all; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What decoding a message takes at most at one time.
fn peak(ty: &MessageType, payload: &[u8]) -> (usize, bool) {
    let before = NOW.get();
    MOST.set(before);
    let is_whole = ty.decode_whole(payload).is_ok();
    ((MOST.get() - before) as usize, is_whole)
}

/// What `decode_whole` promises, and a message of an error.
fn promised(len: usize) -> usize {
    (1 << 16) + 256 * len + 1024 + 8 * len + 4096
}

/// A list that refers to a list elsewhere in the message again and again.
fn many_lists_of_one(element: &str, size: usize, lists: usize) -> (String, Vec<u8>) {
    let mut payload = vec![0; size];
    for list in 0..lists {
        let at = payload.len() - 8 * list;
        payload.extend_from_slice(&(-((at + 8 * list) as i32)).to_le_bytes());
        payload.extend_from_slice(&1_u32.to_le_bytes());
    }
    payload.extend_from_slice(&(-(8 * lists as i32)).to_le_bytes());
    payload.extend_from_slice(&(lists as u32).to_le_bytes());
    (format!("message Vec<Vec<{element}>>\n  size 8, alignment 4\n"), payload)
}

#[test]
fn a_hostile_message_takes_no_more_memory_than_its_length_accounts_for() {
    let nested = "message Vec<A>\n  struct A\n    a: B at offset 0\n    struct B\n      b: C at offset 0\n      \
                  struct C\n        c: (u8) at offset 0\n        size 1, alignment 1\n      size 1, alignment 1\n    \
                  size 1, alignment 1\n  size 8, alignment 4\n";
    let mut nested_payload = vec![7; 1 << 16];
    nested_payload.extend_from_slice(&(-(1_i32 << 16)).to_le_bytes());
    nested_payload.extend_from_slice(&(1_u32 << 16).to_le_bytes());
    // A list of a thousand million values without bytes, and one of itself.
    let units = ("message Vec<()>\n  size 8, alignment 4\n".to_owned(), vec![0, 0, 0, 0, 0, 0, 0, 0x40]);
    let circle = (
        "message A\n  struct A\n    all: Vec<A> at offset 0\n    size 8, alignment 4\n  size 8, alignment 4\n".to_owned(),
        vec![0, 0, 0, 0, 1, 0, 0, 0],
    );
    let messages = [
        (nested.to_owned(), nested_payload),
        units,
        circle,
        many_lists_of_one("Result<Range<u8>, u8>", 4, 1000),
        many_lists_of_one("[IpAddr; 100]", 1700, 1000),
        many_lists_of_one("[Range<()>; 64]", 1, 1000),
    ];
    for (text, payload) in messages {
        let ty = MessageType::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let (peak, is_whole) = peak(&ty, &payload);
        let most = promised(payload.len());
        assert!(
            peak <= most,
            "{peak} bytes, {most} are promised, for {} bytes, whole: {is_whole}: {text}",
            payload.len()
        );
    }
}

/// What programs send is decoded as before, also if it is many values of one byte each.
#[test]
fn honest_messages_are_whole() {
    let mut payload = vec![1; 1 << 16];
    payload.extend_from_slice(&(-(1_i32 << 16)).to_le_bytes());
    payload.extend_from_slice(&(1_u32 << 16).to_le_bytes());
    for text in [
        "message Vec<bool>\n  size 8, alignment 4\n",
        "message Vec<A>\n  struct A\n    a: B at offset 0\n    struct B\n      0: u8 at offset 0\n      size 1, alignment 1\n    \
         size 1, alignment 1\n  size 8, alignment 4\n",
    ] {
        let ty = MessageType::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let (peak, is_whole) = peak(&ty, &payload);
        assert!(is_whole, "{text}");
        assert!(peak <= promised(payload.len()), "{peak} bytes: {text}");
    }
}

/// A table with more entries than it says is not what its length says.
#[test]
fn tables_have_as_many_entries_as_they_say() {
    let ty = MessageType::parse("message HashSet<u8>\n  size 12, alignment 4\n").unwrap();
    for (says, is_whole) in [(1_u32, false), (2, true), (3, false)] {
        // Two entries before the control bytes of two buckets.
        let mut payload = vec![5, 6, 0, 0];
        payload.extend_from_slice(&(-2_i32).to_le_bytes());
        payload.extend_from_slice(&says.to_le_bytes());
        payload.extend_from_slice(&2_u32.to_le_bytes());
        assert_eq!(ty.decode_whole(&payload).is_ok(), is_whole, "{says}: {:?}", ty.decode_whole(&payload));
    }
}
