//! Frames that a reader released out of order before it detached.

use super::*;

/// Takes `count` frames, releases those for which `is_released` is true, and detaches.
fn leave_gaps(lane: &Lane, count: u64, is_released: impl Fn(u64) -> bool) {
    let reader = lane.reader();
    let frames: Vec<_> = (0..count).map(|_| reader.take().unwrap().unwrap()).collect();
    for (number, frame) in (0..).zip(frames) {
        if is_released(number) {
            reader.release(frame);
        }
    }
    reader.detach();
}

#[test]
fn gaps_beyond_what_can_be_noted_come_again() {
    for lane in [Lane::new(Framing::Fixed { len: 8 }, 8 * 256, 8, 0), Lane::variable(1 << 14)] {
        let mut writer = lane.writer();
        (0..200).for_each(|id| send(&mut writer, &message(id, 8)).unwrap());
        leave_gaps(&lane, 200, |number| number % 2 == 1);
        // 64 gaps, and every frame from there on.
        let expected: Vec<_> =
            (0..200).filter(|id| id % 2 == 0 || *id >= 128).map(|id| message(id, 8)).collect();
        assert_eq!(drain(&lane.reader()), expected);
    }
}

#[test]
fn a_reader_that_is_killed_leaves_the_gaps_of_those_before_it() {
    for lane in [Lane::new(Framing::Fixed { len: 8 }, 8 * 16, 8, 0), Lane::variable(1024)] {
        let mut writer = lane.writer();
        (0..8).for_each(|id| send(&mut writer, &message(id, 8)).unwrap());
        leave_gaps(&lane, 6, |number| matches!(number, 1 | 2 | 4));
        let killed = lane.reader();
        let first = killed.take().unwrap().unwrap();
        let second = killed.take().unwrap().unwrap();
        assert_eq!((read(&killed, &first), killed.redeliveries(&first)), (message(0, 8), 1));
        killed.release(second);
        drop(killed);
        let reader = lane.reader();
        // What the killed reader had released out of order is redelivered; what an earlier one had
        // noted is not.
        let again: Vec<_> = (0..5).map(|_| reader.take().unwrap().unwrap()).collect();
        let found: Vec<_> =
            again.iter().map(|frame| (read(&reader, frame), reader.redeliveries(frame))).collect();
        let expected = [(0, 2), (3, 2), (5, 2), (6, 0), (7, 0)];
        assert_eq!(found, expected.map(|(id, count)| (message(id, 8), count)));
        for frame in again {
            reader.release(frame);
        }
        assert_eq!(reader.take(), Ok(None));
        assert_eq!(lane.cursors.consumer.released.load(Ordering::Relaxed), reader.position());
    }
}

#[test]
fn frames_that_a_killed_reader_never_took_are_not_counted() {
    for lane in [Lane::new(Framing::Fixed { len: 8 }, 8 * 16, 8, 0), Lane::variable(1024)] {
        let mut writer = lane.writer();
        (0..4).for_each(|id| send(&mut writer, &message(id, 8)).unwrap());
        leave_gaps(&lane, 4, |number| number == 2);
        let killed = lane.reader();
        let first = killed.take().unwrap().unwrap();
        killed.release(first);
        drop(killed);
        let reader = lane.reader();
        let again: Vec<_> = std::iter::from_fn(|| reader.take().unwrap()).collect();
        let found: Vec<_> =
            again.iter().map(|frame| (read(&reader, frame), reader.redeliveries(frame))).collect();
        assert_eq!(found, [(1, 1), (3, 1)].map(|(id, count)| (message(id, 8), count)));
    }
}

#[test]
fn ranges_that_cannot_be_are_ignored() {
    for lane in [Lane::new(Framing::Fixed { len: 8 }, 8 * 16, 8, 0), Lane::variable(1024)] {
        let mut writer = lane.writer();
        (0..4).for_each(|id| send(&mut writer, &message(id, 8)).unwrap());
        let reader = lane.reader();
        let frames: Vec<_> = (0..3).map(|_| reader.take().unwrap().unwrap()).collect();
        reader.detach();
        let (second, third) = (frames[1], frames[2]);
        let end = lane.cursors.tail.load(Ordering::Relaxed);
        for (start, range_end) in [
            (second.start, 0),
            (second.end, second.start),
            (u64::MAX, u64::MAX),
            (second.start, u64::MAX),
            // After what was taken.
            (third.start, end),
        ] {
            lane.done[0].start.store(start, Ordering::Relaxed);
            lane.done[0].end.store(range_end, Ordering::Relaxed);
            let reader = lane.reader();
            assert_eq!(reader.take().unwrap(), Some(frames[0]), "{start}..{range_end}");
            assert_eq!(reader.take().unwrap(), Some(second), "{start}..{range_end}");
        }
    }
}
