//! `ringway peek` and `ringway tail` on typed queues: messages are shown as their fields.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringway::{CreateOptions, Message};
use rkyv::{Archive, Serialize};
use serde_json::json;
use support::{Place, overwrite, ringway};

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
    Limit { price: u64 },
}

fn tick(number: u32) -> Tick {
    Tick {
        symbol: format!("RWY{number}"),
        prices: vec![1.5, 2.5],
        side: if number.is_multiple_of(2) { Side::Sell } else { Side::Limit { price: number.into() } },
        note: None,
    }
}

/// A queue with these messages in it.
fn with_ticks(path: &Path, numbers: std::ops::Range<u32>) {
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::spsc::Queue::<Tick>::open_or_create(path) }.unwrap();
    let mut producer = queue.producer().unwrap();
    numbers.for_each(|number| producer.send(&tick(number)).unwrap());
}

#[test]
fn fields_are_shown_where_the_file_says_what_they_are() {
    let place = Place::new();
    let path = place.at("ticks");
    with_ticks(&path, 0..2);
    let fields = "  Tick\n    symbol: \"RWY0\"\n    prices: [1.5, 2.5]\n    side: Sell\n    note: none\n";
    for arguments in [&[][..], &["--format", "fields"], &["--bytes", "1"]] {
        let done = ringway("peek").args(arguments).arg(&path).run().well();
        let done = done.says(&["bytes, waiting\n", fields, "    side: Limit { price: 1 }\n"]);
        assert!(!done.stdout().contains("|"), "no hex: {}", done.stdout());
    }
    let newest = ringway("tail").args(["-n", "1"]).arg(&path).run().well().says(&["symbol: \"RWY1\""]);
    assert!(!newest.stdout().contains("RWY0"));
    let hex =
        ringway("peek").args(["--format", "hex"]).arg(&path).run().well().says(&["|RWY0", "position 0"]);
    assert!(!hex.stdout().contains("symbol"));
    ringway("peek").args(["--format", "text"]).arg(&path).run().well().says(&["RWY0", "\\u{"]);

    let objects = ringway("peek").args(["--json", "--bytes", "2"]).arg(&path).run().well().json_lines();
    assert_eq!(
        objects[1]["fields"],
        json!({"symbol": "RWY1", "prices": [1.5, 2.5], "side": {"Limit": {"price": 1}}, "note": null})
    );
    assert!(objects[1]["fields_error"].is_null());
    assert_eq!(objects[1]["payload_hex"].as_str().unwrap().len(), 4);
}

#[test]
fn messages_of_a_pool_and_of_fixed_size_too() {
    let place = Place::new();
    let path = place.at("mpmc");
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::mpmc::Queue::<Tick>::create(&path) }.unwrap();
    queue.producer().unwrap().send(&tick(3)).unwrap();
    let consumer = queue.consumer().unwrap();
    let held = consumer.recv().unwrap();
    ringway("peek").arg("--held").arg(&path).run().well().says(&["held by participant", "symbol: \"RWY3\""]);
    drop(held);
    let path = place.at("fixed");
    // SAFETY: as above.
    let queue = unsafe { ringway::spsc::Queue::<(u8, [i16; 2])>::create(&path) }.unwrap();
    queue.producer().unwrap().send(&(7, [-1, 1])).unwrap();
    ringway("peek").arg(&path).run().well().says(&["position 0, 6 bytes, waiting\n  (7, [-1, 1])\n"]);
}

#[test]
fn bytes_stay_bytes() {
    let place = Place::new();
    let path = place.create("bytes", &[]);
    ringway("send").arg(&path).arg("plain").run().well();
    let plain = ringway("peek").arg(&path).run().well().says(&["|plain|"]);
    assert!(!plain.stdout().contains("no fields"));
    let asked = ringway("peek").args(["--format", "fields"]).arg(&path).run().well();
    asked.says(&["no fields: messages are bytes", "|plain|"]);
    let object = ringway("peek").arg("--json").arg(&path).run().well().json();
    assert!(object["fields"].is_null() && object["fields_error"].is_null(), "{object}");
}

#[test]
fn long_messages_say_how_to_read_all_of_them() {
    let place = Place::new();
    let path = place.at("long");
    let options = CreateOptions::new().ring_bytes(16 << 20);
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::spsc::Queue::<Vec<u64>>::create_with(&path, &options) }.unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send(&(0..100_000).collect()).unwrap();
    producer.send(&(0..200_000).collect()).unwrap();
    let done = ringway("peek").arg(&path).run().well();
    done.says(&[
        "100,000 values\n    0, 1, 2,",
        "no fields: it has 1,600,008 bytes, and no more than 1,048,576 are read; --bytes 1600008 reads all",
        "and 1,599,752 bytes (--bytes shows more)",
    ]);
    let objects = ringway("peek").arg("--json").arg(&path).run().well().json_lines();
    assert_eq!(objects[0]["fields"][2], 2);
    assert!(objects[1]["fields"].is_null());
    assert!(objects[1]["fields_error"].as_str().unwrap().contains("--bytes 1600008"));
    ringway("peek").args(["--bytes", "1600008"]).arg(&path).run().well().says(&["200,000 values\n    0, 1,"]);
}

