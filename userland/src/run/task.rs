//! [`Task`]: one traced task, the handles on it, and what has been done to the call it is in.

use kernel_model::abi::{CallRecord, Errno, IntRegisters, OpenFlags, Pid, PtraceFlags, Result};
use kernel_model::client::{Call, Handle, Mem, Trace};
use kernel_model::scheme::Host;
use zerocopy::IntoBytes;

use super::backing::Intent;
use super::strings::Strings;
use super::walk::Answers;
use crate::diagnose::Status;

/// EFAULT.
pub(super) const EFAULT: Errno = Errno(14);

/// The longest path, with its NUL (PATH_MAX of linux/limits.h).
const LONGEST: usize = 4096;

/// Where a task is.
#[derive(Clone, Debug)]
pub(super) struct Cwd {
    /// Of which count of changes this is true.
    pub(super) generation: u64,
    /// What the kernel calls it.
    pub(super) host: Vec<u8>,
    /// What the program calls it.
    pub(super) virt: Vec<u8>,
    /// It is on the host under that name.
    pub(super) native: bool,
}

/// What is done when the call is over, besides undoing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    /// The current directory of this process, or the name of somebody's, may be another.
    Moved,
    /// It has gone to this directory, if the call succeeded.
    In(Vec<u8>),
    /// The kernel has filled in an address.
    Address {
        /// Where it is.
        at: u64,
        /// Where its length is.
        length_at: u64,
        /// How much room there was.
        room: usize,
    },
    /// A file of a live mount was opened, if the call succeeded.
    Opened(u64),
    /// There was nothing to read and the kernel has waited: the call is made again, unless a signal ended the wait.
    Again,
    /// The call was in another one's place: that is made again, and the result is where memory for 32-bit strings is.
    MappedLow,
    /// The same, for [`Strings`]; without them it can be made as well.
    Mapped,
    /// They are sealed, if the call succeeded.
    Sealed,
}

/// What a call was before it was changed.
#[derive(Debug)]
pub(super) enum Before {
    /// All registers.
    Registers(Box<IntRegisters>),
    /// Only its arguments are others, and come back by themselves.
    Lent,
}

/// What was changed for a call, and how it was before.
#[derive(Debug)]
pub(super) struct Undo {
    /// What argument registers go back to.
    pub(super) before: Before,
    pub(super) abi: u64,
    /// Memory that was written: its address and its bytes before.
    pub(super) memory: Vec<(u64, Vec<u8>)>,
    /// What mounts are told: index, name, intent.
    pub(super) told: Vec<(usize, Vec<u8>, Intent)>,
    pub(super) after: After,
}

/// A traced task.
pub(super) struct Task<'h> {
    pub(super) trace: Trace<'h>,
    pub(super) pid: Pid,
    /// Never used again, unlike its place in the table.
    pub(super) serial: u64,
    pub(super) cwd: Option<Cwd>,
    pub(super) undo: Option<Undo>,
    /// What mounts have answered for the call it is stopped before.
    pub(super) answers: Answers,
    /// The call and its ABI, while a mount is being asked for it.
    pub(super) waiting: Option<(u64, u64)>,
    /// The next write skips the call.
    pub(super) skip: bool,
    /// Job control has stopped it.
    pub(super) stopped: bool,
    /// Memory of its own, below 4 GiB, for strings of 32-bit calls of 64-bit programs.
    pub(super) low: Option<u64>,
    /// Memory of its own for strings of other calls.
    pub(super) strings: Option<Strings>,
    /// Programs that came after its first one.
    pub(super) images: u32,
    /// Calls of this program that have been changed, until it has such memory or cannot have it.
    pub(super) changed: u32,
    host: &'h dyn Host,
    call: Option<Call<'h>>,
    regs: Option<Handle<'h>>,
    mem: Option<Mem<'h>>,
}

