//! Typed handles over a [`Host`]: [`Trace`], [`Regs`], [`Mem`], [`EventQueue`]. They close when dropped.
//!
//! Nothing here can do what file operations cannot; each method says which ones it is.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::abi::{
    CallRecord, EnvRegisters, Errno, Event, EventFlags, FloatRegisters, IntRegisters, OpenFlags, Pid,
    PtraceEvent, PtraceFlags, Result, SEEK_SET, SigInfo,
};
use crate::scheme::{Fd, Host};

/// An open descriptor; closed on drop, where an error has nobody to go to ([`Handle::close`] returns it).
pub struct Handle<'h> {
    host: &'h dyn Host,
    fd: Fd,
}

impl<'h> Handle<'h> {
    /// open(`path`).
    pub fn open(host: &'h dyn Host, path: &str, flags: OpenFlags) -> Result<Handle<'h>> {
        host.open(path, flags).map(|fd| Handle { host, fd })
    }

    /// dup(this, `path`).
    pub fn dup(&self, path: &str) -> Result<Handle<'h>> {
        self.host.dup(self.fd, path).map(|fd| Handle { host: self.host, fd })
    }

    /// The descriptor itself.
    pub fn fd(&self) -> Fd {
        self.fd
    }

    /// The kernel it belongs to.
    pub fn host(&self) -> &'h dyn Host {
        self.host
    }

    /// read.
    pub fn read(&self, buf: &mut [u8]) -> Result<usize> {
        self.host.read(self.fd, buf)
    }

    /// write.
    pub fn write(&self, buf: &[u8]) -> Result<usize> {
        self.host.write(self.fd, buf)
    }

    /// close, with its result.
    pub fn close(self) -> Result<()> {
        let (host, fd) = (self.host, self.fd);
        std::mem::forget(self);
        host.close(fd)
    }

    /// Reads to the end, for text handles.
    pub fn read_to_end(&self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut buf = [0; 512];
        loop {
            match self.read(&mut buf)? {
                0 => return Ok(all),
                n => all.extend_from_slice(&buf[..n]),
            }
        }
    }

    fn read_struct<T: FromZeros + FromBytes + IntoBytes>(&self) -> Result<T> {
        let mut value = T::new_zeroed();
        let n = self.read(value.as_mut_bytes())?;
        if n == size_of::<T>() { Ok(value) } else { Err(Errno::EIO) }
    }

    fn write_struct<T: IntoBytes + Immutable>(&self, value: &T) -> Result<()> {
        let n = self.write(value.as_bytes())?;
        if n == size_of::<T>() { Ok(()) } else { Err(Errno::EIO) }
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        let _ = self.host.close(self.fd);
    }
}

/// `proc:<pid>/trace`: what a tracer holds.
pub struct Trace<'h> {
    handle: Handle<'h>,
    pid: Pid,
}

