//! Proves that it does not matter at which instruction a participant is killed: a tracer steps a
//! process through one operation and kills it after one instruction, then another one after two,
//! and so on until the operation is complete. Each time the library's inspection finds no fault,
//! and the survivors take over and check everything.
//!
//! `cargo test --release --test every_instruction` tries every instruction of sending, receiving
//! and releasing. Debug builds execute ten times more of them, and opening and attaching take
//! thousands even in release. There, every instruction is tried that changed what a killed process
//! leaves, or entered the kernel: a kill after any other one leaves the same (`attempts.rs`). Debug
//! builds try one of many of these. `RINGWAY_EVERY=1` tries all of them in every build, in minutes;
//! `RINGWAY_EVERY=2` tries all instructions one by one, also of long operations.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod process;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod every_instruction {
    pub(crate) mod attaching;
    pub(crate) mod attempts;
    pub(crate) mod broadcast;
    pub(crate) mod detaching;
    pub(crate) mod files;
    pub(crate) mod inspecting;
    pub(crate) mod interrupting;
    pub(crate) mod mpmc;
    pub(crate) mod pausing;
    pub(crate) mod receiving;
    pub(crate) mod sending;
    pub(crate) mod tracer;
    pub(crate) mod typed;
    pub(crate) mod watch;
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn main() -> std::process::ExitCode {
    every_instruction::tracer::stay_on_one_processor();
    let mut tests = every_instruction::sending::tests();
    tests.extend(every_instruction::typed::tests());
    tests.extend(every_instruction::receiving::tests());
    tests.extend(every_instruction::detaching::tests());
    tests.extend(every_instruction::attaching::tests());
    tests.extend(every_instruction::files::tests());
    tests.extend(every_instruction::pausing::tests());
    tests.extend(every_instruction::interrupting::tests());
    tests.extend(every_instruction::mpmc::tests());
    tests.extend(every_instruction::broadcast::tests());
    process::run(tests)
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn main() {
    // Nothing to run: the tracer supports only these systems.
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), Vec::new()).exit();
}
