//! What the new owner of a lane finds in it.

use super::*;
use crate::lane::mpmc::{AdoptedFrame, CompleteFrame, MpmcWriter};
use crate::lane::{LaneMemory, Refusal};
use crate::layout::{Framing, Geometry};

/// Checks that exactly the frames at `positions` are still in the lane: the writer must continue
/// after the newest, and reserve no byte of them.
pub(super) fn check_adopted(producer: &Producer, positions: &[u64], world: &World) {
    let capacity = world.geometry.capacity;
    let frames = world.ring.frames_in(producer.me);
    let found: Vec<_> = frames.iter().map(|frame| frame.position).collect();
    assert_eq!(found, positions);
    assert_eq!(producer.writer.oldest(), positions.first().copied());
    let end = frames.last().map_or(0, |frame| (frame.offset + frame.len).next_multiple_of(GRANULE));
    assert_eq!(producer.writer.tail() % capacity, end % capacity);
}

/// Checks that the lane is empty: all of it can be reserved, wherever its tail is.
pub(super) fn check_all_room(mut producer: Producer) {
    let capacity = producer.world.geometry.capacity;
    let granules = capacity / GRANULE;
    let mut at = producer.writer.tail();
    for _ in 0..granules {
        let slot = producer.writer.reserve(at, GRANULE as usize, over_if(|_| true)).expect("room");
        at = producer.writer.complete(slot, GRANULE as usize).end;
    }
    assert_eq!(at, producer.writer.tail() + capacity);
    assert_eq!(producer.writer.reserve(at, 1, over_if(|_| true)), Err(Refusal::Full));
    producer.detach();
}

fn geometry(capacity: u64, framing: Framing) -> Geometry {
    let max_payload = match framing {
        Framing::Variable => capacity / 2 - GRANULE,
        Framing::Fixed { len } => len,
    };
    Geometry { framing, capacity, max_payload, lane_len: capacity, ..World::new(SHAPE).geometry }
}

fn adopt(
    geometry: &Geometry,
    ring: usize,
    frames: &[AdoptedFrame],
) -> Result<MpmcWriter, crate::lane::Corruption> {
    MpmcWriter::adopt(LaneMemory::on_heap(geometry.capacity as usize), 0, geometry, ring, frames)
}

/// The frames that stay, of those that were written one after the other from `tail` on.
fn written(geometry: &Geometry, lens: &[(u64, bool)]) -> (u64, Vec<AdoptedFrame>) {
    let (mut end, mut frames) = (3 * GRANULE, Vec::new());
    for (position, (len, stays)) in (100..).zip(lens) {
        let size = len.next_multiple_of(GRANULE);
        let rest = geometry.capacity - end % geometry.capacity;
        let start = if size > rest { end + rest } else { end };
        if start + size > 3 * GRANULE + geometry.capacity {
            break;
        }
        if *stays {
            frames.push(AdoptedFrame { position, offset: start % geometry.capacity, len: *len });
        }
        end = start + size;
    }
    (end, frames)
}

