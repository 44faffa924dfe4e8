//! The known mistakes, as switches: what a plausible but wrong protocol would do. Each must be
//! caught by the model that knows it; [`crate::catalog`] says at which bounds.

macro_rules! mistakes {
    ($($name:ident: $about:literal,)*) => {
        /// One deviation from the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mistake { $(#[doc = $about] $name,)* }

        impl Mistake {
            pub const ALL: &'static [Mistake] = &[$(Mistake::$name,)*];

            pub fn about(self) -> &'static str {
                match self { $(Mistake::$name => $about,)* }
            }
        }
    };
}

mistakes! {
    // claims
    TombstoneWithoutReread: "recovery decides on a tombstone without reading the slot again after the intents",
    TombstoneWithoutRecord: "recovery counts a tombstone and makes it, without a record",
    FinishingAdds: "the count of tombstones is raised by one, not set to the number in the record",
    RecordPositionFirst: "the record's position is stored before its number",
    RecordKept: "the record stays when the tombstone is made",
    RedeliverByStore: "recovery turns FULL into REDELIVER by a plain store, not by CAS",
    IntentClearedBeforeCommit: "the claimer clears its intent before it commits",
    IntentAfterCas: "the intent is stored after the CAS on the cursor",
    IntentCoversFirstOnly: "the intent of a batch covers its first position only",
    FailedCasKeepsIntent: "a failed CAS leaves the intent standing",
    IntentsReadBeforeCursors: "recovery reads the intents before the cursors and slots",
    GuardsBeforeHeld: "recv returns guards before all of their slots are HELD",
    ReuseBeforeClean: "an entry is reused while it is still DIRTY",
    AttachKeepsIntent: "attach leaves the last owner's intent standing under its own liveness lock",
    AttachKeepsDirtyByte: "attach keeps a DIRTY entry locked while it waits for its recovery",
    BoundIgnored: "a claim examines the slot of its own position, not that of the position `slack` further on",
    NeverDirty: "attach does not mark the entry DIRTY before its first intent",
    DeadSetWithoutReread: "recovery reads an entry's word, probes its liveness lock, and does not read the word again",
    LockBeforeWord: "recovery probes an entry's liveness lock and reads its word after that, only",
    CleanJudgedAtEnd: "CLEAN goes to the entries that are dead at the end of the pass, not before it",
    CleanIgnoresIntents: "CLEAN without reading the positions of the intents",
    CleanBeforeBump: "recovery marks CLEAN before it bumps redelivery_epoch",
    BumpOnlyForOwnRedelivery: "recovery bumps redelivery_epoch only if it made a REDELIVER in this pass",
    BumpBeforeRedeliver: "reject bumps redelivery_epoch before it stores REDELIVER",
    RejectWithoutBump: "reject does not bump redelivery_epoch",
    SeenReadAfterScan: "the consumer takes as seen the epoch after its scan, not before",
    NewConsumerSkipsScan: "a new consumer takes the present epoch as seen, without a scan",
    DetachKeepsHeld: "detach marks its entry CLEAN with HELD slots left",
    PausedBeforeCas: "no mistake but a limit: a live participant is paused for ever between intent and CAS",
    // lane
    ReleaseBeforeReading: "the consumer releases the slot before it has read the frame",
    FreeWhenHeadPassed: "the writer takes a frame as free once head, not the slot's lap, has passed it",
    FreeOutOfOrder: "the writer frees its lane up to the newest frame released, not to the oldest one held",
    LapTooShort: "the writer takes a frame as free that is a lap less one before its newest one",
    PaddingNotCounted: "padding at the end of the lane is not counted as room",
    RebuildSkipped: "a lane's new owner starts with an empty lane",
    RebuildOnlyFull: "a lane's new owner counts FULL slots only, not HELD and REDELIVER ones",
    FullLaneTakenForEmpty: "a rebuilt lane whose newest end meets its oldest start counts as empty",
    // the eventcount: waiting, room
    NoMembarrier: "a sleeper arms and checks again without a membarrier",
    CheckBeforeArm: "a sleeper checks before it arms, and not after",
    KeyReadAfterArm: "a sleeper reads the key after it has armed, not before",
    KeyReadLast: "a sleeper reads the key after its last check",
    WakeBeforeIncrement: "a waker wakes first, and increments the event after that",
    ClearWithoutArrivals: "ARMED is taken away though a sleeper has armed since it was read",
    ClearAlways: "ARMED is taken away also if as many were woken as were wanted",
    NeedFenceIgnored: "wakers do not fence though one of them is out of reach of membarriers",
    FencingIgnored: "wakers do not fence though sleepers rely on it",
    SureTooEarly: "a sleeper says that it is sure when it arms, before its membarrier",
    SureBlindly: "a sleeper says that it is sure though `waiting` has changed since it armed",
    UnfenceKeepsSure: "a waker that fences no more leaves what sleepers rely on",
    // waiting
    CheckBeforeCommit: "a waker reads ARMED before its commit",
    NothingPassedOn: "a woken consumer that finds something does not notify for what it leaves",
    EndNotPassedOn: "a woken consumer does not notify all when the queue is closed",
    RejectWithoutNotify: "a reject notifies no one",
    CloseWithoutNotify: "the closer does not notify",
    CloseNotifiesFirst: "the closer notifies before CLOSED is set",
    ClosedBeforeDrained: "a consumer finds the queue closed while a claim is not committed",
    UnboundedPark: "a sleeper sleeps for ever, not for a slice, where wakers are killed",
    // room
    ReleaseWakesOne: "a release wakes one of the producers that wait for room",
    InexactLastCheck: "the check before a sleep reads the word that releases store now and then",
    CloseNotifiesConsumersOnly: "the closer does not notify producers",
    // weak memory
    RelaxedClaimIntent: "the intent to claim is stored Relaxed, so it may overtake the previous commit",
    RelaxedTakeIntent: "the intent to take is stored Relaxed, so it may overtake the previous HELD",
    RelaxedClaim: "the CAS on tail does not release, so it may overtake the intent",
    RelaxedTake: "the CAS on head does not release, so it may overtake the intent",
    RelaxedBump: "the bump of redelivery_epoch does not release, so it may overtake the REDELIVER of a reject",
    RelaxedCommit: "the commit is stored Relaxed, so it may overtake the slot's fields and the frame",
    // broadcast
    RaiseWithoutFence: "a raise announces `floor` and scans the cursors without a fence between",
    JoinWithoutFence: "a reader publishes its cursor and reads `floor` without a fence between",
    PinWithoutFence: "a reader in place pins a position and reads `floor` without a fence between",
    JoinIgnoresFloor: "a reader begins at the position that it published, whatever `floor` says",
    JoinAsksFree: "a reader that joins compares its position with `free`, not with `floor`",
    OneScan: "a raise confirms what the scan before the announcement found",
    FreeBeforeFloor: "a raise confirms `free` before it announces `floor`",
    PinAfterCheck: "a reader in place checks `floor` before it pins the position",
    UnpinBeforeReading: "a reader in place takes its pin away before it has read",
    CursorBeforeReading: "a reliable reader moves its cursor past a frame before it has read it",
    LaneIgnoresFree: "a producer reuses a frame of its lane without asking `free`",
    WriteWithoutFence: "a producer writes a frame without a fence behind the `free` that allows it",
    CopyValidatedByState: "a lossy reader validates its copy by the slot's state, not by `free`",
    CopyValidatedBefore: "a lossy reader asks `free` before it copies, and not after",
    TombstoneUnasked: "a lossy reader takes FREE of the next lap for a tombstone without asking `free`",
    FreePassesClaim: "a raise does not look for positions that are claimed and not committed",
    IntentsBeforeTail: "a raise reads the intents before `tail`",
    CommitRelaxed: "a commit is stored Relaxed, so it may overtake the reference and the frame",
    DeadCount: "recovery leaves the cursor of a dead reader",
    CursorBeforeDirty: "a reader publishes its cursor before its entry is DIRTY",
    CleanBeforeCursor: "recovery marks a reader's entry CLEAN before it takes its cursor away",
    EntryNotReadAgain: "recovery probes a reader's liveness lock and does not read its entry again",
    SeekWithoutJoin: "a reliable reader seeks without publishing its cursor and reading `floor`",
    TakeoverKeepsStates: "one writer's successor leaves the states behind the first that is missing",
    TakeoverWithoutWalk: "one writer's successor begins at `tail`, whatever is committed there",
    FirstStateFirst: "one writer stores the states of a batch from the first on",
    TailBeforeStates: "one writer stores `tail` before the states",
    // everyone
    CommitWakesOne: "a commit wakes one of the consumers that wait for it",
    TombstoneWithoutNotify: "recovery makes a tombstone and notifies no one",
}
