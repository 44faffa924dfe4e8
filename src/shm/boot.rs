//! Identifies the current boot of the machine.

use std::io;

/// A random id, new with each start of the kernel. Most containers see the kernel's; systemd-nspawn
/// and LXC mount one of their own over it, new with each start of the container. So the same id
/// twice proves the same start of the kernel, and two ids do not prove two: a queue can be in doubt
/// without a reason, and is never trusted without one.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The 16 bytes of the boot id that this process sees.
///
/// # Errors
/// Without `/proc` there is no boot id. A clock is no substitute: it can be set, and then one boot
/// would look like two.
pub(crate) fn boot_id() -> io::Result<[u8; 16]> {
    #[cfg(test)]
    if let Some(pretended) = pretend::boot_id() {
        return pretended;
    }
    parse(&std::fs::read_to_string(BOOT_ID)?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{BOOT_ID} holds no uuid")))
}

/// Whether files on such a filesystem are still there after the machine was started again.
pub(crate) fn outlives_boots(is_memory: bool) -> bool {
    #[cfg(test)]
    if pretend::boot().is_some() {
        return true;
    }
    !is_memory
}

/// A uuid in its usual form.
fn parse(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim_end().chars().filter(|character| *character != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

/// Lets tests of this crate simulate a reboot, and treat memory as a disk.
#[cfg(test)]
pub(crate) mod pretend {
    use std::cell::{Cell, RefCell};
    use std::io;

    /// What a recovery does to a file, one system call each.
    #[derive(Clone, Debug)]
    pub(crate) enum FileOperation {
        Write { offset: u64, bytes: Vec<u8> },
        Sync,
    }

    thread_local! {
        static JOURNAL: RefCell<Option<Vec<FileOperation>>> = const { RefCell::new(None) };
        static BOOT: Cell<Option<[u8; 16]>> = const { Cell::new(None) };
        static IS_HIDDEN: Cell<bool> = const { Cell::new(false) };
        static FLUSHES: Cell<u64> = const { Cell::new(0) };
    }

    /// From now on, in this thread, `boot` is the current boot, and every filesystem keeps its files.
    pub(crate) fn set_boot(boot: u8) {
        BOOT.set(Some([boot; 16]));
        IS_HIDDEN.set(false);
    }

    /// From now on, until a boot is set, this thread cannot read the boot id. Every filesystem keeps
    /// its files.
    pub(crate) fn hide_boot() {
        BOOT.set(Some([0; 16]));
        IS_HIDDEN.set(true);
    }

    pub(super) fn boot_id() -> Option<io::Result<[u8; 16]>> {
        let boot = BOOT.get()?;
        Some(if IS_HIDDEN.get() { Err(io::ErrorKind::NotFound.into()) } else { Ok(boot) })
    }

    pub(crate) fn boot() -> Option<[u8; 16]> {
        BOOT.get()
    }

    pub(crate) fn count_flush() {
        FLUSHES.set(FLUSHES.get() + 1);
    }

    /// Runs `recovery`; returns the writes and syncs of this thread as well.
    pub(crate) fn journal<R>(recovery: impl FnOnce() -> R) -> (R, Vec<FileOperation>) {
        JOURNAL.set(Some(Vec::new()));
        let result = recovery();
        (result, JOURNAL.take().expect("set above"))
    }

    pub(in crate::shm) fn record(operation: FileOperation) {
        JOURNAL.with_borrow_mut(|journal| journal.iter_mut().for_each(|list| list.push(operation.clone())));
    }

    /// How often this thread has flushed a header.
    pub(crate) fn flushes() -> u64 {
        FLUSHES.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_ids_are_uuids() {
        let bytes = parse("00112233-4455-6677-8899-aabbccddeeff\n").unwrap();
        assert_eq!(bytes[..4], [0x00, 0x11, 0x22, 0x33]);
        for text in ["", "\n", "00112233-4455-6677-8899-aabbccddeef", "+0112233-4455-6677-8899-aabbccddeeff"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn this_machine_has_one() {
        let boot = boot_id().unwrap();
        assert_ne!(boot, [0; 16]);
        assert_eq!(boot_id().unwrap(), boot);
    }
}
