//! [`Task`]: what is known of one traced task, and the handles on it.

use std::time::Duration;

use kernel_model::abi::{CallRecord, Errno, IntRegisters, OpenFlags, Pid, PtraceFlags, Result, SigInfo};
use kernel_model::client::{Call, Handle, Mem, Trace, read_text, siginfo};
use kernel_model::scheme::Host;
use zerocopy::IntoBytes;

use super::args::Memory;
use super::call::InCall;
use super::inject::Counts;
use super::moment::Moment;

/// A call in progress, with what its end will tell.
pub struct Open {
    /// Which.
    pub call: InCall,
    /// All argument words.
    pub words: [u64; 6],
    /// When it began.
    pub began: Moment,
    /// `name(argument, argument`, if calls are told when they are over; else empty.
    pub text: Vec<u8>,
    /// Its result will be ours.
    pub injected: bool,
    /// It is held before or after it.
    pub delayed: bool,
}

/// A traced task.
pub struct Task<'h> {
    /// The session.
    pub trace: Trace<'h>,
    /// Its pid now.
    pub pid: Pid,
    /// The process it is a thread of, where that is known.
    pub process: Option<Pid>,
    /// Calls in progress, the innermost last: handlers of signals nest where the machine nests them.
    pub calls: Vec<Open>,
    /// It was in the middle of something when its session began: its first POST may have no PRE.
    pub midway: bool,
    /// It has not come to the program that it is traced for: nothing of it is told, and nothing done to it.
    pub hidden: bool,
    /// Job control has stopped it, as far as events tell.
    pub stopped: bool,
    /// The next write skips the call.
    pub skip: bool,
    /// It is to be left stopped before this call: number and ABI.
    pub leave_at: Option<(u64, u64)>,
    /// Tells it from others that had or will have its key.
    pub serial: u64,
    /// It is held so long at the stop it is in.
    pub delay: Option<Duration>,
    /// It is being held for that time.
    pub delayed: bool,
    /// It will be, at the end of its call.
    pub delay_exit: Option<Duration>,
    /// How often rules met it.
    pub counts: Counts,
    regs: Option<Handle<'h>>,
    call: Option<Call<'h>>,
    mem: TaskMemory<'h>,
}

impl<'h> Task<'h> {
    /// Begins a session, non-blocking: one loop reads of many.
    pub fn open(host: &'h dyn Host, pid: Pid, flags: OpenFlags) -> Result<Task<'h>> {
        let trace = Trace::experimental(host, pid, flags | OpenFlags::O_NONBLOCK)?;
        let mem = TaskMemory { pid, host, mem: None };
        Ok(Task {
            trace,
            pid,
            process: None,
            calls: Vec::new(),
            midway: false,
            hidden: false,
            stopped: false,
            skip: false,
            leave_at: None,
            serial: 0,
            delay: None,
            delayed: false,
            delay_exit: None,
            counts: Counts::default(),
            regs: None,
            call: None,
            mem,
        })
    }

    /// `call`: cheaper than registers, and enough for most calls. Opened at first use.
    pub fn call(&mut self) -> Result<CallRecord> {
        match &self.call {
            Some(call) => call.get(),
            None => self.call.insert(self.trace.call()?).get(),
        }
    }

    /// `regs/int`; opened at first use, because filtered calls need none.
    pub fn registers(&mut self) -> Result<IntRegisters> {
        let mut regs = IntRegisters::default();
        self.register_file()?.read(regs.as_mut_bytes())?;
        Ok(regs)
    }

    /// Writes `regs/int`.
    pub fn set_registers(&mut self, regs: &IntRegisters) -> Result<()> {
        self.register_file()?.write(regs.as_bytes()).map(drop)
    }

    fn register_file(&mut self) -> Result<&Handle<'h>> {
        if self.regs.is_none() {
            self.regs = Some(self.trace.handle().dup("regs/int")?);
        }
        self.regs.as_ref().ok_or(Errno::EBADF)
    }

    /// What came with the signal it is held at.
    pub fn siginfo(&self) -> Result<SigInfo> {
        siginfo(&self.trace.handle().dup("siginfo")?)
    }

    /// `mem`.
    pub fn memory(&mut self) -> &mut dyn Memory {
        &mut self.mem
    }

    /// write: lets it go on.
    pub fn resume(&self, mask: PtraceFlags) -> Result<()> {
        self.trace.resume(mask)
    }

    /// An exec gave it another pid; handles by the old one are of no use.
    pub fn moved_to(&mut self, pid: Pid) {
        self.pid = pid;
        self.regs = None;
        self.call = None;
        self.mem.pid = pid;
        self.mem.mem = None;
    }

    /// Takes the call with this id out of the calls in progress, and with it those inside it, which never came back.
    pub fn take_call(&mut self, id: u64) -> Option<Open> {
        let at = self.calls.iter().rposition(|open| open.call.id == id)?;
        self.calls.truncate(at + 1);
        self.calls.pop()
    }
}

/// Memory of a task, opened at first use.
struct TaskMemory<'h> {
    pid: Pid,
    host: &'h dyn Host,
    mem: Option<Mem<'h>>,
}

impl Memory for TaskMemory<'_> {
    fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<()> {
        let mem = match &self.mem {
            Some(mem) => mem,
            None => self.mem.insert(Mem::open(self.host, self.pid)?),
        };
        mem.read_at(address, buf)
    }

    fn descriptor(&mut self, path: &str) -> Option<Vec<u8>> {
        read_text(self.host, &format!("proc:{}/{path}", self.pid)).ok()
    }
}
