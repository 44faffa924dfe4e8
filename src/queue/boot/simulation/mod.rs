//! Simulated power losses: what a disk may hold is composed of pages of real runs, each from a
//! moment of its own, and opened in "another boot".
//!
//! A run is random: participants attach and detach, send and receive, and the file is copied after
//! each step. An image takes each of its pages (or sectors) from any copy up to the moment at which
//! the power fails, but no older than the last flush of that page. That is all that a disk
//! promises.
//!
//! What has to hold for each image:
//!
//! - **Never silence.** Opened as if nothing had happened, it is refused; or it delivers the same
//!   messages in the same order as the file of that moment does in its own boot, and there were no
//!   participants then.
//! - **Every remedy works**: taken as it is, it delivers messages, wrong ones too, or errors, and
//!   comes to an end; emptied, it is an empty queue that passes messages and can be opened in the
//!   boot after that.
//!
//! Of queues with checksums each image is opened, and delivers true messages only, each once and in
//! order, and all that were synced and not released.
//!
//! `RINGWAY_POWER_LOSSES=100000 cargo test --release -p ringway --lib simulation -- --nocapture`
//! tries as many images of each kind of queue.

mod flavours;
mod machine;
mod random;

use flavours::{Bytes, Fixed, Flavour, Typed};
use machine::{Image, Machine};
use random::Random;

use super::AfterPowerLoss;
use crate::error::OpenError;
use crate::queue::{Checksummed, Mpmc, Spsc};
use crate::shm::boot::pretend;

/// Images of one run.
const IMAGES_A_RUN: u64 = 40;

/// What happened with the images.
#[derive(Debug, Default)]
struct Tally {
    images: u64,
    /// Opened without a warning, rightly.
    taken: u64,
    refused: u64,
    /// Refused because not even the header fits.
    broken: u64,
    /// Messages that a sync had promised, and that were there.
    synced: u64,
    /// Of those that were taken as they are, with the user's consent: the number with wrong
    /// messages.
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
        match F::HAS_CHECKSUMS {
            true => check_messages::<F>(&machine, &image, &context, tally),
            false => check::<F>(&machine, &image, &context, tally),
        }
        tally.images += 1;
    }
}

/// The messages that the queue delivers in the boot in which it was used.
fn given_at<F: Flavour>(machine: &Machine, moment: usize) -> Vec<u64> {
    pretend::set_boot(1);
    let path = machine.write(&machine.moments[moment].bytes);
    let queue = F::open(&path, AfterPowerLoss::Refuse).expect("in the same boot");
    F::drain(&queue).expect("what was committed")
}

/// Of queues with checksums: each image is opened, and delivers true messages, each once, in order,
/// and all that were synced and not taken yet.
fn check_messages<F: Flavour>(machine: &Machine, image: &Image, context: &str, tally: &mut Tally) {
    pretend::set_boot(2);
    let path = machine.write(&image.bytes);
    let queue = F::open(&path, AfterPowerLoss::Refuse).unwrap_or_else(|error| panic!("{error}: {context}"));
    let is_told = !F::warnings(&queue).is_empty();
    let found = F::drain(&queue).unwrap_or_else(|error| panic!("a wrong message: {error}: {context}"));
    let sent = machine.moments[image.moment].sent;
    assert!(found.iter().all(|message| (1..=sent).contains(message)), "{found:?} of {sent}: {context}");
    if is_told {
        assert!(found.is_sorted_by(|one, next| one < next), "{found:?}: {context}");
        tally.refused += 1;
    } else {
        assert!(!machine.moments[image.moment].in_use, "without a word, though it was in use: {context}");
        assert_eq!(found, given_at::<F>(machine, image.moment), "{context}");
        tally.taken += 1;
    }
    if let Some(synced) = image.synced {
        let last = given_at::<F>(machine, image.moment);
        let mut promised = given_at::<F>(machine, synced);
        promised.retain(|message| last.contains(message));
        let lost: Vec<_> = promised.iter().filter(|message| !found.contains(message)).collect();
        assert!(lost.is_empty(), "{lost:?} of {promised:?} were synced, and are lost: {context}");
        tally.synced += promised.len() as u64;
    }
    // The messages that were taken are gone, and the queue works.
    pretend::set_boot(2);
    let path = machine.write(&image.bytes);
    let queue = F::open(&path, AfterPowerLoss::Keep).unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(F::drain(&queue).as_ref(), Ok(&found), "{context}");
    let mut producer = F::producer(&queue).unwrap_or_else(|error| panic!("{error}: {context}"));
    // Small messages, of which ten fit wherever they begin.
    let messages: Vec<u64> = (143..153).map(|number| number * 7).collect();
    messages.iter().for_each(|message| assert!(F::send(&mut producer, *message), "{context}"));
    drop((producer, queue));
    pretend::set_boot(3);
    let queue = F::open(&path, AfterPowerLoss::Refuse).unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(F::drain(&queue), Ok(messages), "{context}");
}

