//! How the files are mapped.

use std::path::Path;

use ringway::{CreateOptions, OpenOptions, Warning};

use crate::common::directory;
use crate::{create, open, passes, small};

/// Kilobytes of a line of the mappings' descriptions, of those of files in this directory. (One
/// that got its name by being linked is shown under another.)
fn mapped(directory: &Path, what: &str) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut is_ours = false;
    let mut sum = 0;
    for line in maps.lines() {
        let first = line.split(' ').next().unwrap();
        if first.contains('-') {
            is_ours = line.contains(directory.to_str().unwrap());
        } else if is_ours && first.strip_suffix(':') == Some(what) {
            sum += line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

#[test]
fn pages_are_mapped_in_advance_unless_it_was_said_otherwise() {
    const MIB: u64 = 16;
    let dir = directory();
    let path = dir.path().join("queue");
    let options = CreateOptions::new().ring_bytes((MIB << 20) as usize);
    let queue = create(&path, &options).unwrap();
    let producer = queue.producer().unwrap();
    assert!(mapped(dir.path(), "Rss") >= MIB << 10, "{} KiB", mapped(dir.path(), "Rss"));
    assert_eq!(queue.warnings(), []);
    drop((producer, queue));
    let queue = open(&path, &OpenOptions::new().prefault(false)).unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert!(mapped(dir.path(), "Rss") < 1 << 10, "{} KiB", mapped(dir.path(), "Rss"));
    drop((producer, consumer));
    passes(&queue);
}

#[test]
fn huge_pages_are_had_or_noted() {
    let capacity = 8 << 20;
    let options = CreateOptions::new().ring_bytes(capacity).huge_pages(true);
    let dir = directory();
    let path = dir.path().join("queue");
    let queue = create(&path, &options).unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let warnings = queue.warnings();
    if warnings.is_empty() {
        assert!(mapped(dir.path(), "ShmemPmdMapped") > 0, "nothing was noted, and there are none");
    } else {
        assert!(matches!(warnings[..], [Warning::NoHugePages { .. }]), "{warnings:?}");
        println!("{}", warnings[0]);
    }
    producer.send(&[7; 100_000]).unwrap();
    assert_eq!(&*consumer.try_recv().unwrap(), [7; 100_000]);

    // A ring without room for one page of 2 MiB has none, on whatever filesystem.
    let path = dir.path().join("small");
    let queue = create(&path, &small().huge_pages(true)).unwrap();
    passes(&queue);
    let warnings = queue.warnings();
    let [Warning::NoHugePages { reason }] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(!reason.is_empty());
    assert!(warnings[0].to_string().starts_with("no huge pages: "), "{}", warnings[0]);
    // A handle that did not request it has no warning.
    assert_eq!(open(&path, &OpenOptions::new()).unwrap().warnings(), []);
}
