//! Hostile descriptions and messages: showing them ends, and prints no more than it may.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use proptest::prelude::*;
use ringway::Message;
use ringway::schema::Description;
use rkyv::{Archive, Serialize, rancor};

use ringway_value::MessageType;

use super::lines;

/// More than any message prints: 64 KiB, escaped, and a line for each of 1,000 values.
const MOST: usize = 1 << 20;

fn show(text: &str, payload: &[u8]) {
    if let Ok(fields) = MessageType::parse(text) {
        show_payload(&fields, payload);
    }
}

fn show_payload(fields: &MessageType, payload: &[u8]) {
    // Without limits for people: it ends, and is whole or refused.
    drop(fields.decode_whole(payload));
    let Ok(value) = fields.decode(payload) else { return };
    let people: usize = lines(&value).iter().map(|line| line.len() + 1).sum();
    assert!(people < MOST, "{people} bytes for people");
    let json = serde_json::to_string(&value).unwrap();
    assert!(json.len() < MOST, "{} bytes of JSON", json.len());
    // Not nested more deeply than readers accept.
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
}

#[derive(Archive, Serialize, Message)]
enum Kind {
    Empty,
    Some(u8, Vec<String>),
    Other { pair: (u16, f64), result: Result<char, bool> },
}

#[derive(Archive, Serialize, Message)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator + rkyv::ser::Sharing, __S::Error: rancor::Source))]
#[rkyv(bytecheck(bounds(
    __C: rkyv::validation::ArchiveContext + rkyv::validation::SharedContext, __C::Error: rancor::Source
)))]
struct Everything {
    kinds: Vec<Kind>,
    sorted: BTreeMap<String, u32>,
    hashed: HashMap<u16, Option<Box<str>>>,
    shared: Rc<[u64]>,
    #[rkyv(omit_bounds)]
    inner: Vec<Everything>,
    #[rkyv(omit_bounds)]
    next: Option<Box<Everything>>,
}

fn everything(depth: u32) -> Everything {
    Everything {
        kinds: vec![
            Kind::Empty,
            Kind::Some(3, vec!["short".into(), "not so short".into()]),
            Kind::Other { pair: (1, 2.5), result: Ok('x') },
        ],
        sorted: (0..9).map(|key| (format!("key {key}"), key)).collect(),
        hashed: (0..9).map(|key| (key, (key > 3).then(|| "value".into()))).collect(),
        shared: [1, 2, 3].into(),
        inner: (0..depth).map(|_| everything(depth - 1)).collect(),
        next: (depth > 0).then(|| Box::new(everything(depth - 1))),
    }
}

fn archived(depth: u32) -> (String, Vec<u8>) {
    let payload = rkyv::to_bytes::<rancor::Error>(&everything(depth)).unwrap();
    (Description::of::<Everything>().text().to_owned(), payload.to_vec())
}

#[test]
fn what_is_right_is_shown() {
    let (text, payload) = archived(2);
    let fields = MessageType::parse(&text).unwrap();
    let value = fields.decode(&payload).unwrap();
    let json = serde_json::to_value(&value).unwrap();
    assert_eq!(json["kinds"][2]["Other"]["pair"][1], 2.5);
    assert_eq!(json["inner"][1]["next"]["sorted"]["key 7"], 7);
    assert!(!json.to_string().contains("$error"), "{json}");
    assert_eq!(fields.decode_whole(&payload).unwrap(), value);
}

#[test]
fn every_length_of_a_message() {
    let (text, payload) = archived(1);
    let fields = MessageType::parse(&text).unwrap();
    for len in 0..payload.len() {
        show_payload(&fields, &payload[..len]);
        show_payload(&fields, &payload[len..]);
    }
}

#[test]
fn every_word_of_a_message_with_values_that_are_wrong() {
    let (text, payload) = archived(1);
    let fields = MessageType::parse(&text).unwrap();
    for at in 0..payload.len() - 3 {
        for value in [0, 1, u32::MAX, i32::MAX as u32, i32::MIN as u32, 0x80, (at as u32).wrapping_neg(), 8] {
            let mut payload = payload.clone();
            payload[at..at + 4].copy_from_slice(&value.to_le_bytes());
            show_payload(&fields, &payload);
        }
    }
}

