//! Operations that may wait: reads of a `trace` handle, with or without a queue, of the queue itself, and of registers.

use zerocopy::{FromBytes, IntoBytes};

use super::client::Waits;
use super::quirk::Quirk;
use super::{Rule, Setup, Violation, World, violated};
use crate::abi::{
    Errno, Event, EventFlags, IntRegisters, OpenFlags, Pid, PtraceEvent, PtraceFlags, Result as Answer,
};
use crate::kernel::{ClientId, Session, Step};
use crate::scheme::Fd;

/// Records that one read may give; `take` has room for one.
const RECORDS: usize = 4;

/// What came of a read.
enum Got {
    Records(Vec<PtraceEvent>),
    Nothing,
    Gone,
    Again,
    Waits,
}

impl World {
    /// The client's queue is to tell of this handle.
    pub(super) fn watch(&mut self, n: usize, id: ClientId, fd: Fd) {
        if self.parties[n].queue.is_none() {
            self.parties[n].queue = self.kernel.open(id, "event:", OpenFlags::O_RDWR).ok();
        }
        if let Some(queue) = self.parties[n].queue {
            let watch = Event { id: u64::from(fd.0), flags: EventFlags::READ.bits() as u64, data: 0 };
            let _ = self.kernel.write(id, queue, watch.as_bytes());
        }
    }

    /// Nothing is there: the queue tells when there may be. Whether it has.
    fn next_report(&mut self, n: usize) -> bool {
        let party = &self.parties[n];
        let Some((id, queue)) = party.id.zip(party.queue) else { return false };
        let step = self.kernel.read(id, queue, &mut [0; Event::SIZE]);
        let party = &mut self.parties[n];
        party.queued = matches!(step, Step::Wait(_));
        if let Step::Wait(waiter) = step {
            party.waits = Waits::On(waiter);
        }
        !party.queued
    }

    /// `await`.
    pub(super) fn await_queue(&mut self, n: usize) -> String {
        if self.parties[n].queue.is_none() {
            return self.next(n, Err(Errno::EBADF));
        }
        if !self.next_report(n) {
            return "waits".into();
        }
        self.next(n, Ok(()));
        "the queue says to look".into()
    }

    pub(super) fn regs(&mut self, n: usize, pid: Pid) -> String {
        let party = &self.parties[n];
        let Some(id) = party.id else { return String::new() };
        let opened = match party.regs {
            Some(fd) => Ok(fd),
            None => self.kernel.open(id, &format!("proc:{pid}/regs/int"), OpenFlags::O_RDONLY),
        };
        let fd = match opened {
            Ok(fd) => fd,
            Err(errno) => return self.next(n, Err(errno)),
        };
        match self.kernel.read(id, fd, &mut [0; size_of::<IntRegisters>()]) {
            Step::Wait(waiter) => {
                self.parties[n].regs = Some(fd);
                self.park(n, Waits::On(waiter))
            }
            Step::Done(answer) => {
                self.parties[n].regs = None;
                let _ = self.kernel.close(id, fd);
                self.next(n, answer.map(drop))
            }
        }
    }

    /// As a client with a queue reads: it looks first, and waits for a report if there is nothing.
    fn fetch(&mut self, setup: &Setup, n: usize, pid: Pid, woken: Waits) -> Result<Answer<Got>, Violation> {
        // A report of the queue says that there may be something, no more.
        if std::mem::take(&mut self.parties[n].queued) && !self.next_report(n) {
            return Ok(Ok(Got::Waits));
        }
        let got = self.look(setup, n, pid, woken, RECORDS)?;
        let again = matches!(got, Ok(Got::Again)) && self.parties[n].queue.is_some();
        Ok(if again && !self.next_report(n) { Ok(Got::Waits) } else { got })
    }

