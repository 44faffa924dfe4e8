//! `ringway bench` as a user runs it: it reports what is documented, and leaves no file and no
//! process, however it ends.

#[path = "../../tests/common/bound.rs"]
mod bound;

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn ringway() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ringway"))
}

fn bench(arguments: &[&str]) -> Output {
    ringway().arg("bench").args(arguments).output().unwrap()
}

/// Files of this benchmark process, or of any if there is no pid.
fn files_of(pid: u32) -> Vec<String> {
    let prefix = format!("ringway-bench-{pid}-");
    let names = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name());
    names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with(&prefix)).collect()
}

/// The child processes of that process.
fn children_of(pid: u32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn the_json_is_what_the_readme_documents() {
    let output = bench(&["--quick", "--runs", "2", "--json", "--only", "/64/"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["machine"]["cpu"].is_string() && report["machine"]["cores"].as_u64() > Some(0));
    assert!(report["limits"]["pingpong_p50_ns"].as_u64() > Some(0));
    assert!(report["limits"]["stream_bytes_per_s"].as_f64() > Some(0.0));
    let cases = report["cases"].as_array().unwrap();
    let spsc = ["fixed", "variable", "typed"].map(|framing| format!("spsc/{framing}/64"));
    let mpmc = ["1p1c", "2p1c", "1p2c", "2p2c", "4p4c"].map(|shape| format!("mpmc/{shape}/64"));
    for name in spsc.iter().chain(&mpmc) {
        for kind in ["single", "batch"] {
            let name = format!("{name}/{kind}");
            let case = cases.iter().find(|case| case["name"] == *name).unwrap_or_else(|| panic!("{name}"));
            let rate = |field: &str| case["msgs_per_s"][field].as_f64().unwrap();
            assert!(0.0 < rate("min") && rate("min") <= rate("median") && rate("median") <= rate("max"));
            assert_eq!(case["bytes"], 64);
            assert!(case["ratio_to_stream"].as_f64() > Some(0.0));
        }
    }
    for name in ["spsc/fixed/64/spin", "spsc/variable/64/spin"] {
        let latency = report["latency"].as_array().unwrap();
        let result = latency.iter().find(|result| result["name"] == name).unwrap_or_else(|| panic!("{name}"));
        let at = |field: &str| result[field].as_u64().unwrap();
        let order = [at("p50_ns"), at("p90_ns"), at("p99_ns"), at("p999_ns"), at("max_ns")];
        assert!(order[0] > 0 && order.is_sorted(), "{order:?}");
        assert!(result["ratio_to_pingpong"].as_f64() > Some(0.0));
    }
}

#[test]
fn recovery_is_measured_as_the_readme_documents() {
    let arguments = ["bench", "--runs", "1", "--recovery-trials", "5", "--json", "--only", "recovery"];
    let child = ringway().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(files_of(pid).is_empty());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let at = |field: &str| {
        report["recovery"][field].as_u64().unwrap_or_else(|| panic!("{field}: {}", report["recovery"]))
    };
    for order in [
        [at("p50_ns"), at("p99_ns"), at("max_ns")],
        [at("holder_p50_ns"), at("holder_p99_ns"), at("holder_max_ns")],
    ] {
        assert!(order[0] > 0 && order.is_sorted(), "{order:?}");
    }
    assert_eq!((at("trials"), at("holder_trials")), (5, 5));
    // These trials take long: fewer are made if the machine is busy.
    assert!((1..=5).contains(&at("touched_256mib_trials")) && at("touched_256mib_p50_ns") > 0);
}

#[test]
fn the_quick_recovery_measurement_is_short() {
    let output = bench(&["--quick", "--runs", "1", "--only", "recovery"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("mpmc/recovery/claimer") && !text.contains("holder"), "{text}");
}

#[test]
fn without_json_it_prints_tables() {
    let output = bench(&["--quick", "--runs", "1", "--only", "spsc/fixed/8/single"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["cache-line ping-pong", "streaming lines", "M msg/s", "spsc/fixed/8/single"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn bad_arguments_are_explained() {
    for (arguments, code, text) in [
        (&["--only", "nothing"][..], 1, "no case has a name that contains `nothing`"),
        (&["--cores", "0"], 2, "expected two core numbers"),
        (&["--runs", "0"], 2, "0 is not in 1..=1000"),
        (&["--cores", "0,4000", "--quick", "--runs", "1"], 1, "choose others with --cores"),
        (&["--ring-bytes", "64", "--quick", "--runs", "1", "--only", "variable/64/single"], 1, "at most 16"),
    ] {
        let output = bench(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(text), "{arguments:?}: {errors}");
    }
}

/// A running benchmark, which has started its workers.
fn running() -> Child {
    let child =
        ringway().args(["bench", "--runs", "1000"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while children_of(child.id()).len() < 2 {
        assert!(Instant::now() < deadline, "the workers never came");
        std::thread::yield_now();
    }
    child
}

fn assert_gone(workers: &[i32]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    for pid in workers {
        // A process that has ended but was not waited for is a zombie without a command line.
        while std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
            assert!(Instant::now() < deadline, "worker {pid} is still there");
            std::thread::yield_now();
        }
    }
}

#[test]
fn interrupted_it_leaves_no_file_and_no_process() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child = running();
        let workers = children_of(child.id());
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(errors.contains("interrupted; nothing was left behind"), "{errors}");
        assert_gone(&workers);
        assert!(files_of(child.id()).is_empty());
    }
}

/// The workers end with the benchmark even if it is killed with SIGKILL. A file may be left only if
/// the kill was in the moment in which the file has a name.
#[test]
fn killed_it_takes_its_workers_along() {
    let mut child = running();
    let workers = children_of(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_gone(&workers);
    for name in files_of(child.id()) {
        std::fs::remove_file(format!("/dev/shm/{name}")).unwrap();
    }
}
