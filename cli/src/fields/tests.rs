//! What rkyv has archived is shown as it was.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::CString;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroI64, NonZeroU8, NonZeroU32};
use std::ops::{Bound, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};
use std::rc::{Rc, Weak};
use std::time::Duration;

use ringway::Message;
use ringway::schema::Description;
use rkyv::api::high::HighSerializer;
use rkyv::collections::swiss_table::{ArchivedIndexMap, IndexMapResolver};
use rkyv::niche::niching::{Bool, NaN, Null, Zero};
use rkyv::rancor::{self, Fallible, Source};
use rkyv::rend::{NonZeroU16_be, f64_be, i32_be, u32_be, u32_le};
use rkyv::ser::allocator::ArenaHandle;
use rkyv::ser::{Allocator, Writer};
use rkyv::string::ArchivedString;
use rkyv::util::AlignedVec;
use rkyv::with::{DefaultNiche, Niche, NicheInto};
use rkyv::{Archive, Place, Serialize};
use serde_json::json;

use ringway_value::{FORMAT, MessageType};

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
fn numbers_of_all_sizes() {
    is(&(u8::MAX, i8::MIN, true), "(255, -128, true)", json!([255, -128, true]));
    is(&(u16::MAX, i16::MIN), "(65535, -32768)", json!([65535, -32768]));
    is(&(u32::MAX, i32::MIN), "(4294967295, -2147483648)", json!([u32::MAX, i32::MIN]));
    is(&(u64::MAX, i64::MIN), &format!("({}, {})", u64::MAX, i64::MIN), json!([u64::MAX, i64::MIN]));
    is(
        &(u128::MAX, i128::MIN),
        &format!("({}, {})", u128::MAX, i128::MIN),
        json!([u128::MAX.to_string(), i128::MIN.to_string()]),
    );
    is(&(7_usize, -7_isize), "(7, -7)", json!([7, -7]));
    is(&(1.5_f32, 1e300_f64, -0.0_f64), "(1.5, 1e300, -0.0)", json!([1.5, 1e300, -0.0]));
    is(&(f32::NAN, f64::INFINITY), "(NaN, inf)", json!(["NaN", "inf"]));
    is(&('x', '\u{1f980}', '\n'), "('x', '🦀', '\\n')", json!(["x", "\u{1f980}", "\n"]));
    is(&(NonZeroU8::MIN, NonZeroI64::MIN), &format!("(1, {})", i64::MIN), json!([1, i64::MIN]));
    let others = (u32_be::from_native(258), i32_be::from_native(-2), f64_be::from_native(0.5));
    is(&others, "(258, -2, 0.5)", json!([258, -2, 0.5]));
    is(&NonZeroU16_be::new(515).unwrap(), "515", json!(515));
    is(&(), "()", json!(null));
}

#[test]
fn texts_of_all_lengths() {
    for len in [0, 1, 7, 8, 9, 63, 64, 65, 1000, 20_000] {
        let text: String = ('a'..='z').cycle().take(len).collect();
        let (people, machines) = shown(&text);
        assert_eq!(people, format!("{text:?}"));
        assert_eq!(machines, json!(text));
        let (people, machines) = shown(&(text.clone().into_boxed_str(), CString::new(text.clone()).unwrap()));
        assert!(people.matches(&text).count() >= 2, "{people}");
        assert_eq!(machines, json!([text, text]));
    }
    is(&String::from("\x1b[2J\"\u{202e}é"), "\"\\u{1b}[2J\\\"\\u{202e}é\"", json!("\x1b[2J\"\u{202e}é"));
    is(&CString::new(*b"\xff").unwrap(), "b\"\\xff\"", json!([255]));
}

