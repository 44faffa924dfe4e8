//! Links of consecutive positions.

use super::Links;
use crate::layout::Link;
use crate::layout::order::LinkState;
use crate::sync::Ordering;

/// A position's link, and the position's lap: what a run has of each, without working it out anew.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) link: &'a Link,
    pub(super) lap: u64,
}

impl Step<'_> {
    /// `SYNC commit`, `SYNC release`: what came before the state that is seen is seen too.
    #[inline(always)]
    pub(super) fn state(self) -> LinkState {
        LinkState(self.link.state.load(Ordering::Acquire))
    }
}

impl Links {
    #[inline(always)]
    pub(super) fn step(&self, position: u64) -> Step<'_> {
        Step { link: self.link(position), lap: self.lap(position) }
    }

    /// Those of `count` positions from `first` on, but no more than there are links.
    ///
    /// Two slices, so that going through a run is little code: drive it from inside (`for_each`, `count`).
    #[inline(always)]
    pub(super) fn run(&self, first: u64, count: u64) -> impl Iterator<Item = Step<'_>> {
        let (slot, lap, count) = (self.slot(first), self.lap(first), count.min(self.count()) as usize);
        let (before, from) = self.links.split_at(slot);
        let here = count.min(from.len());
        let next = count.saturating_sub(here).min(before.len());
        // Wrapping: a word that makes no sense must not make anybody panic.
        steps(&from[..here], lap).chain(steps(&before[..next], lap.wrapping_add(1)))
    }
}

#[inline(always)]
fn steps(links: &[Link], lap: u64) -> impl Iterator<Item = Step<'_>> {
    links.iter().map(move |link| Step { link, lap })
}
