//! Types that do not describe themselves, and types of the same name.

use std::time::Duration;

use ringway::Message;
use ringway::schema::Description;
use ringway_value::MessageType;
use rkyv::Archive;
use rkyv::Serialize;
use serde_json::json;

use super::is;

#[derive(Archive, Serialize, Message)]
struct Partly {
    before: u8,
    #[ringway(opaque = "Foreign<u8>, and more", inline)]
    foreign: [u8; 3],
    #[ringway(opaque = "Elsewhere")]
    elsewhere: String,
    after: Vec<Wrapper<char>>,
}

#[derive(Archive, Serialize, Message)]
struct Wrapper<T>(T);

#[test]
fn what_does_not_describe_itself_is_bytes_with_a_name() {
    let message =
        Partly { before: 1, foreign: [0xab, 0, 1], elsewhere: "é".into(), after: vec![Wrapper('a')] };
    is(
        &message,
        "Partly\n  before: 1\n  foreign: <Foreign<u8>, and more: ab 00 01>\n  \
         elsewhere: <Elsewhere: c3 a9 ff ff ff ff ff ff>\n  after: [Wrapper<char>('a')]",
        json!({
            "before": 1,
            "foreign": {"$type": "Foreign<u8>, and more", "$hex": "ab0001", "$more": 0, "$error": null},
            "elsewhere": {"$type": "Elsewhere", "$hex": "c3a9ffffffffffff", "$more": 0, "$error": null},
            "after": ["a"],
        }),
    );
}

mod std_names {
    use super::*;

    /// Has the name of one of std's types.
    #[derive(Archive, Serialize, Message)]
    pub(super) struct Duration {
        pub(super) days: u32,
    }
}

mod others {
    use super::*;

    /// Has the name of the outermost wrapper, with other fields.
    #[derive(Archive, Serialize, Message)]
    #[ringway(version = 3)]
    pub(super) struct Wrapper<T> {
        pub(super) wrapped: T,
    }
}

#[test]
fn namesakes_are_told_apart() {
    let message = vec![(Wrapper('a'), others::Wrapper { wrapped: 'b' }, Wrapper(1_u8))];
    is(
        &message,
        "[(Wrapper<char>('a'), Wrapper<char>#2 { wrapped: 'b' }, Wrapper<u8>(1))]",
        json!([["a", {"wrapped": "b"}, 1]]),
    );
}

#[test]
fn a_name_that_is_defined_means_the_definition() {
    let message = vec![std_names::Duration { days: 3 }];
    is(&message, "[Duration { days: 3 }]", json!([{"days": 3}]));
    // If a message has both, only one can be meant, and the error says so.
    let description = Description::of::<(Duration, std_names::Duration)>();
    let error = MessageType::parse(description.text()).unwrap_err();
    assert!(error.to_string().contains("bytes, where"), "{error}");
}
