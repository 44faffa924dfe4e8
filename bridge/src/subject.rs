//! Subjects made from the names of queues.

use std::path::Path;

/// The subject for a queue: `{queue}` in the pattern is replaced by the queue's file name. Characters that mean something
/// in subjects, or that a subject may not contain, are written as `%` and two hexadecimal digits.
///
/// ```
/// use ringway_nats::subject::for_queue;
///
/// assert_eq!(for_queue("ringway.{queue}", "ticks".as_ref()), "ringway.ticks");
/// assert_eq!(for_queue("ringway.{queue}", "/var/q/eu.ticks *".as_ref()), "ringway.eu%2Eticks%20%2A");
/// ```
#[must_use]
pub fn for_queue(pattern: &str, queue: &Path) -> String {
    let name = queue.file_name().unwrap_or(queue.as_os_str());
    let mut token = String::new();
    for byte in name.as_encoded_bytes() {
        match byte {
            b'.' | b'*' | b'>' | b'%' | ..=b' ' | 127.. => token.push_str(&format!("%{byte:02X}")),
            _ => token.push(char::from(*byte)),
        }
    }
    pattern.replace("{queue}", &token)
}

/// What is wrong with a subject to publish to, if anything is.
///
/// ```
/// use ringway_nats::subject::check;
///
/// assert!(check("ringway.ticks").is_ok());
/// assert!(check("ringway.>").is_err());
/// ```
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check(subject: &str) -> Result<(), String> {
    let is_plain = |token: &str| {
        !token.is_empty()
            && token != "*"
            && token != ">"
            && token.bytes().all(|byte| byte > b' ' && byte != 127)
    };
    if subject.split('.').all(is_plain) {
        return Ok(());
    }
    let subject = subject.escape_default();
    Err(format!(
        "\"{subject}\" is no subject to publish to: it needs tokens between dots, without wildcards or spaces"
    ))
}
