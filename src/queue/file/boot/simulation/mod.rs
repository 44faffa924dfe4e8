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
//! order, and all that were synced and not released. Some runs go on with a recovered file, and lose the
//! power again: what a recovery dropped must not come back.
//!
//! Recovery is interrupted as well, up to three times in a row: at any of its writes and syncs, with any of
//! the pages lost that it had not synced ([`recovery`]).
//!
//! `RINGWAY_POWER_LOSSES=100000 cargo test --release -p ringway --lib simulation -- --nocapture`
//! tries as many images of each kind of queue.

mod flavours;
mod machine;
mod random;
mod recovery;

use flavours::{Bounded, Bytes, Fixed, Flavour, Typed};
use std::path::Path;

use machine::{Beginning, Image, Machine};
use random::Random;
use recovery::Interrupted;

use super::AfterPowerLoss;
use crate::error::OpenError;
use crate::queue::{Checksummed, Mpmc, Spsc};
use crate::shm::boot::pretend;

/// Images of one run.
const IMAGES_A_RUN: u64 = 40;
/// Images of a run that goes on with a file that was recovered.
const IMAGES_OF_A_LATER_BOOT: u64 = 4;
/// Runs go on in boots before this one.
const MAX_BOOTS: u8 = 12;
/// A damaged queue delivers no more than this.
const MOST_WRONG: u64 = 5000;

/// What happened with the images.
#[derive(Debug, Default)]
struct Tally {
    images: u64,
    /// Opened without a warning, rightly.
    taken: u64,
    refused: u64,
    /// Refused because not even the header fits.
    broken: u64,
    /// Power losses during recoveries.
    interrupted: u64,
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
    let machine = Machine::run::<F>(&mut random);
    for number in 0..IMAGES_A_RUN {
        let image = machine.image(&mut random);
        let context =
            format!("{}, RINGWAY_SEED={seed}, image {number}: {image:?}", std::any::type_name::<F>());
        match F::HAS_CHECKSUMS {
            true => check_messages::<F>(&machine, &image, &context, &mut random, tally),
            false => check::<F>(&machine, &image, &context, &mut random, tally),
        }
        tally.images += 1;
    }
}

/// The messages that the queue delivers in the boot in which it was used.
fn given_at<F: Flavour>(machine: &Machine, moment: usize) -> Vec<u64> {
    pretend::set_boot(machine.boot);
    let path = machine.write(&machine.moments[moment].bytes);
    let queue = F::open(&path, AfterPowerLoss::Refuse).expect("in the same boot");
    F::drain(&queue).expect("what was committed")
}

/// The messages that the image must deliver: those that were on the disk at the last sync, and that were not released
/// after it.
fn promised<F: Flavour>(machine: &Machine, image: &Image) -> Vec<u64> {
    let Some(synced) = image.synced else { return Vec::new() };
    let last = given_at::<F>(machine, image.moment);
    // The messages with which the run began were on the disk before the boot did.
    let mut promised = if synced == 0 { machine.kept.clone() } else { given_at::<F>(machine, synced) };
    promised.retain(|message| last.contains(message));
    promised
}