impl<'h> Trace<'h> {
    /// open(`proc:<pid>/trace`, O_RDWR | `flags`). O_TRUNC stops the process, O_EXCL ties its life to the handle.
    pub fn open(host: &'h dyn Host, pid: Pid, flags: OpenFlags) -> Result<Trace<'h>> {
        Trace::at(host, pid, "trace", flags)
    }

    /// open(`proc:<pid>/trace.x`, …): the same with the experiments of `proc:features`.
    pub fn experimental(host: &'h dyn Host, pid: Pid, flags: OpenFlags) -> Result<Trace<'h>> {
        Trace::at(host, pid, "trace.x", flags)
    }

    /// open(`proc:<pid>/<op>`, …), for another front-end with the same records.
    pub fn at(host: &'h dyn Host, pid: Pid, op: &str, flags: OpenFlags) -> Result<Trace<'h>> {
        let handle = Handle::open(host, &format!("proc:{pid}/{op}"), OpenFlags::O_RDWR | flags)?;
        Ok(Trace { handle, pid })
    }

    /// The pid it was opened with. After an exec by another thread the task's pid is another (RFC 0003).
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The handle, for everything not typed here.
    pub fn handle(&self) -> &Handle<'h> {
        &self.handle
    }

    /// write: sets the mask and lets the tracee go on.
    pub fn resume(&self, mask: PtraceFlags) -> Result<()> {
        match self.handle.write(&mask.bits().to_ne_bytes())? {
            8 => Ok(()),
            _ => Err(Errno::EIO),
        }
    }

    /// read of one record. `None`: the tracee is stopped and everything was read.
    pub fn next(&self) -> Result<Option<PtraceEvent>> {
        let mut event = PtraceEvent::default();
        match self.handle.read(event.as_mut_bytes())? {
            0 => Ok(None),
            PtraceEvent::SIZE => Ok(Some(event)),
            _ => Err(Errno::EIO),
        }
    }

    /// dup of `call`.
    pub fn call(&self) -> Result<Call<'h>> {
        self.handle.dup("call").map(Call)
    }

    /// [`resume`](Self::resume), then [`next`](Self::next).
    pub fn step(&self, mask: PtraceFlags) -> Result<Option<PtraceEvent>> {
        self.resume(mask)?;
        self.next()
    }

    /// dup(this, `regs/int`) and the others.
    pub fn regs(&self) -> Result<Regs<'h>> {
        Ok(Regs {
            int: self.handle.dup("regs/int")?,
            float: self.handle.dup("regs/float")?,
            env: self.handle.dup("regs/env")?,
        })
    }

    /// dup(this, `mem`).
    pub fn mem(&self) -> Result<Mem<'h>> {
        Ok(Mem { handle: self.handle.dup("mem")? })
    }

    /// close, with its result.
    pub fn close(self) -> Result<()> {
        self.handle.close()
    }
}

/// `proc:<pid>/call`.
pub struct Call<'h>(Handle<'h>);

impl Call<'_> {
    /// read: the call it is stopped at.
    pub fn get(&self) -> Result<CallRecord> {
        self.0.read_struct()
    }

    /// write: the call as it is to be.
    pub fn set(&self, call: &CallRecord) -> Result<()> {
        self.0.write_struct(call)
    }

    /// write, at an entry: the same, but the task has its own arguments again when the call is over.
    pub fn lend(&self, call: &CallRecord) -> Result<()> {
        self.set(&CallRecord { ended: CallRecord::LENT, ..*call })
    }
}

/// `proc:<pid>/regs/{int,float,env}`.
pub struct Regs<'h> {
    int: Handle<'h>,
    float: Handle<'h>,
    env: Handle<'h>,
}

impl<'h> Regs<'h> {
    /// open of the three; needs no session.
    pub fn open(host: &'h dyn Host, pid: Pid) -> Result<Regs<'h>> {
        let open = |set: &str| Handle::open(host, &format!("proc:{pid}/regs/{set}"), OpenFlags::O_RDWR);
        Ok(Regs { int: open("int")?, float: open("float")?, env: open("env")? })
    }

    /// read of `regs/int`.
    pub fn int(&self) -> Result<IntRegisters> {
        self.int.read_struct()
    }

    /// write of `regs/int`.
    pub fn set_int(&self, regs: &IntRegisters) -> Result<()> {
        self.int.write_struct(regs)
    }

    /// read of `regs/float`.
    pub fn float(&self) -> Result<FloatRegisters> {
        self.float.read_struct()
    }

    /// write of `regs/float`.
    pub fn set_float(&self, regs: &FloatRegisters) -> Result<()> {
        self.float.write_struct(regs)
    }

    /// read of `regs/env`.
    pub fn env(&self) -> Result<EnvRegisters> {
        self.env.read_struct()
    }

    /// write of `regs/env`.
    pub fn set_env(&self, regs: &EnvRegisters) -> Result<()> {
        self.env.write_struct(regs)
    }
}

/// What came with the signal that a process is stopped before: one read of `proc:<pid>/siginfo`.
pub fn siginfo(handle: &Handle<'_>) -> Result<SigInfo> {
    handle.read_struct()
}

/// `proc:<pid>/mem`.
pub struct Mem<'h> {
    handle: Handle<'h>,
}

