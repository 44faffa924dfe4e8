//! Bars, the best on top.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{FAINT, RINGWAY, TEXT, heading, is_ours};
use crate::measure::Scope;
use crate::output::groups::{Group, size_name};
use crate::record::readable;

const WIDTH: u32 = 860;
const TOP: i32 = 48;
const BAR: i32 = 24;
/// Where bars begin ...
const LEFT: i32 = 220;
/// ... and the room for their longest.
const LONGEST: f64 = 520.0;

/// Draws the figures of one size; false if there are none.
pub(super) fn draw(path: &Path, group: &Group<'_>, index: usize) -> Result<bool> {
    let figure = |row: &crate::output::groups::Row<'_>| row.medians().nth(index).flatten();
    let mut rows: Vec<_> = group.rows.iter().filter_map(|row| Some((row, figure(row)?))).collect();
    rows.sort_by(|one, other| other.1.total_cmp(&one.1));
    if group.is_latency() {
        rows.reverse();
    }
    let Some(most) = rows.iter().map(|(_, figure)| *figure).max_by(f64::total_cmp) else {
        return Ok(false);
    };
    let height = TOP + BAR * rows.len() as i32 + 16;
    let area = SVGBackend::new(path, (WIDTH, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!("{}, {}", heading(group), size_name(group.sizes[index]));
    area.draw(&Text::new(title, (16, 16), ("sans-serif", 18).into_font().color(&TEXT)))?;
    for (number, (row, figure)) in rows.iter().enumerate() {
        let top = TOP + BAR * number as i32;
        let end = LEFT + (figure / most * LONGEST).round().max(1.0) as i32;
        let color = match (is_ours(row), row.scope) {
            (true, _) => RINGWAY,
            (false, Scope::Threads) => FAINT,
            (false, _) => RGBColor(120, 150, 190),
        };
        area.draw(&Rectangle::new([(LEFT, top + 3), (end, top + BAR - 3)], color.filled()))?;
        let style = ("sans-serif", 14).into_font().color(&TEXT);
        let right = style.pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(row.label(), (LEFT - 8, top + BAR / 2), right))?;
        let left = ("sans-serif", 14).into_font().color(&TEXT).pos(Pos::new(HPos::Left, VPos::Center));
        let unit = if group.is_latency() { "ns" } else { "msg/s" };
        area.draw(&Text::new(readable(unit, *figure), (end + 8, top + BAR / 2), left))?;
    }
    area.present()?;
    Ok(true)
}
