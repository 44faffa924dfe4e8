//! The known mistakes, as switches: what somebody could plausibly build instead of the protocol.
//! Each must be caught by the model that knows it; [`crate::catalog`] says at which bounds.

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
    TombstoneByStore: "recovery makes the tombstone by a plain store, not by CAS from the word it examined",
    RedoByStore: "recovery turns FULL into REDO by a plain store, not by CAS",
    IntentClearedBeforeCommit: "the claimer clears its intent before it commits",
    IntentAfterCas: "the intent is stored after the CAS on the cursor",
    IntentCoversFirstOnly: "the intent of a batch covers its first position only",
    FailedCasKeepsIntent: "a failed CAS leaves the intent standing",
    IntentsReadBeforeCursors: "recovery reads the intents before the cursors and slots",
    GuardsBeforeHeld: "recv returns guards before all of their slots are HELD",
    ReuseBeforeClean: "an entry is reused while it is still DIRTY",
    AttachKeepsIntent: "attach leaves the last owner's intent standing under its own lease",
    AttachKeepsDirtyByte: "attach keeps a DIRTY entry locked while it waits for its recovery",
    NeverDirty: "attach does not mark the entry DIRTY before its first intent",
    DeadSetWithoutReread: "recovery reads an entry's word, probes its lease, and does not read the word again",
    LeaseBeforeWord: "recovery probes an entry's lease and reads its word after that, only",
    CleanJudgedAtEnd: "CLEAN goes to whoever is dead at the end of the pass, not before it",
    CleanIgnoresIntents: "CLEAN without looking at the positions of the intents",
    CleanBeforeBump: "recovery marks CLEAN before it bumps redo_epoch",
    BumpOnlyForOwnRedo: "recovery bumps redo_epoch only if it made a REDO in this pass",
    BumpBeforeRedo: "reject bumps redo_epoch before it stores REDO",
    RejectWithoutBump: "reject does not bump redo_epoch",
    SeenReadAfterScan: "the consumer takes as seen the epoch after its scan, not before",
    NewConsumerSkipsScan: "a new consumer takes the present epoch as seen, without a scan",
    DetachKeepsHeld: "detach marks its entry CLEAN with HELD slots left",
    PausedBeforeCas: "no mistake but a limit: a live participant is paused for ever between intent and CAS",
    // lane
    ReleaseBeforeReading: "the consumer releases the slot before it has read the frame",
    FreeWhenHeadPassed: "the writer takes a frame as free once head, not the slot's lap, has passed it",
    FreeOutOfOrder: "the writer frees its lane up to the newest frame released, not to the oldest one held",
    PaddingNotCounted: "padding at the end of the lane is not counted as room",
    RebuildSkipped: "a lane's new owner starts with an empty lane",
    RebuildOnlyFull: "a lane's new owner counts FULL slots only, not HELD and REDO ones",
    RebuildWithoutReread: "a lane's new owner does not read the state again after the fields",
    FullLaneTakenForEmpty: "a rebuilt lane whose newest end meets its oldest start counts as empty",
    // waiting
    WakeOneForBatch: "whoever commits a batch wakes one sleeper, not as many as it has messages",
    NoRearm: "W is not set again after a wake that left others asleep",
    RearmBlindly: "W is set again without a wake for the claims made meanwhile",
    OneExtraWake: "W is set again with one wake, however many were claimed for meanwhile",
    ParkOnPending: "a consumer parks on Pending as it does on Empty",
    RejectLoadsW: "reject loads W and wakes only if it is set, instead of clearing it by a read-modify-write",
    RejectWakesOnlyIfW: "reject wakes only if its read-modify-write found W set",
    RejectWakesOne: "reject clears W and wakes one sleeper",
    BellReadLast: "a consumer reads the bell after it has looked for messages, not before",
    ParkOnTail: "consumers call futex_wait on the tail word itself, not on a bell that only counts up",
    UnboundedPark: "a consumer parks for ever, not for a slice, where wakers are killed",
    // room
    NoMembarrier: "a producer that waits for room sets W and looks again without a membarrier",
    RoomCheckedBeforeW: "a producer looks for room before it sets W, and not after",
    ReleaseWakesOne: "a release clears W and wakes one of the producers that wait for room",
    HeadCasDropsW: "the CAS on head clears W, though a take makes no room and wakes nobody",
    ParkOnHead: "producers call futex_wait on the head word itself, not on a bell that only counts up",
    // weak memory
    RelaxedEnq: "the intent to claim is stored Relaxed, so it may overtake the previous commit",
    RelaxedDeq: "the intent to take is stored Relaxed, so it may overtake the previous HELD",
    RelaxedClaim: "the CAS on tail does not release, so it may overtake the intent",
    RelaxedTake: "the CAS on head does not release, so it may overtake the intent",
    RelaxedBump: "the bump of redo_epoch does not release, so it may overtake the REDO of a reject",
    RelaxedCommit: "the commit is stored Relaxed, so it may overtake the link's fields and the frame",
}
