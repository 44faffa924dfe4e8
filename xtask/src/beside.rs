//! Commands of this program that run at the same time: where one alone would leave a core idle, or
//! all would wait for the last crate of a compiler.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::jobs::Job;
use crate::run::{Outcome, target};
use crate::stages;

pub(crate) struct Beside {
    name: String,
    child: Child,
    job: Job,
    log: PathBuf,
    start: Instant,
    is_joined: bool,
}

impl Beside {
    /// Starts `cargo xtask` with these arguments. Its output goes to a file until it is joined.
    pub(crate) fn start(arguments: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        command.args(arguments);
        Self::spawn(arguments.join(" "), command)
    }

    fn spawn(name: String, mut command: Command) -> Outcome<Self> {
        let log = target("").join(format!("beside-{}.log", name.replace(' ', "-")));
        let job = Job::mark(&mut command);
        let started = (|| {
            std::fs::create_dir_all(target(""))?;
            let file = File::create(&log)?;
            command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
            command.spawn()
        })();
        let child = started.map_err(|error| format!("starting {name}: {error}"))?;
        Ok(Self { name, child, job, log, start: Instant::now(), is_joined: false })
    }

    /// Waits for it, and prints its output.
    ///
    /// # Errors
    /// If it failed.
    pub(crate) fn join(mut self) -> Outcome {
        self.is_joined = true;
        let status = self.child.wait().map_err(|error| format!("waiting for {}: {error}", self.name))?;
        stages::beside(&self.name, self.start.elapsed().as_secs_f64());
        self.print(&format!("which ran beside that: {status}"));
        if status.success() { Ok(()) } else { Err(format!("{} failed: {status}", self.name)) }
    }

    fn print(&self, what: &str) {
        println!("\n--> {}, {what}", self.name);
        print!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
    }
}

impl Drop for Beside {
    /// What runs beside a command that failed is ended: the failure is not kept waiting.
    fn drop(&mut self) {
        if !self.is_joined {
            self.job.kill();
            let _ = self.child.wait();
            self.print("ended because of the failure of what it ran beside; its output until then:");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_runs_beside_a_failure_is_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "(sleep 98764; true) & sleep 98764; true"]);
        let beside = Beside::spawn("test of beside".into(), command).unwrap();
        let start = Instant::now();
        drop(beside);
        assert!(start.elapsed() < Duration::from_secs(30), "it was waited for");
    }
}