impl<'h> Task<'h> {
    /// Begins a session on a task that dies with it.
    pub(super) fn open(host: &'h dyn Host, pid: Pid, serial: u64) -> Result<Task<'h>> {
        let trace = Trace::experimental(host, pid, OpenFlags::O_EXCL | OpenFlags::O_NONBLOCK)?;
        Ok(Task {
            trace,
            pid,
            serial,
            cwd: None,
            undo: None,
            answers: Answers::new(),
            waiting: None,
            skip: false,
            stopped: false,
            low: None,
            strings: None,
            images: 0,
            changed: 0,
            host,
            call: None,
            regs: None,
            mem: None,
        })
    }

    /// A new program is in it, and perhaps another pid.
    pub(super) fn renewed(&mut self, pid: Pid) {
        self.pid = pid;
        self.undo = None;
        self.low = None;
        self.strings = None;
        self.images += 1;
        self.changed = 0;
        self.call = None;
        self.regs = None;
        self.mem = None;
    }

    /// Which process it is a thread of.
    pub(super) fn process(&self) -> Pid {
        Status::of_handle(self.trace.handle()).number("process").map_or(self.pid, Pid)
    }

    pub(super) fn resume(&self, mask: PtraceFlags) -> Result<()> {
        self.trace.resume(mask)
    }

    /// The call it is stopped at: cheaper than registers, which most calls do not need.
    pub(super) fn call(&mut self) -> Result<CallRecord> {
        match &self.call {
            Some(call) => call.get(),
            None => self.call.insert(self.trace.call()?).get(),
        }
    }

    /// Makes it another call.
    pub(super) fn set_call(&mut self, record: &CallRecord) -> Result<()> {
        match &self.call {
            Some(call) => call.set(record),
            None => self.call.insert(self.trace.call()?).set(record),
        }
    }

    /// Gives it other arguments until it is over.
    pub(super) fn lend(&mut self, record: &CallRecord) -> Result<()> {
        self.set_call(&CallRecord { ended: CallRecord::LENT, ..*record })
    }

    fn register_file(&mut self) -> Result<&Handle<'h>> {
        if self.regs.is_none() {
            self.regs = Some(self.trace.handle().dup("regs/int")?);
        }
        self.regs.as_ref().ok_or(Errno::EBADF)
    }

    pub(super) fn registers(&mut self) -> Result<IntRegisters> {
        let mut regs = IntRegisters::default();
        self.register_file()?.read(regs.as_mut_bytes())?;
        Ok(regs)
    }

    pub(super) fn set_registers(&mut self, regs: &IntRegisters) -> Result<()> {
        self.register_file()?.write(regs.as_bytes()).map(drop)
    }

    fn memory(&mut self) -> Result<&Mem<'h>> {
        if self.mem.is_none() {
            self.mem = Some(Mem::open(self.host, self.pid)?);
        }
        self.mem.as_ref().ok_or(Errno::EBADF)
    }

    pub(super) fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<()> {
        self.memory()?.read_at(address, buf).map_err(|_| EFAULT)
    }

    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        self.memory()?.write_at(address, bytes).map_err(|_| EFAULT)
    }

    /// A path of the program's. `None`: it is too long to be one, or not all of it can be read; the kernel says so.
    pub(super) fn path(&mut self, address: u64) -> Option<Vec<u8>> {
        if address == 0 {
            return None;
        }
        let (path, whole) = self.memory().ok()?.c_string(address, LONGEST).ok()?;
        whole.then_some(path)
    }

    /// A word of the program's: 4 bytes on the 32-bit ABI.
    pub(super) fn word(&mut self, abi: u64, address: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        let size = word_size(abi);
        self.read(address, &mut bytes[..size])?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Bytes of a pointer.
pub(super) fn word_size(abi: u64) -> usize {
    if abi == 0 { 8 } else { 4 }
}

/// Sets an argument of a call by its index.
pub(super) fn set_argument(regs: &mut IntRegisters, abi: u64, index: usize, value: u64) {
    let place = match (abi, index) {
        (0, 0) => &mut regs.rdi,
        (0, 1) => &mut regs.rsi,
        (0, 2) => &mut regs.rdx,
        (0, 3) => &mut regs.r10,
        (0, 4) => &mut regs.r8,
        (0, _) => &mut regs.r9,
        (_, 0) => &mut regs.rbx,
        (_, 1) => &mut regs.rcx,
        (_, 2) => &mut regs.rdx,
        (_, 3) => &mut regs.rsi,
        (_, 4) => &mut regs.rdi,
        _ => &mut regs.rbp,
    };
    *place = value;
}