/// More messages than are copied at a time, some of them longer than what is copied at first.
#[test]
fn many_messages_come_in_their_order() {
    let place = Place::new();
    let path = place.at("many");
    let options = CreateOptions::new().ring_bytes(16 << 20);
    // SAFETY: only this test uses the file.
    let queue = unsafe { ringway::spsc::Queue::<Vec<u64>>::create_with(&path, &options) }.unwrap();
    let mut producer = queue.producer().unwrap();
    let all = 40_000;
    for number in 0..all {
        let len = if number % 1000 == 0 { 600 } else { 1 };
        producer.send(&vec![number; len]).unwrap();
    }
    let is = |command: &str, count: u64, expected: std::ops::Range<u64>| {
        let objects =
            ringway(command).args(["--json", "-n", &count.to_string()]).arg(&path).run().well().json_lines();
        assert_eq!(objects.len() as u64, expected.end - expected.start);
        for (object, number) in objects.iter().zip(expected) {
            assert_eq!(object["fields"][0], number, "{object}");
            let len = object["fields"].as_array().unwrap().len();
            assert_eq!(len, if number % 1000 == 0 { 600 } else { 1 });
        }
    };
    is("peek", 20_000, 0..20_000);
    is("peek", 50_000, 0..all);
    is("tail", 20_000, all - 20_000..all);
    is("tail", 100, all - 100..all);
}

#[test]
fn what_comes_is_followed() {
    let place = Place::new();
    let path = place.at("followed");
    with_ticks(&path, 0..1);
    let mut command = ringway("tail").args(["-F", "--json", "--interval", "1ms"]).arg(&path).command();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || {
        let object: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        object["fields"]["symbol"].as_str().unwrap().to_owned()
    };
    assert_eq!(next(), "RWY0");
    with_ticks(&path, 1..200);
    for number in 1..200 {
        assert_eq!(next(), format!("RWY{number}"));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn what_is_damaged_is_shown_as_far_as_it_can_be() {
    let place = Place::new();
    let path = place.at("corrupted");
    with_ticks(&path, 0..1);
    let object = ringway("peek").args(["--json", "--bytes", "1M"]).arg(&path).run().well().json();
    let hex = object["payload_hex"].as_str().unwrap();
    let payload: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let file = std::fs::read(&path).unwrap();
    let at = file.windows(payload.len()).position(|bytes| bytes == payload).unwrap();
    // The root is at the end: a string and a list of eight bytes each, the list's pointer first.
    let root = at + payload.len() - std::mem::size_of::<rkyv::Archived<Tick>>();
    overwrite(&path, root as u64 + 8, &i32::MAX.to_le_bytes());
    let done = ringway("peek").arg(&path).run().well();
    done.says(&[
        "symbol: \"RWY0\"",
        "prices: <Vec<f64>: ff ff ff 7f 02 00 00 00 (it points to a place outside of the message)>",
        "side: Sell",
    ]);
    let object = ringway("peek").arg("--json").arg(&path).run().well().json();
    assert_eq!(object["fields"]["prices"]["$type"], "Vec<f64>");

    // Changes the description, which then no longer has the recorded fingerprint.
    let start = file.windows(12).position(|bytes| bytes == b"message Tick").unwrap();
    overwrite(&path, start as u64 + 8, b"t");
    let done = ringway("peek").arg(&path).run().well();
    done.says(&["no fields: ", path.to_str().unwrap(), "schema fingerprint", "|"]);
    let object = ringway("peek").arg("--json").arg(&path).run().well().json();
    assert!(object["fields"].is_null() && object["fields_error"].as_str().unwrap().contains("fingerprint"));
}

#[test]
fn schema_has_the_fields() {
    let place = Place::new();
    let path = place.at("ticks");
    with_ticks(&path, 0..1);
    let shown = ringway("schema").arg(&path).run().well();
    let shown =
        shown.says(&["`Tick`", "  fields\n", "    struct Tick\n", "      symbol: String at offset 0\n"]);
    assert!(
        shown.stdout().contains("enum Side") && shown.stdout().contains("variant Limit = 2"),
        "{}",
        shown.stdout()
    );
    let schema = ringway("schema").arg("--json").arg(&path).run().well().json();
    assert!(schema["description"].as_str().unwrap().starts_with("message Tick\n"));
    let types = schema["types"].as_array().unwrap();
    let of = |name: &str| types.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(of("Tick")["fields"][0], json!({"name": "symbol", "type": "String", "offset": 0}));
    assert_eq!(of("Tick")["fields"].as_array().unwrap().len(), 4);
    assert_eq!(of("Side")["variants"][2]["name"], "Limit");
    assert_eq!(of("Side")["variants"][2]["fields"][0]["type"], "u64");
    assert!(schema["types_error"].is_null() && of("Side")["size"].as_u64().is_some());
    // Types without fields of their own, and bytes.
    let path = place.at("pairs");
    // SAFETY: only this test uses the file.
    drop(unsafe { ringway::spsc::Queue::<(u32, String)>::create(&path) }.unwrap());
    let shown = ringway("schema").arg(&path).run().well().stdout();
    assert!(shown.contains("(u32, String)") && !shown.contains("fields"), "{shown}");
    let path = place.create("bytes", &[]);
    assert!(ringway("schema").arg("--json").arg(&path).run().well().json()["description"].is_null());
}
