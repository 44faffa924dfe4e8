//! The real lane code under loom: every interleaving of a writer and a reader (preemption-bounded
//! where said), every value that an atomic load may return under the orderings written, and every
//! access to payload bytes checked for a data race (see `memory::model`).
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom_tests`

use std::sync::Arc;

use loom::model::Builder;
use loom::thread;

use super::done::Done;
use super::*;
use crate::layout::{Cursors, DoneRange, Framing, Geometry, GeometryRequest};

struct Lane {
    memory: LaneMemory,
    cursors: Ref<Cursors>,
    done: Ref<[DoneRange]>,
    geometry: Geometry,
}

impl Lane {
    /// Eight granules of eight bytes, or `capacity` cells of eight bytes.
    fn new(framing: Framing, capacity: u64) -> Self {
        let geometry =
            Geometry::new(GeometryRequest { framing, capacity, align: 8, description_len: 0, order: None })
                .unwrap();
        let cursors = Ref::on_heap(Arc::new(Cursors::default()));
        let ranges: Vec<_> = (0..1).map(|_| DoneRange::default()).collect();
        let done = Ref::slice_on_heap(Arc::new(ranges));
        Self { memory: LaneMemory::on_heap(geometry.ring_bytes() as usize), cursors, done, geometry }
    }

    fn variable() -> Self {
        Self::new(Framing::Variable, 64)
    }

    fn fixed(slots: u64) -> Self {
        Self::new(Framing::Fixed { len: 8 }, slots * 8)
    }

    fn writer(&self) -> LaneWriter {
        LaneWriter::attach(self.memory.clone(), self.cursors.clone(), &self.geometry).unwrap()
    }

    fn reader(&self) -> LaneReader {
        LaneReader::attach(self.memory.clone(), self.cursors.clone(), self.done(), &self.geometry).unwrap()
    }

    fn done(&self) -> Done {
        Done::new(self.done.clone())
    }
}

fn write(writer: &LaneWriter, slot: Reserved, id: u8, len: usize) {
    #[allow(unsafe_code)]
    // SAFETY: the writer reserved these bytes; loom runs one thread at a time, and checks that the
    // reservation is right.
    unsafe {
        writer.payload(slot).write_bytes(id, len);
    }
}

fn try_send(writer: &mut LaneWriter, id: u8, len: usize) -> bool {
    match writer.reserve(len) {
        Ok(slot) => {
            write(writer, slot, id, len);
            writer.commit(slot, len);
            true
        }
        Err(Refusal::Full) => false,
        Err(other) => panic!("{other:?}"),
    }
}

fn send(writer: &mut LaneWriter, id: u8, len: usize) {
    while !try_send(writer, id, len) {
        thread::yield_now();
    }
}

/// Sends several messages in one commit.
fn send_batch(writer: &mut LaneWriter, batch: &[(u8, usize)]) {
    let mut staged = writer.begin();
    for &(id, len) in batch {
        let slot = loop {
            match writer.reserve_after(&staged, len) {
                Ok(slot) => break slot,
                Err(Refusal::Full) => thread::yield_now(),
                Err(other) => panic!("{other:?}"),
            }
        };
        write(writer, slot, id, len);
        writer.stage(&mut staged, slot, len);
    }
    writer.publish(staged);
}

fn check(reader: &LaneReader, frame: &SpscFrame, id: u8, len: usize) {
    assert_eq!(frame.len, len);
    #[allow(unsafe_code)]
    // SAFETY: the frame is in flight; loom checks that no thread writes there.
    let bytes = unsafe { std::slice::from_raw_parts(reader.payload(frame.offset), frame.len) };
    assert!(bytes.iter().all(|byte| *byte == id), "message {id} is torn or stale: {bytes:?}");
}

fn take(reader: &LaneReader) -> SpscFrame {
    loop {
        match reader.take().expect("no corruption") {
            Some(frame) => return frame,
            None => thread::yield_now(),
        }
    }
}

fn receive(reader: &LaneReader, id: u8, len: usize) {
    let frame = take(reader);
    check(reader, &frame, id, len);
    reader.release(frame);
}

fn model(bound: Option<usize>, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = bound;
    builder.check(test);
}

/// Lengths that make the third frame need padding in a ring of 64 bytes: 16 + 24 + 24 would fit,
/// 24 + 24 + 24 not.
const LENGTHS: [usize; 5] = [8, 16, 16, 8, 16];

#[test]
fn commit_and_release_variable() {
    model(None, || {
        let lane = Lane::variable();
        let (mut writer, reader) = (lane.writer(), lane.reader());
        let sender = thread::spawn(move || {
            for id in 0..2 {
                send(&mut writer, id, 16);
            }
        });
        for id in 0..2 {
            receive(&reader, id, 16);
        }
        sender.join().unwrap();
    });
}

#[test]
fn wrap_around_with_padding() {
    model(Some(3), || {
        let lane = Lane::variable();
        let (mut writer, reader) = (lane.writer(), lane.reader());
        let sender = thread::spawn(move || {
            for (id, len) in LENGTHS.into_iter().enumerate() {
                send(&mut writer, id as u8, len);
            }
        });
        for (id, len) in LENGTHS.into_iter().enumerate() {
            receive(&reader, id as u8, len);
        }
        sender.join().unwrap();
    });
}

#[test]
fn an_exactly_full_ring() {
    model(Some(3), || {
        let lane = Lane::variable();
        let (mut writer, reader) = (lane.writer(), lane.reader());
        // Frames of 8 bytes: no payload, just the word. Seven fill the ring; the eighth granule is
        // the cleared word.
        let mut sent = 0;
        while try_send(&mut writer, sent, 0) {
            sent += 1;
        }
        assert_eq!(sent, 7);
        let sender = thread::spawn(move || {
            send(&mut writer, 7, 0);
            send(&mut writer, 8, 0);
        });
        for id in 0..9 {
            receive(&reader, id, 0);
        }
        sender.join().unwrap();
        assert_eq!(reader.take(), Ok(None));
    });
}

#[test]
fn a_full_ring_of_payloads() {
    model(Some(2), || {
        let lane = Lane::variable();
        let (mut writer, reader) = (lane.writer(), lane.reader());
        let mut sent = 0;
        while try_send(&mut writer, sent, 8) {
            sent += 1;
        }
        assert_eq!(sent, 3, "frames of 16 bytes, and a granule for the next word");
        let sender = thread::spawn(move || {
            for id in 3..6 {
                send(&mut writer, id, 8);
            }
        });
        for id in 0..6 {
            receive(&reader, id, 8);
        }
        sender.join().unwrap();
    });
}

#[test]
fn a_batch_is_seen_whole() {
    model(Some(3), || {
        let lane = Lane::variable();
        let (mut writer, reader) = (lane.writer(), lane.reader());
        // The first frame moves the cursors, so that the batch has padding in its middle.
        send(&mut writer, 0, 16);
        receive(&reader, 0, 16);
        let sender = thread::spawn(move || send_batch(&mut writer, &[(1, 16), (2, 8)]));
        let mut spans = Vec::new();
        let run = loop {
            match reader.take_many(10, &mut spans).unwrap() {
                Some(run) => break run,
                None => thread::yield_now(),
            }
        };
        assert_eq!(run.count, 2, "whoever sees the first sees all");
        for (frame, (id, len)) in reader.frames(run).zip([(1, 16), (2, 8)]) {
            check(&reader, &frame, id, len);
        }
        reader.release_run(run);
        sender.join().unwrap();
    });
}

#[test]
fn a_batch_that_begins_with_padding() {
    model(Some(3), || {
        let lane = Lane::variable();
        let (mut writer, reader) = (lane.writer(), lane.reader());
        for id in 0..2 {
            send(&mut writer, id, 16);
            receive(&reader, id, 16);
        }
        let sender = thread::spawn(move || send_batch(&mut writer, &[(2, 16), (3, 0)]));
        receive(&reader, 2, 16);
        receive(&reader, 3, 0);
        sender.join().unwrap();
    });
}

#[test]
fn fixed_messages() {
    model(Some(3), || {
        let lane = Lane::fixed(2);
        let (mut writer, reader) = (lane.writer(), lane.reader());
        let sender = thread::spawn(move || {
            for id in 0..4 {
                send(&mut writer, id, 8);
            }
        });
        for id in 0..4 {
            receive(&reader, id, 8);
        }
        sender.join().unwrap();
    });
}

#[test]
fn fixed_batches() {
    model(Some(3), || {
        let lane = Lane::fixed(3);
        let (mut writer, reader) = (lane.writer(), lane.reader());
        let sender = thread::spawn(move || {
            send_batch(&mut writer, &[(0, 8), (1, 8)]);
            send_batch(&mut writer, &[(2, 8), (3, 8)]);
        });
        let mut spans = Vec::new();
        let mut next = 0;
        while next < 4 {
            match reader.take_many(3, &mut spans).unwrap() {
                Some(run) => {
                    for frame in reader.frames(run) {
                        check(&reader, &frame, next, 8);
                        next += 1;
                    }
                    reader.release_run(run);
                }
                None => thread::yield_now(),
            }
        }
        sender.join().unwrap();
    });
}

#[test]
fn frames_dropped_out_of_order_while_the_writer_waits_for_room() {
    model(Some(2), || {
        let lane = Lane::fixed(2);
        let (mut writer, reader) = (lane.writer(), lane.reader());
        send(&mut writer, 0, 8);
        send(&mut writer, 1, 8);
        let sender = thread::spawn(move || send(&mut writer, 2, 8));
        let (first, second) = (take(&reader), take(&reader));
        reader.release(second);
        check(&reader, &first, 0, 8);
        reader.reject(first);
        let first = take(&reader);
        check(&reader, &first, 0, 8);
        reader.release(first);
        receive(&reader, 2, 8);
        sender.join().unwrap();
    });
}

/// The writer ends after its last commit word and before `tail`; a new one walks to it while the
/// reader continues.
#[test]
fn a_new_writer_beside_a_reader() {
    model(Some(3), || {
        let lane = Lane::variable();
        let mut writer = lane.writer();
        let stored = lane.cursors.tail.load(crate::sync::Ordering::Relaxed);
        send(&mut writer, 0, 8);
        send(&mut writer, 1, 8);
        lane.cursors.tail.store(stored, crate::sync::Ordering::Relaxed);
        drop(writer);
        let reader = lane.reader();
        let successor = thread::spawn(move || {
            let mut writer = lane.writer();
            send(&mut writer, 2, 8);
        });
        for id in 0..3 {
            receive(&reader, id, 8);
        }
        successor.join().unwrap();
    });
}

/// The reader ends while it holds a frame; a new one gets the frame again while the writer
/// continues.
#[test]
fn a_new_reader_beside_a_writer() {
    model(Some(3), || {
        let lane = Lane::variable();
        let (mut writer, reader) = (lane.writer(), lane.reader());
        send(&mut writer, 0, 8);
        send(&mut writer, 1, 8);
        let sender = thread::spawn(move || send(&mut writer, 2, 16));
        let frame = take(&reader);
        check(&reader, &frame, 0, 8);
        reader.release(frame);
        let held = take(&reader);
        check(&reader, &held, 1, 8);
        drop(reader);
        let reader = lane.reader();
        let again = take(&reader);
        check(&reader, &again, 1, 8);
        assert_eq!(reader.redeliveries(&again), 1);
        reader.release(again);
        receive(&reader, 2, 16);
        sender.join().unwrap();
    });
}