#[test]
fn circles_end() {
    // A box that points to itself; a list that contains itself a thousand times; the same through an enum.
    for (text, payload) in [
        (
            "message A\n  struct A\n    next: Box<A> at offset 0\n    size 4, alignment 4\n  size 4, alignment 4\n",
            &[0; 4][..],
        ),
        (
            "message A\n  struct A\n    all: Vec<A> at offset 0\n    size 8, alignment 4\n  size 8, alignment 4\n",
            &[0, 0, 0, 0, 1, 0, 0, 0],
        ),
        (
            "message A\n  enum A\n    variant B = 0\n      0: Box<A> at offset 4\n      1: Box<A> at offset 8\n    size 12, \
             alignment 4\n  size 12, alignment 4\n",
            &[0, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0xf8, 0xff, 0xff, 0xff],
        ),
        (
            // The root of a tree whose nodes are their own children.
            "message BTreeSet<()>\n  size 8, alignment 4\n",
            &[
                1, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0xe4, 0xff, 0xff, 0xff, 9, 0, 0, 0,
            ],
        ),
    ] {
        show(text, payload);
        assert!(MessageType::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn descriptions_that_promise_a_lot() {
    let long = "x".repeat(500_000);
    let nested = |open: &str, close: &str, depth: usize| {
        format!("message {}u8{}\n  size 1, alignment 1\n", open.repeat(depth), close.repeat(depth))
    };
    for text in [
        format!(
            "message Vec<{long}>\n  struct {long}\n    {long}: u8 at offset 0\n    size 1, alignment 1\n  size 8, alignment 4\n"
        ),
        nested("(", ")", 100_000),
        nested("Box<", ">", 100_000),
        nested("[", "; 2]", 60),
        nested("(", ")", 60),
        format!("message ({}u8)\n  size 1, alignment 1\n", "u8, ".repeat(100_000)),
        format!("message [(); {}]\n  size 0, alignment 1\n", usize::MAX),
        format!("message Vec<[u8; {}]>\n  size 8, alignment 4\n", usize::MAX),
        format!(
            "message A\n  struct A\n    size {}, alignment 1\n  size {}, alignment 1\n",
            usize::MAX,
            usize::MAX
        ),
        format!("message A\n{}", "  struct A\n".repeat(50_000)),
        format!(
            "message A\n{}",
            (0..1000).map(|depth| format!("{}struct A{depth}\n", "  ".repeat(depth))).collect::<String>()
        ),
        "message Vec<()>\n  size 8, alignment 4\n".into(),
        "message Vec<A>\n  enum A\n    size 0, alignment 1\n  size 8, alignment 4\n".into(),
    ] {
        for payload in [&[0; 8][..], &[0xff; 16], &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f], &[7; 4096]] {
            show(&text, payload);
        }
    }
}

/// Tables that have holes only, referred to by many pointers: going through each would take long.
#[test]
fn work_is_limited_too() {
    let text = "message Vec<HashSet<()>>\n  size 8, alignment 4\n";
    let holes = 1 << 20;
    let mut payload = vec![0x80; holes];
    let tables = 60_000;
    for table in 0..tables {
        // Points to the first byte: one entry, room for a million.
        payload.extend_from_slice(&(-((holes + table * 12) as i32)).to_le_bytes());
        payload.extend_from_slice(&1_u32.to_le_bytes());
        payload.extend_from_slice(&(holes as u32).to_le_bytes());
    }
    payload.extend_from_slice(&(-((tables * 12) as i32)).to_le_bytes());
    payload.extend_from_slice(&(tables as u32).to_le_bytes());
    let fields = MessageType::parse(text).unwrap();
    let value = fields.decode(&payload).unwrap();
    let json = serde_json::to_value(&value).unwrap();
    // The first one uses up the limits.
    assert_eq!(json, serde_json::json!([[{"$more": 1}], {"$more": tables - 1}]));
}

/// Types in the notation of descriptions.
fn types() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "u8",
        "i16",
        "u32_be",
        "u64",
        "i128",
        "f32",
        "f64_ule",
        "char",
        "bool",
        "()",
        "NonZeroU32",
        "OptionNonZeroI8",
        "String",
        "CString",
        "Duration",
        "IpAddr",
        "SocketAddr",
        "str",
        "CStr",
        "A",
        "B",
        "C",
        "Nobody",
        "Foreign (size 3, alignment 1)",
    ]);
    plain.prop_map(String::from).prop_recursive(4, 16, 3, |inner| {
        let one = prop::sample::select(vec![
            "Vec",
            "Box",
            "Rc",
            "Weak",
            "Option",
            "OptionBox",
            "Bound",
            "Range",
            "RangeTo",
            "HashSet",
            "BTreeSet",
            "IndexSet",
            "OptionNiche",
            "OptionNull",
            "OptionNaN",
        ]);
        let two = prop::sample::select(vec!["Result", "HashMap", "BTreeMap", "IndexMap", "Entry"]);
        prop_oneof![
            (one, inner.clone()).prop_map(|(name, of)| format!("{name}<{of}>")),
            (two, inner.clone(), inner.clone()).prop_map(|(name, one, two)| format!("{name}<{one}, {two}>")),
            (inner.clone(), 0..40_usize).prop_map(|(of, count)| format!("[{of}; {count}]")),
            inner.clone().prop_map(|of| format!("Box<[{of}]>")),
            prop::collection::vec(inner, 1..4).prop_map(|of| format!("({})", of.join(", "))),
        ]
    })
}

