//! Processes that know each other by other pids, or by none.

use std::sync::atomic::Ordering;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::{comes, holder, nothing_comes, small, with_queue};
use crate::crash::both::wait_for;
use crate::process::{Child, Outcome, TestDir, Words, ensure, gets_nothing_more};

const REFUSED: u64 = 1;
const HOLDS: u64 = 2;
const MAY_TAKE: u64 = 3;
const HAS_TAKEN: u64 = 4;

/// Living participants are found alive and dead ones dead, from either side.
pub(crate) fn two() -> Outcome {
    with_queue(&small(), |place, queue| {
        let words = Words::new(1);
        let says = |what: u64| wait_for(|| words[0].load(Ordering::SeqCst) == what);
        let mut producer = queue.producer()?;
        producer.send(b"for the other one")?;
        let child = Child::fork(|| {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID) {
                println!("     skipped: unshare: {error}");
                words[0].store(REFUSED, Ordering::SeqCst);
                return Ok(());
            }
            // SAFETY: there is one thread, so that the child may do whatever its parent could.
            match unsafe { fork() }? {
                ForkResult::Child => {
                    let result = with_another_pid(place, &words);
                    if let Err(error) = &result {
                        eprintln!("in the other namespace: {error}");
                    }
                    // SAFETY: ends the child without running its parent's exit handlers.
                    unsafe { nix::libc::_exit(i32::from(result.is_err())) }
                }
                ForkResult::Parent { child } => {
                    let status = waitpid(child, None)?;
                    ensure!(matches!(status, WaitStatus::Exited(_, 0)), "in the other namespace: {status:?}");
                    Ok(())
                }
            }
        });
        wait_for(|| words[0].load(Ordering::SeqCst) != 0)?;
        if words[0].load(Ordering::SeqCst) == REFUSED {
            return child.join();
        }
        says(HOLDS)?;
        let stats = queue.stats();
        let other = stats.participants.iter().find(|one| one.pid == 1).ok_or("nobody has pid 1")?;
        ensure!(other.alive, "it is taken for dead: {other:?}");
        let consumer = queue.consumer()?;
        nothing_comes(&consumer)?;
        ensure!(queue.recover()? == ringway::Recovery::default(), "it was taken for dead");

        // A participant of this namespace dies, and is found from the other.
        producer.send(b"for the dead")?;
        let dead = holder(place, 1)?;
        drop(consumer);
        dead.kill()?;
        words[0].store(MAY_TAKE, Ordering::SeqCst);
        says(HAS_TAKEN)?;
        let consumer = queue.consumer()?;
        nothing_comes(&consumer)?;
        // The other way round: it dies with its parent, holding two.
        child.kill()?;
        let first = consumer.recv_timeout(super::SOON)?;
        comes(&consumer, if *first == *b"for the dead" { b"for the other one" } else { b"for the dead" }, {
            if *first == *b"for the dead" { 1 } else { 2 }
        })?;
        drop(first);
        drop((producer, consumer));
        gets_nothing_more(queue)
    })
}

/// Its pid is 1 in its namespace, and it cannot see the others.
fn with_another_pid(place: &TestDir, words: &Words) -> Outcome {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    ensure!(std::process::id() == 1, "it is number {}", std::process::id());
    let queue = place.open_mpmc()?;
    let consumer = queue.consumer()?;
    let _held = consumer.recv()?;
    ensure!(queue.stats().participants.iter().all(|one| one.alive), "somebody is taken for dead");
    ensure!(queue.recover()? == ringway::Recovery::default(), "somebody is taken for dead");
    words[0].store(HOLDS, Ordering::SeqCst);
    wait_for(|| words[0].load(Ordering::SeqCst) == MAY_TAKE)?;
    let again = consumer.recv_timeout(super::SOON)?;
    ensure!(*again == *b"for the dead" && again.redeliveries() == 1, "{again:?}");
    words[0].store(HAS_TAKEN, Ordering::SeqCst);
    loop {
        std::thread::sleep(super::SOON);
    }
}
