//! Creating memfd queues and passing them on.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use ringway::spsc::BytesQueue;

use super::checks::{Holdings, explains, passes, spsc};
use super::injector::{Gate, Operation, each_call_fails};
use crate::process::{Outcome, Test, TestDir, ensure};

pub(crate) fn tests() -> Vec<Test> {
    let nothing = |_: &TestDir| Ok(());
    let operation =
        |name, body| Operation { name, prepare: nothing, body, check: is_untouched, without: None };
    let operations = [
        operation("create a memfd", create as fn(&TestDir, &Gate) -> Outcome),
        operation("open a descriptor", open_fd),
        operation("open by /proc", open_path),
        operation("send a memfd", send),
        operation("receive a memfd", receive),
        operation("let a memfd be inherited", inheritable),
    ];
    let test = |operation: Operation| Test::new(operation.name, move || each_call_fails(operation));
    operations.map(test).into()
}

/// Memfds leave no files anywhere.
fn is_untouched(place: &TestDir) -> Outcome {
    ensure!(std::fs::read_dir(place.directory())?.next().is_none(), "something was left");
    Ok(())
}

fn memfd() -> Outcome<BytesQueue> {
    // SAFETY: only this process has it.
    Ok(unsafe { BytesQueue::create_memfd_with(&spsc()) }?)
}

/// Runs `begin` with a failure; what it created in spite of that works, and nothing leaks.
fn tried<R, E: std::error::Error + 'static>(
    gate: &Gate,
    name: &str,
    begin: impl FnOnce() -> Result<R, E>,
    works: impl FnOnce(&R) -> Outcome,
) -> Outcome {
    let before = Holdings::now()?;
    let result = gate.around(begin)?;
    match &result {
        Ok(made) => works(made)?,
        Err(error) => explains(error, name)?,
    }
    drop(result);
    before.all_given_back()
}

fn create(_: &TestDir, gate: &Gate) -> Outcome {
    drop(memfd()?);
    // SAFETY: only this process has it.
    tried(gate, "memfd:ringway", || unsafe { BytesQueue::create_memfd_with(&spsc()) }, passes)?;
    passes(&memfd()?)
}

fn open_fd(_: &TestDir, gate: &Gate) -> Outcome {
    let queue = memfd()?;
    // SAFETY: only this process has it.
    tried(gate, "", || unsafe { BytesQueue::open_fd(&queue) }, passes)?;
    passes(&queue)
}

fn open_path(_: &TestDir, gate: &Gate) -> Outcome {
    let queue = memfd()?;
    let descriptor = queue.inheritable_fd()?;
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    // SAFETY: only this process has it.
    tried(gate, "", || unsafe { BytesQueue::open(&path) }, passes)?;
    passes(&queue)
}

fn send(_: &TestDir, gate: &Gate) -> Outcome {
    let queue = memfd()?;
    let (here, _there) = UnixStream::pair()?;
    tried(gate, "memfd:ringway", || queue.send_fd(&here), |()| Ok(()))?;
    passes(&queue)
}

fn receive(_: &TestDir, gate: &Gate) -> Outcome {
    let queue = memfd()?;
    let (here, there) = UnixStream::pair()?;
    queue.send_fd(&here)?;
    // So that a failure of the first check does not wait for the second.
    drop(here);
    // A descriptor that was not received is still in the socket, and no descriptor of this process.
    // SAFETY: only this process has it.
    tried(gate, "", || unsafe { BytesQueue::recv_fd(&there) }, passes)?;
    passes(&queue)
}

fn inheritable(_: &TestDir, gate: &Gate) -> Outcome {
    let queue = memfd()?;
    tried(gate, "memfd:ringway", || queue.inheritable_fd(), |_| Ok(()))?;
    passes(&queue)
}
