//! The table: seconds for the native run, ratios of added time for the rest.

use std::fmt::Write as _;
use std::io::{Result, Write as _, stdout};
use std::process::Command;

use super::WAYS;

/// Where and when, and the names of the columns.
pub(crate) fn head() -> Result<()> {
    let date = Command::new("date").args(["-u", "+%F"]).output()?.stdout;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let cpu = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(" : unknown");
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}, Linux {}, {}, {} CPUs\n",
        String::from_utf8_lossy(&date).trim(),
        kernel.trim(),
        cpu.trim_start_matches([' ', '\t', ':']),
        info.lines().filter(|line| line.starts_with("processor")).count()
    );
    let _ = writeln!(text, "| placement | workload | native s | {} added s |{}", WAYS[1].0, ratio_heads());
    let _ = writeln!(text, "|---|---|---|---|{}", "---|".repeat(WAYS.len() - 1));
    stdout().write_all(text.as_bytes())
}

fn ratio_heads() -> String {
    let mut text: String = WAYS[2..].iter().map(|(name, _)| format!(" {name} / loop |")).collect();
    text += " tracefd / strace |";
    text
}

/// One workload. `times` are those of [`WAYS`].
pub(crate) fn row(placement: &str, workload: &str, times: &[Option<f64>]) -> Result<()> {
    let native = times[0].unwrap_or(0.0);
    let added: Vec<Option<f64>> = times.iter().map(|time| time.map(|time| time - native)).collect();
    let ratio = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => format!(" {:.2} |", a / b),
        _ => " – |".into(),
    };
    let mut text = format!("| {placement} | {workload} | {native:.3} | {:.3} |", added[1].unwrap_or(0.0));
    added[2..].iter().for_each(|&time| text += &ratio(time, added[1]));
    text += &ratio(added[4], added[3]);
    writeln!(stdout(), "{text}")
}

/// What is missing, and why.
pub(crate) fn foot() -> Result<()> {
    let strace = conformance::needs::find_program("strace").is_none();
    let reason = if strace { " strace: not found." } else { "" };
    writeln!(stdout(), "\n–: not measured. \"kernel alone\" follows one process only.{reason}")
}
