//! Mistakes made on purpose, to see that the simulator finds them. Without the feature `planted`,
//! which the tests alone ask for, `planted!` is a constant and nothing else of this is compiled.

/// Whether this mistake is made here and now.
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::never()
    };
}

/// A call, so that what stands beside it is not taken for needless.
#[cfg(not(feature = "planted"))]
pub(crate) const fn never() -> bool {
    false
}

#[cfg(feature = "planted")]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is($crate::planted::Bug::$bug)
    };
}

#[cfg(feature = "planted")]
pub use catalogue::{Bug, plant};

#[cfg(feature = "planted")]
pub(crate) use catalogue::is;

#[cfg(feature = "planted")]
mod catalogue {
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a mistake for everything this thread does from here on, or takes it out again.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    macro_rules! bugs {
        ($($(#[$doc:meta])* $name:ident,)*) => {
            /// A mistake somebody could make.
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
            pub enum Bug {
                $($(#[$doc])* $name,)*
            }

            impl Bug {
                pub const ALL: &[Self] = &[$(Self::$name),*];
            }
        };
    }

    bugs! {
        // Logs.
        /// A run's checkpoint is not verified.
        CheckpointUnverified,
        /// The cited epoch may fall within a log.
        EpochMayFall,
        /// A header's hash leaves out the document.
        HeaderHashLeavesOut,
        /// A body's hash covers its beginning alone.
        BodyHashOfBeginning,
        /// Joined runs keep the first one's signature.
        JoinKeepsFirstSignature,
        // Digests.
        /// A log's old tip stays in the log digest.
        LogDigestKeepsOld,
        /// A document's old heads stay in the state digest.
        StateDigestKeepsOld,
        // The gate.
        /// A change's actor need not be its log's.
        ActorUnchecked,
        /// A change need not be its author's next.
        SequenceUnchecked,
        /// Two changes may have one sequence number.
        TakenUnchecked,
        /// Operations may begin at any counter.
        StartOpUnchecked,
        /// Operations may refer to what is not there.
        ReferencesUnchecked,
        /// A change need not build on its kind's genesis change.
        GenesisUnchecked,
        /// Entries whose dependencies are missing are dropped.
        WaitingDropped,
        // Validity.
        /// Nobody asks whether the author had the right.
        RightUnchecked,
        /// A revoked node keeps its rights.
        RevokedKeepsRight,
        /// A node has its rights from the beginning of the directory.
        RightBeforeAdmission,
        /// Rights are those of the last epoch, whatever an entry cites.
        RightsOfToday,
        /// What is past a cut counts.
        CutIgnored,
        /// Nothing past a cut is rescued.
        RescueNone,
        /// Everything past a cut is.
        RescueAll,
        /// The head an entry cites is not compared.
        HistoryUnchecked,
        /// An epoch to come is taken for the last.
        EpochToComeTaken,
        // The directory.
        /// Anybody may make a statement.
        StatementAuthorUnchecked,
        /// A statement's signature is not verified.
        StatementSignatureUnchecked,
        /// Statements are not stored.
        StatementsNotStored,
        /// Statements are not passed on.
        StatementsNotRelayed,
        // The seal.
        /// Plain bodies count in sealed spaces.
        SealUnchecked,
        /// Bodies are written plain to sealed spaces.
        SealingSkipped,
        /// A reader who leaves keeps the key.
        KeyNotRotated,
        /// The place is no part of a seal.
        SealHoldsAnywhere,
        // Store order.
        /// Entries are passed on before they are durable.
        SentBeforeStored,
        /// One stored run makes all received ones count as stored.
        StoredTooSoon,
        /// What the disk refused counts as received.
        RefusalForgotten,
        /// The disk is never asked again.
        NoRetry,
        /// More may be on its way to the disk than there is room for.
        UnboundedIntake,
        // Sync.
        /// Whoever greets is taken to be level.
        TakenForLevel,
        /// A stalled range is not asked of others.
        NeverMoves,
        /// Nobody is told what became durable.
        NoNews,
        /// What was declined once is never asked again.
        RefusedForGood,
        /// A served range begins one entry late.
        ServesOneLate,
        /// A log is pushed on although the peer lacks what is before.
        PushesBlindly,
        /// Two links to one peer are kept.
        KeepsBothLinks,
    }
}
