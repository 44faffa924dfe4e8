//! Ringway between two processes beside in-process queues between two threads, interleaved, as ratios.
//!
//! `cargo bench --bench yardstick -- [--runs N] [--ring BYTES] [--sizes 8,64] [--millis MS] [--only NAME,NAME]`
//!
//! Prints million messages a second: median [min - max], and the ratio of medians to rtrb.

mod common;
mod spsc_systems;

use common::arguments::{argument, number};
use common::statistics::Spread;
use spsc_systems::{System, systems};

fn systems_for(bytes: &str, ring: usize) -> Vec<System> {
    match bytes {
        "8" => systems::<1>(ring),
        "64" => systems::<8>(ring),
        "256" => systems::<32>(ring),
        "1024" => systems::<128>(ring),
        "4096" => systems::<512>(ring),
        other => panic!("no case for {other} bytes: 8, 64, 256, 1024 and 4096 are there"),
    }
}

fn main() {
    let runs = number("--runs").unwrap_or(5);
    let ring = number("--ring").unwrap_or(1 << 20);
    let millis = number("--millis").unwrap_or(100) as u64;
    let sizes = argument("--sizes").unwrap_or("8,64,256,1024".into());
    let only = argument("--only").unwrap_or_default();
    println!(
        "ring {ring} bytes, {runs} interleaved runs; million messages a second, median [min - max], ratio to rtrb"
    );
    for size in sizes.split(',') {
        let bytes: u64 = size.parse().expect("--sizes 8,64");
        // Messages for roughly `millis` at 8 GB/s, or 0.4 G messages a second.
        let count = (8_000_000 * millis / bytes).min(400_000 * millis);
        let wanted =
            |system: &System| system.name == "rtrb" || only.split(',').any(|part| system.name.contains(part));
        let chosen: Vec<_> = systems_for(size, ring).into_iter().filter(wanted).collect();
        let mut rates = vec![Vec::new(); chosen.len()];
        for _ in 0..runs {
            for (rate, system) in rates.iter_mut().zip(&chosen) {
                // A queue that needs a lock for every message gets fewer of them.
                let count = if system.name == "ArrayQueue" { count / 4 } else { count };
                rate.push((count - 1) as f64 / (system.run)(count).as_secs_f64() / 1e6);
            }
        }
        println!("\n{size} bytes");
        let mut yardstick = 0.0;
        for (rate, system) in rates.iter().zip(&chosen) {
            let Spread { median, min, max } = Spread::of(rate);
            if system.name == "rtrb" {
                yardstick = median;
            }
            println!("{:32} {median:8.1} [{min:8.1} - {max:8.1}]  {:5.2}x", system.name, median / yardstick);
        }
    }
}
