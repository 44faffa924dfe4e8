//! The lane against a model of it, on heap memory.

mod against_a_model;
mod gaps;

use std::sync::Arc;

use super::done::Done;
use super::*;
use crate::layout::{Cursors, DoneRange, Framing, Geometry, GeometryRequest, POSITION_LIMIT};
use crate::sync::Ordering;

/// A lane in memory, with its cursors at `start`.
struct Lane {
    memory: LaneMemory,
    cursors: Ref<Cursors>,
    done: Ref<[DoneRange]>,
    geometry: Geometry,
}

impl Lane {
    fn new(framing: Framing, capacity: u64, align: u64, start: u64) -> Self {
        let geometry =
            Geometry::new(GeometryRequest { framing, capacity, align, description_len: 0, order: None })
                .unwrap();
        let cursors = Ref::on_heap(Arc::new(Cursors::default()));
        let ranges: Vec<_> = (0..64).map(|_| DoneRange::default()).collect();
        let done = Ref::slice_on_heap(Arc::new(ranges));
        for word in [&*cursors.tail, &*cursors.head, &cursors.consumer.released, &cursors.consumer.taken] {
            word.store(start, Ordering::Relaxed);
        }
        Self { memory: LaneMemory::on_heap(geometry.ring_bytes() as usize), cursors, done, geometry }
    }

    fn variable(capacity: u64) -> Self {
        Self::new(Framing::Variable, capacity, 8, 0)
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

fn write(writer: &LaneWriter, slot: Reserved, bytes: &[u8]) {
    let payload = writer.payload(slot);
    #[allow(unsafe_code)]
    // SAFETY: the writer reserved these bytes, and no other thread runs.
    unsafe {
        payload.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
}

fn send(writer: &mut LaneWriter, bytes: &[u8]) -> Result<(), Refusal> {
    let slot = writer.reserve(bytes.len())?;
    write(writer, slot, bytes);
    writer.commit(slot, bytes.len());
    Ok(())
}

fn read(reader: &LaneReader, frame: &SpscFrame) -> Vec<u8> {
    let payload = reader.payload(frame.offset);
    #[allow(unsafe_code)]
    // SAFETY: the frame is in flight, so the writer does not write there.
    unsafe { std::slice::from_raw_parts(payload, frame.len) }.to_vec()
}

fn drain(reader: &LaneReader) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| {
        let frame = reader.take().unwrap()?;
        let bytes = read(reader, &frame);
        reader.release(frame);
        Some(bytes)
    })
    .collect()
}

fn message(id: u32, len: usize) -> Vec<u8> {
    (0..len).map(|i| (id as usize * 31 + i) as u8).collect()
}

#[test]
fn an_exactly_full_ring_keeps_its_oldest_frame() {
    // Frames of 64 bytes: the word that a commit clears must never be the oldest unread frame's own.
    let lane = Lane::variable(1024);
    let (mut writer, reader) = (lane.writer(), lane.reader());
    let mut sent = 0;
    while send(&mut writer, &message(sent, 56)).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 15, "one granule stays free for the next commit word");
    let frame = reader.take().unwrap().unwrap();
    assert_eq!(read(&reader, &frame), message(0, 56));
    reader.release(frame);
    send(&mut writer, &message(sent, 56)).unwrap();
    assert_eq!(send(&mut writer, &message(99, 56)), Err(Refusal::Full));
    assert_eq!(drain(&reader), (1..=15).map(|id| message(id, 56)).collect::<Vec<_>>());
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    for lane in [Lane::variable(1024), Lane::new(Framing::Fixed { len: 40 }, 1024, 8, 0)] {
        let (mut writer, reader) = (lane.writer(), lane.reader());
        for round in 0..200 {
            let mut staged = writer.begin();
            let mut batch = Vec::new();
            for id in 0..round % 7 {
                let bytes = message(round * 10 + id, 40);
                let slot = writer.reserve_after(&staged, bytes.len()).unwrap();
                write(&writer, slot, &bytes);
                writer.stage(&mut staged, slot, bytes.len());
                batch.push(bytes);
                assert_eq!(reader.take().unwrap(), None, "nothing is committed yet");
            }
            if round % 3 == 0 {
                continue; // abandoned
            }
            writer.publish(staged);
            assert_eq!(drain(&reader), batch);
        }
    }
}

#[test]
fn room_comes_back_only_up_to_the_oldest_frame_held() {
    for lane in [Lane::new(Framing::Fixed { len: 8 }, 32, 8, 0), Lane::variable(1024)] {
        let (mut writer, reader) = (lane.writer(), lane.reader());
        let len = if matches!(lane.geometry.framing, Framing::Fixed { .. }) { 8 } else { 248 };
        let mut sent = 0;
        while send(&mut writer, &message(sent, len)).is_ok() {
            sent += 1;
        }
        let frames: Vec<_> = (0..3).map(|_| reader.take().unwrap().unwrap()).collect();
        reader.release(frames[2]);
        reader.release(frames[1]);
        assert_eq!(send(&mut writer, &message(sent, len)), Err(Refusal::Full), "the oldest is still held");
        assert_eq!(read(&reader, &frames[0]), message(0, len));
        reader.release(frames[0]);
        for id in sent..sent + 3 {
            send(&mut writer, &message(id, len)).unwrap();
        }
        assert_eq!(drain(&reader), (3..sent + 3).map(|id| message(id, len)).collect::<Vec<_>>());
    }
}

