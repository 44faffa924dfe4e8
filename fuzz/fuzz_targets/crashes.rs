//! Sequences of operations against a model, with crashes of all participants: the file is copied in
//! the middle of the operations, and they go on in the copy, in which no liveness lock is held.
//! Every message that was committed and not released is redelivered.
#![no_main]

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringway::kind::{BytesFrame, BytesQueue, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, RecvError, SendError};

#[derive(Arbitrary, Debug)]
enum Operation {
    Send(u16),
    Batch(Vec<u8>),
    Receive,
    /// An index into the frames that are held.
    Drop(u8),
    Reject(u8),
    /// All participants together, with everything they hold.
    Crash,
    /// With a frame that is written and not committed.
    CrashInClaim(u16),
    /// With frames that are staged and not committed.
    CrashInBatch(u8),
    /// All participants detach in good order.
    Leave,
}

#[derive(Arbitrary, Debug)]
struct Input {
    mpmc: bool,
    operations: Vec<Operation>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Waiting,
    Held,
    Released,
}

/// What was sent and not yet released, in order, and which participants have had it before.
#[derive(Default)]
struct Model {
    messages: VecDeque<(u32, State)>,
    handed_out: HashSet<u32>,
    contents: HashMap<u32, Vec<u8>>,
    next: u32,
}

impl Model {
    fn message(&mut self, len: usize) -> Vec<u8> {
        self.next += 1;
        let mut content = self.next.to_ne_bytes().to_vec();
        content.extend((0..len % 1500).map(|i| (i as u32 + self.next) as u8));
        content
    }

    fn sent(&mut self, content: Vec<u8>) {
        let id = u32::from_ne_bytes(content[..4].try_into().expect("an id"));
        self.messages.push_back((id, State::Waiting));
        self.contents.insert(id, content);
    }

    fn received(&mut self, content: &[u8], redeliveries: u64, in_order: bool) -> u32 {
        let id = u32::from_ne_bytes(content[..4].try_into().expect("an id"));
        assert_eq!(self.contents[&id], content, "message {id} came torn");
        let again = self.handed_out.contains(&id);
        // Redelivered messages come first, in MPMC in any order.
        let earlier = self.messages.iter().find(|(other, state)| {
            *state == State::Waiting && (in_order || !again || self.handed_out.contains(other))
        });
        let (first, _) = earlier.expect("something was to come");
        assert!(*first == id || (again && !in_order), "{id} came before {first}");
        assert_eq!(redeliveries > 0, again, "message {id}");
        let entry = self.messages.iter_mut().find(|(other, _)| *other == id).expect("it was sent");
        assert_eq!(entry.1, State::Waiting, "message {id} came twice");
        entry.1 = State::Held;
        self.handed_out.insert(id);
        id
    }

    fn set(&mut self, id: u32, state: State) {
        self.messages.iter_mut().find(|(other, _)| *other == id).expect("it is held").1 = state;
    }

    fn waiting(&self) -> usize {
        self.messages.iter().filter(|(_, state)| *state == State::Waiting).count()
    }

    /// SPSC releases up to the oldest frame that was not released.
    fn everybody_is_gone(&mut self, in_order: bool) {
        while self.messages.front().is_some_and(|(_, state)| *state == State::Released) {
            self.messages.pop_front();
        }
        self.messages.retain(|(_, state)| in_order || *state != State::Released);
        self.messages.iter_mut().for_each(|(_, state)| *state = State::Waiting);
    }
}

fuzz_target!(|input: Input| {
    if input.mpmc {
        lives::<Mpmc>(&input, &CreateOptions::new().ring_bytes(4096).max_messages(16).max_participants(4), false);
    } else {
        lives::<Spsc>(&input, &CreateOptions::new().ring_bytes(8192), true);
    }
});

