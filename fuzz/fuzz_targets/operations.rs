//! Sequences of operations against a deque, with participants that come and go.
#![no_main]

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringway::spsc::{BytesConsumer, BytesProducer, BytesQueue};
use ringway::{CreateOptions, Framing, RecvError, SendError};

#[derive(Arbitrary, Debug)]
enum Operation {
    Send(u16),
    Batch(Vec<u8>),
    Abort(u16),
    Receive,
    ReceiveMany(u8),
    Reject,
    NewProducer,
    NewConsumer,
}

#[derive(Arbitrary, Debug)]
struct Input {
    fixed: bool,
    operations: Vec<Operation>,
}

fn content(id: u32, len: usize) -> Vec<u8> {
    (0..len).map(|i| (id as usize * 7 + i) as u8).collect()
}

struct Run {
    queue: BytesQueue,
    producer: Option<BytesProducer>,
    consumer: Option<BytesConsumer>,
    fixed: bool,
    /// What was sent and not released.
    model: VecDeque<Vec<u8>>,
    next: u32,
}

impl Run {
    fn message(&mut self, len: u16) -> Vec<u8> {
        self.next += 1;
        content(self.next, if self.fixed { 24 } else { usize::from(len) % 3000 })
    }

    fn step(&mut self, operation: &Operation) {
        let producer = self.producer.take().expect("a producer");
        let consumer = self.consumer.take().expect("a consumer");
        let (producer, consumer) = self.apply(operation, producer, consumer);
        self.producer = Some(producer);
        self.consumer = Some(consumer);
    }

    fn apply(
        &mut self,
        operation: &Operation,
        mut producer: BytesProducer,
        consumer: BytesConsumer,
    ) -> (BytesProducer, BytesConsumer) {
        match operation {
            Operation::Send(len) => {
                let message = self.message(*len);
                match producer.try_send(&message) {
                    Ok(()) => self.model.push_back(message),
                    Err(SendError::Full) => assert!(!self.model.is_empty()),
                    Err(SendError::TooLarge { max, .. }) => assert!(message.len() > max),
                    Err(other) => panic!("{other}"),
                }
            }
            Operation::Batch(lens) => {
                let messages: Vec<_> = lens.iter().take(20).map(|len| self.message((*len).into())).collect();
                match producer.try_send_many(&messages) {
                    Ok(sent) => self.model.extend(messages.into_iter().take(sent)),
                    Err(SendError::Full) => assert!(!self.model.is_empty()),
                    Err(other) => panic!("{other}"),
                }
            }
            Operation::Abort(len) => {
                let len = self.message(*len).len();
                if let Ok(mut claim) = producer.try_reserve(len) {
                    claim.fill(0xff);
                }
            }
            Operation::Receive => match consumer.try_recv() {
                Ok(frame) => assert_eq!(Some(frame.to_vec()), self.model.pop_front()),
                Err(RecvError::Empty) => assert!(self.model.is_empty()),
                Err(other) => panic!("{other}"),
            },
            Operation::ReceiveMany(max) => {
                if let Ok(frames) = consumer.try_recv_many((*max).into()) {
                    for frame in frames.iter() {
                        assert_eq!(Some(frame.to_vec()), self.model.pop_front());
                    }
                }
            }
            Operation::Reject => {
                if let Ok(frame) = consumer.try_recv() {
                    assert_eq!(Some(&frame.to_vec()), self.model.front());
                    frame.reject();
                    let again = consumer.try_recv().expect("a rejected frame comes again");
                    assert_eq!(
                        (Some(again.to_vec()), 1),
                        (self.model.pop_front(), again.redeliveries().min(1))
                    );
                }
            }
            Operation::NewProducer => {
                drop(producer);
                producer = self.queue.producer().expect("the role is free");
            }
            Operation::NewConsumer => {
                drop(consumer);
                return (producer, self.queue.consumer().expect("the role is free"));
            }
        }
        (producer, consumer)
    }
}

fuzz_target!(|input: Input| {
    let path = std::path::PathBuf::from(format!("/dev/shm/ringway-fuzz-operations-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let options = CreateOptions::new().ring_bytes(4096);
    let options = if input.fixed { options.framing(Framing::Fixed(24)) } else { options };
    // SAFETY: only this process knows the file.
    let queue = unsafe { BytesQueue::create_with(&path, &options) }.expect("a new queue");
    let (producer, consumer) = (queue.producer().ok(), queue.consumer().ok());
    let mut run = Run { queue, producer, consumer, fixed: input.fixed, model: VecDeque::new(), next: 0 };
    for operation in input.operations.iter().take(2000) {
        run.step(operation);
    }
    std::fs::remove_file(&path).expect("removing the file");
});