#[test]
fn lists_and_what_points() {
    is(&vec![vec![1_u16], vec![], vec![2, 3]], "[[1], [], [2, 3]]", json!([[1], [], [2, 3]]));
    is(&[[1_i8, 2], [3, -4]], "[[1, 2], [3, -4]]", json!([[1, 2], [3, -4]]));
    is(&b"bytes\0".to_vec(), "b\"bytes\\x00\"", json!([98, 121, 116, 101, 115, 0]));
    is(&vec![(); 3], "[(), (), ()]", json!([null, null, null]));
    let boxed: Box<[(u8, u32)]> = vec![(1, 2), (3, 4)].into();
    is(&(boxed, Box::new(5_u64)), "([(1, 2), (3, 4)], 5)", json!([[[1, 2], [3, 4]], 5]));
    let shared = Rc::new(String::from("shared by several"));
    let message = (Rc::clone(&shared), Rc::downgrade(&shared), Weak::<u32>::new(), shared);
    let text = "shared by several";
    is(&message, &format!("({text:?}, {text:?}, none, {text:?})"), json!([text, text, null, text]));
    is(&(Some(Some(3_u8)), None::<u64>), "(3, none)", json!([3, null]));
    let results: (Result<u32, String>, Result<(), u8>) = (Ok(1), Err(2));
    is(&results, "(Ok(1), Err(2))", json!([{"Ok": 1}, {"Err": 2}]));
}

#[test]
fn ranges_times_and_addresses() {
    let ranges: (Range<u8>, RangeInclusive<i32>, RangeFrom<u16>) = (1..5, -1..=1, 7..);
    is(
        &ranges,
        "(1..5, -1..=1, 7..)",
        json!([{"start": 1, "end": 5}, {"start": -1, "end": 1}, {"start": 7}]),
    );
    let ranges: (RangeTo<u64>, RangeToInclusive<char>, RangeFull) = (..9, ..='z', ..);
    is(&ranges, "(..9, ..='z', ..)", json!([{"end": 9}, {"end": "z"}, {}]));
    let bounds = (Bound::Included(1_u32), Bound::Excluded(2_u8), Bound::<u8>::Unbounded);
    is(
        &bounds,
        "(Included(1), Excluded(2), Unbounded)",
        json!([{"Included": 1}, {"Excluded": 2}, "Unbounded"]),
    );
    is(&Duration::new(3, 5), "3.000000005s", json!({"secs": 3, "nanos": 5}));
    let addresses = ["10.0.0.1", "::1"].map(|address| address.parse::<IpAddr>().unwrap());
    is(&addresses, "[10.0.0.1, ::1]", json!(["10.0.0.1", "::1"]));
    let texts = ["127.0.0.1:80", "[fe80::1]:65535"];
    let sockets = texts.map(|address| address.parse::<SocketAddr>().unwrap());
    is(&sockets, "[127.0.0.1:80, [fe80::1]:65535]", json!(texts));
    let each = sockets.map(|socket| match socket {
        SocketAddr::V4(v4) => (Some((*v4.ip(), v4)), None),
        SocketAddr::V6(v6) => (None, Some((*v6.ip(), v6))),
    });
    is(
        &each,
        "[((127.0.0.1, 127.0.0.1:80), none), (none, (fe80::1, [fe80::1]:65535))]",
        json!([[["127.0.0.1", texts[0]], null], [null, ["fe80::1", texts[1]]]]),
    );
}

#[derive(Archive, Serialize, Message)]
struct Niches {
    #[rkyv(with = NicheInto<Bool>)]
    yes: Option<bool>,
    #[rkyv(with = DefaultNiche)]
    default: Option<bool>,
    #[rkyv(with = NicheInto<NaN>)]
    ratio: Option<f32>,
    #[rkyv(with = NicheInto<NaN>)]
    exact: Option<f64>,
    #[rkyv(with = NicheInto<Zero>)]
    count: Option<NonZeroU32>,
    #[rkyv(with = NicheInto<Null>)]
    text: Option<Box<str>>,
    #[rkyv(with = Niche)]
    boxed: Option<Box<u16>>,
    #[rkyv(with = Niche)]
    large: Option<NonZeroI64>,
}

