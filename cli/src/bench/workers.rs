//! The worker processes of one measurement: starts them, reads their results, and leaves none
//! running.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::de::DeserializeOwned;
use workload::interrupt;

use super::files::Files;
use super::task::Task;

/// A running worker; killed when dropped.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn start(task: &Task) -> Result<Self> {
        let mut child = crate::another()?
            .arg("bench-worker")
            .arg(serde_json::to_string(task)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a worker process")?;
        let input = child.stdin.take().context("the worker's standard input")?;
        let output = BufReader::new(child.stdout.take().context("the worker's standard output")?);
        Ok(Self { child, input, output })
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("listening to a worker process")?;
        interrupt::check()?;
        if line.is_empty() {
            bail!("a worker process ended early ({})", self.child.wait()?);
        }
        Ok(line)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A worker that has sent its result is about to end; any other one is no longer needed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The workers of one measurement.
pub(super) struct WorkerSet {
    workers: Vec<Worker>,
    /// Kept until all workers are done, although the names are gone before they start.
    _files: Files,
}

impl WorkerSet {
    pub(super) fn start(tasks: &[Task], files: Files) -> Result<Self> {
        let workers = tasks.iter().map(Worker::start).collect::<Result<Vec<_>>>()?;
        let mut workers = Self { workers, _files: files };
        for worker in &mut workers.workers {
            let line = worker.read_line()?;
            ensure!(line.trim() == "ready", "a worker process said `{}`", line.trim());
        }
        // All workers have the files open: without a name, the files cannot outlive this process,
        // however it ends.
        workers._files.unlink()?;
        // Consumers are last in the list, and must be attached before the first message is sent.
        for worker in workers.workers.iter_mut().rev() {
            worker.input.write_all(b"go\n").context("starting the measurement")?;
        }
        Ok(workers)
    }

    /// The last worker's result, once all are done.
    pub(super) fn finish<R: DeserializeOwned>(self) -> Result<R> {
        let lines = self.finish_all()?;
        read(lines.last().context("a worker")?)
    }

    /// The result of each worker, once all are done. If one fails, the others may wait for it for
    /// ever, so this reads from all of them concurrently.
    pub(super) fn finish_all(mut self) -> Result<Vec<String>> {
        let mut answers = vec![String::new(); self.workers.len()];
        loop {
            let waiting: Vec<_> = (0..answers.len()).filter(|index| answers[*index].is_empty()).collect();
            if waiting.is_empty() {
                return Ok(answers);
            }
            for index in have_spoken(&self.workers, &waiting)? {
                answers[index] = self.workers[index].read_line()?;
            }
        }
    }
}

/// Reads a worker's result.
pub(super) fn read<R: DeserializeOwned>(answer: &str) -> Result<R> {
    serde_json::from_str(answer).context("reading a worker's result")
}

/// Waits until one of these workers writes something or ends; returns which one.
fn have_spoken(workers: &[Worker], waiting: &[usize]) -> Result<Vec<usize>> {
    let output = |index: &usize| workers[*index].output.get_ref().as_fd();
    let mut polled: Vec<_> =
        waiting.iter().map(|index| PollFd::new(output(index), PollFlags::POLLIN)).collect();
    loop {
        let polling = poll(&mut polled, PollTimeout::NONE);
        interrupt::check()?;
        match polling {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("listening to the worker processes"),
        }
    }
    let spoke = waiting.iter().zip(&polled).filter(|(_, polled)| polled.any().unwrap_or(false));
    Ok(spoke.map(|(index, _)| *index).collect())
}
