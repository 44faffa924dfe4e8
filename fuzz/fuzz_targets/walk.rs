//! Any bytes at all as the contents of a lane, and any cursors: a walk over the frames gives
//! messages or errors, and ends.
#![no_main]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use ringway::{CreateOptions, Framing};
use ringway::spsc;
use ringway::untrusted::Limits;
use ringway::untrusted::kind::BytesQueue;

/// `tail`, `head`, `released`, `taken`, `redo_until`, `redo_count`.
const CURSORS: [u64; 6] = [0x500, 0x580, 0x600, 0x608, 0x610, 0x618];
const LANE: u64 = 0x2000;
const MAX_MESSAGES: usize = 500;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let path = PathBuf::from(format!("/dev/shm/ringway-fuzz-walk-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let options = CreateOptions::new().ring_bytes(4096);
    let options = if first & 1 == 0 { options } else { options.framing(Framing::Fixed(24)) };
    let queue =
        BytesQueue::<ringway::kind::Spsc>::create_with(&path, &options, &Limits::new()).expect("a new queue");
    // The reader first, or the writer, whose walk makes `tail` right.
    put(&path, bytes);
    if first & 2 == 0 {
        read(&queue);
        write(&queue);
    } else {
        write(&queue);
        read(&queue);
    }
    put(&path, bytes);
    in_place(&path);
    std::fs::remove_file(&path).expect("removing the file");
});

fn put(path: &Path, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("opening the file");
    let words = bytes.len().min(8 * CURSORS.len()) / 8;
    for (at, word) in CURSORS.iter().zip(bytes[..words * 8].chunks_exact(8)) {
        file.write_all_at(word, *at).expect("writing a cursor");
    }
    let lane = &bytes[words * 8..];
    file.write_all_at(&lane[..lane.len().min(128 + 4096)], LANE).expect("writing the lane");
}

fn read(queue: &BytesQueue) {
    let Ok(consumer) = queue.consumer() else { return };
    let mut held = Vec::new();
    for i in 0..MAX_MESSAGES {
        let Ok(frame) = consumer.try_recv() else { break };
        assert!(frame.len() <= 4096);
        match i % 5 {
            0 => held.push(frame),
            1 => frame.reject(),
            _ => drop(frame),
        }
    }
}

fn write(queue: &BytesQueue) {
    let Ok(mut producer) = queue.producer() else { return };
    for i in 0..MAX_MESSAGES {
        if producer.try_send(&[i as u8; 24]).is_err() {
            break;
        }
    }
}

/// The frames as a consumer that trusts its peers takes them: in runs.
fn in_place(path: &Path) {
    // SAFETY: no process writes to the file while it is open.
    let queue = unsafe { spsc::BytesQueue::open(path) }.expect("its header is good");
    let Ok(consumer) = queue.consumer() else { return };
    for max in 1..MAX_MESSAGES / 4 {
        let Ok(frames) = consumer.try_recv_many(max) else { break };
        let sum: u64 = frames.iter().flatten().map(|byte| u64::from(*byte)).sum();
        std::hint::black_box(sum);
        if max % 7 == 0 {
            frames.reject();
        }
    }
}