/// A description with types that may contain one another, with offsets and sizes that may be wrong.
fn descriptions() -> impl Strategy<Value = String> {
    let fields = prop::collection::vec((types(), 0..32_usize), 0..4);
    let definition = (fields, 32..80_usize, any::<bool>());
    prop::collection::vec(definition, 1..4).prop_map(|definitions| {
        let root_size = definitions[0].1;
        let mut text = String::from("message A\n");
        for ((fields, size, is_enum), name) in definitions.into_iter().zip(["A", "B", "C"]) {
            let (what, indent) = if is_enum { ("enum", "      ") } else { ("struct", "    ") };
            text += &format!("  {what} {name}\n");
            for (at, (ty, offset)) in fields.into_iter().enumerate() {
                if is_enum {
                    text += &format!("    variant V{at} = {at}\n");
                }
                text += &format!("{indent}f{at}: {ty} at offset {offset}\n");
            }
            text += &format!("    size {size}, alignment 1\n");
        }
        text + &format!("  size {root_size}, alignment 1\n")
    })
}

/// Small words, so that pointers, lengths and tags often lead somewhere.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => (-64..64_i32).prop_map(i32::to_le_bytes),
        1 => any::<[u8; 4]>(),
        1 => (0..2_u8).prop_map(|byte| [byte; 4]),
    ];
    prop::collection::vec(word, 0..64).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_description_and_any_message(text in descriptions(), payload in payloads()) {
        show(&text, &payload);
    }

    /// As above, for a type that is accepted whatever it is, and a pointer to any place.
    #[test]
    fn any_type_and_any_message(ty in types(), mut payload in payloads(), place in any::<prop::sample::Index>()) {
        let text = format!(
            "message R\n  struct R\n    it: Box<{ty}> at offset 0\n    size 8, alignment 4\n  struct A\n    a: Vec<A> at offset \
             0\n    b: Option<B> at offset 8\n    size 40, alignment 4\n  enum B\n    variant X = 0\n    variant Y = 1\n      0: \
             Box<A> at offset 4\n      1: (u8, u16) at offset 8\n    size 12, alignment 4\n  size 8, alignment 4\n"
        );
        let to = place.index(payload.len() + 1) as i32 - payload.len() as i32;
        payload.extend_from_slice(&to.to_le_bytes());
        payload.extend_from_slice(&3_u32.to_le_bytes());
        let fields = MessageType::parse(&text).unwrap();
        assert!(fields.decode(&payload).is_ok());
        show_payload(&fields, &payload);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}", lines in prop::collection::vec("( ){0,6}(struct|enum|variant|size|a:|message) [ -~]{0,30}", 0..8)) {
        show(&text, &[0; 64]);
        show(&format!("message {text}\n  size 8, alignment 8\n"), &[0; 64]);
        show(&format!("message A\n{}\n  size 8, alignment 8\n", lines.join("\n")), &[0; 64]);
    }

    #[test]
    fn a_message_with_any_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let (text, mut payload) = archived(1);
        for (at, value) in changes {
            let at = at.index(payload.len());
            payload[at] = value;
        }
        show(&text, &payload);
    }

    #[test]
    fn a_description_with_any_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), 32..127_u8), 1..4)) {
        let (text, payload) = archived(1);
        let mut text = text.into_bytes();
        for (at, value) in changes {
            let at = at.index(text.len());
            text[at] = value;
        }
        show(&String::from_utf8(text).unwrap(), &payload);
    }
}
