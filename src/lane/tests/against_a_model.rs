//! Random sequences of operations on a lane against a deque, with cursors near 0, 2^31, 2^32, 2^48
//! and the limit.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    SendBatch(Vec<usize>),
    GiveUp(usize),
    Take,
    TakeMany(usize),
    Release(usize),
    Reject(usize),
    NewWriter,
    /// The reader detaches in order, and another one attaches.
    NewReader,
    /// The reader is killed.
    KillReader,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..520_usize).prop_map(Step::Send),
        2 => proptest::collection::vec(0..120_usize, 0..6).prop_map(Step::SendBatch),
        1 => (0..300_usize).prop_map(Step::GiveUp),
        5 => Just(Step::Take),
        2 => (1..5_usize).prop_map(Step::TakeMany),
        5 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Reject),
        1 => Just(Step::NewWriter),
        1 => Just(Step::NewReader),
        1 => Just(Step::KillReader),
    ]
}

/// The expected state of the lane, as a deque: everything committed and not released, oldest first.
struct Model {
    /// Frames that were committed and not released: id and length.
    live: VecDeque<(u32, usize)>,
    /// The number of frames, from the front of `live`, that were delivered.
    next: usize,
    /// In flight: frame, id, length.
    held: Vec<(SpscFrame, u32, usize)>,
    /// Rejected, or held by a reader that has detached, waiting to be delivered first: oldest first.
    rejected: BTreeMap<u64, (SpscFrame, u32, usize)>,
    next_id: u32,
}

fn run(lane: &Lane, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let fixed = match lane.geometry.framing {
        Framing::Fixed { len } => Some(len as usize),
        Framing::Variable => None,
    };
    let (mut writer, mut reader) = (lane.writer(), lane.reader());
    let mut model =
        Model { live: VecDeque::new(), next: 0, held: Vec::new(), rejected: BTreeMap::new(), next_id: 0 };
    for step in steps {
        match step {
            Step::Send(len) => {
                let len = fixed.unwrap_or(len);
                let id = model.next_id;
                match send(&mut writer, &message(id, len)) {
                    Ok(()) => {
                        model.live.push_back((id, len));
                        model.next_id += 1;
                    }
                    Err(Refusal::Full) => prop_assert!(!model.live.is_empty(), "an empty lane has room"),
                    Err(Refusal::Length) => prop_assert!(len as u64 > lane.geometry.max_payload),
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }
            Step::SendBatch(lens) => {
                let mut staged = writer.begin();
                for len in lens {
                    let len = fixed.unwrap_or(len);
                    let Ok(slot) = writer.reserve_after(&staged, len) else { break };
                    write(&writer, slot, &message(model.next_id, len));
                    writer.stage(&mut staged, slot, len);
                    model.live.push_back((model.next_id, len));
                    model.next_id += 1;
                }
                writer.publish(staged);
            }
            Step::GiveUp(len) => {
                if let Ok(slot) = writer.reserve(fixed.unwrap_or(len)) {
                    write(&writer, slot, &vec![0xff; fixed.unwrap_or(len)]);
                }
            }
            Step::Take => {
                let taken = reader.take().unwrap();
                if let Some((_, (frame, id, len))) = model.rejected.pop_first() {
                    prop_assert_eq!(taken, Some(frame));
                    prop_assert_eq!(read(&reader, &frame), message(id, len));
                    model.held.push((frame, id, len));
                } else if let Some(&(id, len)) = model.live.get(model.next) {
                    let frame = taken.expect("a committed frame is there");
                    prop_assert_eq!(read(&reader, &frame), message(id, len));
                    model.held.push((frame, id, len));
                    model.next += 1;
                } else {
                    prop_assert_eq!(taken, None);
                }
            }
            Step::TakeMany(max) => {
                if model.rejected.is_empty() {
                    let mut spans = Vec::new();
                    let run = reader.take_many(max, &mut spans).unwrap();
                    let count = run.map_or(0, |run| run.count);
                    prop_assert_eq!(count, max.min(model.live.len() - model.next));
                    for frame in run.iter().flat_map(|run| reader.frames(*run)) {
                        let (id, len) = model.live[model.next];
                        prop_assert_eq!(read(&reader, &frame), message(id, len));
                        model.held.push((frame, id, len));
                        model.next += 1;
                    }
                    let spans: Vec<_> = run.iter().flat_map(|run| reader.payloads(*run, &spans)).collect();
                    let held = &model.held[model.held.len() - count..];
                    prop_assert!(
                        spans.iter().zip(held).all(|(span, (frame, ..))| span.offset == frame.offset)
                    );
                    prop_assert_eq!(spans.len(), count);
                }
            }
            Step::Release(which) => {
                if !model.held.is_empty() {
                    let (frame, id, len) = model.held.swap_remove(which % model.held.len());
                    prop_assert_eq!(read(&reader, &frame), message(id, len), "held frames do not change");
                    reader.release(frame);
                    let at = model.live.iter().position(|(live, _)| *live == id).unwrap();
                    model.live.remove(at);
                    model.next -= 1;
                }
            }
            Step::Reject(which) => {
                if !model.held.is_empty() {
                    let held = model.held.swap_remove(which % model.held.len());
                    reader.reject(held.0);
                    model.rejected.insert(held.0.start, held);
                }
            }
            Step::NewWriter => writer = lane.writer(),
            Step::NewReader => {
                reader.detach();
                reader = lane.reader();
                let held = model.held.drain(..).map(|held| (held.0.start, held));
                model.rejected.extend(held);
            }
            Step::KillReader => {
                // Frames released after one that is held are redelivered; the model cannot tell, so
                // this kills only when none is held.
                if model.held.is_empty() && model.rejected.is_empty() {
                    reader = lane.reader();
                }
            }
        }
    }
    Ok(())
}

fn starts() -> impl Strategy<Value = u64> {
    let near = |at: u64| (0..64_u64).prop_map(move |back| at - back * 16);
    prop_oneof![Just(0_u64), near(1 << 31), near(1 << 32), near(1 << 48), near(POSITION_LIMIT - (1 << 20))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn variable_frames(
        start in starts(), align in 3..7_u32, steps in proptest::collection::vec(step(), 1..300)
    ) {
        let align = 1 << align;
        let lane = Lane::new(Framing::Variable, 1024, align, start / align * align);
        run(&lane, steps)?;
    }

    #[test]
    fn fixed_messages(
        start in starts(), len in 1..100_u64, slots in 2..9_u64,
        steps in proptest::collection::vec(step(), 1..300)
    ) {
        let lane = Lane::new(Framing::Fixed { len }, slots * len, 1, start);
        run(&lane, steps)?;
    }
}
