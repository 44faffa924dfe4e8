//! Ringway between two processes beside in-process queues between two threads, interleaved, as ratios.
//!
//! `cargo bench --bench yardstick -- [--runs N] [--ring BYTES] [--sizes 8,64] [--millis MS] [--only NAME,NAME]`
//!
//! Prints million messages a second: median [min - max], and the ratio of medians to rtrb.

mod common;

use common::{System, systems};

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    arguments.next()
}

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
    let number = |name, default| argument(name).map_or(default, |text| text.parse().expect("a number"));
    let runs: usize = number("--runs", 5);
    let ring: usize = number("--ring", 1 << 20);
    let millis = number("--millis", 100) as u64;
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
        for (rate, system) in rates.iter_mut().zip(&chosen) {
            rate.sort_by(f64::total_cmp);
            let (median, min, max) = (rate[rate.len() / 2], rate[0], rate[rate.len() - 1]);
            if system.name == "rtrb" {
                yardstick = median;
            }
            println!("{:32} {median:8.1} [{min:8.1} - {max:8.1}]  {:5.2}x", system.name, median / yardstick);
        }
    }
}
