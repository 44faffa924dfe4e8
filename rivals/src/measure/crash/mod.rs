//! What happens to the other workers when one is killed in the middle of an operation.
//!
//! Two producers and two consumers where a system takes that many; otherwise the second one of the
//! victim's role starts when the victim is dead, in its place. All send and receive as fast as they
//! can; at a random moment one gets SIGKILL. Then
//! - a message that was sent after the death must be received: the time until then is the figure,
//!   and if none is within a second, the others are stuck;
//! - everything whose sending was done must have been received by a consumer, or it is lost;
//! - no message may have wrong content, or it is torn.

mod marks;
mod trial;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use self::trial::Trial;
use super::{Answer, Task};
use crate::case::Victim;
use crate::scratch;
use crate::systems::{System, list};

/// After this number of trials in which the others were stuck, each of which takes long, the result
/// is clear.
const ENOUGH_STUCK: usize = 5;

/// The results of the trials.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Toll {
    pub(crate) trials: usize,
    /// Trials after which no message arrived any more ...
    pub(crate) stuck: usize,
    /// ... or the messages left could not be read ...
    pub(crate) torn: usize,
    /// ... or a message that had been sent never arrived.
    pub(crate) lost: usize,
    pub(crate) lost_messages: u64,
    /// Messages that were received more than once.
    pub(crate) again: u64,
    /// From the kill to the first message that was sent after it, of those trials that went on.
    pub(crate) times_ns: Vec<f64>,
    /// The error with which a survivor ended.
    pub(crate) last_words: Option<String>,
}

impl Toll {
    /// In a word or two, the worst first.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self { stuck: 1.., .. } => "stuck",
            Self { torn: 1.., .. } => "torn",
            Self { lost: 1.., .. } => "lost",
            _ => "goes on",
        }
    }

    fn add(&mut self, trial: Trial) {
        self.trials += 1;
        match trial.time {
            Some(time) => self.times_ns.push(time.as_nanos() as f64),
            None => self.stuck += 1,
        }
        self.torn += usize::from(trial.torn > 0);
        self.lost += usize::from(trial.lost > 0);
        self.lost_messages += trial.lost;
        self.again += trial.again;
        self.last_words = self.last_words.take().or(trial.last_words);
    }
}

pub(super) fn run<S: System>(task: &Task, victim: Victim) -> Result<Answer> {
    let rival = list::find(&task.system, task.scope)?;
    let mut toll = Toll::default();
    let start = std::time::Instant::now();
    let mut random = u64::from(std::process::id()) | 1 << 32;
    for number in 0..task.trials {
        if toll.stuck >= ENOUGH_STUCK || (start.elapsed() > task.length && toll.trials > 0) {
            break;
        }
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        toll.add(trial::run::<S>(task, victim, rival.most, number, random)?);
        scratch::clean(&task.directory)?;
    }
    ensure!(toll.trials > 0, "no trial was made");
    Ok(Answer::Toll(toll))
}
