//! What a program is started with: arguments, environment, descriptors, dispositions, masks, limits, group.

use std::io::Result;

use conformance::sys;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{getpgrp, getsid};

use crate::{me, say, told};

/// Lines of /proc/self/status that are equal in two runs of one command.
const STATUS: [&str; 12] = [
    "Umask",
    "State",
    "Uid",
    "Gid",
    "Groups",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapEff",
    "NoNewPrivs",
    "Seccomp",
    "Cpus_allowed",
];

/// Everything.
pub(crate) fn all() -> Result<i32> {
    std::env::args().skip(1).for_each(|arg| say!("arg {arg:?}"));
    let mut env: Vec<_> = std::env::vars_os().collect();
    env.sort();
    env.iter().for_each(|(name, value)| say!("env {name:?}={value:?}"));
    say!("cwd {}", std::env::current_dir()?.display());
    say!("exe {}", crate::own_path());

    let mut fds: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    fds.sort_unstable();
    for fd in fds {
        // The directory itself is listed, and closed by now.
        let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) else { continue };
        let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or("");
        let target = std::fs::read_link(format!("/proc/self/fd/{fd}"))?.display().to_string();
        say!("fd {fd} {} {flags}", target.split(':').next().unwrap_or(""));
    }

    for signal in (1..sys::SIGNALS as i32).filter(|signal| ![32, 33].contains(signal)) {
        say!("signal {signal} {}", told(sys::disposition(signal)));
    }
    say!("blocked {:#x}", sys::blocked_mask()?);
    let text = std::fs::read_to_string("/proc/self/status")?;
    text.lines()
        .filter(|line| STATUS.iter().any(|key| line.starts_with(key)))
        .for_each(|line| say!("{line}"));

    for limit in
        [Resource::RLIMIT_NOFILE, Resource::RLIMIT_CORE, Resource::RLIMIT_STACK, Resource::RLIMIT_NPROC]
    {
        say!("{limit:?} {:?}", getrlimit(limit)?);
    }
    say!("group leader {}", getpgrp().as_raw() == me());
    say!("session leader {}", getsid(None)?.as_raw() == me());
    Ok(0)
}
