//! Lines of a trace by process, whole and without what changes from run to run.

use std::collections::BTreeMap;

/// By the order in which processes first appear.
pub(crate) type Lines = BTreeMap<usize, Vec<String>>;

/// Joins the two halves of interrupted calls; takes out addresses, pids, times and random bytes.
pub(crate) fn lines(trace: &str) -> Lines {
    let mut order: Vec<&str> = Vec::new();
    let mut begun: BTreeMap<usize, String> = BTreeMap::new();
    let mut whole: Vec<(usize, String)> = Vec::new();
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let process = order.iter().position(|known| *known == pid).unwrap_or_else(|| {
            order.push(pid);
            order.len() - 1
        });
        if let Some(half) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(process, half.trim_end().to_owned());
        } else if rest.starts_with("<... ") {
            let (mut line, end) = (
                begun.remove(&process).unwrap_or_default(),
                rest.split_once("resumed>").map_or("", |it| it.1),
            );
            line.push_str(if line.ends_with(',') { " " } else { "" });
            line.push_str(end);
            whole.push((process, line));
        } else {
            whole.push((process, rest.to_owned()));
        }
    }
    let mut lines = Lines::new();
    for (process, line) in whole {
        lines.entry(process).or_default().push(plain(&line, &order));
    }
    lines
}

/// Without addresses, pids, times, random bytes and alignment; signals by name alone.
fn plain(line: &str, pids: &[&str]) -> String {
    if let Some(rest) = line.strip_prefix("--- ") {
        return format!("--- {}", rest.split(' ').next().unwrap_or(""));
    }
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let word = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or("");
        if word.is_empty() {
            if !(first == ' ' && out.ends_with(' ')) {
                out.push(first);
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        out.push_str(&plain_word(word, &out, pids));
        rest = &rest[word.len()..];
    }
    if out.starts_with("getrandom(") {
        let end = out.rfind("\", ").unwrap_or(out.len());
        out.replace_range("getrandom(".len().min(out.len())..end, "");
    }
    out
}

/// A number after one of these names changes from run to run.
const CHANGING: [&str; 14] = [
    "tv_sec=",
    "tv_nsec=",
    "tv_usec=",
    "si_utime=",
    "si_stime=",
    "uptime=",
    "freeram=",
    "bufferram=",
    "procs=",
    "sharedram=",
    "f_bfree=",
    "f_bavail=",
    "f_ffree=",
    "loads=[",
];

fn plain_word(word: &str, before: &str, pids: &[&str]) -> String {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let address = word.strip_prefix("0x").is_some_and(|hex| hex.len() > 5 && !before.contains("_IOC("));
    if address {
        "ADDRESS".to_owned()
    } else if digits && (before.starts_with("sysinfo(") || CHANGING.iter().any(|name| before.ends_with(name)))
    {
        "N".to_owned()
    } else if let Some(process) = pids.iter().position(|pid| *pid == word) {
        format!("PID{process}")
    } else {
        word.to_owned()
    }
}
