//! Flips every pair of bits of the preamble. `tests/every_header.rs` does the same with single
//! bytes and whole files.

use super::super::GeometryRequest;
use super::*;

/// Debug builds check one pair in this many.
const STEP: usize = if cfg!(debug_assertions) { 101 } else { 1 };

fn samples() -> Vec<[u8; PREAMBLE_LEN]> {
    use super::super::OrderRequest;
    let policy = Policy { at_most_once: false, max_redeliveries: 3, is_dead_letter_queue: false };
    let order = OrderRequest { slots: 13, participants: 4, policy, broadcast: None };
    [(Framing::Variable, None), (Framing::Fixed { len: 24 }, None), (Framing::Variable, Some(order))]
        .into_iter()
        .map(|(framing, order)| {
            let request = GeometryRequest { framing, capacity: 4096, align: 16, description_len: 0, order };
            let mut preamble = Preamble::new(&Geometry::new(request).expect("a possible one"));
            preamble.set_name("Tick");
            preamble.encode()
        })
        .collect()
}

fn flip(bytes: &mut [u8; PREAMBLE_LEN], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// Where the last meaningful field ends.
fn fields_end() -> usize {
    let mut good = [0xff; PREAMBLE_LEN];
    Preamble::get_fields(&[0; PREAMBLE_LEN]).put_fields(&mut good);
    good[..CHECKSUM_OFFSET].iter().rposition(|byte| *byte == 0).expect("some field") + 1
}

/// What comes after the checksum: with the checksum out of the way, the fields alone must lead to
/// an error or a sound geometry.
#[test]
fn no_pair_of_bits_makes_fields_that_are_believed_wrongly() {
    let bits = fields_end() * 8;
    assert!(bits >= 0x198 * 8, "the fields end at {bits} bits");
    let (mut refused, mut accepted) = (0_u64, 0_u64);
    for (number, good) in samples().into_iter().enumerate() {
        for first in 0..bits {
            for second in (first + 1 + (first + number) % STEP..bits).step_by(STEP) {
                let mut bytes = good;
                flip(&mut bytes, first);
                flip(&mut bytes, second);
                let preamble = Preamble::get_fields(&bytes);
                match preamble.geometry() {
                    Err(_) => refused += 1,
                    Ok(geometry) => {
                        accepted += 1;
                        assert_eq!(geometry.check(), Ok(()), "bits {first} and {second}");
                        assert!(
                            geometry.file_len() < 1 << 62 && geometry.max_payload < geometry.lane_len,
                            "bits {first} and {second}: {geometry:?}"
                        );
                    }
                }
            }
        }
    }
    println!("{refused} refused, {accepted} change nothing that geometry depends on");
    assert!(refused > accepted / 100 && accepted > 0);
}

/// Whole preambles, as they are read from files: no pair of flipped bits gets past the checksum, or
/// is unchecked.
#[test]
fn no_pair_of_bits_is_accepted() {
    for good in samples() {
        // FNV-1a, step by step: the sum before each byte.
        let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let mut sums = vec![0xcbf2_9ce4_8422_2325_u64];
        for byte in &good[..CHECKSUM_OFFSET] {
            sums.push(step(sums[sums.len() - 1], *byte));
        }
        assert_eq!(
            sums[CHECKSUM_OFFSET],
            checksum(&good[..CHECKSUM_OFFSET]),
            "this is not the sum that is used"
        );
        for first in (0..CHECKSUM_OFFSET * 8).step_by(STEP) {
            // Two bits that are both covered by the sum. A step with a given byte maps different
            // sums to different ones, so if they differ after the second bit, they differ at the
            // end.
            let mut sum = sums[first / 8];
            for at in first / 8..CHECKSUM_OFFSET {
                let flipped = if at == first / 8 { good[at] ^ 1 << (first % 8) } else { good[at] };
                let next = if at == first / 8 { first % 8 + 1 } else { 0 };
                for second in next..8 {
                    let sum = step(sum, flipped ^ 1 << second);
                    assert_ne!(sum, sums[at + 1], "bits {first} and {}", at * 8 + second);
                }
                sum = step(sum, flipped);
            }
        }
        // One bit in the sum itself or in the ready word; and a sample of all pairs through the
        // whole of `decode`.
        let sum_and_ready = CHECKSUM_OFFSET * 8..PREAMBLE_LEN * 8;
        for first in (0..PREAMBLE_LEN * 8).step_by(STEP) {
            let sampled = (first + 1..PREAMBLE_LEN * 8).step_by(1009);
            for second in sum_and_ready.clone().chain(sampled).filter(|second| *second != first) {
                let mut bytes = good;
                flip(&mut bytes, first);
                flip(&mut bytes, second);
                assert!(Preamble::decode(&bytes).is_err(), "bits {first} and {second}");
            }
        }
    }
}

/// Each maximum of messages is written in one way: as many as slots is 0.
#[test]
fn a_maximum_of_messages_is_written_in_one_way() {
    let [.., mpmc] = &samples()[..] else { panic!("the MPMC one is the last") };
    let with = |max_messages| Preamble { max_messages, ..Preamble::get_fields(mpmc) }.geometry();
    let slots = Preamble::get_fields(mpmc).slots;
    for most in [0, 1, 13, slots - 1] {
        let geometry = with(most).unwrap_or_else(|error| panic!("{most}: {error:?}"));
        assert_eq!(Preamble::new(&geometry).max_messages, most);
    }
    for wrong in [slots, slots + 1, u64::MAX] {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}
