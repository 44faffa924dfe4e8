//! What is run: each model at several bounds, and each mistake at bounds at which it must be caught.

mod broadcast;

use crate::checker::{Model, Outcome, Report, check};
use crate::claims::{self, Claims};
use crate::lane::{self, Lanes};
use crate::mistake::Mistake;
use crate::room::{self, Room};
use crate::waiting::{self, Waiting};
use crate::weak::{self, WeakMemory};
use std::fmt::Display;

/// The checker needs 60 to 80 bytes a state: a good 5 GiB at this cap.
pub const MAX_STATES: usize = 70_000_000;

/// How long a scenario takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Effort {
    /// Milliseconds, also without optimisation.
    Small,
    /// Up to a few seconds.
    Quick,
    /// A minute or two.
    Full,
}

/// One model at given bounds, as it should be or with one mistake.
pub struct Scenario {
    pub model: &'static str,
    pub bounds: String,
    pub mistake: Option<Mistake>,
    pub effort: Effort,
    run: Box<dyn Fn(usize) -> Report>,
}

impl Scenario {
    fn new<M: Model + 'static>(
        model: &'static str,
        effort: Effort,
        mistake: Option<Mistake>,
        bounds: &dyn Display,
        run: M,
    ) -> Self {
        let run = Box::new(move |max_states| check(&run, max_states));
        Scenario { model, bounds: bounds.to_string(), mistake, effort, run }
    }

    pub fn run(&self, max_states: usize) -> Report {
        (self.run)(max_states)
    }

    /// Clean as it should be; or caught, where there is a mistake.
    pub fn is_as_expected(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Clean => self.mistake.is_none(),
            Outcome::Violation { .. } | Outcome::Stuck { .. } => self.mistake.is_some(),
            Outcome::CapReached { .. } => false,
        }
    }
}

pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    add_claims(&mut all);
    add_lanes(&mut all);
    add_waiting(&mut all);
    add_rooms(&mut all);
    add_weak(&mut all);
    broadcast::add_broadcast(&mut all);
    broadcast::add_everyone(&mut all);
    all
}

use Effort::{Full, Quick, Small};
use Mistake::*;

