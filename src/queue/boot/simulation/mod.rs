//! Power losses, simulated: what a disk may hold is put together from pages of real runs, each from a moment of its own, and
//! opened in "another boot".
//!
//! A run is random: participants come and go, send and receive, and the file is copied after each step. An image takes each
//! of its pages (or sectors) from any copy up to the moment at which the power fails, but no older than the last flush of that
//! page. That is all that a disk promises.
//!
//! What has to hold of each image:
//!
//! - **Never silence.** Opened as if nothing had happened, it is refused; or it gives the same messages in the same order as
//!   the file of that moment does in its own boot, and nobody took part then.
//! - **Whatever is done about it works**: taken as it is, it gives messages, wrong ones too, or errors, and an end; emptied, it
//!   is an empty queue that passes messages and can be opened in the boot after that.
//!
//! `RINGWAY_POWER_LOSSES=100000 cargo test --release -p ringway --lib simulation -- --nocapture` tries as many images of each
//! kind of queue.

mod flavours;
mod machine;
mod random;

use flavours::{Bytes, Fixed, Flavour, Typed};
use machine::{Image, Machine};
use random::Random;

use super::AfterPowerLoss;
use crate::error::OpenError;
use crate::queue::{Mpmc, Spsc};
use crate::shm::boot::pretend;

/// Images of one run.
const IMAGES_A_RUN: u64 = 40;

/// What became of the images.
#[derive(Debug, Default)]
struct Tally {
    images: u64,
    /// Opened without a word, rightly.
    taken: u64,
    refused: u64,
    /// Not even a header that fits.
    broken: u64,
    /// Of those that were taken as they are, with the user's consent: that had wrong messages.
    garbage: u64,
}

fn simulate<F: Flavour>(name: &str) {
    // A few seconds in debug builds.
    let wanted =
        std::env::var("RINGWAY_POWER_LOSSES").ok().and_then(|number| number.parse().ok()).unwrap_or(400);
    let first = std::env::var("RINGWAY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed);
    let mut tally = Tally::default();
    let mut seed = first;
    while tally.images < wanted {
        run::<F>(seed, &mut tally);
        seed += 1;
    }
    println!("{name}: {tally:?}");
    assert!(tally.taken > 0 && tally.refused > 0, "one of the two was never tried: {tally:?}");
}

fn run<F: Flavour>(seed: u64, tally: &mut Tally) {
    let mut random = Random::new(seed);
    pretend::set_boot(1);
    let machine = Machine::run::<F>(&mut random);
    for number in 0..IMAGES_A_RUN {
        let image = machine.image(&mut random);
        let context =
            format!("{}, RINGWAY_SEED={seed}, image {number}: {image:?}", std::any::type_name::<F>());
        check::<F>(&machine, &image, &context, tally);
        tally.images += 1;
    }
}

fn check<F: Flavour>(machine: &Machine, image: &Image, context: &str, tally: &mut Tally) {
    // What the queue gives in the boot in which it was used.
    pretend::set_boot(1);
    let expected = || {
        pretend::set_boot(1);
        let last = machine.write(&machine.moments[image.moment].bytes);
        let queue = F::open(&last, AfterPowerLoss::Refuse).expect("in the same boot");
        F::drain(&queue).expect("what was committed")
    };

    pretend::set_boot(2);
    let path = machine.write(&image.bytes);
    match F::open(&path, AfterPowerLoss::Refuse) {
        Ok(queue) => {
            let found = F::drain(&queue);
            assert!(!machine.moments[image.moment].in_use, "taken, though it was in use: {context}");
            assert_eq!(found.as_ref(), Ok(&expected()), "taken, and it is not what was there: {context}");
            tally.taken += 1;
            return;
        }
        Err(OpenError::Unproven { .. }) => tally.refused += 1,
        Err(_) => {
            tally.broken += 1;
            return;
        }
    }

    pretend::set_boot(2);
    let path = machine.write(&image.bytes);
    let queue = F::open(&path, AfterPowerLoss::Keep).unwrap_or_else(|error| panic!("{error}: {context}"));
    // Errors and wrong messages: it was said that there may be. That it ends is what matters.
    let sent = machine.moments[image.moment].sent;
    let found = F::drain(&queue);
    tally.garbage +=
        u64::from(!found.is_ok_and(|found| found.iter().all(|message| (1..=sent).contains(message))));
    drop(queue);

    pretend::set_boot(2);
    let path = machine.write(&image.bytes);
    let queue = F::open(&path, AfterPowerLoss::Discard).unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(F::drain(&queue), Ok(vec![]), "emptied, and not empty: {context}");
    let mut producer = F::producer(&queue).unwrap_or_else(|error| panic!("{error}: {context}"));
    let messages: Vec<u64> = (1000..1010).collect();
    messages.iter().for_each(|message| assert!(F::send(&mut producer, *message), "{context}"));
    drop((producer, queue));
    pretend::set_boot(3);
    let queue = F::open(&path, AfterPowerLoss::Refuse).unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(F::drain(&queue), Ok(messages), "{context}");
}

#[test]
fn spsc_bytes_of_any_size() {
    simulate::<Bytes<Spsc>>("SPSC, bytes of any size");
}

#[test]
fn spsc_bytes_of_one_size() {
    simulate::<Fixed<Spsc>>("SPSC, bytes of one size");
}

#[test]
fn spsc_typed() {
    simulate::<Typed<Spsc>>("SPSC, typed");
}

#[test]
fn mpmc_bytes_of_any_size() {
    simulate::<Bytes<Mpmc>>("MPMC, bytes of any size");
}

#[test]
fn mpmc_bytes_of_one_size() {
    simulate::<Fixed<Mpmc>>("MPMC, bytes of one size");
}

#[test]
fn mpmc_typed() {
    simulate::<Typed<Mpmc>>("MPMC, typed");
}