fn check<F: Flavour>(machine: &Machine, image: &Image, context: &str, tally: &mut Tally) {
    pretend::set_boot(2);
    let path = machine.write(&image.bytes);
    match F::open(&path, AfterPowerLoss::Refuse) {
        Ok(queue) => {
            let found = F::drain(&queue);
            assert!(!machine.moments[image.moment].in_use, "taken, though it was in use: {context}");
            assert_eq!(
                found.as_ref(),
                Ok(&given_at::<F>(machine, image.moment)),
                "taken, and it is not what was there: {context}"
            );
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
    // Wrong messages are allowed with this option. The queue has to come to an end, and to continue
    // with new messages.
    let sent = machine.moments[image.moment].sent;
    let found = F::drain(&queue);
    tally.garbage +=
        u64::from(!found.is_ok_and(|found| found.iter().all(|message| (1..=sent).contains(message))));
    while F::recv(&F::consumer(&queue).unwrap(), false) != Ok(None) {}
    let mut producer = F::producer(&queue).unwrap_or_else(|error| panic!("{error}: {context}"));
    assert!(F::send(&mut producer, 7), "{context}");
    assert_eq!(F::drain(&queue), Ok(vec![7]), "{context}");
    drop(producer);
    drop(queue);

    pretend::set_boot(2);
    let path = machine.write(&image.bytes);
    let queue = F::open(&path, AfterPowerLoss::Discard).unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(F::drain(&queue), Ok(vec![]), "emptied, and not empty: {context}");
    let mut producer = F::producer(&queue).unwrap_or_else(|error| panic!("{error}: {context}"));
    // Small messages, of which ten fit wherever they begin.
    let messages: Vec<u64> = (143..153).map(|number| number * 7).collect();
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

#[test]
fn spsc_bytes_of_any_size_with_checksums() {
    simulate::<Bytes<Checksummed<Spsc>>>("SPSC, bytes of any size, with checksums");
}

#[test]
fn spsc_bytes_of_one_size_with_checksums() {
    simulate::<Fixed<Checksummed<Spsc>>>("SPSC, bytes of one size, with checksums");
}

#[test]
fn spsc_typed_with_checksums() {
    simulate::<Typed<Checksummed<Spsc>>>("SPSC, typed, with checksums");
}

#[test]
fn mpmc_bytes_of_any_size_with_checksums() {
    simulate::<Bytes<Checksummed<Mpmc>>>("MPMC, bytes of any size, with checksums");
}

#[test]
fn mpmc_bytes_of_one_size_with_checksums() {
    simulate::<Fixed<Checksummed<Mpmc>>>("MPMC, bytes of one size, with checksums");
}

#[test]
fn mpmc_typed_with_checksums() {
    simulate::<Typed<Checksummed<Mpmc>>>("MPMC, typed, with checksums");
}