fn add_claims(all: &mut Vec<Scenario>) {
    type Bounds = claims::Bounds;
    let mut add = |effort, mistake, bounds: Bounds| {
        all.push(Scenario::new("claims", effort, mistake, &bounds, Claims { bounds, mistake }));
    };
    let base = Bounds { slots: 2, send_k: 1, recv_k: 1, guards: 1, ..Bounds::default() };
    let p1c1 = Bounds { producers: 1, consumers: 1, messages: 1, kills: 1, ..base };
    let p2c1 = Bounds { producers: 2, ..p1c1 };
    let p1c2 = Bounds { consumers: 2, ..p1c1 };
    let p2c2 = Bounds { producers: 2, ..p1c2 };
    // Consumers only, and a message that has been there before them.
    let c1 = Bounds { consumers: 1, prefilled: 1, ..base };
    let c2 = Bounds { consumers: 2, ..c1 };

    add(Small, None, Bounds { messages: 3, send_k: 2, recv_k: 2, guards: 2, ..p1c1 });
    add(Small, None, p2c1);
    add(Small, None, Bounds { kills: 1, attaches: 1, detaches: 1, rejects: 1, ..c1 });
    add(Small, None, Bounds { kills: 2, attaches: 1, ..c2 });
    add(Quick, None, Bounds { consumers: 3, kills: 1, rejects: 1, ..c1 });
    add(Quick, None, Bounds { attaches: 1, rejects: 1, ..p1c2 });
    add(Quick, None, Bounds { attaches: 1, kills: 2, ..p2c1 });
    add(Quick, None, Bounds { attaches: 1, detaches: 1, idlers: 1, ..p2c1 });
    add(Quick, None, Bounds { prefilled: 2, kills: 1, attaches: 1, detaches: 1, at_most_once: true, ..c2 });
    add(Quick, None, p2c2);
    add(Full, None, Bounds { slots: 4, messages: 2, prefilled: 1, send_k: 2, recv_k: 2, guards: 2, ..p1c2 });
    add(Full, None, Bounds { messages: 2, send_k: 2, recv_k: 2, guards: 2, attaches: 1, rejects: 1, ..p1c2 });
    add(Full, None, Bounds { messages: 2, send_k: 2, recv_k: 2, attaches: 1, idlers: 1, ..p2c1 });
    add(
        Full,
        None,
        Bounds { prefilled: 2, recv_k: 2, guards: 2, kills: 2, attaches: 1, detaches: 1, rejects: 1, ..c2 },
    );
    add(Full, None, Bounds { kills: 2, attaches: 1, ..p2c2 });
    add(Full, None, Bounds { kills: 1, attaches: 1, detaches: 1, ..p2c2 });
    add(
        Full,
        None,
        Bounds { slots: 4, messages: 2, prefilled: 2, rejects: 1, send_k: 2, recv_k: 2, guards: 2, ..p1c2 },
    );

    add(Small, None, Bounds { slack: 1, messages: 2, ..p1c1 });
    add(Small, None, Bounds { slack: 1, ..p2c1 });
    add(Quick, None, Bounds { slots: 4, slack: 1, messages: 3, send_k: 2, recv_k: 2, guards: 2, ..p1c1 });
    add(Quick, None, Bounds { slack: 1, attaches: 1, rejects: 1, ..p1c2 });
    add(Quick, None, Bounds { slack: 1, attaches: 1, ..p2c1 });
    add(Small, Some(BoundIgnored), Bounds { slack: 1, messages: 2, ..p1c1 });

    add(Small, Some(TombstoneWithoutReread), Bounds { messages: 2, ..p1c1 });
    add(Small, Some(TombstoneWithoutRecord), Bounds { kills: 2, ..p1c1 });
    add(Small, Some(FinishingAdds), Bounds { kills: 2, ..p1c1 });
    add(Small, Some(RecordPositionFirst), Bounds { kills: 2, ..p1c1 });
    add(Small, Some(RecordKept), Bounds { messages: 2, send_k: 2, kills: 2, ..p1c1 });
    add(Small, Some(RedeliverByStore), Bounds { prefilled: 2, kills: 1, ..c2 });
    add(Small, Some(IntentClearedBeforeCommit), p1c1);
    add(Small, Some(IntentAfterCas), p1c1);
    add(Small, Some(IntentCoversFirstOnly), Bounds { messages: 2, send_k: 2, ..p1c1 });
    add(Small, Some(FailedCasKeepsIntent), Bounds { idlers: 1, ..p2c1 });
    add(Small, Some(IntentsReadBeforeCursors), p1c1);
    add(
        Small,
        Some(GuardsBeforeHeld),
        Bounds { slots: 4, prefilled: 3, recv_k: 2, guards: 2, kills: 1, ..c2 },
    );
    add(Small, Some(ReuseBeforeClean), Bounds { attaches: 1, ..p1c1 });
    add(Quick, Some(AttachKeepsIntent), Bounds { kills: 2, attaches: 1, idlers: 1, ..p2c1 });
    add(Small, Some(AttachKeepsDirtyByte), Bounds { attaches: 1, ..p1c1 });
    add(Small, Some(NeverDirty), Bounds { attaches: 1, detaches: 1, ..p1c1 });
    add(Small, Some(DeadSetWithoutReread), Bounds { attaches: 1, detaches: 1, ..c1 });
    add(Small, Some(LockBeforeWord), Bounds { attaches: 1, detaches: 1, ..c1 });
    add(Small, Some(CleanJudgedAtEnd), Bounds { kills: 2, ..p2c1 });
    add(Small, Some(CleanIgnoresIntents), p2c1);
    add(Small, Some(CleanBeforeBump), Bounds { kills: 2, ..c2 });
    add(Small, Some(BumpOnlyForOwnRedelivery), Bounds { kills: 2, ..c2 });
    add(Small, Some(BumpBeforeRedeliver), Bounds { guards: 2, rejects: 1, ..c1 });
    add(Small, Some(RejectWithoutBump), Bounds { rejects: 1, ..c2 });
    add(Small, Some(SeenReadAfterScan), Bounds { kills: 1, ..c2 });
    add(Small, Some(NewConsumerSkipsScan), Bounds { kills: 1, attaches: 1, ..c1 });
    add(Small, Some(DetachKeepsHeld), Bounds { detaches: 1, ..c2 });
    add(Small, Some(PausedBeforeCas), Bounds { idlers: 1, ..p2c1 });
}