    /// One read of up to so many records.
    fn look(
        &mut self,
        setup: &Setup,
        n: usize,
        pid: Pid,
        woken: Waits,
        room: usize,
    ) -> Result<Answer<Got>, Violation> {
        let (id, fd) = match self.handle(n, pid) {
            Ok(handle) => handle,
            Err(errno) => return Ok(Err(errno)),
        };
        let before = self.kernel.session(id, fd);
        let over = |session: Session| session.gone && session.queued == 0;
        if setup.breaks(Quirk::F8) && woken == Waits::No && before.is_some_and(over) {
            self.parties[n].waits = Waits::ForEver;
            return Ok(Ok(Got::Waits));
        }
        let mut buf = [0; RECORDS * PtraceEvent::SIZE];
        let size = match self.kernel.read(id, fd, &mut buf[..room * PtraceEvent::SIZE]) {
            Step::Wait(waiter) => {
                self.parties[n].waits = Waits::On(waiter);
                return Ok(Ok(Got::Waits));
            }
            Step::Done(Ok(size)) => size,
            Step::Done(Err(Errno::ESRCH)) => {
                self.ledger.nothing_due(pid, &self.name(pid))?;
                return Ok(Ok(Got::Gone));
            }
            Step::Done(Err(Errno::EAGAIN)) => {
                self.ledger.nothing_due(pid, &self.name(pid))?;
                return Ok(Ok(Got::Again));
            }
            Step::Done(Err(errno)) => return Ok(Err(errno)),
        };
        let mut records: Vec<PtraceEvent> = buf[..size]
            .chunks_exact(PtraceEvent::SIZE)
            .filter_map(|bytes| PtraceEvent::read_from_bytes(bytes).ok())
            .collect();
        if setup.breaks(Quirk::Lifo) {
            records.reverse();
        }
        if setup.breaks(Quirk::Twice) {
            records = records.iter().flat_map(|event| [*event, *event]).collect();
        }
        self.ledger.read(pid, &self.name(pid), &records)?;
        if records.is_empty() {
            if !before.is_some_and(|session| session.held) {
                return violated(Rule::NoEventInvented, format!("{} is not stopped", self.name(pid)));
            }
            return Ok(Ok(Got::Nothing));
        }
        Ok(Ok(Got::Records(records)))
    }

    pub(super) fn read(
        &mut self,
        setup: &Setup,
        n: usize,
        pid: Pid,
        woken: Waits,
    ) -> Result<String, Violation> {
        Ok(match self.fetch(setup, n, pid, woken)? {
            Ok(Got::Waits) => "waits".into(),
            Ok(Got::Again) if self.parties[n].queue.is_some() => {
                "EAGAIN; the queue says to look again".into()
            }
            Ok(got) => {
                self.next(n, Ok(()));
                text(&got)
            }
            Err(errno) => self.next(n, Err(errno)),
        })
    }

    /// `take`.
    pub(super) fn take(
        &mut self,
        setup: &Setup,
        n: usize,
        pid: Pid,
        (none, gone): (Option<&str>, Option<&str>),
    ) -> Result<String, Violation> {
        let got = match self.look(setup, n, pid, Waits::No, 1)? {
            Ok(Got::Waits) => return Ok("waits".into()),
            Ok(got) => got,
            Err(errno) => return Ok(self.next(n, Err(errno))),
        };
        self.next(n, Ok(()));
        let label = match got {
            Got::Gone => gone,
            Got::Again | Got::Nothing => none,
            Got::Records(_) | Got::Waits => None,
        };
        if let Some(place) = label.and_then(|label| setup.scenario().clients[n].place(label)) {
            self.parties[n].at = place;
        }
        Ok(text(&got))
    }

    pub(super) fn serve(
        &mut self,
        setup: &Setup,
        n: usize,
        pid: Pid,
        mask: PtraceFlags,
        woken: Waits,
    ) -> Result<String, Violation> {
        let stop = PtraceFlags::from_bits_retain(PtraceFlags::STOP_MASK) | PtraceFlags::STOP_INTERRUPT;
        if self.parties[n].writes {
            let at = self.parties[n].at;
            let said = self.write(setup, n, pid, mask);
            // The end of the task ends this act; a read finds it.
            let party = &mut self.parties[n];
            (party.at, party.writes) = (at, party.let_go);
            return Ok(format!("writes: {said}"));
        }
        Ok(match self.fetch(setup, n, pid, woken)? {
            Ok(Got::Waits) => "waits".into(),
            Ok(Got::Gone) => self.next(n, Err(Errno::ESRCH)),
            Err(errno) => self.next(n, Err(errno)),
            Ok(got) => {
                let stopped = match &got {
                    Got::Records(records) => records.iter().any(|event| stop.intersects(event.cause())),
                    got => matches!(got, Got::Nothing),
                };
                self.parties[n].writes = stopped;
                text(&got)
            }
        })
    }
}

fn text(got: &Got) -> String {
    match got {
        Got::Records(records) => {
            let word = |event: &PtraceEvent| crate::scenario::script::word(event.cause());
            format!("gives {}", records.iter().map(word).collect::<Vec<_>>().join(", "))
        }
        Got::Nothing => "gives nothing: the task is stopped, and all was told".into(),
        Got::Gone => "ESRCH".into(),
        Got::Again => "EAGAIN".into(),
        Got::Waits => "waits".into(),
    }
}