#[test]
fn options_without_a_tag() {
    let some = Niches {
        yes: Some(false),
        default: Some(true),
        ratio: Some(0.5),
        exact: Some(2.5),
        count: NonZeroU32::new(7),
        text: Some("nothing".into()),
        boxed: Some(Box::new(9)),
        large: NonZeroI64::new(-8),
    };
    is(
        &some,
        "Niches\n  yes: false\n  default: true\n  ratio: 0.5\n  exact: 2.5\n  count: 7\n  text: \"nothing\"\n  boxed: 9\n  \
         large: -8",
        json!({"yes": false, "default": true, "ratio": 0.5, "exact": 2.5, "count": 7, "text": "nothing", "boxed": 9,
               "large": -8}),
    );
    let none = Niches {
        yes: None,
        default: None,
        ratio: None,
        exact: None,
        count: None,
        text: None,
        boxed: None,
        large: None,
    };
    let (people, machines) = shown(&none);
    assert_eq!(people.matches(": none").count(), 8, "{people}");
    assert!(machines.as_object().unwrap().values().all(serde_json::Value::is_null), "{machines}");
}

/// The archive that rkyv makes of an index map, in the order of its parts.
struct Ordered(Vec<(String, u32)>);

impl Archive for Ordered {
    type Archived = ArchivedIndexMap<ArchivedString, u32_le>;
    type Resolver = IndexMapResolver;

    fn resolve(&self, resolver: Self::Resolver, out: Place<Self::Archived>) {
        ArchivedIndexMap::resolve_from_len(self.0.len(), (7, 8), resolver, out);
    }
}

impl<S: Fallible<Error: Source> + Writer + Allocator + ?Sized> Serialize<S> for Ordered {
    fn serialize(&self, serializer: &mut S) -> Result<IndexMapResolver, S::Error> {
        let entries = self.0.iter().map(|(key, value)| (key, value));
        Self::Archived::serialize_from_iter::<_, _, _, String, u32, _>(entries, (7, 8), serializer)
    }
}

