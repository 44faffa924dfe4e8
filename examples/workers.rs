//! A pool of worker processes that loses no job, whatever happens to the workers.
//!
//! ```text
//! cargo run --release --example workers [--workers N] [--jobs N] [--chaos]
//! ```
//!
//! The program starts itself again as the workers, and prints their process ids: `kill -9` as many
//! of them as you like while it runs, and see that every job gets done. With `--chaos` it does that
//! itself, and starts a new worker for each that it killed.

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

/// What a worker reports when it has done a job.
#[derive(Archive, Serialize, Message)]
struct Done {
    job: u64,
    letters: u64,
    /// The number of earlier deliveries to workers that did not finish the job.
    redeliveries: u64,
}

type AnyResult<T> = Result<T, Box<dyn Error>>;

/// The time that a worker takes for a job.
const WORK: Duration = Duration::from_micros(200);
/// With `--chaos`: the time between two kills.
const PEACE: Duration = Duration::from_millis(20);
/// A job without a report after this time counts as lost. (None will be.)
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The maximum number of jobs that are sent and not done.
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
        // All jobs are done.
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
            // If the feeder itself was killed, no more jobs will arrive.
            Err(RecvError::Timeout) if !jobs.has_producer()? => return Ok(()),
            Err(RecvError::Timeout) => continue,
            job => job?,
        };
        std::thread::sleep(WORK);
        let letters = job.text.chars().filter(|letter| letter.is_alphabetic()).count() as u64;
        done.send(&Done { job: job.number.to_native(), letters, redeliveries: job.redeliveries() })?;
        // The job leaves the queue only here, where `job` goes out of scope. If this worker is
        // killed before it has reported the job, another worker gets the job; if it is killed
        // between the report and this point, the job was done, and is redelivered: "at least once".
    }
}

struct Feeder {
    to_do: Producer<Job>,
    done: Consumer<Done>,
    workers: Vec<Child>,
    names: [String; 2],
    /// How often each job was done.
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
        while finished < jobs && last_heard.elapsed() < TIME_LIMIT {
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

    /// Waits until a job is done. 1 if it was done for the first time, otherwise 0; `None` if no
    /// report arrived in time.
    fn hear_of_one(&mut self) -> AnyResult<Option<u64>> {
        let done = match self.done.recv_timeout(Duration::from_millis(100)) {
            // All workers may be dead at this moment.
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

    /// Kills one of the workers, chosen in effect at random.
    fn kill_one(&mut self, kills: u64) -> AnyResult<()> {
        let index = kills.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let count = self.workers.len() as u64;
        self.workers[(index % count) as usize].kill()?;
        Ok(())
    }
}
