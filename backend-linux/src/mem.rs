//! Memory through /proc/pid/mem: one kept descriptor per traced task, one per access for others; and the first reads of
//! an address space through process_vm_readv, since many programs are gone before a descriptor has paid for itself.
//!
//! A descriptor belongs to the address space it was opened for (mem_open in fs/proc/base.c), so exec closes it; an
//! address space without users reads as end of file. Tasks that are not traced exec unseen: theirs is not kept.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::unix::fs::FileExt;

use kernel_model::machine::{Error, Result};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use crate::tracee::Tracee;
use crate::{facts, fault};

/// So many reads cost as much as opening and closing a descriptor.
const FIRST_READS: u32 = 64;

/// What is done at an address: the bytes moved, 0 at the end of the address space.
pub(crate) trait Transfer {
    /// How much there is to do.
    fn len(&self) -> usize;
    /// Does some of it, `done` bytes on.
    fn some(&mut self, file: &File, done: usize, at: u64) -> io::Result<usize>;
    /// Does all of it without a descriptor; false: not done, for whatever reason. Unlike a descriptor's, such accesses
    /// obey page protection, so a refusal says nothing.
    fn whole(&mut self, pid: i32, at: u64) -> bool;
}

impl Transfer for &mut [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
    fn some(&mut self, file: &File, done: usize, at: u64) -> io::Result<usize> {
        file.read_at(&mut self[done..], at)
    }
    fn whole(&mut self, pid: i32, at: u64) -> bool {
        let len = <[u8]>::len(self);
        let Ok(base) = usize::try_from(at) else { return false };
        process_vm_readv(Pid::from_raw(pid), &mut [IoSliceMut::new(self)], &[RemoteIoVec { base, len }])
            == Ok(len)
    }
}

impl Transfer for &[u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
    fn some(&mut self, file: &File, done: usize, at: u64) -> io::Result<usize> {
        let _request = fault::around("poke", 0);
        file.write_at(&self[done..], at)
    }
    fn whole(&mut self, _pid: i32, _at: u64) -> bool {
        false
    }
}

enum Outcome {
    Done,
    /// Nobody lives in this address space any more.
    Empty,
}

fn run(file: &File, address: u64, transfer: &mut impl Transfer) -> Result<Outcome> {
    let mut done = 0;
    while done < transfer.len() {
        match transfer.some(file, done, address + done as u64) {
            Ok(0) => return Ok(Outcome::Empty),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // EIO: not mapped. What else there is (ENOMEM, EFAULT) is about this address, too.
            Err(_) => return Err(Error::Fault),
        }
    }
    Ok(Outcome::Done)
}

fn open(pid: i32) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"));
    file.map_err(|error| match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) | (_, Some(libc::ESRCH)) => Error::Gone,
        (ErrorKind::PermissionDenied, _) => Error::Denied,
        (_, errno) => Error::Other(kernel_model::abi::Errno(errno.unwrap_or(libc::EIO))),
    })
}

/// The range as file offsets; those are signed.
fn check_range(address: u64, len: usize) -> Result<()> {
    let end = address.checked_add(len as u64).ok_or(Error::Fault)?;
    if i64::try_from(end).is_err() { Err(Error::Fault) } else { Ok(()) }
}

/// Memory of a task that is not traced here.
pub(crate) fn foreign(pid: i32, start: u64, address: u64, mut transfer: impl Transfer) -> Result<()> {
    let file = open(pid)?;
    // After opening: so the descriptor is of that task, whatever its pid is reused for later.
    if facts::stat(pid)?.start != start {
        return Err(Error::Gone);
    }
    check_range(address, transfer.len())?;
    match run(&file, address, &mut transfer)? {
        Outcome::Done => Ok(()),
        Outcome::Empty => Err(Error::Gone),
    }
}

impl Tracee {
    /// Memory of this task.
    pub(crate) fn memory(&mut self, start: u64, address: u64, mut transfer: impl Transfer) -> Result<()> {
        if self.start()? != start {
            return Err(Error::Gone);
        }
        check_range(address, transfer.len())?;
        if self.mem.is_none() {
            if self.reads < FIRST_READS && transfer.whole(self.pid, address) {
                self.reads += 1;
                return Ok(());
            }
            self.mem = Some(open(self.pid)?);
        }
        for attempt in 0..2 {
            let Some(file) = &self.mem else { break };
            match run(file, address, &mut transfer)? {
                Outcome::Done => return Ok(()),
                // An exec that we have not heard of yet: look at the new address space, once.
                Outcome::Empty if attempt == 0 => self.mem = Some(open(self.pid)?),
                Outcome::Empty => break,
            }
        }
        Err(Error::Gone)
    }

    /// When it started, looked up once.
    pub(crate) fn start(&mut self) -> Result<u64> {
        let start = match self.start {
            Some(start) => start,
            None => facts::stat(self.pid)?.start,
        };
        Ok(*self.start.insert(start))
    }

    /// As much as can be read at `address`, for a look at the code there.
    pub(crate) fn peek(&mut self, address: u64, buf: &mut [u8]) -> usize {
        let start = self.start().unwrap_or(0);
        (1..=buf.len()).rev().find(|&len| self.memory(start, address, &mut buf[..len]).is_ok()).unwrap_or(0)
    }
}
