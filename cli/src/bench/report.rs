//! The output: human-readable tables, or one JSON object.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::plan::{Case, Plan, RECOVERY, Scale};
use super::recovery::Recovery;
use super::statistics::{Percentiles, Spread};

/// The whole result. Its JSON form is documented in docs/cli-json.md; fields are added, never
/// renamed.
#[derive(Serialize)]
pub(super) struct Report {
    machine: Machine,
    scale: Scale,
    runs: u32,
    limits: Limits,
    cases: Vec<CaseResult>,
    latency: Vec<LatencyResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<Recovery>,
}

#[derive(Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    cores_used: [usize; 2],
    l2_cache: Option<String>,
    kernel: String,
    ringway: &'static str,
}

/// The machine's limits, without any queue.
#[derive(Serialize)]
pub(super) struct Limits {
    pingpong_p50_ns: u64,
    pingpong_p99_ns: u64,
    stream_bytes_per_s: f64,
    stream_bytes_per_s_min: f64,
    stream_bytes_per_s_max: f64,
}

#[derive(Serialize)]
struct CaseResult {
    name: String,
    bytes: usize,
    batch: usize,
    msgs_per_s: Spread,
    bytes_per_s: f64,
    /// Relative to the streaming limit.
    ratio_to_stream: f64,
}

#[derive(Serialize)]
struct LatencyResult {
    name: String,
    #[serde(flatten)]
    percentiles: Percentiles,
    /// Relative to the ping-pong limit, by medians.
    ratio_to_pingpong: f64,
}

impl Limits {
    pub(super) fn new(pingpong: &[Percentiles], streams: &[f64]) -> Self {
        let pingpong = Percentiles::median_of(pingpong);
        let stream = Spread::of(streams);
        Self {
            pingpong_p50_ns: pingpong.p50_ns,
            pingpong_p99_ns: pingpong.p99_ns,
            stream_bytes_per_s: stream.median,
            stream_bytes_per_s_min: stream.min,
            stream_bytes_per_s_max: stream.max,
        }
    }
}

impl Report {
    pub(super) fn new(
        cores: [usize; 2],
        plan: &Plan,
        limits: Limits,
        rates: Vec<Spread>,
        round_trips: Vec<Percentiles>,
        recovery: Option<Recovery>,
    ) -> Self {
        let cases =
            plan.throughput.iter().zip(rates).map(|(case, rate)| case_result(case, rate, &limits)).collect();
        let latency = plan.latency.iter().zip(round_trips).map(|(case, percentiles)| LatencyResult {
            name: format!(
                "spsc/{}/spin",
                case.name().split('/').skip(1).take(2).collect::<Vec<_>>().join("/")
            ),
            percentiles,
            ratio_to_pingpong: percentiles.p50_ns as f64 / limits.pingpong_p50_ns as f64,
        });
        let (machine, runs, latency) = (Machine::detect(cores), plan.runs, latency.collect());
        Self { machine, scale: plan.scale, runs, latency, limits, cases, recovery }
    }

    /// Prints the tables.
    pub(super) fn print(&self) {
        let Machine { cpu, cores, cores_used: [producer, consumer], kernel, .. } = &self.machine;
        println!("{cpu}, {cores} cores (producers on {producer}, consumers on {consumer}), Linux {kernel}");
        println!("Processes, every message checked. Medians of {} interleaved runs.\n", self.runs);
        println!("This machine's limits");
        println!("  cache-line ping-pong  p50 {} ns", self.limits.pingpong_p50_ns);
        println!("  streaming lines       {:.1} GB/s\n", self.limits.stream_bytes_per_s / 1e9);
        if !self.cases.is_empty() {
            println!("Throughput\n{}\n", self.throughput_table());
        }
        if !self.latency.is_empty() {
            println!("Round trip, spinning (ns)\n{}", self.latency_table());
        }
        if let Some(recovery) = &self.recovery {
            println!("\nStandstill of the others after kill -9 (µs)\n{}", recovery_table(recovery));
        }
        if self.scale != Scale::Full {
            println!("\nLonger runs and more kills: --full. All numbers: --json.");
        }
    }

    fn throughput_table(&self) -> Table {
        let header = ["case", "M msg/s", "min", "max", "GB/s", "of the limit"];
        let rows = self.cases.iter().map(|case| {
            let million = |rate: f64| significant(rate / 1e6);
            [
                case.name.clone(),
                million(case.msgs_per_s.median),
                million(case.msgs_per_s.min),
                million(case.msgs_per_s.max),
                significant(case.bytes_per_s / 1e9),
                format!("{:.2}", case.ratio_to_stream),
            ]
        });
        table(&header, rows)
    }

    fn latency_table(&self) -> Table {
        let header = ["case", "p50", "p90", "p99", "p99.9", "max", "p50 of the limit"];
        let rows = self.latency.iter().map(|result| {
            let Percentiles { p50_ns, p90_ns, p99_ns, p999_ns, max_ns } = result.percentiles;
            let [p50, p90, p99, p999, max] =
                [p50_ns, p90_ns, p99_ns, p999_ns, max_ns].map(|ns| ns.to_string());
            [result.name.clone(), p50, p90, p99, p999, max, format!("{:.2}", result.ratio_to_pingpong)]
        });
        table(&header, rows)
    }
}

fn recovery_table(recovery: &Recovery) -> Table {
    let row = |name: &str, times: [Option<u64>; 3], trials: u64| {
        let [p50, p99, max] = times.map(|ns| ns.map_or_else(String::new, |ns| (ns / 1000).to_string()));
        [format!("{RECOVERY}/{name}"), p50, p99, max, trials.to_string()]
    };
    let Recovery { p50_ns, p99_ns, max_ns, trials, aside } = *recovery;
    let mut rows = vec![row("claimer", [p50_ns, p99_ns, max_ns].map(Some), trials)];
    if let Some(aside) = aside {
        let holder = [aside.holder_p50_ns, aside.holder_p99_ns, aside.holder_max_ns].map(Some);
        rows.push(row("holder", holder, aside.holder_trials));
        let touched = [Some(aside.touched_256mib_p50_ns), None, None];
        rows.push(row("claimer of 256 MiB", touched, aside.touched_256mib_trials));
    }
    table(&["killed", "p50", "p99", "max", "kills"], rows.into_iter())
}

fn case_result(case: &Case, rate: Spread, limits: &Limits) -> CaseResult {
    let bytes_per_s = rate.median * case.bytes as f64;
    CaseResult {
        name: case.name(),
        bytes: case.bytes,
        batch: case.batch,
        msgs_per_s: rate,
        bytes_per_s,
        ratio_to_stream: bytes_per_s / limits.stream_bytes_per_s,
    }
}

fn table<const N: usize>(header: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Rounds to three significant digits.
fn significant(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

impl Machine {
    fn detect(cores_used: [usize; 2]) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        let info = read("/proc/cpuinfo").unwrap_or_default();
        let model =
            info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
        Self {
            cpu: model.unwrap_or("unknown CPU").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cores_used,
            l2_cache: read("/sys/devices/system/cpu/cpu0/cache/index2/size"),
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
            ringway: env!("CARGO_PKG_VERSION"),
        }
    }
}
