//! A queue with messages in it, then bytes anywhere overwritten and its length changed, or any
//! bytes at all: inspection gives an error or an answer, within a short time.
#![no_main]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringway::inspect::{Inspector, Peek, Start};
use ringway::kind::{BytesQueue, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, Framing};

#[derive(Arbitrary, Debug)]
struct Input {
    shape: Shape,
    messages: u8,
    /// The offset, and the value.
    corruption: Vec<(u16, u64)>,
    /// Whether the checksum of the header fits again.
    is_sealed: bool,
    len: Option<u16>,
    start: u64,
}

#[derive(Arbitrary, Debug)]
enum Shape {
    Spsc,
    Fixed,
    Mpmc,
    Bytes(Vec<u8>),
}

fuzz_target!(|input: Input| {
    let path = PathBuf::from(format!("/dev/shm/ringway-fuzz-inspect-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let options = CreateOptions::new().ring_bytes(4096);
    match &input.shape {
        Shape::Spsc => create::<Spsc>(&input, &path, &options),
        Shape::Fixed => create::<Spsc>(&input, &path, &options.framing(Framing::Fixed(24))),
        Shape::Mpmc => create::<Mpmc>(&input, &path, &options.max_messages(16).max_participants(4)),
        Shape::Bytes(bytes) => std::fs::write(&path, bytes).expect("writing the file"),
    }
    overwrite(&input, &path);
    look(&path, input.start);
    std::fs::remove_file(&path).expect("removing the file");
});

fn create<K: Kind>(input: &Input, path: &Path, options: &CreateOptions) {
    // SAFETY: only this process knows the file.
    let queue = unsafe { BytesQueue::<K>::create_with(path, options) }.expect("a new queue");
    let mut producer = queue.producer().expect("its producer");
    (0..input.messages).for_each(|number| drop(producer.try_send(&[number; 24])));
    let consumer = queue.consumer().expect("its consumer");
    let _ = consumer.try_recv().map(|frame| frame.reject());
}

fn overwrite(input: &Input, path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("opening the file");
    for (at, word) in &input.corruption {
        let len = file.metadata().expect("its length").len();
        if u64::from(*at) + 8 <= len {
            file.write_all_at(&word.to_ne_bytes(), (*at).into()).expect("damaging it");
        }
    }
    let mut header = [0; 0x3f0];
    if input.is_sealed && file.read_exact_at(&mut header, 0).is_ok() {
        let sum = header.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        file.write_all_at(&sum.to_ne_bytes(), 0x3f0).expect("sealing it");
    }
    if let Some(len) = input.len {
        file.set_len(len.into()).expect("changing its length");
    }
}

fn look(path: &Path, start: u64) {
    let Ok(inspector) = Inspector::open(path) else { return };
    let _ = std::hint::black_box(inspector.snapshot());
    let _ = inspector.progress();
    for start in [Start::Oldest, Start::Newest, Start::From(start)] {
        let what = Peek::new().most(50).bytes(64).held(true).start(start);
        if let Ok(peeked) = inspector.peek(&what) {
            let _ = inspector.peek(&what.start(Start::From(peeked.next)));
        }
    }
}
