//! How many of both, and on which cores.

/// The maximum number of producers, and of consumers.
pub(crate) const MOST: usize = 4;

/// Where producers and consumers run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Producers on core 0, consumers on core 1.
    Apart,
    /// Half of each on both.
    Crossed,
}

#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
    pub(crate) placement: Placement,
}

impl Shape {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let placements = [Placement::Apart, Placement::Crossed];
        let shapes = [(1, 1), (2, 1), (1, 2), (2, 2), (4, 4)];
        let all = shapes.into_iter().flat_map(move |(producers, consumers)| {
            placements.map(|placement| Self { producers, consumers, placement })
        });
        // One of each has no halves.
        all.filter(|shape| shape.placement == Placement::Apart || shape.producers + shape.consumers > 2)
    }

    pub(crate) fn core_of_producer(&self, index: usize) -> usize {
        match self.placement {
            Placement::Apart => 0,
            Placement::Crossed => index % 2,
        }
    }

    pub(crate) fn core_of_consumer(&self, index: usize) -> usize {
        match self.placement {
            Placement::Apart => 1,
            Placement::Crossed => (index + 1) % 2,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let placement = match self.placement {
            Placement::Apart => "apart",
            Placement::Crossed => "crossed",
        };
        write!(f, "{}p{}c/{placement}", self.producers, self.consumers)
    }
}