impl<'h> Mem<'h> {
    /// open; needs no session.
    pub fn open(host: &'h dyn Host, pid: Pid) -> Result<Mem<'h>> {
        Ok(Mem { handle: Handle::open(host, &format!("proc:{pid}/mem"), OpenFlags::O_RDWR)? })
    }

    /// The handle, for its cursor.
    pub fn handle(&self) -> &Handle<'h> {
        &self.handle
    }

    /// seek, read: all of `buf`, or an error (EFAULT, ESRCH).
    pub fn read_at(&self, address: u64, buf: &mut [u8]) -> Result<()> {
        self.seek(address)?;
        let n = self.handle.read(buf)?;
        if n == buf.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// seek, write: all of `bytes`, or an error.
    pub fn write_at(&self, address: u64, bytes: &[u8]) -> Result<()> {
        self.seek(address)?;
        let n = self.handle.write(bytes)?;
        if n == bytes.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// One 8-byte word.
    pub fn word(&self, address: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.read_at(address, &mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Bytes up to the first NUL (not included) or `max`; true if the NUL was seen. Reads never cross into a page that
    /// they need not touch, so a string at the end of a mapping is read whole. EFAULT only if its first byte faults.
    pub fn c_string(&self, address: u64, max: usize) -> Result<(Vec<u8>, bool)> {
        const CHUNK: u64 = 256; // divides every page size
        let mut text = Vec::new();
        let mut buf = [0; CHUNK as usize];
        while text.len() < max {
            let at = address.wrapping_add(text.len() as u64);
            let want = ((CHUNK - at % CHUNK) as usize).min(max - text.len());
            match self.read_at(at, &mut buf[..want]) {
                Ok(()) => {}
                Err(errno) if text.is_empty() => return Err(errno),
                Err(_) => break,
            }
            if let Some(end) = buf[..want].iter().position(|&byte| byte == 0) {
                if text.is_empty() {
                    return Ok((buf[..end].to_vec(), true)); // all of most paths, in no more room than it takes
                }
                text.extend_from_slice(&buf[..end]);
                return Ok((text, true));
            }
            text.extend_from_slice(&buf[..want]);
        }
        Ok((text, false))
    }

    /// The cursor is signed; addresses above it belong to no program.
    fn seek(&self, address: u64) -> Result<()> {
        let offset = i64::try_from(address).map_err(|_| Errno::EFAULT)?;
        self.handle.host.seek(self.handle.fd, offset, SEEK_SET).map(drop)
    }
}

/// `event:`: many handles, one loop.
pub struct EventQueue<'h> {
    handle: Handle<'h>,
}

impl<'h> EventQueue<'h> {
    /// open(`event:`). With O_NONBLOCK, [`next`](Self::next) answers EAGAIN instead of waiting.
    pub fn open(host: &'h dyn Host, flags: OpenFlags) -> Result<EventQueue<'h>> {
        Ok(EventQueue { handle: Handle::open(host, "event:", OpenFlags::O_RDWR | flags)? })
    }

    /// The handle, for everything not typed here.
    pub fn handle(&self) -> &Handle<'h> {
        &self.handle
    }

    /// write: from now on report `fd` with `data` whenever it becomes readable; at once if it is.
    pub fn watch(&self, fd: Fd, data: u64) -> Result<()> {
        let event = Event { id: u64::from(fd.0), flags: EventFlags::READ.bits() as u64, data };
        self.handle.write_struct(&event)
    }

    /// read of one report.
    pub fn next(&self) -> Result<Event> {
        self.handle.read_struct()
    }
}

/// The text of `proc:<pid>/<op>` (`exe`, `threads`) or of `proc:features`.
pub fn read_text(host: &dyn Host, path: &str) -> Result<Vec<u8>> {
    Handle::open(host, path, OpenFlags::O_RDONLY)?.read_to_end()
}
