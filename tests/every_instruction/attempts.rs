//! At which instructions an operation is killed.
//!
//! # Why all events are all instructions
//!
//! A process that is killed leaves what is in the files and words that it shares, and what it did by
//! system calls: names, lengths, locks. Nothing else of it is left. So a kill after any instruction
//! leaves the same as a kill after the last *event* before it: an instruction that changed a file or
//! a word that others see, or a system call. One pass compares all of these after every instruction
//! ([`WatchAll`]) and so finds the events; to kill after each of them is to kill after each
//! instruction. Files that were not there at the beginning of an operation and are not its queue's
//! (such as a temporary one) are not compared: nothing reads their contents after a kill.
//!
//! # What it costs
//!
//! The pass that finds the events also notes after which instruction each system call returned. An
//! attempt runs to the last one before its target at full speed, and steps from there: without that the
//! effort would grow with the square of the number of instructions. Where a run makes other system
//! calls than the pass did, it is complete early, or steps a little further.
//!
//! Pauses are different: what a paused process has read before, and not stored, matters too.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::inspecting::inspect_queue;
use super::tracer::{Gate, Traced, stay_on_processor};
use super::watch::{Watch, WatchAll};
use crate::process::{Outcome, Random, Words, ensure, in_parallel, number_from, progress, short_or_long};

/// How many instructions are tried besides the events, when not all of them are.
const SAMPLES: u64 = if cfg!(debug_assertions) { 2 } else { 12 };
/// How many attempts are made at the same time, each on a processor of its own if there are enough.
const PARTS: u64 = 2;

/// Of the events, one in this number is tried: debug builds are slow, and optimised ones, which CI
/// runs as well, try all. Which ones follows from the seed, which differs from run to run.
fn event_step() -> u64 {
    match every() {
        Every::Sampled if cfg!(debug_assertions) => short_or_long(60, 10),
        _ => 1,
    }
}

/// What `RINGWAY_EVERY` asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Every {
    /// Nothing: debug builds try a part.
    Sampled,
    /// 1: all events, and all instructions of short operations.
    Event,
    /// 2: all instructions one by one, to check that all events are as good.
    Instruction,
}

fn every() -> Every {
    match number_from("RINGWAY_EVERY", 0) {
        0 => Every::Sampled,
        1 => Every::Event,
        _ => Every::Instruction,
    }
}

/// Of a pause and the next one, in debug builds: the distance grows by this part of the number of
/// instructions before.
fn pause_growth() -> u64 {
    short_or_long(6, 20)
}

/// An operation of more instructions is tried as [`at_events`] does, unless `RINGWAY_EVERY` is 2: the
/// effort grows with the square of their number.
const MAX_EVERYWHERE: u64 = 2000;

/// The maximum number of instructions of an operation.
const LIMIT: u64 = 5_000_000;

/// No operation is killed before it is complete, but the queue is inspected wherever the operation
/// changed the file; pauses happen only there as well.
pub(crate) static ONLY_INSPECTS: AtomicBool = AtomicBool::new(false);

/// Where a child is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// After this number of instructions.
    Instruction(u64),
    /// After this number of instructions that changed what a killed process leaves.
    Event(u64),
    /// Not before the operation is complete.
    Complete,
}

impl Target {
    /// Whether a run that has met this has not reached the target.
    fn is_after(self, course: &Course) -> bool {
        match self {
            Self::Instruction(count) => count > course.instructions,
            Self::Event(count) => count > course.events,
            Self::Complete => false,
        }
    }
}

/// What one run through the operation met.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    instructions: u64,
    events: u64,
    is_complete: bool,
}

