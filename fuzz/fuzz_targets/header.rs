//! A good file with some bytes of its header changed, and the checksum made to fit: an error or a
//! working queue.
#![no_main]

use std::path::PathBuf;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringway::untrusted::Limits;
use ringway::untrusted::kind::{BytesQueue, Queue};
use ringway::kind::{Kind, Mpmc, Spsc};
use ringway::{CreateOptions, Framing};

#[derive(Arbitrary, Debug)]
struct Input {
    mpmc: bool,
    fixed: bool,
    seals: bool,
    /// The offset, and the value.
    changes: Vec<(u16, u64)>,
}

const CHECKSUM: usize = 0x3f0;
/// The preamble, the words after it, the registry.
const HEADER: usize = 0x2000;

fuzz_target!(|input: Input| {
    let path = PathBuf::from(format!("/dev/shm/ringway-fuzz-header-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let options = CreateOptions::new().ring_bytes(4096);
    let options = if input.fixed { options.framing(Framing::Fixed(24)) } else { options };
    if input.mpmc {
        look::<Mpmc>(&input, &path, &options.max_messages(16).max_participants(4));
    } else {
        look::<Spsc>(&input, &path, &options);
    }
    std::fs::remove_file(&path).expect("removing the file");
});

fn look<K: Kind>(input: &Input, path: &PathBuf, options: &CreateOptions) {
    drop(BytesQueue::<K>::create_with(path, options, &Limits::new()).expect("a new queue"));
    let mut bytes = std::fs::read(path).expect("reading the file");
    for (at, word) in &input.changes {
        let at = usize::from(*at) % (HEADER - 8);
        bytes[at..at + 8].copy_from_slice(&word.to_ne_bytes());
    }
    if input.seals {
        let sum = bytes[..CHECKSUM].iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        bytes[CHECKSUM..CHECKSUM + 8].copy_from_slice(&sum.to_ne_bytes());
    }
    std::fs::write(path, bytes).expect("writing the file");
    if let Ok(queue) = BytesQueue::<K>::open(path) {
        let _ = queue.consumer().map(|consumer| consumer.try_recv().is_ok());
        let _ = queue.producer().map(|mut producer| producer.try_send(&[7; 24]).is_ok());
    }
    let _ = Queue::<u64, K>::open(path).map(|queue| queue.consumer().is_ok());
}
