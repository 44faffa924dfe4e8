//! Ringway between two processes beside in-process queues between two threads, interleaved, as ratios.
//!
//! `cargo bench --bench yardstick -- [--runs N] [--ring BYTES] [--sizes 8,64] [--only NAME]`
//!
//! Every message carries its sequence number in its first word and a function of it in all others; the consumer
//! checks the sequence and sums the rest. Producer on core 0, consumer on core 1. Prints million messages a second:
//! median [min-max], and the ratio of medians to rtrb.
#![allow(unsafe_code, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use ringway::Options;
use ringway::spsc::{BytesQueue, Queue};

type Message<const W: usize> = [u64; W];

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

#[inline(always)]
fn make<const W: usize>(seq: u64) -> Message<W> {
    std::array::from_fn(|i| seq.wrapping_add(i as u64))
}

#[inline(always)]
fn fill<const W: usize>(seq: u64, payload: &mut [u8]) {
    let words: &mut [[u8; 8]; W] = payload.as_chunks_mut::<8>().0.try_into().expect("the message's size");
    for (i, word) in words.iter_mut().enumerate() {
        *word = seq.wrapping_add(i as u64).to_ne_bytes();
    }
}

/// Checks sequence and content, and times from the first message to the last.
struct Check {
    expected: u64,
    sum: u64,
    start: Instant,
}

impl Check {
    fn new() -> Self {
        Self { expected: 0, sum: 0, start: Instant::now() }
    }

    #[inline(always)]
    fn words(&mut self, words: impl ExactSizeIterator<Item = u64>) {
        let count = words.len() as u64;
        let mut first = true;
        let mut sum = 0_u64;
        for word in words {
            if first {
                assert_eq!(word, self.expected, "out of sequence");
                first = false;
            }
            sum = sum.wrapping_add(word);
        }
        let expected = self.expected.wrapping_mul(count).wrapping_add(count * (count - 1) / 2);
        assert_eq!(sum, expected, "content");
        self.sum = self.sum.wrapping_add(sum);
        if self.expected == 0 {
            self.start = Instant::now();
        }
        self.expected += 1;
    }

    /// The reader knows the size, as that of every other queue here does.
    #[inline(always)]
    fn bytes<const W: usize>(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        assert!(rest.is_empty());
        let words: &[[u8; 8]; W] = words.try_into().expect("the message's size");
        self.words(words.iter().map(|word| u64::from_ne_bytes(*word)));
    }

    fn rate(&self) -> f64 {
        black_box(self.sum);
        (self.expected - 1) as f64 / self.start.elapsed().as_secs_f64() / 1e6
    }
}

/// Two threads.
fn threads(produce: impl FnOnce() + Send, consume: impl FnOnce() -> f64) -> f64 {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(0);
            produce();
        });
        pin(1);
        consume()
    })
}

/// Two processes.
fn processes(produce: impl FnOnce(), consume: impl FnOnce() -> f64) -> f64 {
    // SAFETY: this process has one thread here.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            pin(0);
            produce();
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            pin(1);
            let rate = consume();
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            rate
        }
    }
}

fn rtrb<const W: usize>(ring: usize, count: u64) -> f64 {
    let (mut tx, mut rx) = rtrb::RingBuffer::<Message<W>>::new(ring / (W * 8));
    threads(
        move || {
            for seq in 0..count {
                let mut message = make(seq);
                while let Err(rtrb::PushError::Full(back)) = tx.push(message) {
                    message = back;
                    std::hint::spin_loop();
                }
            }
        },
        || {
            let mut check = Check::new();
            while check.expected < count {
                match rx.pop() {
                    Ok(message) => check.words(message.into_iter()),
                    Err(_) => std::hint::spin_loop(),
                }
            }
            check.rate()
        },
    )
}

fn nexus<const W: usize>(ring: usize, count: u64) -> f64 {
    let (tx, rx) = nexus_queue::spsc::ring_buffer::<Message<W>>(ring / (W * 8));
    threads(
        move || {
            for seq in 0..count {
                let mut message = make(seq);
                while let Err(back) = tx.push(message) {
                    message = back.into_inner();
                    std::hint::spin_loop();
                }
            }
        },
        || {
            let mut check = Check::new();
            while check.expected < count {
                match rx.pop() {
                    Some(message) => check.words(message.into_iter()),
                    None => std::hint::spin_loop(),
                }
            }
            check.rate()
        },
    )
}

