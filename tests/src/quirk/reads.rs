//! Quirks of read: events lost, repeated, reordered or falsified; state that is not the tracee's.

use kernel_model::abi::{Errno, OpenFlags, PtraceEvent, PtraceFlags, Result, SEEK_CUR, SigInfo};
use kernel_model::scheme::Fd;

use super::opens::sibling;
use super::{Inner, Open, Quirky};

const RAX: usize = 80;
const RIP: usize = 120;
/// `si_status`, after the code, its padding, pid and user.
const SIGINFO_STATUS: usize = 24;

impl<I: Inner> Quirky<I> {
    pub(super) fn quirky_read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let Some(open) = self.opened(fd) else { return self.inner().read(fd, buf) };
        match open.op() {
            op if op.starts_with("trace") => self.read_trace(fd, &open, buf),
            "mem" => self.read_mem(fd, &open, buf),
            op if op.starts_with("regs") => self.read_regs(fd, &open, buf),
            "event:" => self.read_queue(fd, buf),
            op if op.starts_with("sets") && self.rule == "R84" => {
                let n = self.inner().read(fd, buf)?;
                buf[..n].make_ascii_uppercase();
                Ok(n)
            }
            "log" => self.read_log(fd, buf),
            "call" => self.read_call(fd, buf),
            "siginfo" => match (self.rule, self.inner().read(fd, buf)) {
                ("R140", Ok(n)) => Ok(n.min(SigInfo::SIZE / 2)),
                ("R141", Ok(n)) => {
                    buf[SIGINFO_STATUS..n].fill(0);
                    Ok(n)
                }
                ("R142", Err(Errno::ENODATA)) => Err(Errno::EAGAIN),
                (_, answer) => answer,
            },
            "proc:features" if self.rule == "R74" => Ok(0),
            _ => self.inner().read(fd, buf),
        }
    }

    /// R77: numbered as if it were another. R78: as the call was made at first. R79: an answer in any case.
    fn read_call(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let answer = self.inner().read(fd, buf);
        match (self.rule, answer) {
            ("R77", Ok(n)) if n > 8 => buf[8] ^= 1,
            ("R78", Ok(_)) => {
                let mut state = self.state();
                let first =
                    state.seen.entry(("call".into(), 0, buf.len())).or_insert_with(|| vec![9; buf.len()]);
                buf.copy_from_slice(first);
            }
            ("R79", Err(Errno::EINVAL)) => return Ok(buf.len()),
            _ => {}
        }
        answer
    }

    fn read_trace(&self, fd: Fd, open: &Open, buf: &mut [u8]) -> Result<usize> {
        if self.rule != "F9" {
            self.update(fd, |open| open.running = false);
        }
        let one = buf.len().min(PtraceEvent::SIZE);
        match self.rule {
            "F12" if buf.len() < PtraceEvent::SIZE => return Ok(0),
            "R19" if open.running => return Err(Errno::EAGAIN),
            "R24" if open.cause() == PtraceFlags::EVENT_CLONE => return Ok(0),
            "R54" => {
                let probe = self.inner().open(&sibling(&open.path, "regs/int"), OpenFlags::O_RDONLY)?;
                self.inner().close(probe)?;
            }
            _ => {}
        }
        let room = if self.rule == "R23" { one } else { buf.len() };
        let answer = self.inner().read(fd, &mut buf[..room]);
        match (self.rule, answer) {
            ("R20", Ok(0)) => Err(Errno::EAGAIN),
            ("R21", Err(Errno::EAGAIN)) => Ok(0),
            ("R52", Err(Errno::ESRCH)) => Err(Errno::ENODEV),
            ("F8", Err(Errno::ESRCH)) => Err(Errno::EDEADLK),
            ("R31", Err(Errno::ESRCH)) | ("R76", Err(Errno::EAGAIN)) => self.invent_post(fd, open, buf),
            (_, Ok(n)) if n > 0 => self.falsify(fd, open, buf, n),
            (_, answer) => answer,
        }
    }

    /// A POST for a call that did not come back, once.
    fn invent_post(&self, fd: Fd, open: &Open, buf: &mut [u8]) -> Result<usize> {
        match open.latest {
            Some(pre) if pre.cause() == PtraceFlags::STOP_PRE_SYSCALL => {
                let post = PtraceEvent { cause: PtraceFlags::STOP_POST_SYSCALL.bits(), ..pre };
                self.update(fd, |open| open.latest = Some(post));
                store(buf, &post);
                Ok(PtraceEvent::SIZE)
            }
            _ => Err(if self.rule == "R31" { Errno::ESRCH } else { Errno::EAGAIN }),
        }
    }

    fn falsify(&self, fd: Fd, open: &Open, buf: &mut [u8], n: usize) -> Result<usize> {
        let mut event = load(buf);
        let lost = match self.rule {
            "R41" => event.cause() == PtraceFlags::STOP_SIGNAL && event.b == 1,
            "R46" => event.cause() == PtraceFlags::EVENT_CLONE,
            "R51" => event.cause() == PtraceFlags::STOP_EXIT && event.a & 0x7f != 0,
            "R62" => event.cause() == PtraceFlags::EVENT_IMAGE,
            "R63" => event.cause() == PtraceFlags::EVENT_DEATH,
            "F25" => event.cause() == PtraceFlags::EVENT_JOBSTOP,
            _ => false,
        };
        if lost {
            if PtraceFlags::STOP_MASK & event.cause != 0 {
                self.resume(fd, open.mask)?;
            }
            return self.inner().read(fd, buf);
        }
        match self.rule {
            "R22" => reverse(&mut buf[..n]),
            "R26" => event.cause |= open.mask.bits(),
            "F2" => event.e = 0,
            "R35" if event.cause() == PtraceFlags::STOP_SINGLESTEP => {
                self.resume(fd, PtraceFlags::STOP_SINGLESTEP)?;
                return self.inner().read(fd, buf);
            }
            _ => {}
        }
        if matches!(self.rule, "R26" | "F2") {
            store(buf, &event);
        }
        self.update(fd, |open| {
            open.event = Some(event);
            open.latest = Some(event);
        });
        Ok(n)
    }

    fn read_mem(&self, fd: Fd, open: &Open, buf: &mut [u8]) -> Result<usize> {
        if self.rule == "R5" {
            let probe = self.inner().open(&open.path, OpenFlags::O_RDONLY)?;
            self.inner().close(probe)?;
        }
        let at = self.inner().seek(fd, 0, SEEK_CUR)?;
        let answer = self.inner().read(fd, buf);
        match self.rule {
            "R50" => {
                let key = (open.path.clone(), at, buf.len());
                buf.copy_from_slice(self.state().seen.entry(key).or_insert_with(|| buf.to_vec()));
            }
            "R65" if answer == Err(Errno::EFAULT) => drop(self.inner().seek(fd, 1, SEEK_CUR)),
            _ => {}
        }
        answer
    }

    fn read_regs(&self, fd: Fd, open: &Open, buf: &mut [u8]) -> Result<usize> {
        if self.rule == "F9" {
            let state = self.state();
            if state.open.values().any(|open| open.is_trace() && open.running) {
                return Err(Errno::EDEADLK);
            }
        }
        let answer = self.inner().read(fd, buf);
        let stop = open.pid().and_then(|pid| self.trace_of(pid)).and_then(|fd| self.opened(fd)?.event);
        match (self.rule, stop) {
            ("R67", _) if buf.len() < 16 => return Ok(0),
            ("R73", _) if answer == Err(Errno::EAGAIN) => return Ok(buf.len()),
            ("F15", _) if answer == Err(Errno::ESRCH) => {
                let again = self.inner().open(&open.path, OpenFlags::O_RDONLY)?;
                return self.inner().read(again, buf);
            }
            // The parent is told of a child that only its tracer holds.
            ("R10", Some(stop)) if stop.cause() == PtraceFlags::STOP_POST_SYSCALL && word(buf, RAX) == 0 => {
                set_word(buf, RAX, 1);
            }
            ("R39", Some(stop)) if stop.cause() == PtraceFlags::STOP_BREAKPOINT => {
                let rip = word(buf, RIP);
                set_word(buf, RIP, rip + 1);
            }
            ("R45", Some(stop)) if stop.cause() == PtraceFlags::STOP_SIGNAL => set_word(buf, RIP, stop.b),
            _ => {}
        }
        answer
    }

    fn read_queue(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let answer = self.inner().read(fd, buf);
        if self.rule != "R59" {
            return answer;
        }
        let mut state = self.state();
        match answer {
            Ok(n) => state.report = buf[..n].to_vec(),
            Err(Errno::EAGAIN) if !state.report.is_empty() => {
                buf.copy_from_slice(&state.report);
                return Ok(buf.len());
            }
            Err(_) => {}
        }
        answer
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .map_or(0, |bytes| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
}

pub(super) fn set_word(bytes: &mut [u8], at: usize, word: u64) {
    if let Some(place) = bytes.get_mut(at..at + 8) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

fn load(buf: &[u8]) -> PtraceEvent {
    let [cause, a, b, c, d, e, f] = std::array::from_fn(|n| word(buf, 8 * n));
    PtraceEvent { cause, a, b, c, d, e, f }
}

fn store(buf: &mut [u8], event: &PtraceEvent) {
    let PtraceEvent { cause, a, b, c, d, e, f } = *event;
    for (n, value) in [cause, a, b, c, d, e, f].into_iter().enumerate() {
        set_word(buf, 8 * n, value);
    }
}

/// Last in, first out.
fn reverse(events: &mut [u8]) {
    let reversed: Vec<u8> = events.chunks_exact(PtraceEvent::SIZE).rev().flatten().copied().collect();
    events.copy_from_slice(&reversed);
}
