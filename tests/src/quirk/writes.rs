//! Quirks of write: masks that are merged, cut or ignored; registers and memory that do not take what is written.

use kernel_model::abi::{
    CallRecord, Errno, F_GETFL, F_SETFL, OpenFlags, PtraceEvent, PtraceFlags, Result, SEEK_CUR,
};
use kernel_model::scheme::Fd;

use super::reads::{set_word, word};
use super::{Inner, Open, Quirky};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
const STEP: PtraceFlags = PtraceFlags::STOP_SINGLESTEP;
const IGNORE: PtraceFlags = PtraceFlags::FLAG_IGNORE;

const RFLAGS: usize = 136;
const RSP: usize = 144;
const TRAP_FLAG: u64 = 0x100;
/// Where guests have their data; text is below.
const DATA: u64 = 0x60_0000;

impl<I: Inner> Quirky<I> {
    pub(super) fn quirky_write(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        let Some(open) = self.opened(fd) else { return self.inner().write(fd, buf) };
        match open.op() {
            op if op.starts_with("trace") => self.write_trace(fd, &open, buf),
            "regs/int" => self.write_regs(fd, buf),
            "mem" if self.rule == "R72" && self.inner().seek(fd, 0, SEEK_CUR)? < DATA => Err(Errno::EACCES),
            "call" if self.rule == "R218" => Ok(buf.len()),
            "call" if self.rule == "R222" => {
                let (mut kept, ended) = (buf.to_vec(), std::mem::offset_of!(CallRecord, ended));
                let side = kept.get_mut(ended).filter(|side| u64::from(**side) == CallRecord::LENT);
                side.into_iter().for_each(|side| *side = 0);
                self.inner().write(fd, &kept)
            }
            "call" if self.rule == "R219" => match self.inner().write(fd, buf) {
                Err(Errno::EINVAL) => Ok(buf.len()),
                answer => answer,
            },
            "exe" | "status" | "threads" if self.rule == "R68" => Ok(buf.len()),
            "log" => self.write_table(fd, buf),
            op if op.starts_with("sets") => self.write_set(fd, &open, buf),
            op if self.rule == "R67" && op.starts_with("regs") => {
                self.inner().write(fd, buf).map(|n| n.max(1))
            }
            _ => self.inner().write(fd, buf),
        }
    }

    /// A set that is not heeded, or is taken for another.
    fn write_set(&self, fd: Fd, open: &Open, buf: &[u8]) -> Result<usize> {
        let text = String::from_utf8_lossy(buf);
        let running =
            || open.pid().and_then(|pid| self.opened(self.trace_of(pid)?)).is_some_and(|t| t.running);
        let mut words: Vec<&str> = text.split_whitespace().collect();
        match (self.rule, open.op()) {
            ("R80", "sets/entry") | ("R81", "sets/exit") | ("R82", "sets/signal") => return Ok(buf.len()),
            ("R90", _) if running() => return Ok(buf.len()),
            ("R83", _) if words.is_empty() => words.push("none"),
            ("R85", _) => words.reverse(),
            ("R89", _) => words.retain(|word| *word != "inherit"),
            ("R86", _) => {
                return match self.inner().write(fd, buf) {
                    Err(Errno::EINVAL) => self.inner().write(fd, b"all").map(|_| buf.len()),
                    answer => answer,
                };
            }
            _ => return self.inner().write(fd, buf),
        }
        self.inner().write(fd, words.join(" ").as_bytes()).map(|_| buf.len())
    }

    fn write_trace(&self, fd: Fd, open: &Open, buf: &[u8]) -> Result<usize> {
        let Some(bytes) = buf.first_chunk() else {
            return match self.rule {
                "R14" => Err(Errno::EINVAL),
                "R16" => Ok(0),
                _ => self.inner().write(fd, buf),
            };
        };
        let asked = PtraceFlags::from_bits_retain(u64::from_ne_bytes(*bytes));
        match self.rule {
            "R16" if asked.bits() >> 16 != 0 => return Err(Errno::EINVAL),
            "R17" if open.running => return Err(Errno::EAGAIN),
            "R18" => self.drain(fd)?,
            "R49" if open.latest.is_some_and(|event| event.cause() == PtraceFlags::EVENT_CLONE) => {
                return Ok(8);
            }
            _ => {}
        }
        let mask = self.broken(open, asked);
        self.update(fd, |open| {
            open.mask = if self.rule == "R11" { mask } else { asked };
            open.event = None;
            open.running = true;
        });
        self.resume(fd, mask)
    }

    /// The mask that is written instead.
    fn broken(&self, open: &Open, asked: PtraceFlags) -> PtraceFlags {
        let free = asked.bits() & (PtraceFlags::STOP_MASK | PtraceFlags::EVENT_MASK) == 0;
        match self.rule {
            "R11" => asked | open.mask,
            "R12" if asked.is_empty() => PRE,
            "R13" => PtraceFlags::from_bits_retain(asked.bits() & 0xffff),
            "R15" if asked.bits() & PtraceFlags::STOP_MASK == 0 => PtraceFlags::empty(),
            "R25" if asked == PtraceFlags::FLAG_WAIT => PRE,
            "R28" => (asked - IGNORE) | (open.mask & IGNORE),
            "R29" if free => asked - IGNORE,
            "R30" if asked.contains(IGNORE) => asked - POST,
            "R34" => asked | (open.mask & STEP),
            "R36" if open.event.is_some() => asked - STEP,
            "R38" => asked - PtraceFlags::STOP_BREAKPOINT,
            "R40" if open.cause() == PtraceFlags::STOP_BREAKPOINT => asked | IGNORE,
            "R42" => asked - IGNORE,
            "F11" if open.cause() == PRE => asked | (open.mask & STEP),
            "F24" => asked - PtraceFlags::STOP_INTERRUPT,
            _ => asked,
        }
    }

    /// Loses what is queued.
    fn drain(&self, fd: Fd) -> Result<()> {
        let flags = self.inner().fcntl(fd, F_GETFL, 0)?;
        self.inner().fcntl(fd, F_SETFL, flags | u64::from(OpenFlags::O_NONBLOCK.bits()))?;
        while matches!(self.inner().read(fd, &mut [0; PtraceEvent::SIZE]), Ok(1..)) {}
        self.inner().fcntl(fd, F_SETFL, flags)?;
        Ok(())
    }

    fn write_regs(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        let mut regs = buf.to_vec();
        match self.rule {
            "R27" => return Ok(buf.len()),
            "R37" => set_word(&mut regs, RFLAGS, word(buf, RFLAGS) & !TRAP_FLAG),
            "R67" if buf.len() < 168 => return Ok(buf.len()),
            "F13" => {
                let mut now = [0; 168];
                self.inner().read(fd, &mut now)?;
                set_word(&mut regs, RFLAGS, word(&now, RFLAGS));
                set_word(&mut regs, RSP, word(&now, RSP));
            }
            _ => {}
        }
        self.inner().write(fd, &regs)
    }
}
