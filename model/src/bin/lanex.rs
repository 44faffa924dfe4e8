use ringway_model::{checker::*, lane::*, mistake::Mistake};
fn main() {
    let a: Vec<u8> = std::env::args().nth(1).unwrap().split(',').map(|x| x.parse().unwrap()).collect();
    let m = std::env::args().nth(2).map(|n| *Mistake::ALL.iter().find(|m| format!("{m:?}") == n).unwrap());
    let lengths: &'static [u8] = Vec::leak(a[6..].to_vec());
    let bounds = Bounds {
        slots: a[0],
        producers: a[1] as usize,
        consumers: a[2] as usize,
        lane: a[3],
        kills: a[4],
        attaches: a[5],
        lengths,
    };
    println!("{bounds:?} {m:?} state {} B", std::mem::size_of::<State>());
    let r = check(&Lanes { bounds, mistake: m }, 60_000_000);
    println!("states {} steps {} {:?}", r.states, r.steps, r.time);
    match r.outcome {
        Outcome::Violation { promise, trace } => {
            println!("VIOLATION {promise}");
            for t in trace {
                println!("  {t}")
            }
        }
        Outcome::Stuck { stuck, trace } => {
            println!("STUCK {stuck}");
            for t in trace {
                println!("  {t}")
            }
        }
        o => println!("{o:?}"),
    }
}
