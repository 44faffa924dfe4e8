//! Proves that every participant that waits asleep is woken: once, by whichever event it waits for,
//! also if participants are killed or stopped meanwhile; and that waits end when they should: real
//! processes, futexes as the kernel reports them, SIGKILL after each instruction.
//!
//! `cargo test --release --test waiting` tries every instruction, `cargo test --test waiting close`
//! runs a part. `RINGWAY_PARKS=1000000 cargo test --release --test waiting stress` sleeps and wakes
//! this number of times, among four producers and four consumers (some minutes); `RINGWAY_SEED`
//! repeats the random choices.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod process;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "the other test uses all of it")]
#[path = "every_instruction/attempts.rs"]
mod attempts;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "waiting/inspecting.rs"]
mod inspecting;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(dead_code, reason = "as above")]
#[path = "every_instruction/tracer.rs"]
mod tracer;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "every_instruction/watch.rs"]
mod watch;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod waiting {
    pub(crate) mod asleep;
    pub(crate) mod calls;
    pub(crate) mod cancelling;
    pub(crate) mod closing;
    pub(crate) mod ends;
    pub(crate) mod fences;
    pub(crate) mod forks;
    pub(crate) mod kills;
    pub(crate) mod passed_on;
    pub(crate) mod peer;
    pub(crate) mod room;
    pub(crate) mod signals;
    pub(crate) mod stress;
    pub(crate) mod timeouts;
    pub(crate) mod wakes;
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn main() -> std::process::ExitCode {
    use waiting::*;
    let mut tests = wakes::tests();
    tests.extend(kills::tests());
    tests.extend(room::tests());
    tests.extend(closing::tests());
    tests.extend(ends::tests());
    tests.extend(timeouts::tests());
    tests.extend(signals::tests());
    tests.extend(cancelling::tests());
    tests.extend(forks::tests());
    tests.extend(fences::tests());
    tests.extend(stress::tests());
    process::run(tests)
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn main() {
    // Nothing to run: the tracer supports only these systems.
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), Vec::new()).exit();
}
