//! Criterion benches: messages through ringway and through in-process queues, in the same run.
//!
//! `cargo bench --bench spsc` measures all; `cargo bench --bench spsc -- 64/` only what has that in its name.
#![allow(missing_docs, reason = "criterion's macros")]

mod common;
mod spsc_systems;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use spsc_systems::calls::calls;
use spsc_systems::{System, systems};

/// Bytes of ring for all systems.
const RING: usize = 1 << 20;

fn stream(criterion: &mut Criterion) {
    streams(criterion, 8, systems::<1>(RING));
    streams(criterion, 64, systems::<8>(RING));
    streams(criterion, 256, systems::<32>(RING));
    streams(criterion, 1024, systems::<128>(RING));
}

fn streams(criterion: &mut Criterion, bytes: u64, systems: Vec<System>) {
    let mut group = criterion.benchmark_group(format!("stream/{bytes}"));
    group.throughput(Throughput::Bytes(bytes)).sample_size(10);
    for system in systems {
        group.bench_function(BenchmarkId::from_parameter(system.name), |bencher| {
            // The first message starts the clock.
            bencher.iter_custom(|iterations| (system.run)(iterations + 1));
        });
    }
}

/// One message there and back in one thread: the cost of the calls themselves, with everything in
/// the nearest cache.
fn one_thread(criterion: &mut Criterion) {
    calls(criterion.benchmark_group("call/64"));
}

criterion_group!(benches, one_thread, stream);
criterion_main!(benches);
