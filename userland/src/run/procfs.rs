//! What of `/proc` tells names: `self`, the links that are more than their text, and `maps`.

use std::io::Read;

/// The text of `/proc/self` and `/proc/thread-self` as the task with this tid sees them; its own would be the tracer's.
pub(super) fn own_name(host: &[u8], tid: u32) -> Option<Vec<u8>> {
    let thread = match host {
        b"/proc/self" => false,
        b"/proc/thread-self" => true,
        _ => return None,
    };
    let process = process_of(tid);
    Some(if thread { format!("{process}/task/{tid}") } else { process.to_string() }.into_bytes())
}

fn process_of(tid: u32) -> u32 {
    // It is the fourth line, after a name of 64 bytes at most, and one read has all that fits (proc(5)).
    let mut text = [0; 512];
    let file = std::fs::File::open(format!("/proc/{tid}/status"));
    let count = file.and_then(|mut file| file.read(&mut text)).unwrap_or_default();
    let mut lines = text[..count].split(|&byte| byte == b'\n');
    let number = lines.find_map(|line| std::str::from_utf8(line.strip_prefix(b"Tgid:")?).ok());
    number.and_then(|number| number.trim().parse().ok()).unwrap_or(tid)
}

/// The part of a path of /proc after the task it is about.
fn of_task(host: &[u8]) -> Option<&[u8]> {
    let rest = host.strip_prefix(b"/proc/")?;
    let (pid, rest) = split(rest)?;
    if pid != b"self" && pid != b"thread-self" && !pid.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match rest.strip_prefix(b"task/") {
        Some(rest) => split(rest).map(|(_, rest)| rest),
        None => Some(rest),
    }
}

fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().position(|&byte| byte == b'/')?;
    Some((&path[..end], &path[end + 1..]))
}

/// Whether it is a link that the kernel follows to the very file, whatever its text says (proc_pid_link_inode_operations
/// in fs/proc/base.c).
pub(super) fn is_magic(host: &[u8]) -> bool {
    of_task(host).is_some_and(|name| {
        matches!(name, b"cwd" | b"root" | b"exe")
            || name.starts_with(b"fd/")
            || name.starts_with(b"map_files/")
    })
}

/// Whether its text has the names of mapped files.
pub(super) fn is_maps(host: &[u8]) -> bool {
    of_task(host).is_some_and(|name| matches!(name, b"maps" | b"smaps" | b"numa_maps"))
}

/// The text of `maps` with other names for files; `None`: no name is another.
pub(super) fn renamed(text: &[u8], name: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut changed = false;
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        // In maps the name comes after spaces, in numa_maps after `file=`.
        let at = bare.windows(2).position(|two| two == b" /" || two == b"=/").map(|at| at + 1);
        let known = at.and_then(|at| {
            let end = if bare[at - 1] == b'=' {
                bare[at..].iter().position(|&byte| byte == b' ').map_or(bare.len(), |n| at + n)
            } else {
                bare.len()
            };
            Some((at, end, name(&bare[at..end])?))
        });
        match known {
            Some((at, end, virt)) => {
                changed = true;
                out.extend_from_slice(&bare[..at]);
                out.extend_from_slice(&virt);
                out.extend_from_slice(&line[end..]);
            }
            None => out.extend_from_slice(line),
        }
    }
    changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_are_more_than_their_text() {
        for (path, magic) in [
            ("/proc/1/cwd", true),
            ("/proc/self/fd/3", true),
            ("/proc/12/task/13/exe", true),
            ("/proc/self", false),
            ("/proc/net/tcp", false),
            ("/proc/1/fd", false),
            ("/procfs/1/cwd", false),
        ] {
            assert_eq!(is_magic(path.as_bytes()), magic, "{path}");
        }
        assert!(is_maps(b"/proc/7/maps") && !is_maps(b"/proc/7/map_files"));
    }

    #[test]
    fn names_in_maps_are_replaced() {
        let text =
            b"7f-8f r-xp 0 08:01 5      /host/lib.so\n8f-9f rw-p 0 00:00 0\n9f-af r--p 0 0 0  [vdso]\n";
        let name = |host: &[u8]| (host == b"/host/lib.so").then(|| b"/x/lib.so".to_vec());
        let out = renamed(text, name).unwrap();
        assert_eq!(
            out,
            b"7f-8f r-xp 0 08:01 5      /x/lib.so\n8f-9f rw-p 0 00:00 0\n9f-af r--p 0 0 0  [vdso]\n"
        );
        assert_eq!(renamed(text, |_| None), None);
    }
}
