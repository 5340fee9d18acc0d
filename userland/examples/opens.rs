//! Which files a running program opens, until it ends. It is observed and never held, also while a debugger holds it.
//!
//! `cargo run -p userland --example opens -- PID`

use std::io::{Result, Write};

use kernel_model::abi::{Errno, LOG_MOST, LogRecord, OpenFlags, Pid};
use kernel_model::client::{EventQueue, Handle, read_text};
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::scheme::Host;

/// What is told, and with what memory; of threads and children that are yet to be born, too.
const TABLE: &[u8] = b"inherit\ncalls open openat\nopen 0 string\nopenat 1 string";

/// A line for each open: the task, what it gave, the path. It is over when all of them are.
pub(crate) fn opens(host: &dyn Host, pid: Pid, out: &mut dyn Write) -> Result<()> {
    let queue = EventQueue::open(host, OpenFlags::empty())?;
    let flags = OpenFlags::O_RDWR | OpenFlags::O_NONBLOCK;
    let mut logs = Vec::new();
    for thread in String::from_utf8_lossy(&read_text(host, &format!("proc:{pid}/threads"))?).lines() {
        let log = Handle::open(host, &format!("proc:{thread}/log"), flags)?;
        log.write(TABLE)?;
        queue.watch(log.fd(), logs.len() as u64)?;
        logs.push(Some(log));
    }
    writeln!(out, "observing {pid}")?;
    let mut buf = vec![0; LOG_MOST];
    while logs.iter().any(Option::is_some) {
        let place = &mut logs[queue.next()?.data as usize];
        while let Some(log) = place {
            match log.read(&mut buf) {
                Ok(n) => print(&buf[..n], out)?,
                Err(Errno::EAGAIN) => break,
                Err(Errno::ESRCH) => *place = None, // it has ended, and so have all that it made
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    Ok(())
}

fn print(mut bytes: &[u8], out: &mut dyn Write) -> Result<()> {
    while let Some((header, record, rest)) = LogRecord::split(bytes) {
        if let LogRecord::Call(call, captures) = record {
            let path = captures.first().map_or(&b"?"[..], |(_, path)| path);
            writeln!(out, "{} {} {}", header.pid, call.result, path.escape_ascii())?;
        } else if let LogRecord::Drop(drop) = record {
            writeln!(out, "{} records lost", drop.count)?;
        }
        bytes = rest;
    }
    Ok(())
}

fn main() -> Result<()> {
    let pid = std::env::args().nth(1).and_then(|pid| pid.parse().ok()).expect("usage: opens PID");
    let kernel = Local::new(Kernel::new(backend_linux::Linux::new(), Policy::SameUser));
    opens(&kernel.client(backend_linux::caller()), Pid(pid), &mut std::io::stdout())
}