fn add_lanes(all: &mut Vec<Scenario>) {
    type Bounds = lane::Bounds;
    let mut add = |effort, mistake, bounds: Bounds| {
        all.push(Scenario::new("lane", effort, mistake, &bounds, Lanes { bounds, mistake }));
    };
    let base =
        Bounds { slots: 4, producers: 1, consumers: 1, lane: 4, lengths: &[2, 2, 2], kills: 0, attaches: 0 };
    let heirs = Bounds { kills: 1, attaches: 1, ..base };

    add(Small, None, Bounds { consumers: 2, lengths: &[2, 1, 2, 1], ..heirs });
    add(Small, None, Bounds { consumers: 2, lane: 6, lengths: &[3, 2, 3, 1, 3], ..heirs });
    add(Quick, None, Bounds { slots: 2, producers: 2, lengths: &[2, 1, 1], ..heirs });
    add(Quick, None, Bounds { slots: 2, producers: 2, consumers: 2, lengths: &[2, 1, 2], ..heirs });
    add(Full, None, Bounds { producers: 2, consumers: 2, lengths: &[2, 1, 2], ..heirs });
    add(
        Full,
        None,
        Bounds { consumers: 2, lane: 6, lengths: &[3, 2, 3, 1, 3], kills: 2, attaches: 2, ..base },
    );

    add(Small, Some(ReleaseBeforeReading), base);
    add(Small, Some(FreeWhenHeadPassed), base);
    add(Small, Some(FreeOutOfOrder), Bounds { consumers: 2, ..base });
    add(Small, Some(LapTooShort), Bounds { slots: 2, lengths: &[2, 2, 1], ..base });
    add(Small, Some(PaddingNotCounted), Bounds { lengths: &[1, 2, 2], ..base });
    add(Small, Some(RebuildSkipped), heirs);
    add(Small, Some(RebuildOnlyFull), heirs);
    add(Small, Some(FullLaneTakenForEmpty), heirs);
}

fn add_waiting(all: &mut Vec<Scenario>) {
    type Bounds = waiting::Bounds;
    let mut add = |effort, mistake, bounds: Bounds| {
        all.push(Scenario::new("waiting", effort, mistake, &bounds, Waiting { bounds, mistake }));
    };
    let base = Bounds {
        producers: 2,
        consumers: 2,
        k: 1,
        rejects: 0,
        kills: 0,
        visits: 0,
        closes: false,
        unregistered: false,
        asleep: false,
    };
    let asleep = Bounds { asleep: true, ..base };
    let alone = Bounds { producers: 1, consumers: 1, ..base };
    let three = Bounds { producers: 3, ..base };
    let pair = Bounds { producers: 1, k: 2, ..base };

    add(Small, None, alone);
    add(Small, None, base);
    add(Small, None, pair);
    add(Small, None, Bounds { closes: true, ..alone });
    add(Quick, None, Bounds { unregistered: true, visits: 1, ..base });
    add(Quick, None, Bounds { rejects: 1, visits: 1, ..pair });
    add(Quick, None, Bounds { closes: true, ..base });
    add(Quick, None, Bounds { kills: 1, closes: true, ..Bounds { consumers: 2, ..alone } });
    add(Quick, None, Bounds { kills: 1, ..base });
    add(Quick, None, Bounds { consumers: 3, k: 2, ..asleep });
    add(Full, None, Bounds { visits: 1, ..three });
    add(Full, None, Bounds { producers: 3, consumers: 3, ..asleep });
    add(Full, None, Bounds { consumers: 4, k: 2, visits: 1, ..asleep });
    add(Full, None, Bounds { consumers: 3, k: 2, ..base });
    add(Full, None, Bounds { rejects: 1, ..base });
    add(Full, None, Bounds { rejects: 1, consumers: 3, ..asleep });
    add(Full, None, Bounds { closes: true, consumers: 3, ..asleep });
    add(Full, None, Bounds { kills: 1, closes: true, ..base });

    add(Small, Some(NoMembarrier), alone);
    add(Small, Some(CheckBeforeArm), alone);
    add(Small, Some(KeyReadAfterArm), Bounds { visits: 1, consumers: 1, ..base });
    add(Small, Some(KeyReadLast), alone);
    add(Small, Some(WakeBeforeIncrement), alone);
    add(Small, Some(ClearWithoutArrivals), Bounds { consumers: 1, visits: 1, ..base });
    add(Small, Some(ClearAlways), base);
    add(Small, Some(NeedFenceIgnored), Bounds { unregistered: true, ..alone });
    add(Small, Some(FencingIgnored), base);
    add(Small, Some(CheckBeforeCommit), alone);
    add(Small, Some(NothingPassedOn), base);
    add(Quick, Some(EndNotPassedOn), Bounds { closes: true, consumers: 2, ..alone });
    add(Small, Some(RejectWithoutNotify), Bounds { rejects: 1, consumers: 2, ..alone });
    add(Small, Some(CloseWithoutNotify), Bounds { closes: true, ..alone });
    add(Small, Some(CloseNotifiesFirst), Bounds { closes: true, ..alone });
    add(Small, Some(ClosedBeforeDrained), Bounds { closes: true, ..alone });
    add(Small, Some(UnboundedPark), Bounds { kills: 1, ..alone });
}

