//! Why a child failed: it leaves the reason in a page that it shares with its parent, so that the
//! parent's report has the cause and not only an exit code.

use std::any::Any;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::Words;

/// A page: the writer's process id, the length of the text in bytes, the text.
const WORDS: usize = 512;
const PID: usize = 0;
const LEN: usize = 1;
const TEXT: usize = 2;
const MAX_BYTES: usize = (WORDS - TEXT) * 8;

static PAGE: OnceLock<Words> = OnceLock::new();

/// Maps the page. Children share it if they are forked afterwards.
pub(crate) fn prepare() {
    PAGE.get_or_init(|| Words::new(WORDS));
}

/// Forgets what an earlier test left.
pub(crate) fn clear() {
    if let Some(page) = PAGE.get() {
        page[LEN].store(0, Ordering::Relaxed);
        page[PID].store(0, Ordering::Release);
    }
}

/// In a child that fails: leaves the reason. The first failure of a test is kept, as later ones
/// mostly follow from it.
pub(crate) fn publish(text: &str) {
    let Some(page) = PAGE.get() else { return };
    let pid = u64::from(std::process::id());
    if page[PID].compare_exchange(0, pid, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return;
    }
    let bytes = &text.as_bytes()[..text.len().min(MAX_BYTES)];
    for (word, chunk) in page[TEXT..].iter().zip(bytes.chunks(8)) {
        let mut padded = [0; 8];
        padded[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
    }
    // SYNC cause: the text is complete once its length is there.
    page[LEN].store(bytes.len() as u64, Ordering::Release);
}

/// The message of a panic.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it says nothing")
}

/// The cause that a child left, if one did: its process id, and the text in `buffer`. Allocates
/// nothing, for a signal handler.
pub(crate) fn read(buffer: &mut [u8; MAX_BYTES]) -> Option<(u64, &[u8])> {
    let page = PAGE.get()?;
    let len = page[LEN].load(Ordering::Acquire) as usize;
    if len == 0 || len > MAX_BYTES {
        return None;
    }
    for (chunk, word) in buffer.chunks_mut(8).zip(&page[TEXT..]) {
        chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..chunk.len()]);
    }
    Some((page[PID].load(Ordering::Relaxed), &buffer[..len]))
}

/// What the parent found, with the child's reason.
pub(crate) fn explain(found: &str) -> String {
    match read(&mut buffer()) {
        Some((pid, text)) => {
            format!("{found}\nchild {pid} had failed before: {}", String::from_utf8_lossy(text))
        }
        None => found.to_owned(),
    }
}

/// A buffer that [`read`] takes.
pub(crate) const fn buffer() -> [u8; MAX_BYTES] {
    [0; MAX_BYTES]
}
