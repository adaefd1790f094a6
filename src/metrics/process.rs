//! Metrics of the process, under the names that programs of every kind have.

use std::fmt::Write as _;
use std::fs;

/// Ticks in a second of CPU time, as Linux counts it for programs.
const TICKS: f64 = 100.0;

/// Appends the metrics that the system tells of this process, which began at `started`, a Unix time.
pub(super) fn encode(text: &mut String, started: f64) {
    let mut add = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        let Some(value) = value else { return };
        let suffix = if kind == "counter" { "_total" } else { "" };
        let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name}{suffix} {value}");
    };
    add("process_cpu_seconds", "counter", "CPU time spent", cpu_seconds());
    add("process_resident_memory_bytes", "gauge", "Memory in use", resident_bytes());
    add("process_open_fds", "gauge", "Open files and connections", open_files());
    add("process_max_fds", "gauge", "Files and connections that may be open", open_files_limit());
    add("process_start_time_seconds", "gauge", "Start of the process, as a Unix time", Some(started));
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, can have spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / TICKS)
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0)
}

fn open_files() -> Option<f64> {
    // Without the one that counts them.
    let count = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(count).ok().map(f64::from)
}

fn open_files_limit() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