fn disruptor_batches<const W: usize>(ring: usize, count: u64) -> f64 {
    use disruptor::{BusySpin, Polling, Producer, build_single_producer};
    let slots = (ring / (W * 8)).next_power_of_two();
    let builder = build_single_producer(slots, || make::<W>(0), BusySpin);
    let (mut poller, builder) = builder.new_event_poller();
    let mut tx = builder.build();
    threads(
        move || {
            let mut seq = 0;
            while seq < count {
                let n = 32.min(count - seq) as usize;
                tx.batch_publish(n, |slots| {
                    for slot in slots {
                        *slot = make(seq);
                        seq += 1;
                    }
                });
            }
            // Dropping the producer ends the poller.
        },
        move || {
            let mut check = Check::new();
            loop {
                match poller.poll() {
                    Ok(mut events) => {
                        for event in &mut events {
                            check.words(event.iter().copied());
                        }
                    }
                    Err(Polling::NoEvents) => std::hint::spin_loop(),
                    Err(Polling::Shutdown) => break,
                }
            }
            check.rate()
        },
    )
}

fn array_queue<const W: usize>(ring: usize, count: u64) -> f64 {
    let queue = crossbeam_queue::ArrayQueue::<Message<W>>::new(ring / (W * 8));
    threads(
        || {
            for seq in 0..count {
                let mut message = make(seq);
                while let Err(back) = queue.push(message) {
                    message = back;
                    std::hint::spin_loop();
                }
            }
        },
        || {
            let mut check = Check::new();
            while check.expected < count {
                match queue.pop() {
                    Some(message) => check.words(message.into_iter()),
                    None => std::hint::spin_loop(),
                }
            }
            check.rate()
        },
    )
}

/// A queue in a file that is gone when this is dropped.
struct Temp<Q>(Q, std::path::PathBuf);

impl<Q> Drop for Temp<Q> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.1);
    }
}

fn name() -> std::path::PathBuf {
    format!("/dev/shm/ringway-yardstick-{}", std::process::id()).into()
}

fn bytes_queue(options: &Options) -> Temp<BytesQueue> {
    let name = name();
    // SAFETY: only this benchmark knows the file.
    Temp(unsafe { BytesQueue::create_with(&name, options) }.unwrap(), name)
}

fn bytes_single<const W: usize>(options: Options, count: u64, two: bool) -> f64 {
    let queue = bytes_queue(&options);
    let path = queue.1.clone();
    let consumer = queue.0.consumer().unwrap();
    let produce = || {
        // SAFETY: only this benchmark knows the file.
        let queue = unsafe { BytesQueue::open(&path) }.unwrap();
        let mut tx = queue.producer().unwrap();
        for seq in 0..count {
            let mut claim = tx.claim(W * 8).unwrap();
            fill::<W>(seq, &mut claim);
            claim.commit();
        }
    };
    let consume = || {
        let mut check = Check::new();
        while check.expected < count {
            check.bytes::<W>(&consumer.recv().unwrap());
        }
        check.rate()
    };
    if two { processes(produce, consume) } else { threads(produce, consume) }
}

fn bytes_batch<const W: usize>(options: Options, count: u64) -> f64 {
    let queue = bytes_queue(&options);
    let path = queue.1.clone();
    let consumer = queue.0.consumer().unwrap();
    let produce = || {
        // SAFETY: only this benchmark knows the file.
        let queue = unsafe { BytesQueue::open(&path) }.unwrap();
        let mut tx = queue.producer().unwrap();
        let mut seq = 0;
        while seq < count {
            let mut batch = tx.batch().unwrap();
            for _ in 0..32.min(count - seq) {
                match batch.try_claim(W * 8) {
                    Ok(payload) => fill::<W>(seq, payload),
                    Err(_) => break,
                }
                seq += 1;
            }
            if batch.commit() == 0 {
                std::hint::spin_loop();
            }
        }
    };
    let consume = || {
        let mut check = Check::new();
        while check.expected < count {
            for message in consumer.recv_many(32).unwrap().iter() {
                check.bytes::<W>(message);
            }
        }
        check.rate()
    };
    processes(produce, consume)
}

