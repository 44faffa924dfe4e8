//! Lines over the sizes of messages.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{FAINT, OTHERS, RINGWAY, TEXT, heading, is_ours};
use crate::measure::Scope;
use crate::output::groups::{Group, Row, size_name};
use crate::record::readable;

const SIZE: (u32, u32) = (980, 560);
/// Room for the names, at the right.
const NAMES: u32 = 210;
const NAME_HEIGHT: i32 = 22;

/// A line: its system, colour, and points by the sizes' numbers.
struct Line<'r> {
    label: String,
    style: ShapeStyle,
    dashed: bool,
    row: &'r Row<'r>,
}

impl Line<'_> {
    fn points(&self) -> Vec<(f64, f64)> {
        let medians = self.row.medians().enumerate();
        medians.filter_map(|(number, median)| Some((number as f64, median?))).collect()
    }
}

/// Draws the systems of a scope, and ringway between processes in any case; false if there are no
/// lines.
pub(super) fn draw(path: &Path, group: &Group<'_>, scope: Scope) -> Result<bool> {
    let lines = lines(group, scope);
    let figures = || lines.iter().flat_map(|line| line.points()).map(|(_, figure)| figure);
    let (Some(least), Some(most)) = (figures().min_by(f64::total_cmp), figures().max_by(f64::total_cmp))
    else {
        return Ok(false);
    };
    if group.sizes.len() < 2 || !lines.iter().any(|line| line.row.scope == scope) {
        return Ok(false);
    }
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(SIZE.0 - NAMES);
    let sizes = group.sizes.clone();
    let mut chart = ChartBuilder::on(&left)
        .caption(format!("{}, {}", heading(group), scope.name()), ("sans-serif", 18).into_font().color(&TEXT))
        .margin(14)
        .x_label_area_size(36)
        .y_label_area_size(76)
        .build_cartesian_2d(-0.2..sizes.len() as f64 - 0.8, (least * 0.7..most * 1.4).log_scale())?;
    let unit = if group.is_latency() { "ns" } else { "msg/s" };
    chart
        .configure_mesh()
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .axis_style(TEXT)
        .label_style(("sans-serif", 13).into_font().color(&TEXT))
        .x_labels(sizes.len() * 2)
        .x_label_formatter(&|number| name_of(&sizes, *number))
        .y_label_formatter(&|figure| readable(unit, *figure))
        .draw()?;
    for line in &lines {
        let points = line.points();
        if line.dashed {
            chart.draw_series(DashedLineSeries::new(points.clone(), 6, 4, line.style))?;
        } else {
            chart.draw_series(LineSeries::new(points.clone(), line.style))?;
        }
        let dot = |point| Circle::new(point, 3, line.style.filled());
        chart.draw_series(points.into_iter().map(dot))?;
    }
    for (number, line) in lines.iter().enumerate() {
        let y = 56 + NAME_HEIGHT * number as i32;
        right.draw(&PathElement::new([(0, y), (26, y)], line.style))?;
        let style = ("sans-serif", 14).into_font().color(&TEXT).pos(Pos::new(HPos::Left, VPos::Center));
        right.draw(&Text::new(line.label.clone(), (34, y), style))?;
    }
    area.present()?;
    Ok(true)
}

/// In the order of their last points, as they stand at the right end.
fn lines<'r>(group: &'r Group<'r>, scope: Scope) -> Vec<Line<'r>> {
    let shown = |row: &&Row<'_>| row.scope == scope || (is_ours(row) && row.scope == Scope::Processes);
    let mut others = OTHERS.into_iter().cycle();
    let line = |row: &'r Row<'r>| {
        let dashed = row.scope == Scope::Threads && is_ours(row);
        let style = if is_ours(row) {
            RINGWAY.stroke_width(if dashed { 2 } else { 4 })
        } else {
            others.next().unwrap_or(TEXT).stroke_width(2)
        };
        Line { label: row.label(), style, dashed, row }
    };
    let mut lines: Vec<_> = group.rows.iter().filter(shown).map(line).collect();
    lines.retain(|line| !line.points().is_empty());
    let last = |line: &Line<'_>| line.points().last().copied().unwrap_or_default();
    lines.sort_by(|one, other| last(other).partial_cmp(&last(one)).unwrap_or(std::cmp::Ordering::Equal));
    lines
}

/// Only whole numbers have one.
fn name_of(sizes: &[usize], number: f64) -> String {
    let whole = (number - number.round()).abs() < 0.01 && number > -0.1;
    let size = if whole { sizes.get(number.round() as usize) } else { None };
    size.map_or(String::new(), |size| size_name(*size))
}
