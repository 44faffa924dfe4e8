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
    /// Two stretches, so that going through a run is little code: a loop over the steps of one, inside a loop over both. An
    /// iterator over all steps would have the body of the loop twice, or out of line.
    #[inline(always)]
    pub(super) fn run(&self, first: u64, count: u64) -> [Stretch<'_>; 2] {
        let (slot, lap, count) = (self.slot(first), self.lap(first), count.min(self.count()) as usize);
        let (before, from) = self.links.split_at(slot);
        let here = count.min(from.len());
        let next = count.saturating_sub(here).min(before.len());
        // Wrapping: a word that makes no sense must not make anybody panic.
        let next_lap = lap.wrapping_add(1);
        [Stretch { links: &from[..here], lap }, Stretch { links: &before[..next], lap: next_lap }]
    }
}

/// Links side by side, of one lap.
#[derive(Clone, Copy)]
pub(super) struct Stretch<'a> {
    links: &'a [Link],
    lap: u64,
}

impl<'a> Stretch<'a> {
    #[inline(always)]
    pub(super) fn steps(self) -> impl Iterator<Item = Step<'a>> {
        self.links.iter().map(move |link| Step { link, lap: self.lap })
    }
}

/// How many steps of a run there are before the first that is not so.
#[inline(always)]
pub(super) fn count_while(run: [Stretch<'_>; 2], is_so: impl Fn(Step<'_>) -> bool) -> u64 {
    let mut count = 0;
    for stretch in run {
        for step in stretch.steps() {
            if !is_so(step) {
                return count;
            }
            count += 1;
        }
    }
    count
}