fn typed_single<const W: usize>(options: Options, count: u64, checked: bool) -> f64
where
    Message<W>: ringway::spsc::Payload + rkyv::Archive<Archived = [rkyv::rend::u64_le; W]>,
{
    let name = name();
    // SAFETY: only this benchmark knows the file.
    let queue = Temp(unsafe { Queue::<Message<W>>::create_with(&name, &options) }.unwrap(), name);
    let path = queue.1.clone();
    let consumer = queue.0.consumer().unwrap();
    let produce = || {
        // SAFETY: only this benchmark knows the file.
        let queue = unsafe { Queue::<Message<W>>::open(&path) }.unwrap();
        let mut tx = queue.producer().unwrap();
        for seq in 0..count {
            tx.send(&make(seq)).unwrap();
        }
    };
    let consume = || {
        let mut check = Check::new();
        while check.expected < count {
            if checked {
                let message = consumer.recv().unwrap();
                check.words(message.iter().map(|word| word.to_native()));
            } else {
                // SAFETY: the only producer is a `Producer` of this type.
                let message = unsafe { consumer.recv_unchecked() }.unwrap();
                check.words(message.iter().map(|word| word.to_native()));
            }
        }
        check.rate()
    };
    processes(produce, consume)
}

type System = (&'static str, Box<dyn Fn() -> f64>);

fn systems<const W: usize>(ring: usize, count: u64) -> Vec<System>
where
    Message<W>: ringway::spsc::Payload + rkyv::Archive<Archived = [rkyv::rend::u64_le; W]>,
{
    let bytes = W * 8;
    let variable = move || Options::new().capacity(ring);
    let fixed = move || Options::new().capacity(ring).fixed_len(bytes);
    let typed = move || Options::new().capacity(ring).fixed_size();
    vec![
        ("rtrb", Box::new(move || rtrb::<W>(ring, count))),
        ("nexus-queue", Box::new(move || nexus::<W>(ring, count))),
        ("disruptor/32", Box::new(move || disruptor_batches::<W>(ring, count))),
        ("ArrayQueue", Box::new(move || array_queue::<W>(ring, count / 4))),
        ("ringway fixed", Box::new(move || bytes_single::<W>(fixed(), count, true))),
        ("ringway fixed, threads", Box::new(move || bytes_single::<W>(fixed(), count, false))),
        ("ringway fixed/32", Box::new(move || bytes_batch::<W>(fixed(), count))),
        ("ringway variable", Box::new(move || bytes_single::<W>(variable(), count, true))),
        ("ringway variable, threads", Box::new(move || bytes_single::<W>(variable(), count, false))),
        ("ringway variable/32", Box::new(move || bytes_batch::<W>(variable(), count))),
        ("ringway typed fixed", Box::new(move || typed_single::<W>(typed(), count, true))),
        ("ringway typed fixed unchecked", Box::new(move || typed_single::<W>(typed(), count, false))),
        ("ringway typed variable", Box::new(move || typed_single::<W>(variable(), count, true))),
    ]
}

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    arguments.next()
}

fn main() {
    let runs: usize = argument("--runs").map_or(5, |runs| runs.parse().expect("--runs N"));
    let ring: usize = argument("--ring").map_or(1 << 20, |ring| ring.parse().expect("--ring BYTES"));
    let sizes = argument("--sizes").unwrap_or("8,64,256,1024".into());
    let millis: u64 = argument("--millis").map_or(100, |ms| ms.parse().expect("--millis MS"));
    let only = argument("--only").unwrap_or_default();
    println!(
        "ring {ring} bytes, {runs} interleaved runs; million messages a second, median [min-max], ratio to rtrb"
    );
    for size in sizes.split(',') {
        // Messages for roughly `millis` at 8 GB/s, or 0.4 G messages a second.
        let count = |bytes: u64| (8_000_000 * millis / bytes).min(400_000 * millis);
        let all = match size {
            "8" => systems::<1>(ring, count(8)),
            "64" => systems::<8>(ring, count(64)),
            "256" => systems::<32>(ring, count(256)),
            "1024" => systems::<128>(ring, count(1024)),
            "4096" => systems::<512>(ring, count(4096)),
            other => panic!("no case for {other} bytes"),
        };
        let chosen: Vec<_> = all
            .iter()
            .filter(|(name, _)| *name == "rtrb" || only.split(',').any(|part| name.contains(part)))
            .collect();
        let mut rates = vec![Vec::new(); chosen.len()];
        for _ in 0..runs {
            for (rate, (_, run)) in rates.iter_mut().zip(&chosen) {
                rate.push(run());
            }
        }
        println!("\n{size} bytes");
        let mut yardstick = 0.0;
        for (rate, (name, _)) in rates.iter_mut().zip(&chosen) {
            rate.sort_by(f64::total_cmp);
            let median = rate[rate.len() / 2];
            if *name == "rtrb" {
                yardstick = median;
            }
            println!(
                "{name:32} {median:8.1} [{:8.1} - {:8.1}]  {:5.2}x",
                rate[0],
                rate[rate.len() - 1],
                median / yardstick
            );
        }
    }
}
