//! Plots.

use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) fn write(_directory: &Path, _records: &[crate::record::Record]) -> Result<Vec<PathBuf>> {
    Ok(Vec::new())
}
