//! The findings of the doctor about a queue.

use ringway::InspectError;
use serde::Serialize;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Information; nothing is wrong.
    Note,
    /// It works, but not as it should.
    Warning,
    /// It does not work.
    Error,
}

/// What `--repair` may do about a finding: each remedy is safe while other participants continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Remedy {
    /// Recovers what dead participants left, as participants do when they are blocked by it.
    Recover,
    /// Drops the messages of a queue that outlived a reboot and is unproven.
    Discard,
    /// Removes a file that is no queue any more, unless a participant is attached.
    Remove,
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) what: String,
    /// What the user should do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
    pub(super) remedy: Option<Remedy>,
}

impl Finding {
    pub(super) fn new(severity: Severity, what: String) -> Self {
        Self { severity, what, advice: None, remedy: None }
    }

    pub(super) fn note(what: String) -> Self {
        Self::new(Severity::Note, what)
    }

    pub(super) fn warning(what: String) -> Self {
        Self::new(Severity::Warning, what)
    }

    pub(super) fn error(what: String) -> Self {
        Self::new(Severity::Error, what)
    }

    /// What a repair did.
    pub(super) fn done(what: String) -> Self {
        Self::note(format!("repaired: {what}"))
    }

    /// A file that begins as a queue does and is none.
    pub(super) fn broken(error: &InspectError) -> Self {
        Self::error(error.to_string()).advice("no repair can know what it held; nothing was touched")
    }

    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }
}
