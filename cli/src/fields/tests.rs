//! What rkyv has archived is shown as it was.

mod limits;
mod names;
mod values;

use std::time::Duration;

use ringway::Message;
use ringway::schema::Description;
use ringway_value::FORMAT;
use ringway_value::MessageType;
use rkyv::Archive;
use rkyv::Serialize;
use rkyv::api::high::HighSerializer;
use rkyv::rancor;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use serde_json::json;

use super::lines;

/// Returns what is shown of a message: human-readable, and as JSON.
fn shown<T>(message: &T) -> (String, serde_json::Value)
where
    T: Message + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>,
{
    let payload = rkyv::to_bytes::<rancor::Error>(message).unwrap();
    let description = Description::of::<T>();
    let fields =
        MessageType::parse(description.text()).unwrap_or_else(|error| panic!("{error}\n{description}"));
    let value = fields.decode(&payload).unwrap_or_else(|error| panic!("{error}\n{description}"));
    let json = serde_json::to_string(&value).unwrap();
    (lines(&value).join("\n"), serde_json::from_str(&json).unwrap())
}

#[track_caller]
fn is<T>(message: &T, people: &str, machines: serde_json::Value)
where
    T: Message + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>,
{
    assert_eq!(shown(message), (people.to_owned(), machines));
}

#[derive(Archive, Serialize, Message)]
struct Tick {
    symbol: String,
    prices: Vec<f64>,
    side: Side,
    note: Option<String>,
}

#[derive(Archive, Serialize, Message)]
#[allow(dead_code)]
enum Side {
    Buy,
    Sell,
    Limit(u64),
    Stop { at: f32, until: Option<Duration> },
    Both(Box<char>, i16),
}

fn tick(side: Side) -> Tick {
    Tick { symbol: "RWY".into(), prices: vec![1.5, 2.5], side, note: None }
}

#[test]
fn a_struct_has_a_line_for_each_field() {
    is(
        &tick(Side::Sell),
        "Tick\n  symbol: \"RWY\"\n  prices: [1.5, 2.5]\n  side: Sell\n  note: none",
        json!({"symbol": "RWY", "prices": [1.5, 2.5], "side": "Sell", "note": null}),
    );
}

#[test]
fn enums_are_their_variants() {
    is(&Side::Buy, "Buy", json!("Buy"));
    is(&Side::Limit(u64::MAX), "Limit(18446744073709551615)", json!({"Limit": u64::MAX}));
    is(
        &Side::Stop { at: 0.1, until: Some(Duration::from_millis(1500)) },
        "Stop\n  at: 0.1\n  until: 1.5s",
        json!({"Stop": {"at": 0.1, "until": {"secs": 1, "nanos": 500_000_000}}}),
    );
    is(
        &(Side::Both(Box::new('x'), -3), tick(Side::Limit(5))),
        "(Both('x', -3), Tick { symbol: \"RWY\", prices: [1.5, 2.5], side: Limit(5), note: none })",
        json!([{"Both": ["x", -3]}, {"symbol": "RWY", "prices": [1.5, 2.5], "side": {"Limit": 5}, "note": null}]),
    );
}

#[test]
fn fields_stay_in_their_order() {
    let description = Description::of::<Tick>();
    let fields = MessageType::parse(description.text()).unwrap();
    let payload = rkyv::to_bytes::<rancor::Error>(&tick(Side::Buy)).unwrap();
    let json = serde_json::to_string(&fields.decode(&payload).unwrap()).unwrap();
    assert_eq!(json, r#"{"symbol":"RWY","prices":[1.5,2.5],"side":"Buy","note":null}"#);
}

#[test]
fn what_is_no_message_of_the_type_says_why() {
    let description = Description::of::<Tick>();
    let fields = MessageType::parse(description.text()).unwrap();
    assert!(fields.decode(&[]).unwrap_err().to_string().contains("`Tick` has at least 64 bytes"));
    // Of another type, but long enough: the error is shown where the value is wrong.
    let value = fields.decode(&[0xc5; 64]).unwrap();
    let people = lines(&value).join("\n");
    assert!(
        people.contains("prices: <Vec<f64>: c5 c5") && people.contains("outside of the message"),
        "{people}"
    );
    assert!(people.contains("side: <Side: c5 c5") && people.contains("no variant has its tag"), "{people}");
    let json = serde_json::to_value(&value).unwrap();
    assert_eq!(json["side"]["$error"], "no variant has its tag");
    let description = Description::of::<bool>();
    let error = MessageType::parse(description.text()).unwrap().decode(&[2]).unwrap_err();
    assert_eq!(error.to_string(), "`bool`: it is neither true nor false");
}

#[test]
fn other_formats_are_not_decoded() {
    let description = Description::of::<Tick>();
    assert!(MessageType::of_format(&description, FORMAT).is_ok());
    for format in [0, 1, FORMAT | 2, FORMAT | 4, FORMAT + (4 << 8), FORMAT + (1 << 16)] {
        assert!(MessageType::of_format(&description, format).is_err(), "{format:#x}");
    }
}
