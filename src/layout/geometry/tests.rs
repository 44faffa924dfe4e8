//! Which requests are accepted, and that what is accepted passes the check of what is read from files.

use super::*;

#[test]
fn geometries_that_are_made_are_accepted() {
    for align in [1, 2, 8, 16, 128] {
        for capacity in [0, 1, 1000, 4096, 100_000, 1 << 20, MAX_CAPACITY] {
            for framing in [
                Framing::Variable,
                Framing::Fixed { len: 1 },
                Framing::Fixed { len: 24 },
                Framing::Fixed { len: 1 << 21 },
            ] {
                let description_len = 2000 + 3000 * (capacity % 2);
                let request = GeometryRequest { framing, capacity, align, description_len, order: None };
                let geometry = Geometry::new(request).unwrap();
                assert!(geometry.description_offset() + description_len <= geometry.lane_offset);
                assert_eq!(geometry.check(), Ok(()), "{geometry:?}");
                assert!(geometry.ring_bytes() >= capacity.min(capacity / geometry.stride * geometry.stride));
                assert!(geometry.lane_len >= LEAD as u64 + geometry.ring_bytes());
            }
        }
    }
}

#[test]
fn the_largest_frame_fits_an_empty_ring_at_every_index() {
    for (capacity, align) in [(0, 8), (0, 128), (1024, 16), (1 << 20, 64)] {
        let request =
            GeometryRequest { framing: Framing::Variable, capacity, align, description_len: 0, order: None };
        let geometry = Geometry::new(request).unwrap();
        assert!(geometry.max_payload > 0);
        let size = (geometry.max_payload + WORD).next_multiple_of(geometry.align);
        for index in (0..geometry.capacity).step_by(align as usize) {
            let padding = if index + size > geometry.capacity { geometry.capacity - index } else { 0 };
            assert!(padding + size + geometry.align <= geometry.capacity, "index {index}");
        }
    }
}

#[test]
fn invalid_requests_are_refused() {
    let with = |framing, capacity, align| {
        Geometry::new(GeometryRequest { framing, capacity, align, description_len: 0, order: None })
    };
    assert!(matches!(with(Framing::Variable, 4096, 3), Err(GeometryError::Align { align: 3 })));
    assert!(matches!(with(Framing::Variable, 4096, 256), Err(GeometryError::Align { align: 256 })));
    assert!(matches!(with(Framing::Variable, u64::MAX, 8), Err(GeometryError::CapacityTooLarge { .. })));
    assert!(matches!(with(Framing::Fixed { len: 0 }, 4096, 8), Err(GeometryError::FixedLen { len: 0 })));
    assert!(matches!(with(Framing::Fixed { len: u64::MAX }, 4096, 8), Err(GeometryError::FixedLen { .. })));
}
