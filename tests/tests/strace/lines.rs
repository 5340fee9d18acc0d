//! Lines of a trace by process, whole and without what changes from run to run.

use std::collections::BTreeMap;

/// By descent: the command is `0`, its first child `0.0`. Who prints first is an accident, who is born first is not.
pub(crate) type Lines = BTreeMap<String, Vec<String>>;

/// Joins the two halves of interrupted calls; takes out addresses, pids, times and random bytes.
pub(crate) fn lines(trace: &str) -> Lines {
    let mut pids: Vec<&str> = Vec::new();
    let mut begun: BTreeMap<&str, String> = BTreeMap::new();
    let mut whole: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if !pids.contains(&pid) {
            pids.push(pid);
        }
        if let Some(half) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, half.trim_end().to_owned());
        } else if rest.starts_with("<... ") {
            let mut line = begun.remove(pid).unwrap_or_default();
            line.push_str(if line.ends_with(',') { " " } else { "" });
            line.push_str(rest.split_once("resumed>").map_or("", |(_, end)| end));
            whole.entry(pid).or_default().push(line);
        } else {
            whole.entry(pid).or_default().push(rest.to_owned());
        }
    }
    let names = names(&pids, &whole);
    let plain = |(pid, lines): (&str, &Vec<String>)| {
        let name = |pid: &str| names.get(pid).map_or(pid, String::as_str).to_owned();
        (name(pid), lines.iter().map(|line| plain(line, &names)).collect())
    };
    whole.iter().map(|(pid, lines)| plain((*pid, lines))).collect()
}

/// Descent, from the results of the calls that make tasks.
fn names(pids: &[&str], whole: &BTreeMap<&str, Vec<String>>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let mut left: Vec<(String, String)> =
        pids.first().map(|pid| ((*pid).to_owned(), "0".to_owned())).into_iter().collect();
    while let Some((pid, name)) = left.pop() {
        let born = whole.get(pid.as_str()).into_iter().flatten().filter_map(|line| {
            let makes = ["clone(", "clone3(", "fork(", "vfork("].iter().any(|call| line.starts_with(call));
            let (_, child) = line.rsplit_once("= ").filter(|_| makes)?;
            pids.contains(&child).then(|| child.to_owned())
        });
        for (at, child) in born.enumerate() {
            left.push((child, format!("{name}.{at}")));
        }
        names.insert(pid, name);
    }
    names
}

/// Without addresses, pids, times, inodes, random bytes and alignment.
fn plain(line: &str, names: &BTreeMap<String, String>) -> String {
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
        out.push_str(&plain_word(word, &out, names));
        rest = &rest[word.len()..];
    }
    // What a time means in words changes with it, and is not there for zero.
    while let Some(start) = out.find(" /* 20") {
        let end = out[start..].find("*/").map_or(out.len(), |length| start + length + 2);
        out.replace_range(start..end, "");
    }
    if out.starts_with("getrandom(") {
        let end = out.rfind("\", ").unwrap_or(out.len());
        out.replace_range("getrandom(".len().min(out.len())..end, "");
    }
    out
}

/// A number after one of these names changes from run to run.
const CHANGING: [&str; 33] = [
    "st_ino=",
    "st_atime=",
    "st_mtime=",
    "st_ctime=",
    "st_atime_nsec=",
    "st_mtime_nsec=",
    "st_ctime_nsec=",
    "stx_ino=",
    "d_ino=",
    "d_off=",
    "ru_maxrss=",
    "ru_minflt=",
    "ru_majflt=",
    "ru_inblock=",
    "ru_oublock=",
    "ru_nvcsw=",
    "ru_nivcsw=",
    ":[",
    "->",
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

fn plain_word(word: &str, before: &str, names: &BTreeMap<String, String>) -> String {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    // Ports that the system chose: /proc/sys/net/ipv4/ip_local_port_range begins here.
    let port = ["htons(", ".0.0.1:", "]:"].iter().any(|name| before.ends_with(name))
        && word.parse::<u32>().is_ok_and(|port| port >= 32768);
    let address = word.strip_prefix("0x").is_some_and(|hex| hex.len() > 5 && !before.contains("_IOC("));
    if address {
        "ADDRESS".to_owned()
    } else if digits && (before.starts_with("sysinfo(") || CHANGING.iter().any(|name| before.ends_with(name)))
    {
        "N".to_owned()
    } else if port {
        "PORT".to_owned()
    } else if let Some(name) = names.get(word).filter(|_| !before.ends_with("st_size=")) {
        format!("PID{name}")
    } else {
        word.to_owned()
    }
}