/// Of queues with checksums: each image is opened, after up to three power losses while that was done, and delivers
/// true messages, each once, in order, and all that were synced and not taken yet.
fn check_messages<F: Flavour>(
    machine: &Machine,
    image: &Image,
    context: &str,
    random: &mut Random,
    tally: &mut Tally,
) {
    let promised = promised::<F>(machine, image);
    let losses = if random.one_in(2) { 0 } else { 1 + random.below(3) };
    let first = (machine.boot + 1, AfterPowerLoss::Refuse);
    let Interrupted { bytes, boot } =
        recovery::interrupted::<F>(machine, random, &image.bytes, first, losses);
    tally.interrupted += losses;
    let context = format!("{context}, then {losses} losses during recovery");
    pretend::set_boot(boot);
    let path = machine.write(&bytes);
    let (queue, operations) = pretend::journal(|| F::open(&path, AfterPowerLoss::Refuse));
    let queue = queue.unwrap_or_else(|error| panic!("{error}: {context}"));
    let opened = std::fs::read(&path).unwrap();
    let is_told = !F::warnings(&queue).is_empty();
    let found = F::drain(&queue).unwrap_or_else(|error| panic!("a wrong message: {error}: {context}"));
    let sent = machine.moments[image.moment].sent;
    let is_possible = |message: &u64| {
        machine.kept.contains(message)
            || machine.delivered.contains(message)
            || (machine.sent_before + 1..=sent).contains(message)
    };
    assert!(
        found.iter().all(is_possible),
        "{found:?} of {:?} and those up to {sent}: {context}",
        machine.kept
    );
    if is_told || losses > 0 {
        assert!(found.is_sorted_by(|one, next| one < next), "{found:?}: {context}");
        tally.refused += 1;
    } else {
        assert!(!machine.moments[image.moment].in_use, "without a word, though it was in use: {context}");
        assert_eq!(found, given_at::<F>(machine, image.moment), "{context}");
        tally.taken += 1;
    }
    let lost: Vec<_> = promised.iter().filter(|message| !found.contains(message)).collect();
    assert!(lost.is_empty(), "{lost:?} of {promised:?} were synced, and are lost: {context}");
    tally.synced += promised.len() as u64;
    drop(queue);
    live_on::<F>(&path, &found, boot, &context);
    if boot < MAX_BOOTS && random.one_in(8) {
        let on_disk = recovery::on_disk(&bytes, &operations);
        let beginning = Beginning {
            boot,
            on_disk,
            bytes: opened,
            kept: found,
            delivered: machine.delivered.clone(),
            sent,
        };
        let machine = Machine::go_on::<F>(random, beginning);
        for number in 0..IMAGES_OF_A_LATER_BOOT {
            let image = machine.image(random);
            let context = format!("{context}; and in boot {boot}, image {number}: {image:?}");
            check_messages::<F>(&machine, &image, &context, random, tally);
        }
    }
}

/// The messages that were taken are gone, and the queue works in this boot and the next.
fn live_on<F: Flavour>(path: &Path, taken: &[u64], boot: u8, context: &str) {
    pretend::set_boot(boot);
    let queue = F::open(path, AfterPowerLoss::Refuse).unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(F::drain(&queue), Ok(vec![]), "{taken:?} were taken: {context}");
    let mut producer = F::producer(&queue).unwrap_or_else(|error| panic!("{error}: {context}"));
    // Small messages, of which ten fit wherever they begin.
    let messages: Vec<u64> = (143..153).map(|number| number * 7).collect();
    messages.iter().for_each(|message| assert!(F::send(&mut producer, *message), "{context}"));
    drop((producer, queue));
    pretend::set_boot(boot + 1);
    let queue = F::open(path, AfterPowerLoss::Refuse).unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_eq!(F::drain(&queue), Ok(messages), "{context}");
}

fn check<F: Flavour>(
    machine: &Machine,
    image: &Image,
    context: &str,
    random: &mut Random,
    tally: &mut Tally,
) {
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
    drop(queue);
    live_on::<F>(&path, &[], 2, context);
    check_interrupted::<F>(machine, image, context, random, tally);
}

/// The power fails during a remedy, or several. The file is in doubt then, or it is what a remedy makes of it.
fn check_interrupted<F: Flavour>(
    machine: &Machine,
    image: &Image,
    context: &str,
    random: &mut Random,
    tally: &mut Tally,
) {
    let losses = 1 + random.below(3);
    let discards = random.one_in(2);
    let what = if discards { AfterPowerLoss::Discard } else { AfterPowerLoss::Keep };
    let Interrupted { bytes, boot } =
        recovery::interrupted::<F>(machine, random, &image.bytes, (2, what), losses);
    tally.interrupted += losses;
    let context = format!("{context}, then {losses} losses during {what:?}");
    pretend::set_boot(boot);
    let path = machine.write(&bytes);
    if let Ok(queue) = F::open(&path, AfterPowerLoss::Refuse) {
        let found = F::drain(&queue);
        assert!(!discards || found == Ok(vec![]), "emptied, and {found:?}: {context}");
    }
    let path = machine.write(&bytes);
    let queue = F::open(&path, what).unwrap_or_else(|error| panic!("{error}: {context}"));
    let mut left = MOST_WRONG;
    while F::recv(&F::consumer(&queue).unwrap(), false) != Ok(None) {
        left -= 1;
        assert!(left > 0, "it does not end: {context}");
    }
    drop(queue);
    live_on::<F>(&path, &[], boot, &context);
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
fn mpmc_fewer_messages_than_slots() {
    simulate::<Bounded<Mpmc>>("MPMC, fewer messages than slots");
}

#[test]
fn mpmc_fewer_messages_than_slots_with_checksums() {
    simulate::<Bounded<Checksummed<Mpmc>>>("MPMC, fewer messages than slots, with checksums");
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