fn lives<K: Kind>(input: &Input, options: &CreateOptions, in_order: bool) {
    let path = |life: usize| {
        PathBuf::from(format!("/dev/shm/ringway-fuzz-crashes-{}-{}", std::process::id(), life % 2))
    };
    let _ = std::fs::remove_file(path(0));
    // SAFETY: only this process knows the file.
    drop(unsafe { BytesQueue::<K>::create_with(path(0), options) }.expect("a new queue"));
    let mut model = Model::default();
    let mut operations = input.operations.iter().take(1000).peekable();
    let mut life = 0;
    while operations.peek().is_some() && life < 100 {
        live::<K>(&path(life), &path(life + 1), &mut operations, &mut model, in_order);
        std::fs::remove_file(path(life)).expect("removing the file");
        life += 1;
    }
    // Every message that is left is delivered now.
    // SAFETY: as above.
    let queue = unsafe { BytesQueue::<K>::open(path(life)) }.expect("the copy");
    let consumer = queue.consumer().expect("nobody else is there");
    while let Ok(frame) = consumer.try_recv() {
        model.received(&frame, frame.redeliveries(), in_order);
    }
    assert_eq!(model.waiting(), 0, "messages were lost");
    std::fs::remove_file(path(life)).expect("removing the file");
}

/// From an attachment to a crash, or to the end of all operations, which is a crash too.
fn live<'o, K: Kind>(
    path: &Path,
    next: &Path,
    operations: &mut impl Iterator<Item = &'o Operation>,
    model: &mut Model,
    in_order: bool,
) {
    // SAFETY: only this process knows the file.
    let queue = unsafe { BytesQueue::<K>::open(path) }.expect("a good file");
    let (mut producer, consumer) = (queue.producer().expect("free"), queue.consumer().expect("free"));
    let mut held: Vec<(u32, BytesFrame<'_, K>)> = Vec::new();
    let crash = |model: &mut Model| {
        std::fs::copy(path, next).expect("copying the file");
        model.everybody_is_gone(in_order);
    };
    for operation in operations {
        match operation {
            Operation::Send(len) => {
                let message = model.message((*len).into());
                match producer.try_send(&message) {
                    Ok(()) => model.sent(message),
                    Err(SendError::Full) => assert!(!in_order || !model.messages.is_empty()),
                    Err(SendError::TooLarge { max, .. }) => assert!(message.len() > max),
                    Err(other) => panic!("{other}"),
                }
            }
            Operation::Batch(lens) => {
                let messages: Vec<_> = lens.iter().take(10).map(|len| model.message((*len).into())).collect();
                match producer.try_send_many(&messages) {
                    Ok(sent) => messages.into_iter().take(sent).for_each(|message| model.sent(message)),
                    Err(SendError::Full) => assert!(!in_order || !model.messages.is_empty()),
                    Err(other) => panic!("{other}"),
                }
            }
            Operation::Receive => match consumer.try_recv() {
                Ok(frame) => held.push((model.received(&frame, frame.redeliveries(), in_order), frame)),
                Err(RecvError::Empty) => assert_eq!(model.waiting(), 0, "it says that it is empty"),
                Err(other) => panic!("{other}"),
            },
            Operation::Drop(which) if !held.is_empty() => {
                let (id, frame) = held.swap_remove(usize::from(*which) % held.len());
                drop(frame);
                model.set(id, State::Released);
            }
            // In SPSC rejected frames come before those that were never delivered, whatever their
            // order.
            Operation::Reject(which) if !held.is_empty() && !in_order => {
                let (id, frame) = held.swap_remove(usize::from(*which) % held.len());
                frame.reject();
                model.set(id, State::Waiting);
            }
            Operation::Drop(_) | Operation::Reject(_) => {}
            Operation::Crash => return crash(model),
            Operation::CrashInClaim(len) => {
                let claim = producer.try_reserve(usize::from(*len) % 1500).map(|mut claim| {
                    claim.fill(0xff);
                    claim
                });
                crash(model);
                return drop(claim);
            }
            Operation::CrashInBatch(count) => {
                let mut batch = producer.batch().expect("a batch");
                for _ in 0..*count {
                    if batch.try_reserve(40).map(|frame| frame.fill(0xff)).is_err() {
                        break;
                    }
                }
                crash(model);
                return drop(batch);
            }
            Operation::Leave => {
                for (id, frame) in held.drain(..) {
                    drop(frame);
                    model.set(id, State::Released);
                }
                drop((producer, held));
                drop(consumer);
                return crash(model);
            }
        }
        while model.messages.front().is_some_and(|(_, state)| *state == State::Released) {
            model.messages.pop_front();
        }
    }
    crash(model);
}
