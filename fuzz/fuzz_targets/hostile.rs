//! Participants that trust no peer, at work while an untrusted peer writes arbitrary values between
//! any two calls.
#![no_main]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringway::untrusted::Limits;
use ringway::untrusted::kind::{Consumer, Frame, Producer, Queue};
use ringway::kind::{Kind, Mpmc, Spsc};
use ringway::CreateOptions;

type Message = (u32, String, Vec<Vec<u16>>, Option<Box<u64>>, std::collections::BTreeMap<u8, String>);

#[derive(Arbitrary, Debug)]
enum Step {
    Send(u8),
    Receive,
    ReceiveAndHold,
    Drop,
    Reject,
    NewProducer,
    NewConsumer,
    Close,
    /// One of the shared words.
    Word(u16, u64),
    /// A byte at any offset.
    Byte(u16, u8),
    /// A word that grows by little.
    Add(u16, u8),
}

#[derive(Arbitrary, Debug)]
struct Input {
    mpmc: bool,
    steps: Vec<Step>,
}

const PREAMBLE: u64 = 0x400;

fuzz_target!(|input: Input| {
    let path = PathBuf::from(format!("/dev/shm/ringway-fuzz-hostile-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let options = CreateOptions::new().ring_bytes(4096);
    if input.mpmc {
        run::<Mpmc>(&input, &path, &options.max_messages(16).max_participants(4));
    } else {
        run::<Spsc>(&input, &path, &options);
    }
    std::fs::remove_file(&path).expect("removing the file");
});

fn message(number: u8) -> Message {
    let n = usize::from(number);
    (
        n as u32,
        "text".repeat(n),
        vec![vec![7; n % 5]; n % 7],
        None,
        (0..number % 4).map(|i| (i, "x".into())).collect(),
    )
}

fn run<K: Kind>(input: &Input, path: &PathBuf, options: &CreateOptions) {
    let limits = Limits::new().message(2000).depth(16);
    let queue = Queue::<Message, K>::create_with(path, options, &limits).expect("a new queue");
    let file = OpenOptions::new().read(true).write(true).open(path).expect("opening the file");
    let len = file.metadata().expect("its length").len();
    let mut steps = input.steps.iter().take(500).peekable();
    // In each round a participant attaches anew.
    while steps.peek().is_some() {
        let (producer, consumer) = (queue.producer(), queue.consumer());
        let mut producer = producer.ok();
        work(&queue, &file, len, producer.as_mut(), consumer.as_ref().ok(), &mut steps);
    }
}

fn work<'s, K: Kind>(
    queue: &Queue<Message, K>,
    file: &File,
    len: u64,
    mut producer: Option<&mut Producer<Message, K>>,
    consumer: Option<&Consumer<Message, K>>,
    steps: &mut impl Iterator<Item = &'s Step>,
) {
    let mut held: Vec<Frame<'_, Message, K>> = Vec::new();
    for step in steps {
        match (step, &mut producer, consumer) {
            (Step::Send(number), Some(producer), _) => drop(producer.try_send(&message(*number))),
            (Step::Receive, _, Some(consumer)) => {
                drop(consumer.recv_timeout(Duration::ZERO).map(|frame| format!("{:?}", *frame)));
            }
            (Step::ReceiveAndHold, _, Some(consumer)) => held.extend(consumer.try_recv()),
            (Step::Drop, ..) => drop(held.pop()),
            (Step::Reject, ..) => drop(held.pop().map(Frame::reject)),
            (Step::Close, ..) => queue.close(),
            (Step::NewProducer | Step::NewConsumer, ..) => return,
            (Step::Word(at, word), ..) => {
                write(file, len, PREAMBLE + u64::from(*at) / 8 * 8, &word.to_ne_bytes())
            }
            (Step::Byte(at, byte), ..) => write(file, len, (*at).into(), &[*byte]),
            (Step::Add(at, by), ..) => {
                let at = (PREAMBLE + u64::from(*at) / 8 * 8).min(len - 8);
                let mut word = [0; 8];
                file.read_exact_at(&mut word, at).expect("reading a word");
                let word = u64::from_ne_bytes(word).wrapping_add((*by).into());
                write(file, len, at, &word.to_ne_bytes());
            }
            _ => {}
        }
        for frame in &held {
            std::hint::black_box(
                frame.1.chars().count() + frame.2.iter().map(|list| list.len()).sum::<usize>(),
            );
        }
    }
}

fn write(file: &File, len: u64, at: u64, bytes: &[u8]) {
    file.write_all_at(bytes, at.min(len - bytes.len() as u64)).expect("writing");
}