proptest::proptest! {
    /// A new owner rebuilds the list of live frames from what is left in the lane, whatever is
    /// missing in between.
    #[test]
    fn live_frames_are_rebuilt(
        lens in proptest::collection::vec((0..56_u64, proptest::bool::weighted(0.6)), 0..20),
    ) {
        let geometry = geometry(128, Framing::Variable);
        let (_, frames) = written(&geometry, &lens);
        let mut writer = adopt(&geometry, 32, &frames).expect("no corruption");
        // The bytes of frames that are not released are never reserved.
        let mut at = writer.tail();
        while let Ok(slot) = writer.reserve(at, 1, over_if(|_| false)) {
            let CompleteFrame { offset: begin, end, .. } = writer.complete(slot, 1);
            for frame in &frames {
                let size = frame.len.next_multiple_of(GRANULE);
                assert!(begin + GRANULE <= frame.offset || frame.offset + size <= begin, "{frame:?} at {begin}");
            }
            at = end;
        }
        // The oldest frame's room becomes free with it, and no more.
        if let Some(first) = frames.first()
            && first.len > 0
        {
            writer.reserve(at, 1, over_if(|position| position == first.position)).expect("room");
        }
        // All that is left becomes free when all frames are released.
        let mut room = 0;
        let mut at = writer.tail();
        while let Ok(slot) = writer.reserve(at, 1, over_if(|_| true)) {
            at = writer.complete(slot, 1).end;
            room += GRANULE;
        }
        assert_eq!(room, geometry.capacity);
    }

    /// Whatever the slots contain, `adopt` returns a writer or an error.
    #[test]
    fn slots_are_not_trusted(
        frames in proptest::collection::vec((number(), number(), number()), 0..6),
        fixed in proptest::bool::ANY,
    ) {
        let framing = if fixed { Framing::Fixed { len: 16 } } else { Framing::Variable };
        let geometry = geometry(128, framing);
        // A slot has no more bits for the offset.
        let frame = |(position, offset, len)| AdoptedFrame { position, offset: offset & ((1 << 48) - 1), len };
        let frames: Vec<_> = frames.into_iter().map(frame).collect();
        if let Ok(mut writer) = adopt(&geometry, 4, &frames) {
            for frame in &frames {
                assert!(frame.offset + frame.len <= 128 && frame.offset % GRANULE == 0, "{frame:?}");
            }
            let _ = writer.reserve(writer.tail(), 16, over_if(|_| false));
        }
    }
}

fn number() -> impl proptest::strategy::Strategy<Value = u64> {
    use proptest::prelude::*;
    prop_oneof![
        4 => (0..16_u64).prop_map(|granules| granules * GRANULE),
        2 => 0..200_u64,
        1 => any::<u64>(),
        1 => (0..9_u64).prop_map(|less| u64::MAX - less),
    ]
}

/// One of the frames would make the others look as if their slots had been claimed again.
#[test]
fn frames_that_are_a_lap_apart_are_corruption() {
    let geometry = geometry(128, Framing::Variable);
    let frames = |position| {
        [3, position].map(|position| AdoptedFrame { position, offset: position % 4 * GRANULE, len: GRANULE })
    };
    assert!(adopt(&geometry, 4, &frames(6)).is_ok());
    for position in [7, 1 << 40, u64::MAX] {
        let corruption = adopt(&geometry, 4, &frames(position)).err().expect("corruption");
        assert_eq!((corruption.word, corruption.position), ("slot's state", position));
    }
}

/// Nothing guarantees that the positions that a writer wins grow, if another process sets `tail`
/// back.
#[test]
fn positions_that_fall_are_no_overflow() {
    let geometry = geometry(128, Framing::Variable);
    let mut writer =
        adopt(&geometry, 4, &[AdoptedFrame { position: 4003, offset: 0, len: GRANULE }]).unwrap();
    let slot = writer.reserve(writer.tail(), GRANULE as usize, over_if(|_| false)).expect("room");
    let frame = writer.complete(slot, GRANULE as usize);
    writer.track(0, &[frame]);
    assert_eq!(writer.oldest(), Some(4003));
    assert!(writer.quarter().is_some());
}

/// Granules that are released together do not cost stack.
#[test]
fn much_room_comes_back_at_once() {
    let geometry = geometry(1 << 19, Framing::Variable);
    let count = geometry.capacity / GRANULE;
    let frame = |position| AdoptedFrame { position, offset: position * GRANULE, len: GRANULE };
    let frames: Vec<_> = (0..count).map(frame).collect();
    let mut writer = adopt(&geometry, count as usize, &frames).unwrap();
    let depths = std::cell::RefCell::new(Vec::new());
    let is_reusable = |_| {
        let here = 0_u8;
        depths.borrow_mut().push(std::ptr::from_ref(std::hint::black_box(&here)).addr());
        true
    };
    writer.reserve(writer.tail(), geometry.max_payload as usize, over_if(is_reusable)).expect("room");
    let depths = depths.into_inner();
    let (least, most) = (depths.iter().min().unwrap(), depths.iter().max().unwrap());
    assert!(depths.len() > 32_000 && most - least < 2048, "{} bytes of stack", most - least);
}
