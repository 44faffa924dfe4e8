use ringway_model::{checker::*, claims::*, mistake::Mistake};
fn main() {
    let a: Vec<u32> = std::env::args().nth(1).unwrap().split(',').map(|x| x.parse().unwrap()).collect();
    let m = std::env::args().nth(2).map(|n| *Mistake::ALL.iter().find(|m| format!("{m:?}") == n).unwrap());
    let bounds = Bounds {
        slots: a[0] as u8,
        producers: a[1] as usize,
        consumers: a[2] as usize,
        messages: a[3] as u8,
        prefilled: a[4] as u8,
        send_k: a[5] as u8,
        recv_k: a[6] as u8,
        guards: a[7],
        kills: a[8] as u8,
        attaches: a[9] as u8,
        detaches: a[10] as u8,
        rejects: a[11] as u8,
        idlers: a[12] as u8,
    };
    println!("{bounds:?} {m:?} state {} B", std::mem::size_of::<State>());
    let r = check(&Claims { bounds, mistake: m }, 60_000_000);
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
