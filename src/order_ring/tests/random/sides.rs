//! What the owners of entries do, and the expected results.

use super::*;
use crate::lane::Refusal;

impl Run {
    pub(super) fn produce(&mut self, mut producer: Producer, act: Act, dies_at: u32) -> Option<Owner> {
        let (world, me) = (self.world.clone(), producer.me);
        match act {
            Act::Claim { lens, least } if producer.claimed.is_none() => {
                for len in lens {
                    self.messages = self.messages.checked_add(1).unwrap_or(1);
                    match producer.stage(self.messages, len) {
                        Ok(()) => {}
                        Err(Refusal::Full) => {
                            let used =
                                !producer.staged.is_empty() || !live_in(&self.reference, me).is_empty();
                            assert!(used, "an empty lane has room for {len}");
                            break;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                self.check_staged(&producer);
                let staged: Vec<_> =
                    producer.staged.iter().map(|(frame, message)| (*message, frame.len as usize)).collect();
                if staged.len() < least {
                    producer.staged.clear();
                    return Some(Owner::Producer(producer));
                }
                let expected = self.reference.claim(least as u64, staged.len() as u64);
                let done = world.until_crash(me, dies_at, || (producer.claim(least as u64), producer));
                let Some((claimed, mut producer)) = done else {
                    self.reference.follow(&world.ring, me, &staged);
                    return None;
                };
                assert_eq!(claimed, expected);
                match claimed {
                    Ok(claimed) => staged[..claimed.count as usize]
                        .iter()
                        .for_each(|(message, len)| self.reference.add(*message, *len, me)),
                    Err(_) => producer.staged.clear(),
                }
                Some(Owner::Producer(producer))
            }
            Act::Commit => {
                let done = world.until_crash(me, dies_at, || (producer.commit_next(), producer));
                let Some((committed, producer)) = done else {
                    self.reference.follow(&world.ring, me, &[]);
                    return None;
                };
                if let Some(position) = committed {
                    let claim = self.reference.at(position);
                    assert_eq!(claim.at, At::Claimed(me));
                    (claim.at, claim.committed) = (At::Full, true);
                }
                Some(Owner::Producer(producer))
            }
            Act::Leave if producer.claimed.is_none() => self.detach(me, dies_at, || producer.detach()),
            _ => Some(Owner::Producer(producer)),
        }
    }

    pub(super) fn consume(&mut self, mut consumer: Consumer, act: Act, dies_at: u32) -> Option<Owner> {
        let (world, me) = (self.world.clone(), consumer.me);
        if let Act::Leave = act {
            if consumer.taken.is_some() {
                return Some(Owner::Consumer(consumer));
            }
            return self.detach(me, dies_at, || consumer.detach());
        }
        let is_free = consumer.taken.is_none();
        let held = consumer.held.len();
        let reference = &mut self.reference;
        let done = world.until_crash(me, dies_at, || {
            let mut changed = Vec::new();
            match act {
                Act::Take if is_free => {
                    let expected = reference.run(1).map(|(first, _)| first);
                    let taken = consumer.take();
                    assert_eq!(taken, expected);
                    reference.head += u64::from(taken.is_ok());
                    changed.extend(taken.map(|position| (position, At::HeldSlot(me, 0))));
                }
                Act::TakeMany(most) if is_free => {
                    let expected = reference.run(most);
                    let taken = consumer.take_many(most);
                    assert_eq!(taken.map(|taken| (taken.first, taken.count)), expected);
                    if let Ok(taken) = taken {
                        reference.head += taken.count;
                        changed
                            .extend(positions_of(taken).map(|position| (position, At::TakenPositions(me))));
                    }
                }
                Act::Mark => changed.extend(consumer.mark().into_iter().map(|at| (at, At::HeldSlot(me, 0)))),
                Act::TakeRedelivery if is_free => {
                    let redelivery = consumer.take_redelivery();
                    let taken = redelivery.map(|held| (held.position, At::HeldSlot(me, held.redeliveries)));
                    match redelivery {
                        Some(held) => {
                            assert_eq!(reference.at(held.position).at, At::Redelivery(held.redeliveries));
                            // A participant that stored a REDELIVER and died has not raised the
                            // epoch: a scan may have passed the slot.
                            if dead_entries(&world) == 0 {
                                assert_eq!(reference.oldest_redelivery(), Some(held.position));
                            }
                        }
                        // Recovery will raise the epoch.
                        None if dead_entries(&world) > 0 => {}
                        None => assert_eq!(reference.oldest_redelivery(), None),
                    }
                    changed.extend(taken);
                }
                Act::Release(index) if held > 0 => {
                    changed.push((consumer.release(index % held).position, At::Over));
                }
                Act::Reject(index) if held > 0 => {
                    let held = consumer.reject(index % held);
                    changed.push((held.position, reference.put_back(held.redeliveries)));
                }
                Act::PutBack(index) if held > 0 => {
                    let held = consumer.put_back(index % held);
                    changed.push((held.position, At::Redelivery(held.redeliveries)));
                    reference.at(held.position).delivered -= 1;
                }
                _ => {}
            }
            (changed, consumer)
        });
        let Some((changed, consumer)) = done else {
            self.reference.follow(&world.ring, me, &[]);
            return None;
        };
        for (position, at) in changed {
            let claim = self.reference.at(position);
            match (claim.at, at) {
                (At::Over, At::TakenPositions(_)) => {}
                _ => claim.at = at,
            }
            claim.delivered += u64::from(matches!(at, At::HeldSlot(..)));
        }
        Some(Owner::Consumer(consumer))
    }

    fn detach(&mut self, me: usize, dies_at: u32, leave: impl FnOnce()) -> Option<Owner> {
        let left = self.world.until_crash(me, dies_at, leave);
        if left.is_none() {
            self.reference.follow(&self.world.ring, me, &[]);
            return None;
        }
        for index in 0..self.reference.claims.len() {
            if let At::HeldSlot(owner, redeliveries) = self.reference.claims[index].at
                && owner == me
            {
                self.reference.claims[index].at = self.reference.put_back(redeliveries);
            }
        }
        Some(Owner::Vacant)
    }
}

fn positions_of(taken: TakenPositions) -> std::ops::Range<u64> {
    taken.first..taken.first + taken.count
}
