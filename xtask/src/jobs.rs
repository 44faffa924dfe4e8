//! Ends commands with everything that they have started.
//!
//! A process belongs to a job if its environment has the job's mark, which children inherit. Unlike
//! a process group, this also finds orphans and what has begun a session of its own, and Ctrl-C at a
//! terminal still reaches every command.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const VARIABLE: &str = "RINGWAY_XTASK_JOB";

/// The mark of one command. A job within a job has a longer mark.
pub(crate) struct Job(String);

impl Job {
    /// Marks the command, which has not started yet.
    pub(crate) fn mark(command: &mut Command) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let outer = std::env::var(VARIABLE).unwrap_or_default();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{outer}/{}.{count}", std::process::id());
        command.env(VARIABLE, &mark);
        Self(mark)
    }

    /// The processes of this job that live.
    fn processes(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| self.has(*pid)).collect()
    }

    fn has(&self, pid: u32) -> bool {
        // Processes of others cannot be read, and are none of this job.
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| {
            let entry = String::from_utf8_lossy(entry);
            let value = entry.strip_prefix(VARIABLE).and_then(|rest| rest.strip_prefix('='));
            let rest = value.and_then(|value| value.strip_prefix(&self.0));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// What runs, one line per process, with what each waits for in the kernel.
    pub(crate) fn describe(&self) -> String {
        let lines = self.processes().into_iter().map(|pid| {
            let file = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let words = file("cmdline");
            let words = words.split(|byte| *byte == 0).map(String::from_utf8_lossy);
            let wait = file("wchan");
            format!(
                "  {pid}, waiting in {}: {}\n",
                String::from_utf8_lossy(&wait),
                words.collect::<Vec<_>>().join(" ").trim_end(),
            )
        });
        lines.collect()
    }

    /// Kills all of it. What is started meanwhile is found in the next round.
    pub(crate) fn kill(&self) {
        for _ in 0..100 {
            let pids = self.processes();
            if pids.is_empty() {
                return;
            }
            // The standard library can kill only its own children, and this crate has no unsafe code.
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            let kill = format!("kill -KILL {} 2>/dev/null", pids.join(" "));
            let _ = Command::new("sh").args(["-c", &kill]).status();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
