//! The models of broadcast queues.

use super::Effort::{Full, Quick, Small};
use super::Scenario;
use crate::broadcast::{self, Broadcast, Mode};
use crate::everyone::{self, Everyone};
use crate::mistake::Mistake::*;

pub(super) fn add_broadcast(all: &mut Vec<Scenario>) {
    type Bounds = broadcast::Bounds;
    let mut add = |effort, mistake, bounds: Bounds| {
        all.push(Scenario::new("broadcast", effort, mistake, &bounds, Broadcast { bounds, mistake }));
    };
    let alone = Bounds::default();
    let reliable = Bounds { readers: &[Mode::Reliable], ..alone };
    let lossy = Bounds { readers: &[Mode::Lossy], ..Bounds::default() };
    let pinned = Bounds { readers: &[Mode::Pinned], ..Bounds::default() };
    let writer = |bounds: Bounds| Bounds { batch: 1, ..bounds };
    let batches = |bounds: Bounds| Bounds { batch: 2, ..bounds };
    let two = |bounds: Bounds| Bounds { producers: 2, messages: 2, ..bounds };

    add(Small, None, reliable);
    add(Small, None, lossy);
    add(Small, None, pinned);
    add(Small, None, Bounds { kills: 1, attaches: 1, ..writer(reliable) });
    add(Small, None, Bounds { kills: 1, attaches: 1, ..writer(lossy) });
    add(Small, None, Bounds { kills: 1, attaches: 1, ..writer(pinned) });
    add(Quick, None, two(reliable));
    add(Quick, None, two(lossy));
    add(Quick, None, two(pinned));
    add(Quick, None, Bounds { kills: 2, attaches: 2, ..batches(reliable) });
    add(Quick, None, Bounds { kills: 2, attaches: 2, ..batches(lossy) });
    add(Quick, None, Bounds { slots: 4, lane: 1, ..two(reliable) });
    add(Quick, None, Bounds { more: 2, kills: 1, attaches: 1, ..two(alone) });
    add(Full, None, Bounds { more: 2, messages: 3, kills: 1, attaches: 1, ..two(alone) });
    add(Quick, None, Bounds { leaves: 1, seeks: 1, attaches: 1, ..writer(reliable) });
    add(Quick, None, Bounds { stops: 1, readers: &[Mode::Lossy, Mode::Pinned], ..writer(lossy) });
    add(Full, None, Bounds { kills: 1, ..two(reliable) });
    add(Full, None, Bounds { kills: 1, ..two(lossy) });
    add(Full, None, Bounds { kills: 1, ..two(pinned) });
    add(Full, None, Bounds { readers: &[Mode::Reliable, Mode::Lossy, Mode::Pinned], ..writer(lossy) });
    add(Full, None, Bounds { readers: &[Mode::Lossy, Mode::Lossy], ..two(lossy) });
    add(Full, None, Bounds { slots: 4, lane: 2, more: 1, messages: 3, kills: 1, ..two(lossy) });
    add(Full, None, Bounds { kills: 1, attaches: 1, ..two(reliable) });

    let kill = |bounds: Bounds| Bounds { kills: 1, attaches: 1, ..bounds };
    add(Small, Some(RaiseWithoutFence), writer(reliable));
    add(Small, Some(JoinWithoutFence), writer(reliable));
    add(Small, Some(PinWithoutFence), writer(pinned));
    add(Small, Some(JoinIgnoresFloor), writer(reliable));
    add(Small, Some(JoinAsksFree), writer(reliable));
    add(Small, Some(OneScan), writer(reliable));
    add(Small, Some(FreeBeforeFloor), writer(reliable));
    add(Small, Some(PinAfterCheck), writer(pinned));
    add(Small, Some(UnpinBeforeReading), writer(pinned));
    add(Small, Some(CursorBeforeReading), writer(reliable));
    add(Small, Some(LaneIgnoresFree), Bounds { slots: 4, lane: 1, ..writer(reliable) });
    add(Small, Some(WriteWithoutFence), writer(lossy));
    add(Small, Some(CopyValidatedByState), writer(lossy));
    add(Small, Some(CopyValidatedBefore), writer(lossy));
    add(Small, Some(TombstoneUnasked), Bounds { messages: 5, ..kill(batches(lossy)) });
    add(Small, Some(FreePassesClaim), Bounds { more: 1, ..two(lossy) });
    add(Small, Some(IntentsBeforeTail), Bounds { more: 2, messages: 3, ..two(alone) });
    add(Small, Some(CommitRelaxed), writer(reliable));
    add(Small, Some(DeadCount), kill(writer(reliable)));
    add(Small, Some(CursorBeforeDirty), kill(writer(reliable)));
    add(Small, Some(CleanBeforeCursor), kill(writer(reliable)));
    add(Small, Some(EntryNotReadAgain), Bounds { leaves: 1, attaches: 1, ..writer(reliable) });
    add(Small, Some(SeekWithoutJoin), Bounds { seeks: 1, ..writer(reliable) });
    add(Small, Some(TakeoverKeepsStates), kill(batches(reliable)));
    add(Small, Some(TakeoverWithoutWalk), kill(batches(reliable)));
    add(Small, Some(FirstStateFirst), kill(batches(reliable)));
    add(Small, Some(TailBeforeStates), kill(batches(reliable)));
}

pub(super) fn add_everyone(all: &mut Vec<Scenario>) {
    type Bounds = everyone::Bounds;
    let mut add = |effort, mistake, bounds: Bounds| {
        all.push(Scenario::new("everyone", effort, mistake, &bounds, Everyone { bounds, mistake }));
    };
    let one =
        Bounds { positions: 1, producers: 1, consumers: 1, kills: 0, closes: false, unregistered: false };
    let two = Bounds { positions: 2, producers: 2, consumers: 2, ..one };

    add(Small, None, one);
    add(Small, None, Bounds { closes: true, ..one });
    add(Quick, None, two);
    add(Quick, None, Bounds { kills: 1, ..two });
    add(Quick, None, Bounds { unregistered: true, ..two });
    add(Quick, None, Bounds { positions: 1, consumers: 3, ..one });
    add(Full, None, Bounds { closes: true, kills: 1, ..two });
    add(Full, None, Bounds { positions: 3, ..two });
    add(Full, None, Bounds { positions: 2, consumers: 3, ..one });

    add(Small, Some(NoMembarrier), one);
    add(Small, Some(CheckBeforeArm), one);
    add(Small, Some(ClearWithoutArrivals), Bounds { consumers: 2, ..two });
    add(Small, Some(NeedFenceIgnored), Bounds { unregistered: true, ..one });
    add(Small, Some(FencingIgnored), Bounds { positions: 2, consumers: 2, ..one });
    add(Small, Some(CommitWakesOne), Bounds { consumers: 2, ..one });
    add(Small, Some(TombstoneWithoutNotify), Bounds { kills: 1, ..one });
}
