//! Random traffic, compared with a list: what inspection finds is what the list says, after every
//! step.

use std::collections::VecDeque;

use proptest::prelude::*;
use ringway::inspect::{Inspector, Peek};
use ringway::kind::{BytesFrame, BytesQueue, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, Framing};

use super::common::directory;

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    /// Take one, and keep it.
    Take,
    /// Release the oldest one that is kept.
    Release,
    Reject,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..200_usize).prop_map(Step::Send),
        2 => Just(Step::Take),
        2 => Just(Step::Release),
        1 => Just(Step::Reject),
    ];
    prop::collection::vec(step, 1..120)
}

/// `fixed`: the length of all messages.
fn agrees<K: Kind>(steps: &[Step], options: &CreateOptions, fixed: Option<usize>) {
    let dir = directory();
    let path = dir.path().join("queue");
    // SAFETY: only this test knows the file.
    let queue = unsafe { BytesQueue::<K>::create_with(&path, options) }.unwrap();
    let (mut producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let inspector = Inspector::open(&path).unwrap();
    let mut waiting: VecDeque<Vec<u8>> = VecDeque::new();
    let mut held: VecDeque<(Vec<u8>, BytesFrame<'_, K>)> = VecDeque::new();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Send(len) => {
                let message = vec![number as u8; fixed.unwrap_or(*len)];
                if producer.try_send(&message).is_ok() {
                    waiting.push_back(message);
                }
            }
            Step::Take => {
                if let Ok(frame) = consumer.try_recv() {
                    assert_eq!(*frame, waiting[0][..]);
                    held.push_back((waiting.pop_front().unwrap(), frame));
                }
            }
            Step::Release => drop(held.pop_front()),
            // The only one that is kept, so that its place is the same for both kinds: before all
            // others.
            Step::Reject if held.len() == 1 => {
                let (message, frame) = held.pop_front().unwrap();
                frame.reject();
                let again = consumer.try_recv().unwrap();
                assert_eq!(*again, message[..]);
                held.push_back((message, again));
            }
            Step::Reject => {}
        }
        let snapshot = inspector.snapshot().unwrap();
        assert!(snapshot.corruption.is_empty(), "{:?}", snapshot.corruption);
        assert_eq!(snapshot.backlog.waiting, Some(waiting.len() as u64), "after step {number}");
        assert_eq!(snapshot.backlog.held, Some(held.len() as u64), "after step {number}");
        let peeked = inspector.peek(&Peek::new().most(usize::MAX)).unwrap();
        assert!(peeked.gone == 0 && peeked.corruption.is_none(), "{peeked:?}");
        let found: Vec<_> = peeked.frames.iter().map(|frame| &frame.payload).collect();
        assert_eq!(found, waiting.iter().collect::<Vec<_>>(), "after step {number}");
        let all = inspector.peek(&Peek::new().most(usize::MAX).held(true)).unwrap();
        let found = all.frames.iter().map(|frame| &frame.payload);
        assert!(found.eq(held.iter().map(|(message, _)| message).chain(&waiting)), "after step {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn spsc_variable(steps in steps(), start in prop::sample::select(vec![0_u64, (1 << 32) - 512, 1 << 61])) {
        agrees::<Spsc>(&steps, &CreateOptions::new().ring_bytes(1024).start_position(start), None);
    }

    #[test]
    fn spsc_fixed(steps in steps(), start in prop::sample::select(vec![0_u64, (1 << 32) - 5, 1 << 61])) {
        agrees::<Spsc>(&steps, &CreateOptions::new().ring_bytes(1024).framing(Framing::Fixed(40)).start_position(start), Some(40));
    }

    #[test]
    fn mpmc(steps in steps(), start in prop::sample::select(vec![0_u64, (1 << 32) - 5, (1 << 49) - 4096])) {
        let options = CreateOptions::new().ring_bytes(4096).max_messages(8).max_participants(3);
        agrees::<Mpmc>(&steps, &options.start_position(start), None);
    }
}
