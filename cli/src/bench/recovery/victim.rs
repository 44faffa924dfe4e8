//! The participants that are killed.
#![allow(unsafe_code, reason = "opens a queue that only this benchmark's processes know")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringway::mpmc::BytesQueue;

use super::super::process;
use super::super::task::{Role, Task, Victim, Work};

/// Messages that a claimer sends in one claim: the maximum that the library claims in one step.
const BATCH: usize = 255;
const MUCH_MEMORY: usize = 256 << 20;
/// The content of claimers' messages. The survivor's own messages never have it.
pub(super) const VICTIMS_MESSAGE: [u8; 8] = [0xff; 8];

/// Runs in the victim's own process.
pub(in super::super) fn work_until_killed(task: &Task, victim: Victim) -> Result<()> {
    let memory = vec![1_u8; if victim == Victim::ClaimerOfMuchMemory { MUCH_MEMORY } else { 0 }];
    std::hint::black_box(&memory);
    // SAFETY: only this benchmark's own processes know the file.
    let queue = unsafe { BytesQueue::open(&task.paths[0]) }?;
    if victim == Victim::Holder {
        let consumer = queue.consumer()?;
        let _held = consumer.recv()?;
        process::answer(&"held")?;
        loop {
            std::thread::park();
        }
    }
    let mut producer = queue.producer()?;
    loop {
        producer.send_many(&[VICTIMS_MESSAGE; BATCH])?;
    }
}

/// A victim's process; killed when dropped, if not before.
pub(super) struct Running(Child);

impl Running {
    /// Starts a victim, on the producers' core.
    pub(super) fn start(survivor: &Task, victim: Victim) -> Result<Self> {
        let task = Task {
            role: Role::Producer,
            index: 0,
            cores: survivor.cores,
            paths: survivor.paths.clone(),
            work: Work::Victim(victim),
        };
        let mut command = crate::another()?;
        command.arg("bench-worker").arg(serde_json::to_string(&task)?);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        child.map(Self).context("starting a process to be killed")
    }

    /// Waits until the victim reports that it holds a message.
    pub(super) fn wait_until_it_holds(&mut self) -> Result<()> {
        let output = self.0.stdout.take().context("the victim's standard output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).context("listening to the victim")?;
        ensure!(line.contains("held"), "a process that was to be killed ended before");
        Ok(())
    }

    pub(super) fn kill(&self) -> Result<()> {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGKILL).context("killing the victim")
    }

    /// Whether the victim has ended, so that nothing more can come from it.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait().context("looking after the victim")?.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
