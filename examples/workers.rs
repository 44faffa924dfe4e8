//! A pool of worker processes that loses no job, whatever happens to the workers.
//!
//! ```text
//! cargo run --release --example workers [--workers N] [--jobs N] [--chaos]
//! ```
//!
//! The program starts itself again as the workers, and prints their process ids: `kill -9` as many of them as you like
//! while it runs, and see that every job gets done. With `--chaos` it does that itself, and starts a new worker for
//! each that it killed.

use std::error::Error;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ringway::Message;
use ringway::RecvError;
use ringway::mpmc::{Consumer, Producer, Queue};
use rkyv::{Archive, Serialize};

#[path = "shared/options.rs"]
mod options;
use options::number_option;

/// What a worker is to do.
#[derive(Archive, Serialize, Message)]
struct Job {
    number: u64,
    text: String,
}

/// What a worker says when it has done a job.
#[derive(Archive, Serialize, Message)]
struct Done {
    job: u64,
    letters: u64,
    /// How often the job was given to somebody before who did not finish it.
    redeliveries: u64,
}

type AnyResult<T> = Result<T, Box<dyn Error>>;

/// How long a worker takes for a job.
const WORK: Duration = Duration::from_micros(200);
/// With `--chaos`: between two kills.
const PEACE: Duration = Duration::from_millis(20);
/// Jobs of which nothing is heard for so long are lost. (None will be.)
const PATIENCE: Duration = Duration::from_secs(10);
/// Jobs under way at most.
const UNDER_WAY: u64 = 1000;

fn main() -> AnyResult<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, jobs, done] = &arguments[..]
        && role == "work"
    {
        return work(jobs, done);
    }
    let workers = number_option(&arguments, "--workers", 3)?;
    let jobs = number_option(&arguments, "--jobs", 20_000)?;
    let names = ["jobs", "done"].map(|what| format!("workers-{}-{what}", std::process::id()));
    // SAFETY: only this program and its children know the files, and they write to them through ringway only.
    let job_queue = unsafe { Queue::<Job>::create(&names[0])? };
    // SAFETY: as above.
    let done_queue = unsafe { Queue::<Done>::create(&names[1])? };
    let mut feeder = Feeder {
        to_do: job_queue.producer()?,
        done: done_queue.consumer()?,
        workers: Vec::new(),
        names,
        times_done: vec![0; jobs as usize],
        came_again: 0,
    };
    let result = feeder.run(workers, arguments.iter().any(|argument| argument == "--chaos"));
    for mut worker in feeder.workers {
        // There is nothing left to do.
        worker.kill()?;
        worker.wait()?;
    }
    for name in feeder.names {
        ringway::unlink(name)?;
    }
    result
}

/// A worker: takes jobs until it is killed, whenever that may be.
fn work(jobs: &str, done: &str) -> AnyResult<()> {
    // SAFETY: as in `main`.
    let jobs = unsafe { Queue::<Job>::open(jobs)? }.consumer()?;
    // SAFETY: as in `main`.
    let mut done = unsafe { Queue::<Done>::open(done)? }.producer()?;
    loop {
        let job = match jobs.recv_timeout(Duration::from_secs(1)) {
            // Nobody will come any more if the feeder itself was killed.
            Err(RecvError::Timeout) if !jobs.has_producer()? => return Ok(()),
            Err(RecvError::Timeout) => continue,
            job => job?,
        };
        std::thread::sleep(WORK);
        let letters = job.text.chars().filter(|letter| letter.is_alphabetic()).count() as u64;
        done.send(&Done { job: job.number.to_native(), letters, redeliveries: job.redeliveries() })?;
        // Only here, where `job` goes out of scope, is it taken off the queue. Killed before, this worker leaves it to
        // another one; killed in between, it has been done, and comes again: "at least once".
    }
}

struct Feeder {
    to_do: Producer<Job>,
    done: Consumer<Done>,
    workers: Vec<Child>,
    names: [String; 2],
    /// Of each job.
    times_done: Vec<u32>,
    came_again: u64,
}

impl Feeder {
    fn run(&mut self, workers: u64, chaos: bool) -> AnyResult<()> {
        for _ in 0..workers {
            self.workers.push(self.start_worker()?);
        }
        let pids: Vec<_> = self.workers.iter().map(|worker| worker.id().to_string()).collect();
        println!("workers: try `kill -9 {}`", pids.join(" "));
        let jobs = self.times_done.len() as u64;
        let (mut sent, mut finished, mut kills) = (0, 0, 0);
        let (mut last_kill, mut last_heard) = (Instant::now(), Instant::now());
        while finished < jobs && last_heard.elapsed() < PATIENCE {
            if sent < jobs.min(finished + UNDER_WAY) {
                self.to_do.send(&Job { number: sent, text: format!("this is job {sent}") })?;
                sent += 1;
                continue;
            }
            if let Some(news) = self.hear_of_one()? {
                finished += news;
                last_heard = Instant::now();
            }
            self.replace_the_dead()?;
            if chaos && last_kill.elapsed() > PEACE {
                self.kill_one(kills)?;
                (kills, last_kill) = (kills + 1, Instant::now());
            }
        }
        let more_than_once = self.times_done.iter().filter(|times| **times > 1).count();
        println!(
            "{finished} jobs done, {} came again after a kill ({more_than_once} of them had been done already), \
             {} lost; {kills} workers killed by chaos",
            self.came_again,
            jobs - finished,
        );
        if finished == jobs { Ok(()) } else { Err("jobs were lost: that should not be possible".into()) }
    }

    /// Waits for a job to be done. 1 if it is done for the first time, else 0; none if nothing is heard.
    fn hear_of_one(&mut self) -> AnyResult<Option<u64>> {
        let done = match self.done.recv_timeout(Duration::from_millis(100)) {
            // All workers may be dead just now.
            Err(RecvError::Timeout) => return Ok(None),
            done => done?,
        };
        let job = done.job.to_native();
        let text = format!("this is job {job}");
        if done.letters != text.chars().filter(|letter| letter.is_alphabetic()).count() as u64 {
            return Err(format!("job {job} was done wrong").into());
        }
        self.came_again += u64::from(done.redeliveries > 0);
        let times = &mut self.times_done[job as usize];
        *times += 1;
        Ok(Some(u64::from(*times == 1)))
    }

    fn start_worker(&self) -> AnyResult<Child> {
        Ok(Command::new(std::env::current_exe()?).arg("work").args(&self.names).spawn()?)
    }

    /// Starts a worker for each one that is gone.
    fn replace_the_dead(&mut self) -> AnyResult<()> {
        for index in 0..self.workers.len() {
            if self.workers[index].try_wait()?.is_some() {
                self.workers[index] = self.start_worker()?;
            }
        }
        Ok(())
    }

    /// Kills one of the workers, which one is as good as random.
    fn kill_one(&mut self, kills: u64) -> AnyResult<()> {
        let index = kills.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let count = self.workers.len() as u64;
        self.workers[(index % count) as usize].kill()?;
        Ok(())
    }
}
