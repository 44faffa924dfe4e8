//! A good queue with messages in it, then bytes after its preamble overwritten: attach, drain and
//! send give errors or messages, and end.
#![no_main]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringway::kind::{BytesQueue, Kind, Mpmc, Queue, Spsc};
use ringway::{CreateOptions, Framing};

#[derive(Arbitrary, Debug)]
struct Input {
    fixed: bool,
    typed: bool,
    messages: u8,
    /// The offset (after the preamble), and the value.
    corruption: Vec<(u16, u64)>,
    mpmc: bool,
}

const PREAMBLE: u64 = 0x400;

fuzz_target!(|input: Input| {
    let path = std::path::PathBuf::from(format!("/dev/shm/ringway-fuzz-corrupted-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let options = CreateOptions::new().ring_bytes(4096);
    match (input.mpmc, input.typed) {
        (false, false) => bytes::<Spsc>(&input, &path, options),
        (false, true) => typed::<Spsc>(&input, &path, options),
        (true, false) => bytes::<Mpmc>(&input, &path, options.max_messages(16).max_participants(4)),
        (true, true) => typed::<Mpmc>(&input, &path, options.max_messages(16).max_participants(4)),
    }
    std::fs::remove_file(&path).expect("removing the file");
});

fn overwrite(input: &Input, path: &Path) {
    let file = OpenOptions::new().write(true).open(path).expect("opening the file");
    let len = file.metadata().expect("its length").len();
    for (at, word) in &input.corruption {
        let at = (PREAMBLE + u64::from(*at)).min(len - 8);
        file.write_all_at(&word.to_ne_bytes(), at).expect("damaging it");
    }
}

fn typed<K: Kind>(input: &Input, path: &Path, options: CreateOptions) {
    type Message = (u32, String, Vec<u16>);
    // SAFETY: only this process knows the file.
    let queue = unsafe { Queue::<Message, K>::create_with(path, &options) }.expect("a new queue");
    {
        let mut producer = queue.producer().expect("its producer");
        for i in 0..input.messages {
            let _ = producer.try_send(&(i.into(), "text".repeat(i.into()), vec![7; i.into()]));
        }
    }
    overwrite(input, path);
    if let Ok(consumer) = queue.consumer() {
        for _ in 0..10_000 {
            match consumer.try_recv() {
                Ok(message) => drop(format!("{} {} {:?}", message.0, message.1, message.2)),
                Err(ringway::RecvError::Invalid(_)) => {}
                Err(_) => break,
            }
        }
    }
    let _ = queue.producer().map(|mut producer| producer.try_send(&(1, String::new(), Vec::new())).is_ok());
}

fn bytes<K: Kind>(input: &Input, path: &Path, options: CreateOptions) {
    let options = if input.fixed { options.framing(Framing::Fixed(24)) } else { options };
    // SAFETY: only this process knows the file.
    let queue = unsafe { BytesQueue::<K>::create_with(path, &options) }.expect("a new queue");
    {
        let mut producer = queue.producer().expect("its producer");
        for i in 0..input.messages {
            let _ = producer.try_send(&[i; 24]);
        }
    }
    overwrite(input, path);
    if let Ok(consumer) = queue.consumer() {
        for _ in 0..10_000 {
            let Ok(frames) = consumer.try_recv_many(3) else { break };
            let sum: u64 = frames.iter().flatten().map(|byte| u64::from(*byte)).sum();
            std::hint::black_box(sum);
        }
    }
    let _ = queue.producer().map(|mut producer| producer.try_send(&[1; 24]).is_ok());
}
