//! Queues of each kind, of bytes and typed, with messages that show whether they are whole.
#![allow(unsafe_code, reason = "opens queues that no other process knows")]

use std::marker::PhantomData;
use std::path::Path;

use crate::error::{AttachError, OpenError, RecvError, SendError};
use crate::queue::{
    AfterPowerLoss, BytesConsumer, BytesProducer, BytesQueue, CreateOptions, Framing, Kind, OpenOptions,
};
use crate::shm::Warning;
use crate::typed::{Consumer, Producer, Queue};

/// A queue that delivers more messages than this does not end.
const MOST: usize = 5000;

pub(super) trait Flavour {
    type Queue;
    type Producer;
    type Consumer;
    const HAS_CHECKSUMS: bool;
    /// Up to this many messages are sent or received in a step.
    const BURST: u64;

    fn create(path: &Path) -> Self::Queue;
    fn open(path: &Path, what: AfterPowerLoss) -> Result<Self::Queue, OpenError>;
    fn producer(queue: &Self::Queue) -> Result<Self::Producer, AttachError>;
    fn consumer(queue: &Self::Queue) -> Result<Self::Consumer, AttachError>;
    /// Returns false if there is no room.
    fn send(producer: &mut Self::Producer, number: u64) -> bool;
    /// Returns the number of the next message, which is released, or held for as long as the
    /// consumer is there; none if there is none. The error says that what was delivered is no
    /// message.
    fn recv(consumer: &Self::Consumer, keeps: bool) -> Result<Option<u64>, String>;
    /// Writes the queue to the disk.
    fn sync(queue: &Self::Queue);
    fn warnings(queue: &Self::Queue) -> Vec<Warning>;

    /// All messages that are delivered.
    fn drain(queue: &Self::Queue) -> Result<Vec<u64>, String> {
        let consumer = Self::consumer(queue).map_err(|error| error.to_string())?;
        let mut numbers = Vec::new();
        while let Some(number) = Self::recv(&consumer, false)? {
            numbers.push(number);
            assert!(numbers.len() < MOST, "it does not end");
        }
        Ok(numbers)
    }
}

fn options() -> CreateOptions {
    CreateOptions::new().ring_bytes(16 << 10)
}

fn mpmc<K: Kind>(options: CreateOptions) -> CreateOptions {
    if std::any::type_name::<K>().contains("Mpmc") {
        options.max_messages(64).max_participants(4)
    } else {
        options
    }
}

/// The bytes of a message: each depends on the number, and on its place.
fn content(number: u64, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|at| (number as usize * 31 + at * 7) as u8).collect();
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// From eight bytes to more than a page.
fn len_of(number: u64) -> usize {
    8 + (number * 7919 % 101 * (number % 7) * (number % 11)) as usize
}

fn number_in(bytes: &[u8], len: impl Fn(u64) -> usize) -> Result<u64, String> {
    let first: Option<&[u8; 8]> = bytes.first_chunk();
    let number = first.map(|first| u64::from_le_bytes(*first)).ok_or("less than eight bytes")?;
    let is_whole = number < 1 << 32 && bytes == content(number, len(number));
    is_whole.then_some(number).ok_or_else(|| format!("{} bytes are no message", bytes.len()))
}

fn sent(result: Result<(), SendError>) -> bool {
    match result {
        Ok(()) => true,
        Err(SendError::Full) => false,
        // Corruption that was taken with consent.
        Err(_) => false,
    }
}

fn nothing<T>(error: &RecvError) -> Result<Option<T>, String> {
    match error {
        RecvError::Empty | RecvError::Closed => Ok(None),
        other => Err(other.to_string()),
    }
}

/// Messages of bytes, variable size.
pub(super) struct Bytes<K>(PhantomData<K>);

/// Messages of 104 bytes.
pub(super) struct Fixed<K>(PhantomData<K>);

/// MPMC: fewer messages than slots, which take several pages. Small messages, so that the slots go round.
pub(super) struct Bounded<K>(PhantomData<K>);

/// Messages of a number, and a list.
pub(super) struct Typed<K>(PhantomData<K>);

/// A flavour of a queue of that type; how its messages are made from a number, and the number read
/// from them.
macro_rules! flavour {
    ($name:ident: $queue:ty, $producer:ty, $consumer:ty; $options:expr, $burst:expr, $message:expr, $frame:ident => $number:expr) => {
        impl<K: Kind> Flavour for $name<K> {
            type Queue = $queue;
            type Producer = $producer;
            type Consumer = $consumer;
            const HAS_CHECKSUMS: bool = K::TRAILER != 0;
            const BURST: u64 = $burst;

            fn create(path: &Path) -> Self::Queue {
                // SAFETY: only this test knows the file, as everywhere here.
                unsafe { <$queue>::create_with(path, &$options) }.unwrap()
            }

            fn open(path: &Path, what: AfterPowerLoss) -> Result<Self::Queue, OpenError> {
                // SAFETY: as above.
                unsafe { <$queue>::open_with(path, &OpenOptions::new().after_power_loss(what)) }
            }

            fn producer(queue: &Self::Queue) -> Result<Self::Producer, AttachError> {
                queue.producer()
            }

            fn consumer(queue: &Self::Queue) -> Result<Self::Consumer, AttachError> {
                queue.consumer()
            }

            fn send(producer: &mut Self::Producer, number: u64) -> bool {
                sent(producer.try_send(&$message(number)))
            }

            fn recv(consumer: &Self::Consumer, keeps: bool) -> Result<Option<u64>, String> {
                match consumer.try_recv() {
                    Ok(frame) => {
                        let $frame = &*frame;
                        let number: u64 = $number?;
                        if keeps {
                            std::mem::forget(frame);
                        }
                        Ok(Some(number))
                    }
                    Err(error) => nothing(&error),
                }
            }

            fn sync(queue: &Self::Queue) {
                queue.sync().unwrap();
            }

            fn warnings(queue: &Self::Queue) -> Vec<Warning> {
                queue.warnings()
            }
        }
    };
}

macro_rules! bytes_flavour {
    ($name:ident: $options:expr, $burst:expr, $len:expr) => {
        flavour!(
            $name: BytesQueue<K>, BytesProducer<K>, BytesConsumer<K>;
            $options, $burst, |number| content(number, $len(number)), bytes => number_in(bytes, $len)
        );
    };
}

bytes_flavour!(Bytes: mpmc::<K>(options()), 40, len_of);
bytes_flavour!(Fixed: mpmc::<K>(options()).framing(Framing::Fixed(104)), 40, |_| 104);
bytes_flavour!(Bounded: mpmc::<K>(options()).max_messages(300), 300, |number| 8 + (number % 17) as usize);

type Content = (u64, Vec<u8>);

flavour!(
    Typed: Queue<Content, K>, Producer<Content, K>, Consumer<Content, K>;
    mpmc::<K>(options()), 40, |number| (number, content(number, len_of(number))),
    content => match number_in(&content.1, len_of) {
        Ok(number) if number != content.0.to_native() => Err("two numbers".to_owned()),
        result => result,
    }
);