/// Steps a child, kills it at a point, and returns whether the operation was complete by then.
pub(crate) type Kill<'k> = &'k mut dyn FnMut(Step<'_>) -> Outcome<bool>;

/// Kills an operation after every instruction; in debug builds, which execute many times more of
/// them, and in operations of thousands of instructions, works as [`at_events`] does. `attempt` sets everything up, has the child killed, and
/// checks what is left.
pub(crate) fn everywhere(name: &str, attempt: impl Fn(Kill<'_>) -> Outcome) -> Outcome {
    let is_sampled = cfg!(debug_assertions) && every() == Every::Sampled;
    // It takes half of the time, and where some events are left out it does not matter which.
    let attempts = Attempts::new(name, !is_sampled, attempt);
    if is_sampled { attempts.at_events() } else { attempts.everywhere() }
}

/// Kills an operation wherever it changed the file or is about to return from the kernel, and at
/// some points in between.
pub(crate) fn at_events(name: &str, attempt: impl Fn(Kill<'_>) -> Outcome) -> Outcome {
    let attempts = Attempts::new(name, true, attempt);
    if every() == Every::Instruction { attempts.everywhere() } else { attempts.at_events() }
}

/// Runs every part in a process of its own.
fn in_parts(part: impl Fn(u64) -> Outcome) -> Outcome {
    in_parallel(PARTS as usize, |index| {
        stay_on_processor(index);
        part(index as u64)
    })
}

struct Attempts<'n, A> {
    name: &'n str,
    attempt: A,
    counts_system_calls: bool,
    /// What the pass through the whole operation had met when each system call had returned.
    calls: RefCell<Vec<Course>>,
}

impl<'n, A: Fn(Kill<'_>) -> Outcome> Attempts<'n, A> {
    fn new(name: &'n str, counts_system_calls: bool, attempt: A) -> Self {
        Self { name, attempt, counts_system_calls, calls: RefCell::default() }
    }
}

