//! What the benches move, and through what: ringway between two processes or two threads, and in-process queues between
//! two threads, each at its best.
//!
//! Every message carries its sequence number in its first word and a function of it in all others; the consumer checks
//! the sequence and sums the rest. Producer on core 0, consumer on core 1.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

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

    /// The time from the first message to the last.
    fn elapsed(&self) -> Duration {
        black_box(self.sum);
        self.start.elapsed()
    }
}

/// Two threads.
fn threads(produce: impl FnOnce() + Send, consume: impl FnOnce() -> Duration) -> Duration {
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
fn processes(produce: impl FnOnce(), consume: impl FnOnce() -> Duration) -> Duration {
    // SAFETY: this process has one thread here.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            pin(0);
            produce();
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            pin(1);
            let elapsed = consume();
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            elapsed
        }
    }
}

fn rtrb<const W: usize>(ring: usize, count: u64) -> Duration {
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
            check.elapsed()
        },
    )
}

fn nexus<const W: usize>(ring: usize, count: u64) -> Duration {
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
            check.elapsed()
        },
    )
}

fn disruptor_batches<const W: usize>(ring: usize, count: u64) -> Duration {
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
            check.elapsed()
        },
    )
}

fn array_queue<const W: usize>(ring: usize, count: u64) -> Duration {
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
            check.elapsed()
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

fn name_of_queue() -> std::path::PathBuf {
    format!("/dev/shm/ringway-benches-{}", std::process::id()).into()
}

fn bytes_queue(options: &Options) -> Temp<BytesQueue> {
    let name = name_of_queue();
    // SAFETY: only this benchmark knows the file.
    Temp(unsafe { BytesQueue::create_with(&name, options) }.unwrap(), name)
}

fn bytes_single<const W: usize>(options: Options, count: u64, two: bool) -> Duration {
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
        check.elapsed()
    };
    if two { processes(produce, consume) } else { threads(produce, consume) }
}

fn bytes_batch<const W: usize>(options: Options, count: u64) -> Duration {
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
        check.elapsed()
    };
    processes(produce, consume)
}

fn typed_single<const W: usize>(options: Options, count: u64, checked: bool) -> Duration {
    let name = name_of_queue();
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
        check.elapsed()
    };
    processes(produce, consume)
}

/// Something that moves messages of one size.
pub(crate) struct System {
    pub(crate) name: &'static str,
    /// Moves so many messages; returns the time from the first to the last.
    pub(crate) run: Box<dyn Fn(u64) -> Duration>,
}

/// Ringway and its yardsticks, for messages of `W` words and so many bytes of ring.
pub(crate) fn systems<const W: usize>(ring: usize) -> Vec<System> {
    let bytes = W * 8;
    let variable = move || Options::new().capacity(ring);
    let fixed = move || Options::new().capacity(ring).fixed_len(bytes);
    let typed = move || Options::new().capacity(ring).fixed_size();
    let system = |name, run: Box<dyn Fn(u64) -> Duration>| System { name, run };
    vec![
        system("rtrb", Box::new(move |count| rtrb::<W>(ring, count))),
        system("nexus-queue", Box::new(move |count| nexus::<W>(ring, count))),
        system("disruptor/32", Box::new(move |count| disruptor_batches::<W>(ring, count))),
        system("ArrayQueue", Box::new(move |count| array_queue::<W>(ring, count))),
        system("ringway fixed", Box::new(move |count| bytes_single::<W>(fixed(), count, true))),
        system("ringway fixed, threads", Box::new(move |count| bytes_single::<W>(fixed(), count, false))),
        system("ringway fixed/32", Box::new(move |count| bytes_batch::<W>(fixed(), count))),
        system("ringway variable", Box::new(move |count| bytes_single::<W>(variable(), count, true))),
        system(
            "ringway variable, threads",
            Box::new(move |count| bytes_single::<W>(variable(), count, false)),
        ),
        system("ringway variable/32", Box::new(move |count| bytes_batch::<W>(variable(), count))),
        system("ringway typed fixed", Box::new(move |count| typed_single::<W>(typed(), count, true))),
        system(
            "ringway typed fixed unchecked",
            Box::new(move |count| typed_single::<W>(typed(), count, false)),
        ),
        system("ringway typed variable", Box::new(move |count| typed_single::<W>(variable(), count, true))),
    ]
}

/// Sends one message of 64 bytes and receives it, in one thread.
#[allow(dead_code, reason = "only one of the benches that include this module wants it")]
pub(crate) fn calls(mut group: criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    let (mut tx, mut rx) = rtrb::RingBuffer::<Message<8>>::new(1024);
    group.bench_function("rtrb", |bencher| {
        bencher.iter(|| {
            tx.push(black_box(make(1))).unwrap();
            black_box(rx.pop().unwrap())
        });
    });
    for (name, options) in [("fixed", Options::new().fixed_len(64)), ("variable", Options::new())] {
        let queue = bytes_queue(&options);
        let (mut tx, rx) = (queue.0.producer().unwrap(), queue.0.consumer().unwrap());
        group.bench_function(format!("ringway bytes {name}"), |bencher| {
            bencher.iter(|| {
                let mut claim = tx.try_claim(64).unwrap();
                fill::<8>(black_box(1), &mut claim);
                claim.commit();
                black_box(rx.try_recv().unwrap()[0])
            });
        });
    }
    for (name, options) in [("fixed", Options::new().fixed_size()), ("variable", Options::new())] {
        let path = name_of_queue();
        // SAFETY: only this benchmark knows the file.
        let queue = Temp(unsafe { Queue::<Message<8>>::create_with(&path, &options) }.unwrap(), path);
        let (mut tx, rx) = (queue.0.producer().unwrap(), queue.0.consumer().unwrap());
        let message = make::<8>(1);
        group.bench_function(format!("ringway typed {name}"), |bencher| {
            bencher.iter(|| {
                tx.try_send(black_box(&message)).unwrap();
                black_box(rx.try_recv().unwrap()[0])
            });
        });
    }
}
