//! What a `log` told, as values that outlive the buffer it was read into; and how a guest gets one.

use kernel_model::abi::{
    Errno, F_GETFL, F_SETFL, LOG_MOST, LogCall, LogCapture, LogHeader, LogRecord, OpenFlags, Pid,
};
use kernel_model::client::{Handle, Trace};
use kernel_model::scheme::Host;

use super::{Bench, Check, Failure};
use crate::same;

const NONBLOCK: OpenFlags = OpenFlags::O_NONBLOCK;

/// One record, owned.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) header: LogHeader,
    pub(super) record: Kind,
}

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Call(LogCall, Vec<(LogCapture, Vec<u8>)>),
    Signal(u64, u64),
    Birth(u32),
    Image(u64),
    Death(u64),
    Drop(u64),
}

pub(super) fn open<'h>(host: &'h dyn Host, pid: Pid) -> Result<Handle<'h>, Errno> {
    Handle::open(host, &format!("proc:{pid}/log"), OpenFlags::O_RDWR | NONBLOCK)
}

/// Lets a program that was started go.
pub(super) fn release(b: &Bench<'_>, pid: Pid) -> Check {
    Trace::open(b.host, pid, OpenFlags::empty())?.close()?;
    Ok(())
}

/// Starts the guest with a log that has this table, and lets it go. Reads of the log wait.
pub(super) fn logged<'a>(b: &Bench<'a>, table: &str) -> Check<(Pid, Handle<'a>)> {
    let pid = b.start()?;
    let log = Handle::open(b.host, &format!("proc:{pid}/log"), OpenFlags::O_RDWR)?;
    same!(log.write(table.as_bytes())?, table.len());
    release(b, pid)?;
    Ok((pid, log))
}

pub(super) fn split(mut bytes: &[u8]) -> Check<Vec<Told>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let Some((header, record, rest)) = LogRecord::split(bytes) else {
            return Err(Failure::new("not a whole record"));
        };
        let record = match record {
            LogRecord::Call(call, captures) => {
                Kind::Call(call, captures.into_iter().map(|(head, bytes)| (head, bytes.to_vec())).collect())
            }
            LogRecord::Signal(signal) => Kind::Signal(signal.signal, signal.handler),
            LogRecord::Birth(birth) => Kind::Birth(birth.child),
            LogRecord::Image(image) => Kind::Image(image.former),
            LogRecord::Death(death) => Kind::Death(death.status),
            LogRecord::Drop(drop) => Kind::Drop(drop.count),
            LogRecord::Unknown => return Err(Failure::new(format!("an unknown record: {header:?}"))),
        };
        all.push(Told { header, record });
        bytes = rest;
    }
    Ok(all)
}

/// Every record until everybody is gone.
pub(super) fn to_end(log: &Handle<'_>) -> Check<Vec<Told>> {
    let flags = log.host().fcntl(log.fd(), F_GETFL, 0)?;
    let wait = flags & !u64::from(NONBLOCK.bits());
    log.host().fcntl(log.fd(), F_SETFL, wait)?;
    let mut all = Vec::new();
    let mut buf = vec![0; LOG_MOST];
    loop {
        match log.read(&mut buf) {
            Ok(n) => all.extend(split(&buf[..n])?),
            Err(Errno::ESRCH) => return Ok(all),
            Err(errno) => return Err(errno.into()),
        }
    }
}

pub(super) fn calls(told: &[Told]) -> Vec<LogCall> {
    told.iter()
        .filter_map(|told| match told.record {
            Kind::Call(ref call, _) => Some(*call),
            _ => None,
        })
        .collect()
}

pub(super) fn numbers(told: &[Told]) -> Vec<u64> {
    calls(told).iter().map(|call| call.number).collect()
}

pub(super) fn birth(told: &Told) -> Option<u32> {
    match told.record {
        Kind::Birth(child) => Some(child),
        _ => None,
    }
}

/// What was captured of the calls with this number, by call.
pub(super) fn captures(told: &[Told], number: u64) -> Vec<Vec<(LogCapture, Vec<u8>)>> {
    told.iter()
        .filter_map(|told| match &told.record {
            Kind::Call(call, captures) if call.number == number => Some(captures.clone()),
            _ => None,
        })
        .collect()
}
