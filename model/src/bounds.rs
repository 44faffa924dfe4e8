//! How bounds are written in tables: `slots 2, P 1, C 2, kills 1`; what is zero is left out.

use std::fmt;

pub(crate) fn write(f: &mut fmt::Formatter, bounds: &[(&str, usize)]) -> fmt::Result {
    let given = bounds.iter().filter(|(_, number)| *number > 0);
    for (i, (name, number)) in given.enumerate() {
        write!(f, "{}{name} {number}", if i == 0 { "" } else { ", " })?;
    }
    Ok(())
}