fn add_rooms(all: &mut Vec<Scenario>) {
    type Bounds = room::Bounds;
    let mut add = |effort, mistake, bounds: Bounds| {
        all.push(Scenario::new("room", effort, mistake, &bounds, Room { bounds, mistake }));
    };
    let one =
        Bounds { slots: 2, releases: 1, producers: 1, consumers: 1, closes: false, unregistered: false };
    let two = Bounds { releases: 2, producers: 2, consumers: 2, ..one };

    add(Small, None, one);
    add(Small, None, Bounds { closes: true, ..one });
    add(Quick, None, two);
    add(Quick, None, Bounds { closes: true, ..two });
    add(Quick, None, Bounds { unregistered: true, ..two });
    add(Quick, None, Bounds { slots: 4, releases: 4, ..two });
    add(Full, None, Bounds { slots: 4, releases: 3, consumers: 3, producers: 3, ..two });

    add(Small, Some(NoMembarrier), one);
    add(Small, Some(CheckBeforeArm), one);
    add(Small, Some(ClearWithoutArrivals), Bounds { releases: 2, producers: 2, ..one });
    add(Small, Some(NeedFenceIgnored), Bounds { unregistered: true, ..one });
    add(Small, Some(FencingIgnored), Bounds { releases: 2, producers: 2, ..one });
    add(Small, Some(SureTooEarly), Bounds { releases: 2, producers: 2, ..one });
    add(Small, Some(SureBlindly), Bounds { slots: 4, releases: 3, producers: 2, consumers: 2, ..one });
    add(Small, Some(UnfenceKeepsSure), Bounds { slots: 4, releases: 4, producers: 2, consumers: 2, ..one });
    add(Small, Some(ReleaseWakesOne), two);
    add(Small, Some(InexactLastCheck), one);
    add(Small, Some(CloseNotifiesConsumersOnly), Bounds { releases: 0, closes: true, ..one });
}

fn add_weak(all: &mut Vec<Scenario>) {
    type Bounds = weak::Bounds;
    let mut add = |effort, mistake, bounds: Bounds| {
        all.push(Scenario::new("weak", effort, mistake, &bounds, WeakMemory { bounds, mistake }));
    };
    let base = Bounds { producers: 1, consumers: 1, messages: 1, rejects: 0, kills: 0, recovers: true };
    let two = Bounds { messages: 2, ..base };
    let reject = Bounds { rejects: 1, recovers: false, ..base };

    add(Small, None, base);
    add(Small, None, Bounds { kills: 1, ..two });
    add(Small, None, Bounds { consumers: 2, ..reject });
    add(Quick, None, Bounds { producers: 2, kills: 1, ..base });
    add(Quick, None, Bounds { rejects: 1, kills: 1, ..two });
    add(Full, None, Bounds { consumers: 2, kills: 1, ..two });
    add(Full, None, Bounds { producers: 2, consumers: 2, kills: 1, ..base });

    add(Small, Some(RelaxedClaimIntent), two);
    add(Small, Some(RelaxedTakeIntent), two);
    add(Small, Some(RelaxedClaim), base);
    add(Small, Some(RelaxedTake), base);
    add(Small, Some(RelaxedBump), Bounds { consumers: 2, ..reject });
    add(Small, Some(RelaxedCommit), base);
}