#[test]
fn rejected_frames_come_again_first_and_are_counted() {
    for lane in [Lane::new(Framing::Fixed { len: 8 }, 64, 8, 0), Lane::variable(1024)] {
        let (mut writer, reader) = (lane.writer(), lane.reader());
        for id in 0..4 {
            send(&mut writer, &message(id, 8)).unwrap();
        }
        let first = reader.take().unwrap().unwrap();
        let second = reader.take().unwrap().unwrap();
        reader.reject(first);
        assert_eq!(reader.take().unwrap(), Some(first));
        assert_eq!((reader.redeliveries(&first), reader.redeliveries(&second)), (1, 0));
        reader.reject(first);
        reader.release(second);
        let mut spans = Vec::new();
        let run = reader.take_many(10, &mut spans).unwrap().unwrap();
        assert_eq!((run.count, run.start), (1, first.start), "a rejected frame comes alone");
        assert_eq!(reader.redeliveries(&first), 2);
        reader.release_run(run);
        assert_eq!(drain(&reader), [message(2, 8), message(3, 8)]);
        assert_eq!(lane.cursors.consumer.released.load(Ordering::Relaxed), reader.position());
    }
}

#[test]
fn unread_frames_are_redelivered_uncounted() {
    for lane in [Lane::new(Framing::Fixed { len: 8 }, 64, 8, 0), Lane::variable(1024)] {
        let (mut writer, reader) = (lane.writer(), lane.reader());
        for id in 0..3 {
            send(&mut writer, &message(id, 8)).unwrap();
        }
        let first = reader.take().unwrap().unwrap();
        let second = reader.take().unwrap().unwrap();
        reader.put_back(first);
        reader.put_back(second);
        assert_eq!(reader.take().unwrap(), Some(first));
        assert_eq!(reader.take().unwrap(), Some(second));
        assert_eq!((reader.redeliveries(&first), reader.redeliveries(&second)), (0, 0));
        reader.reject(first);
        reader.release(second);
        assert_eq!(reader.take().unwrap(), Some(first));
        assert_eq!(reader.redeliveries(&first), 1);
        reader.release(first);
        assert_eq!(drain(&reader), [message(2, 8)]);
        assert_eq!(lane.cursors.consumer.released.load(Ordering::Relaxed), reader.position());
    }
}

#[test]
fn a_new_reader_starts_at_the_oldest_frame_that_was_not_released() {
    for lane in [Lane::new(Framing::Fixed { len: 8 }, 64, 8, 0), Lane::variable(1024)] {
        let mut writer = lane.writer();
        for id in 0..4 {
            send(&mut writer, &message(id, 8)).unwrap();
        }
        let reader = lane.reader();
        let frames: Vec<_> = (0..3).map(|_| reader.take().unwrap().unwrap()).collect();
        reader.release(frames[0]);
        reader.release(frames[2]);
        drop(reader); // as a crash would: nothing is stored

        let reader = lane.reader();
        let again = reader.take().unwrap().unwrap();
        assert_eq!((read(&reader, &again), reader.redeliveries(&again)), (message(1, 8), 1));
        drop(reader);

        let reader = lane.reader();
        for (id, redeliveries) in [(1, 2), (2, 2), (3, 0)] {
            let frame = reader.take().unwrap().unwrap();
            assert_eq!((read(&reader, &frame), reader.redeliveries(&frame)), (message(id, 8), redeliveries));
            reader.release(frame);
        }
    }
}

#[test]
fn a_new_writer_finds_frames_committed_after_the_stored_tail() {
    let lane = Lane::variable(1024);
    let mut writer = lane.writer();
    let reader = lane.reader();
    for id in 0..20 {
        send(&mut writer, &message(id, 50)).unwrap();
        assert_eq!(drain(&reader), [message(id, 50)]);
    }
    // Three more, the last across the end of the ring; then the writer dies before it stores `tail`.
    let stored = lane.cursors.tail.load(Ordering::Relaxed);
    for id in 20..30 {
        send(&mut writer, &message(id, 50)).unwrap();
    }
    let committed = writer.position();
    lane.cursors.tail.store(stored, Ordering::Relaxed);
    drop(writer);

    let mut writer = lane.writer();
    assert_eq!(writer.position(), committed);
    send(&mut writer, &message(30, 50)).unwrap();
    assert_eq!(drain(&reader), (20..=30).map(|id| message(id, 50)).collect::<Vec<_>>());
}

