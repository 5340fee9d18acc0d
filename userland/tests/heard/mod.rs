//! [`program`]: a command that hears ^C and hangups, also where the tests do not: a shell without job control starts what it
//! puts in the background with SIGINT and SIGQUIT ignored, nohup with SIGHUP, and the tool leaves ignored signals ignored.

use std::ffi::OsStr;
use std::process::Command;

/// SIGHUP, SIGINT and SIGQUIT in SigIgn of proc_pid_status(5).
const THEM: u64 = 1 | 1 << 1 | 1 << 2;

pub(crate) fn program(path: impl AsRef<OsStr>) -> Command {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    if u64::from_str_radix(ignored.trim(), 16).unwrap() & THEM == 0 {
        return Command::new(path);
    }
    let mut command = Command::new("env"); // which becomes the program
    command.arg("--default-signal=HUP,INT,QUIT").arg(path);
    command
}
