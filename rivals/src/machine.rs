//! The machine of the run.

use std::fs::read_to_string;

/// In one line.
pub(crate) fn describe() -> String {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()));
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cache = |index: u32| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
        read_to_string(path).map_or_else(|_| "?".into(), |size| size.trim().to_owned())
    };
    format!(
        "{}, {cores} cores, L2 {} each, L3 {}, Linux {}; ringway {}",
        model.unwrap_or("an unknown processor"),
        cache(2),
        cache(3),
        kernel.trim(),
        env!("CARGO_PKG_VERSION")
    )
}