#[test]
fn corruption_is_refused_and_named() {
    let lane = Lane::variable(1024);
    let (mut writer, reader) = (lane.writer(), lane.reader());
    send(&mut writer, b"hello").unwrap();
    for word in [3, 1000 << 2 | 1, u64::MAX, crate::layout::commit::PADDING] {
        lane.memory.word(0).store(word, Ordering::Relaxed);
        let corruption = reader.take().unwrap_err();
        assert_eq!((corruption.word, corruption.found), ("commit word", word));
        assert!(
            LaneWriter::attach(lane.memory.clone(), Lane::variable(1024).cursors, &lane.geometry).is_err()
        );
    }
    lane.cursors.tail.store(12, Ordering::Relaxed);
    assert_eq!(
        LaneWriter::attach(lane.memory.clone(), lane.cursors.clone(), &lane.geometry).err().unwrap().word,
        "tail"
    );
    lane.cursors.consumer.released.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(
        LaneReader::attach(lane.memory.clone(), lane.cursors.clone(), lane.done(), &lane.geometry)
            .err()
            .unwrap()
            .word,
        "released"
    );

    let lane = Lane::new(Framing::Fixed { len: 8 }, 64, 8, 0);
    let (mut writer, reader) = (lane.writer(), lane.reader());
    lane.cursors.tail.store(9, Ordering::Relaxed);
    assert_eq!(reader.take().unwrap_err().word, "tail");
    while send(&mut writer, &[0; 8]).is_ok() {}
    lane.cursors.head.store(1 << 40, Ordering::Relaxed);
    assert!(matches!(send(&mut writer, &[0; 8]), Err(Refusal::Corrupted(Corruption { word: "head", .. }))));
}

/// Cursors that no participant could have stored: an immediate error, not a panic, an endless walk
/// or a wrong message.
#[test]
fn attaching_refuses_invalid_cursors() {
    let attach = |lane: &Lane| {
        let writer = LaneWriter::attach(lane.memory.clone(), lane.cursors.clone(), &lane.geometry).err();
        let reader =
            LaneReader::attach(lane.memory.clone(), lane.cursors.clone(), lane.done(), &lane.geometry).err();
        (writer.map(|corruption| corruption.word), reader.map(|corruption| corruption.word))
    };
    for make in [|| Lane::variable(1024), || Lane::new(Framing::Fixed { len: 8 }, 1024, 8, 0)] {
        for released in [u64::MAX - 7, 1 << 61, 2048] {
            let lane = make();
            let mut writer = lane.writer();
            while send(&mut writer, &[0; 8]).is_ok() {}
            lane.cursors.consumer.released.store(released, Ordering::Relaxed);
            assert_eq!(attach(&lane), (Some("released"), Some("released")), "{released:#x}");
        }
        let lane = make();
        lane.cursors.consumer.redelivered_until.store(1 << 40, Ordering::Relaxed);
        assert_eq!(attach(&lane), (None, Some("redelivered_until")));
        lane.cursors.consumer.redelivered_until.store(8, Ordering::Relaxed);
        lane.cursors.consumer.redelivery_count.store(u64::MAX, Ordering::Relaxed);
        send(&mut lane.writer(), &[0; 8]).unwrap();
        let reader = lane.reader();
        let frame = reader.take().unwrap().unwrap();
        reader.reject(frame);
        assert_eq!(reader.redeliveries(&frame), u64::MAX, "saturates");
    }
}

#[test]
fn commit_words_that_lead_in_a_circle_are_noticed() {
    let lane = Lane::variable(64);
    let reader = lane.reader();
    for offset in (0..64).step_by(8) {
        lane.memory.word(offset).store(crate::layout::commit::message(0), Ordering::Relaxed);
    }
    assert_eq!(reader.take_many(usize::MAX, &mut Vec::new()).unwrap_err().word, "commit word");
}

#[test]
fn a_reader_that_handed_out_nothing_is_not_counted() {
    let lane = Lane::variable(1024);
    send(&mut lane.writer(), &[1; 8]).unwrap();
    let reader = lane.reader();
    reader.take().unwrap();
    drop(reader);
    for _ in 0..3 {
        drop(lane.reader());
    }
    let reader = lane.reader();
    let frame = reader.take().unwrap().unwrap();
    assert_eq!(reader.redeliveries(&frame), 1);
}

#[test]
fn positions_end_before_they_wrap() {
    let lane = Lane::new(Framing::Fixed { len: 8 }, 64, 8, POSITION_LIMIT - 2);
    let (mut writer, reader) = (lane.writer(), lane.reader());
    let mut sent = 0;
    let refusal = loop {
        match send(&mut writer, &message(sent, 8)) {
            Ok(()) => sent += 1,
            Err(Refusal::Full) => {
                drain(&reader);
            }
            Err(other) => break other,
        }
    };
    assert_eq!(refusal, Refusal::PositionsExhausted);
    drain(&reader);
    assert!(writer.position() >= POSITION_LIMIT && writer.position() < POSITION_LIMIT + 64);
    // What was committed stays within reach of participants that attach later, and they get the
    // same error.
    drop((writer, reader));
    let mut writer = lane.writer();
    assert_eq!(send(&mut writer, &[0; 8]), Err(Refusal::PositionsExhausted));
    assert_eq!(lane.reader().take(), Ok(None));
}
