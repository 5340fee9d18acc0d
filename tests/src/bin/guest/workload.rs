//! What the benchmark measures: many cheap calls, calls with a string, many short programs.

use std::io::{Error, Result};

use conformance::sys;

/// `n` calls that do nothing.
pub(crate) fn getppid(n: i32) -> Result<i32> {
    for _ in 0..n {
        sys::getppid_raw();
    }
    Ok(0)
}

/// Opens and closes a file `n` times.
pub(crate) fn open_close(n: i32) -> Result<i32> {
    for _ in 0..n {
        drop(std::fs::File::open("/dev/null")?);
    }
    Ok(0)
}

/// Starts `n` programs, one after the other.
pub(crate) fn fork_exec(n: i32) -> Result<i32> {
    for _ in 0..n {
        if !std::process::Command::new("/bin/true").status()?.success() {
            return Err(Error::other("/bin/true failed"));
        }
    }
    Ok(0)
}
