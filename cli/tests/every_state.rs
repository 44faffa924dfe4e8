//! `doctor`, `stat` and `peek` in every state that a killed operation leaves: they call no healthy
//! queue corrupted, do not advise to remove it or to create it anew, and change nothing. A queue
//! that `doctor --repair` has repaired works and has lost no message.
//!
//! The states are those of the library's `every_instruction`, at each change of the file: once with
//! live participants, and once in a copy, in which all participants are dead, because no process
//! holds locks on the copy. States that differ only in names, times and pids are checked once.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "../../tests/process/mod.rs"]
mod process;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "the library's test uses all of it")]
#[path = "../../tests/every_instruction"]
mod every_instruction {
    pub(crate) mod attaching;
    pub(crate) mod attempts;
    pub(crate) mod files;
    pub(crate) mod inspecting;
    pub(crate) mod mpmc;
    pub(crate) mod pausing;
    pub(crate) mod receiving;
    pub(crate) mod sending;
    pub(crate) mod tracer;
    pub(crate) mod typed;
    pub(crate) mod watch;
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "every_state/tools.rs"]
mod tools;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn main() -> std::process::ExitCode {
    use every_instruction as states;

    states::tracer::stay_on_one_processor();
    states::attempts::ONLY_INSPECTS.store(true, std::sync::atomic::Ordering::Relaxed);
    states::inspecting::also(tools::inspect_queue);
    let mut tests = states::sending::tests();
    tests.extend(states::typed::tests());
    tests.extend(states::receiving::tests());
    tests.extend(states::attaching::tests());
    tests.extend(states::files::tests());
    tests.extend(states::pausing::tests());
    tests.extend(states::mpmc::tests());
    process::run(tests)
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn main() {
    // The tracer supports only these systems.
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), Vec::new()).exit();
}
