//! Where the system lacks a feature, the library does without it, or reports that.

use nix::libc;
use ringway::{AttachError, RecvError};

use crate::process::sandbox::{Calls, deny};
use crate::process::{Child, Outcome, Test, TestDir, ensure};

pub(crate) fn tests() -> Vec<Test> {
    type Body = fn() -> Outcome;
    let rows: [(&str, Body); 3] = [
        ("sandbox: without /proc", without_proc),
        ("sandbox: without pages that are wiped in children", without_wiped_pages),
        ("sandbox: without locks of open file descriptions", without_locks),
    ];
    rows.into_iter().map(|(name, body)| Test::new(name, body)).collect()
}

/// As in a minimal container: the file is opened once more by its name.
fn without_proc() -> Outcome {
    let place = TestDir::new()?;
    drop(
        place.create_mpmc(
            &ringway::CreateOptions::new().ring_bytes(4096).max_messages(8).max_participants(4),
        )?,
    );
    Child::fork(|| {
        nix::unistd::chroot(place.directory())?;
        std::env::set_current_dir("/")?;
        ensure!(!std::path::Path::new("/proc").exists(), "there is /proc");
        let name = std::path::Path::new("/").join(place.path().file_name().ok_or("no name")?);
        // SAFETY: only this test and its children know the file.
        let queue = unsafe { ringway::mpmc::BytesQueue::open(&name) }?;
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        producer.send(b"hello")?;
        ensure!(*consumer.recv()? == *b"hello", "something else came");
        ensure!(queue.stats().participants.iter().all(|one| one.alive), "{:?}", queue.stats());
        // Another file of that name is not taken for it.
        std::fs::rename(&name, "/moved")?;
        std::fs::write(&name, b"another file")?;
        let error = queue.consumer().err().ok_or("it attached by a name that is another file's")?;
        let text = error.to_string();
        ensure!(
            text.contains("no such file") || text.contains("another file") || text.contains("/proc"),
            "{text}"
        );
        std::fs::remove_file(&name)?;
        std::fs::rename("/moved", &name)?;
        drop((producer, consumer));
        ensure!(queue.stats().participants.is_empty(), "{:?}", queue.stats());
        Ok(())
    })
    .join()?;
    place.leave()
}

/// As in gVisor and qemu-user: a handler tells forked children apart.
fn without_wiped_pages() -> Outcome {
    let place = TestDir::new()?;
    drop(place.create(&ringway::CreateOptions::new().ring_bytes(4096))?);
    Child::fork(|| {
        deny(libc::SYS_madvise, Calls::With(2, libc::MADV_WIPEONFORK as u32), libc::EINVAL)?;
        let queue = place.open()?;
        let (mut producer, consumer) = (queue.producer()?, queue.consumer()?);
        producer.send(b"hello")?;
        Child::fork(|| {
            ensure!(
                matches!(consumer.try_recv(), Err(RecvError::Forked)),
                "a child uses its parent's consumer"
            );
            ensure!(matches!(queue.producer(), Err(AttachError::Forked)), "a child uses its parent's queue");
            // A handle of its own works, as far as the parent lets it.
            let own = place.open()?;
            ensure!(
                matches!(own.consumer(), Err(AttachError::RoleTaken { .. })),
                "the parent's role was taken"
            );
            Ok(())
        })
        .join()?;
        ensure!(*consumer.recv()? == *b"hello", "something else came");
        Ok(())
    })
    .join()?;
    place.leave()
}

fn without_locks() -> Outcome {
    let place = TestDir::new()?;
    drop(place.create(&ringway::CreateOptions::new().ring_bytes(4096))?);
    Child::fork(|| {
        for command in [libc::F_OFD_SETLK, libc::F_OFD_GETLK] {
            deny(libc::SYS_fcntl, Calls::With(1, command as u32), libc::EINVAL)?;
        }
        let error = place.open()?.consumer().err().ok_or("it attached without a lock")?.to_string();
        ensure!(error.contains("no open-file-description locks") && error.contains("sandboxes"), "{error}");
        Ok(())
    })
    .join()?;
    place.leave()
}
