//! Values of every type of std and rkyv that describes itself.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::CString;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::num::NonZeroI64;
use std::num::NonZeroU8;
use std::num::NonZeroU32;
use std::ops::Bound;
use std::ops::Range;
use std::ops::RangeFrom;
use std::ops::RangeFull;
use std::ops::RangeInclusive;
use std::ops::RangeTo;
use std::ops::RangeToInclusive;
use std::rc::Rc;
use std::rc::Weak;
use std::time::Duration;

use ringway::Message;
use rkyv::Archive;
use rkyv::Place;
use rkyv::Serialize;
use rkyv::collections::swiss_table::ArchivedIndexMap;
use rkyv::collections::swiss_table::IndexMapResolver;
use rkyv::niche::niching::Bool;
use rkyv::niche::niching::NaN;
use rkyv::niche::niching::Null;
use rkyv::niche::niching::Zero;
use rkyv::rancor::Fallible;
use rkyv::rancor::Source;
use rkyv::rend::NonZeroU16_be;
use rkyv::rend::f64_be;
use rkyv::rend::i32_be;
use rkyv::rend::u32_be;
use rkyv::rend::u32_le;
use rkyv::ser::Allocator;
use rkyv::ser::Writer;
use rkyv::string::ArchivedString;
use rkyv::with::DefaultNiche;
use rkyv::with::Niche;
use rkyv::with::NicheInto;
use serde_json::json;

use super::{is, shown};

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
