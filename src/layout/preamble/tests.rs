//! Each kind of corruption of a preamble has its error, and no changed byte is accepted.

use super::super::GeometryRequest;
use super::*;

fn sample() -> Preamble {
    let request = GeometryRequest {
        framing: Framing::Variable,
        capacity: 4096,
        align: 16,
        description_len: 100,
        order: None,
    };
    let mut preamble = Preamble::new(&Geometry::new(request).unwrap());
    preamble.set_name("Tick");
    preamble
}

fn refused(change: impl FnOnce(&mut Preamble)) -> PreambleError {
    let mut preamble = sample();
    change(&mut preamble);
    Preamble::decode(&preamble.encode()).unwrap_err()
}

#[test]
fn what_is_written_is_read() {
    let preamble = sample();
    let (read, geometry) = Preamble::decode(&preamble.encode()).unwrap();
    assert_eq!(read, preamble);
    assert_eq!(read.schema_name(), "Tick");
    assert_eq!(geometry.capacity, 4096);
}

#[test]
fn each_kind_of_corruption_has_its_error() {
    use PreambleError as E;
    assert!(matches!(refused(|p| p.magic = *b"notmagic"), E::Magic { .. }));
    assert_eq!(refused(|p| p.endian = ENDIAN_TAG.swap_bytes()), E::Endianness);
    assert_eq!(refused(|p| p.version = 1), E::Version { found: 1 });
    assert_eq!(refused(|p| p.incompat = 4), E::Incompatible { bits: 4 });
    assert!(matches!(refused(|p| p.framing = 3), E::Field { name: "framing", .. }));
    assert!(matches!(refused(|p| p.fixed_len = 3), E::Field { name: "fixed_len", .. }));
    assert!(matches!(refused(|p| p.align = 3), E::Field { name: "payload alignment", .. }));
    assert!(matches!(refused(|p| p.capacity = u64::MAX), E::Field { name: "ring capacity", .. }));
    assert_eq!(refused(|p| p.stride = 2), E::Field { name: "stride", found: 2 });
    assert_eq!(refused(|p| p.lane_offset = 0), E::Field { name: "lane offset", found: 0 });
    assert_eq!(refused(|p| p.lane_len = u64::MAX), E::Field { name: "lane length", found: u64::MAX });
    assert_eq!(refused(|p| p.max_payload = 7), E::Field { name: "largest payload", found: 7 });
    assert!(matches!(refused(|p| p.name_len = 1000), E::Field { name: "name_len", .. }));
    assert!(matches!(refused(|p| p.description_len = 1 << 21), E::Field { name: "description length", .. }));
    assert!(matches!(refused(|p| p.description_len = 4000), E::Field { name: "lane offset", .. }));
    assert!(matches!(refused(|p| p.description_offset = 0), E::Field { name: "description offset", .. }));
}

#[test]
fn every_single_byte_counts() {
    let good = sample().encode();
    for at in 0..PREAMBLE_LEN {
        for flip in 1..=255 {
            let mut bytes = good;
            bytes[at] ^= flip;
            assert!(Preamble::decode(&bytes).is_err(), "byte {at:#x} ^ {flip:#x} was accepted");
        }
    }
}

#[test]
fn long_names_are_cut_between_characters() {
    let mut preamble = sample();
    preamble.set_name(&"é".repeat(NAME_LEN));
    assert_eq!(preamble.schema_name(), "é".repeat(NAME_LEN / 2));
}
