//! Makes every single system call of every operation on queue files fail, with each of several
//! errors. The operation must report that or do without the call, leak nothing, leave nothing
//! half-made, and the queue must work afterwards.
//!
//! A tracer steps a process from system call to system call, and has the kernel skip the chosen
//! one: the real library meets a real error. Calls that release a resource (`close`, `munmap`) are
//! carried out all the same and then reported as failed, as the kernel does.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod process;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod every_system_call {
    pub(crate) mod checks;
    pub(crate) mod files;
    pub(crate) mod injector;
    pub(crate) mod memfds;
    pub(crate) mod participants;
    pub(crate) mod registers;
    pub(crate) mod survivors;
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn main() -> std::process::ExitCode {
    let mut tests = every_system_call::files::tests();
    tests.extend(every_system_call::participants::tests());
    tests.extend(every_system_call::memfds::tests());
    tests.extend(every_system_call::survivors::tests());
    process::run(tests)
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn main() {
    // Nothing to run: the tracer supports only these systems.
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), Vec::new()).exit();
}
