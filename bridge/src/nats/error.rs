//! What the server answers instead of what it was asked for.

use async_nats::jetstream::Error;
use async_nats::jetstream::ErrorCode;

use crate::engine::{Cause, EpochEnd};

/// No message has the number or subject that was asked for.
pub(super) const NO_MESSAGE: ErrorCode = ErrorCode(10037);
/// The stream has another last message than the header expects.
const WRONG_LAST: ErrorCode = ErrorCode::STREAM_WRONG_LAST_SEQUENCE;

/// The server refused to store a message.
pub(super) fn not_stored(error: &Error) -> EpochEnd {
    match error.error_code() {
        WRONG_LAST => EpochEnd::lost(
            Cause::Sequence,
            format!("the stream has another last message than expected ({error})"),
        ),
        _ => EpochEnd::lost(Cause::NotStored, format!("the server did not store a message: {error}")),
    }
}

/// Whether a request failed because JetStream is not there at all.
pub(super) fn is_no_jetstream(error: &Error) -> bool {
    [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT]
        .contains(&error.error_code())
}

/// What to do about a server without JetStream.
pub(super) const NO_JETSTREAM: &str = "the server has no JetStream for this account: start it with `-js`, or with a \
     `jetstream` block in its configuration";
