//! Values that are too wide, too many or nested too deeply.

use std::collections::BTreeMap;
use std::collections::HashMap;

use ringway::Message;
use rkyv::Archive;
use rkyv::Serialize;
use rkyv::rancor::Source;
use rkyv::ser::Writer;
use serde_json::json;

use super::{Side, Tick, is, shown, tick};

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
