//! The stages of a long command: each one's name when it begins, and how long each took.

use std::fmt::Write;
use std::sync::Mutex;
use std::time::Instant;

struct Stage {
    name: String,
    start: Instant,
    /// Processor time of all children that had been waited for when it began.
    cpu: f64,
}

struct Done {
    name: String,
    seconds: f64,
    cpu: f64,
}

static RUNNING: Mutex<Option<Stage>> = Mutex::new(None);
static DONE: Mutex<Vec<Done>> = Mutex::new(Vec::new());

/// Ends the stage before, and begins this one.
pub(crate) fn step(name: &str) {
    end();
    println!("\n==> {name}");
    *RUNNING.lock().expect("no stage panics") =
        Some(Stage { name: name.into(), start: Instant::now(), cpu: cpu_of_children() });
}

/// Ends the stage that runs, and prints how long it took.
fn end() {
    let Some(Stage { name, start, cpu }) = RUNNING.lock().expect("no stage panics").take() else { return };
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_of_children() - cpu);
    println!("<== {name}: {seconds:.0} s, {cpu:.0} s of processor time");
    DONE.lock().expect("no stage panics").push(Done { name, seconds, cpu });
}

/// What ran beside the stages and has ended.
pub(crate) fn beside(name: &str, seconds: f64) {
    // Its processor time is part of the stage during which it is waited for.
    let name = format!("(beside that: {name})");
    DONE.lock().expect("no stage panics").push(Done { name, seconds, cpu: 0.0 });
}

/// Ends the last stage, and returns all of them as a table; empty if there was none.
pub(crate) fn table() -> String {
    end();
    let done = DONE.lock().expect("no stage panics");
    let mut table = String::new();
    if done.is_empty() {
        return table;
    }
    let _ = writeln!(table, "{:>8} {:>8}  stage", "s", "CPU s");
    for Done { name, seconds, cpu } in &*done {
        let _ = writeln!(table, "{seconds:>8.0} {cpu:>8.0}  {name}");
    }
    let stages = done.iter().filter(|stage| !stage.name.starts_with("(beside"));
    let (seconds, cpu) = stages.fold((0.0, 0.0), |(s, c), stage| (s + stage.seconds, c + stage.cpu));
    let _ = writeln!(table, "{seconds:>8.0} {cpu:>8.0}  all");
    table
}

/// Of those that have been waited for, with their own children.
fn cpu_of_children() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is a name in parentheses, which may contain spaces. After it: the state, and
    // 11 numbers before `utime`, `stime`, `cutime`, `cstime`.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: f64 = fields.skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    // The kernel shows all user-space programs a hundred ticks per second.
    ticks / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_timed_and_summed() {
        step("first");
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", busy]).status().unwrap().success());
        step("second");
        beside("other", 7.0);
        let table = table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5, "{table}");
        assert!(lines[1].ends_with("first") && lines[3].ends_with("second"), "{table}");
        assert!(lines[2].contains('7') && lines[2].ends_with("(beside that: other)"), "{table}");
        assert!(lines[4].ends_with("all"), "{table}");
        assert!(DONE.lock().unwrap()[0].cpu > 0.01, "{table}");
    }
}
