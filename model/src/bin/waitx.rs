use ringway_model::{checker::*, mistake::Mistake, waiting::*};
fn main() {
    let a: Vec<u8> = std::env::args().nth(1).unwrap().split(',').map(|x| x.parse().unwrap()).collect();
    let m = std::env::args().nth(2).map(|n| *Mistake::ALL.iter().find(|m| format!("{m:?}") == n).unwrap());
    let bounds = Bounds {
        producers: a[0] as usize,
        consumers: a[1] as usize,
        k: a[2],
        rejects: a[3],
        kills: a[4],
        asleep: a[5] == 1,
    };
    println!("{bounds:?} {m:?} state {} B", std::mem::size_of::<State>());
    let r = check(&Waiting { bounds, mistake: m }, 60_000_000);
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