#[test]
fn maps_and_sets_of_all_sizes() {
    for len in [0, 1, 4, 5, 6, 7, 35, 36, 100, 250] {
        let numbers = || (0..len).map(|number| (format!("key {number:04}"), number));
        let by_key: BTreeMap<String, u32> = numbers().collect();
        assert_eq!(shown(&by_key).1, json!(by_key));
        let hashed: HashMap<String, u32> = numbers().collect();
        assert_eq!(shown(&hashed).1, json!(by_key));
        let (people, machines) = shown(&Ordered(numbers().collect()));
        assert_eq!(machines, json!(by_key));
        let places: Vec<_> = by_key.keys().map(|key| people.find(key).unwrap()).collect();
        assert!(places.is_sorted(), "{people}");

        let pairs: BTreeMap<u32, u128> = (0..len).map(|key| (key, 1 << (key % 128))).collect();
        let expected: Vec<_> = pairs.iter().map(|(key, value)| (*key, value.to_string())).collect();
        assert_eq!(shown(&pairs).1, json!(expected));
        let set: BTreeSet<i16> = pairs.keys().map(|key| *key as i16 - 50).collect();
        assert_eq!(shown(&set).1, json!(set));
        let set: HashSet<u64> = pairs.keys().map(|key| u64::from(*key) << 40).collect();
        let mut found: Vec<_> = serde_json::from_value::<Vec<u64>>(shown(&set).1).unwrap();
        found.sort_unstable();
        let mut expected: Vec<_> = set.into_iter().collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
    is(&BTreeMap::from([(1_u8, 'a'), (2, 'b')]), "{1: 'a', 2: 'b'}", json!([[1, "a"], [2, "b"]]));
    let nested = BTreeMap::from([(String::from("a"), HashMap::from([(String::from("b"), vec![1_u8])]))]);
    is(&nested, "{\"a\": {\"b\": b\"\\x01\"}}", json!({"a": {"b": [1]}}));
}

#[derive(Archive, Serialize, Message)]
struct Wide {
    names: Vec<String>,
    numbers: Vec<u32>,
    ticks: Vec<Tick>,
    by_name: BTreeMap<String, Tick>,
}

#[test]
fn what_does_not_fit_on_a_line_has_several() {
    let wide = Wide {
        names: (0..3).map(|name| format!("{name}").repeat(40)).collect(),
        numbers: (100_000..100_020).collect(),
        ticks: vec![Tick { note: Some("long ".repeat(20)), ..tick(Side::Buy) }, tick(Side::Sell)],
        by_name: BTreeMap::from([("one".into(), Tick { prices: vec![0.125; 12], ..tick(Side::Buy) })]),
    };
    let (people, _) = shown(&wide);
    let note = format!("{:?}", "long ".repeat(20));
    let expected = format!(
        "Wide\n  names: 3 values\n    0: {:?}\n    1: {:?}\n    2: {:?}\n  numbers: 20 values\n    \
         100000, 100001, 100002, 100003, 100004, 100005, 100006, 100007, 100008, 100009, 100010, 100011,\n    \
         100012, 100013, 100014, 100015, 100016, 100017, 100018, 100019\n  ticks: 2 values\n    0: Tick\n      \
         symbol: \"RWY\"\n      prices: [1.5, 2.5]\n      side: Buy\n      note: {note}\n    1: Tick {{ symbol: \
         \"RWY\", prices: [1.5, 2.5], side: Sell, note: none }}\n  by_name: 1 value\n    \"one\": Tick\n      symbol: \
         \"RWY\"\n      prices: [0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, \
         0.125]\n      side: Buy\n      note: none",
        "0".repeat(40),
        "1".repeat(40),
        "2".repeat(40)
    );
    assert_eq!(people, expected);
}

#[test]
fn what_is_too_much_is_cut_off_and_counted() {
    let (people, machines) = shown(&(0..5000).collect::<Vec<u32>>());
    let shown_numbers = machines.as_array().unwrap().len() - 1;
    assert_eq!(machines[shown_numbers]["$more"], 5000 - shown_numbers);
    assert!(people.starts_with("5,000 values\n") && people.ends_with("more values"), "{people}");
    let (people, machines) = shown(&"é".repeat(100_000));
    assert_eq!(
        machines["$text"].as_str().unwrap().len() as u64 + machines["$more"].as_u64().unwrap(),
        200_000
    );
    assert!(people.ends_with(" bytes") && people.len() < 100_000);
    let (_, machines) = shown(&vec![7_u8; 100_000]);
    let shown_bytes = machines.as_array().unwrap().len() - 1;
    assert_eq!(machines[shown_bytes]["$more"], 100_000 - shown_bytes);
    let many: BTreeMap<u32, u32> = (0..5000).map(|key| (key, key)).collect();
    let (people, machines) = shown(&many);
    let shown_entries = machines.as_array().unwrap().len() - 1;
    assert_eq!(machines[shown_entries]["$more"], 5000 - shown_entries);
    assert!(people.ends_with("more values"), "{people}");
    let hashed: HashMap<u32, u32> = many.into_iter().collect();
    let machines = shown(&hashed).1;
    assert_eq!(machines.as_array().unwrap().len() - 1, shown_entries);
}

#[derive(Archive, Serialize, Message)]
#[rkyv(serialize_bounds(__S: Writer, __S::Error: Source))]
#[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: Source)))]
struct Nest {
    #[rkyv(omit_bounds)]
    inner: Option<Box<Nest>>,
}

#[test]
fn what_is_nested_too_deeply_says_so() {
    let nest = |depth| (0..depth).fold(Nest { inner: None }, |nest, _| Nest { inner: Some(Box::new(nest)) });
    is(
        &nest(2),
        "Nest\n  inner: Nest { inner: Nest { inner: none } }",
        json!({"inner": {"inner": {"inner": null}}}),
    );
    let (people, machines) = shown(&nest(1000));
    assert!(people.contains("<nested too deeply>"), "{people}");
    assert!(machines.to_string().contains("{\"$error\":\"nested too deeply\"}"), "{machines}");
}

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