impl<A: Fn(Kill<'_>) -> Outcome> Attempts<'_, A> {
    fn everywhere(&self) -> Outcome {
        let whole = self.once(Target::Complete)?;
        if ONLY_INSPECTS.load(Ordering::Relaxed) {
            return Ok(());
        }
        if whole.instructions > MAX_EVERYWHERE && every() != Every::Instruction {
            return self.at_events();
        }
        in_parts(|part| {
            // Until one is complete: their number may differ a little from run to run.
            for instruction in (1 + part..).step_by(PARTS as usize) {
                if self.once(Target::Instruction(instruction))?.is_complete {
                    break;
                }
            }
            Ok(())
        })?;
        println!("     {}: {} instructions, killed after each of them", self.name, whole.instructions);
        Ok(())
    }

    fn at_events(&self) -> Outcome {
        let whole = self.once(Target::Complete)?;
        ensure!(whole.is_complete, "{}: it did not come to an end", self.name);
        if ONLY_INSPECTS.load(Ordering::Relaxed) {
            return Ok(());
        }
        let stride = (whole.instructions / SAMPLES).max(1);
        let step = event_step();
        let first = 1 + Random::new(self.name.len() as u64).below(step.min(whole.events.max(1)));
        // Where all are tried, until one is complete: their number may differ a little from run to run.
        let last = if step == 1 { u64::MAX } else { whole.events };
        in_parts(|part| {
            for sample in (1 + part..=SAMPLES).step_by(PARTS as usize) {
                self.once(Target::Instruction(sample * stride))?;
            }
            for event in (first + part * step..=last).step_by((PARTS * step) as usize) {
                if self.once(Target::Event(event))?.is_complete {
                    break;
                }
            }
            Ok(())
        })?;
        println!(
            "     {}: {} instructions, killed after {} the {} that changed what it leaves{}, and after {SAMPLES} more",
            self.name,
            whole.instructions,
            if step == 1 { "all".into() } else { format!("each {step}th, from the {first}th on, of") },
            whole.events,
            if self.counts_system_calls { " or entered the kernel" } else { "" },
        );
        Ok(())
    }

    fn once(&self, target: Target) -> Outcome<Course> {
        progress();
        let mut course = Course::default();
        let gate = Gate::new();
        (self.attempt)(&mut |step| {
            course = step.run(&gate, target, self.counts_system_calls, &mut self.calls.borrow_mut())?;
            Ok(course.is_complete)
        })
        .map_err(|error| format!("{}, killed at {target:?} ({course:?}): {error}", self.name))?;
        Ok(course)
    }
}

/// Steps a child, lets something else happen while it is paused at a point, and lets it run to the
/// end.
pub(crate) type Pause<'k> = &'k mut dyn FnMut(Step<'_>, &mut dyn FnMut() -> Outcome) -> Outcome;

/// Pauses an operation after every instruction, or each `stride`th; in debug builds, after some.
pub(crate) fn paused_everywhere(name: &str, stride: u64, attempt: impl Fn(Pause<'_>) -> Outcome) -> Outcome {
    let is_everywhere = every() != Every::Sampled;
    let is_sampled = cfg!(debug_assertions) && !is_everywhere;
    let stride = if is_everywhere { 1 } else { stride };
    let only_inspects = ONLY_INSPECTS.load(Ordering::Relaxed);
    let one = |target: Target| -> Outcome<bool> {
        progress();
        let (gate, mut is_complete) = (Gate::new(), false);
        attempt(&mut |step, meanwhile| {
            is_complete = step.pause(&gate, target, meanwhile)?;
            Ok(())
        })
        .map_err(|error| format!("{name}, paused at {target:?}: {error}"))?;
        Ok(is_complete)
    };
    if only_inspects {
        // What looks remembers what it has seen, and does so in one process.
        let mut count = 1;
        while !one(Target::Event(count))? {
            count += 1;
        }
        println!("     {name}: paused wherever it changed the file, {count} times");
        return Ok(());
    }
    let counts = Words::new(1);
    in_parts(|part| {
        let mut instruction = 0;
        for index in 0.. {
            instruction += if is_sampled { 1 + instruction / pause_growth() } else { stride };
            if index % PARTS == part {
                counts[0].fetch_add(1, Ordering::Relaxed);
                if one(Target::Instruction(instruction))? {
                    break;
                }
            }
        }
        Ok(())
    })?;
    let count = counts[0].load(Ordering::Relaxed);
    println!("     {name}: paused {count} times, each {stride}th instruction at most");
    Ok(())
}

/// A child to be stepped through an operation on a file.
pub(crate) struct Step<'a> {
    pub(crate) file: &'a Path,
    /// What the child does; it calls `enter` before the operation and `leave` after it.
    pub(crate) body: Box<dyn FnOnce(&Gate) -> Outcome + 'a>,
}

impl Step<'_> {
    /// Pauses at that point, if the operation reaches it; otherwise returns that the operation was
    /// complete.
    fn pause(self, gate: &Gate, target: Target, meanwhile: &mut dyn FnMut() -> Outcome) -> Outcome<bool> {
        let mut watch = Watch::new(self.file)?;
        let mut traced = Traced::start(gate, self.body)?;
        let mut course = Course::default();
        watch.has_changed()?;
        while target != Target::Instruction(course.instructions) && target != Target::Event(course.events) {
            if !traced.step()? {
                meanwhile()?;
                traced.kill()?;
                return Ok(true);
            }
            course.instructions += 1;
            if matches!(target, Target::Event(_)) {
                course.events += u64::from(watch.has_changed()?);
            }
        }
        inspect_queue(self.file)?;
        meanwhile()?;
        inspect_queue(self.file)?;
        traced.finish()?;
        traced.kill()?;
        Ok(false)
    }

    /// `calls`: what was met when each system call had returned, if they are counted. Filled by the
    /// run through the whole operation, used by the others.
    fn run(
        self,
        gate: &Gate,
        target: Target,
        counts_system_calls: bool,
        calls: &mut Vec<Course>,
    ) -> Outcome<Course> {
        let mut course = Course::default();
        let mut traced = Traced::start(gate, self.body)?;
        let watches = !matches!(target, Target::Instruction(_));
        if target == Target::Complete {
            calls.clear();
        }
        let passed = calls.iter().take_while(|course| target.is_after(course)).count();
        if let Some(last) = passed.checked_sub(1) {
            course = calls[last];
            course.is_complete = !traced.pass_system_calls(passed as u64)?;
        }
        let mut watch = WatchAll::new(self.file)?;
        while course.instructions < LIMIT && !course.is_complete {
            let enters = watches && counts_system_calls && traced.is_at_system_call()?;
            course.instructions += 1;
            if !traced.step()? {
                course.is_complete = true;
                break;
            }
            let has_changed = watches && watch.queue.has_changed()?;
            let has_changed_beside = watches && watch.has_changed_beside()?;
            course.events += u64::from(has_changed || has_changed_beside || enters);
            if target == Target::Complete {
                if has_changed {
                    inspect_queue(self.file)?;
                }
                if enters {
                    calls.push(course);
                }
            }
            if target == Target::Instruction(course.instructions) || target == Target::Event(course.events) {
                break;
            }
        }
        traced.kill()?;
        inspect_queue(self.file)?;
        Ok(course)
    }
}
