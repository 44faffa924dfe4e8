//! Plots, as SVG: lines over sizes, and bars at 64 bytes.

mod bars;
mod sweep;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plotters::style::RGBColor;

use super::groups::{self, Group, Row};
use crate::measure::Scope;
use crate::record::Record;

const RINGWAY: RGBColor = RGBColor(217, 72, 15);
const TEXT: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(215, 215, 215);
/// For the other systems: distinguishable on white, by most readers.
const OTHERS: [RGBColor; 10] = [
    RGBColor(31, 119, 180),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(23, 160, 180),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
    RGBColor(168, 150, 20),
    RGBColor(10, 60, 120),
    RGBColor(20, 90, 50),
];

/// The size of which there are bars, if it was measured.
const BAR_SIZE: usize = 64;

/// Draws every plot for which there are figures; returns the files.
pub(crate) fn write(directory: &Path, records: &[Record]) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    let mut files = Vec::new();
    for group in groups::of(records) {
        let name = group.name.replace('/', "-");
        let path = |suffix: &str| directory.join(format!("{name}-{suffix}.svg"));
        if let Some(index) = group.sizes.iter().position(|size| *size == BAR_SIZE) {
            let file = path("64");
            if bars::draw(&file, &group, index).with_context(|| format!("drawing {}", file.display()))? {
                files.push(file);
            }
        }
        for scope in [Scope::Processes, Scope::Threads] {
            let file = path(scope.name());
            if sweep::draw(&file, &group, scope).with_context(|| format!("drawing {}", file.display()))? {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// What a group's figures are.
fn heading(group: &Group<'_>) -> String {
    let what = if group.is_latency() { "round trip, ns" } else { "messages a second" };
    format!("{}: {what}", group.name)
}

/// Whether it is highlighted.
fn is_ours(row: &Row<'_>) -> bool {
    row.system == "ringway"
}
