//! [`Bench`]: what a rule may touch: a tracer's [`Host`], guests, labels, call numbers. Never a machine.
//!
//! [`Stage`] is what the runner supplies for each machine; a rule sees it only through the bench.

use std::cell::RefCell;

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceEvent, PtraceFlags, Signal, Status};
use kernel_model::client::{Trace, read_text};
use kernel_model::scheme::{Caller, Host, Program, User};
use kernel_model::sets::Filter;

use super::{Check, Failure};
use crate::quirk::Quirky;
use crate::{ensure, same};

/// Who may trace whom, beside uid 0. The kernel's own type is the runner's concern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// The caller must be an ancestor, and own the process.
    Descendants,
    /// The caller must own the process.
    SameUser,
}

/// What the runner supplies: one fresh kernel over one machine, with the rule's guest loaded.
pub trait Stage {
    /// `sim` or `linux`.
    fn machine(&self) -> &'static str;
    /// The kernel's access policy.
    fn access(&self) -> Access;
    /// The tracer that [`Bench::host`] is. Guests are its children.
    fn me(&self) -> Caller;
    /// Another client of the same kernel; dropping it is that client's death.
    fn client(&self, caller: Caller) -> Box<dyn Client>;
    /// How to start a program of the guest.
    fn program(&self, name: &str) -> Program;
    /// The address of a label in a program of the guest.
    fn label(&self, program: &str, label: &str) -> Option<u64>;
    /// A call's number on this machine.
    fn call(&self, name: &str) -> u64;
    /// Makes the next process of the machine get this pid, if the machine can be made to.
    fn reuse_pid(&self, pid: Pid) -> bool;
    /// Runs `body` with a client, of the same caller, of another such kernel, in the form that threads share.
    fn shared(&self, body: &mut dyn FnMut(&(dyn Host + Sync)) -> Check) -> Check;
}

/// A client whose descriptor table can be treated as `fork` and `exec` treat one.
pub trait Client {
    /// Its view.
    fn host(&self) -> &dyn Host;
    /// A second client with a copy of the table: same descriptions, as after fork.
    fn fork(&self, caller: Caller) -> Box<dyn Client>;
    /// Closes what is O_CLOEXEC, as exec does.
    fn exec(&self);
}

/// What a rule is run on.
pub struct Bench<'a> {
    /// The tracer's view.
    pub host: &'a dyn Host,
    stage: &'a dyn Stage,
    quirk: Option<&'static str>,
    started: RefCell<Vec<Pid>>,
}

/// The user that guests become where the tracer is root, whom no check stops.
pub const PLAIN_UID: u32 = 1000;

/// Appended to every guest: something that runs for a while, and ends.
pub const BYSTANDER: &str = "
program bystander
.text
    mov rbx, 200
again:
    sys sched_yield
    dec rbx
    jne again
    sys exit, 0
";

impl<'a> Bench<'a> {
    /// With `quirk`, other clients of the rule are broken like the main one, `host`.
    pub fn new(stage: &'a dyn Stage, host: &'a dyn Host, quirk: Option<&'static str>) -> Bench<'a> {
        Bench { host, stage, quirk, started: RefCell::default() }
    }

    /// The tracer itself.
    pub fn me(&self) -> Caller {
        self.stage.me()
    }

    /// `sim` or `linux`.
    pub fn machine(&self) -> &'static str {
        self.stage.machine()
    }

    /// The kernel's access policy.
    pub fn access(&self) -> Access {
        self.stage.access()
    }

    /// The owner of a guest that has done `setuid(1000)`: that user if we are root, ourselves if the call failed.
    pub fn owner(&self) -> Caller {
        let me = self.me();
        Caller { uid: if me.uid == 0 { PLAIN_UID } else { me.uid }, ..me }
    }

    /// Another client.
    pub fn client(&self, caller: Caller) -> Box<dyn Client> {
        let client = self.stage.client(caller);
        match self.quirk {
            None => client,
            Some(rule) => Box::new(Quirky::new(client, rule, caller)),
        }
    }

    /// Starts the guest's first program, held.
    pub fn start(&self) -> Check<Pid> {
        self.start_program("main")
    }

    /// Starts a program of the guest, held.
    pub fn start_program(&self, name: &str) -> Check<Pid> {
        let pid = self.host.spawn(&self.stage.program(name))?;
        self.started.borrow_mut().push(pid);
        Ok(pid)
    }

    /// Starts the guest's first program as another user.
    pub fn start_as_user(&self, user: User) -> Result<Pid, Errno> {
        let program = Program { user: Some(user), ..self.stage.program("main") };
        let pid = self.host.spawn(&program)?;
        self.started.borrow_mut().push(pid);
        Ok(pid)
    }

    /// Starts the guest's first program with a filter that cannot be taken off.
    pub fn start_filtered(&self, pushed: Filter) -> Check<Pid> {
        let program = Program { pushed: Some(pushed), ..self.stage.program("main") };
        let pid = self.host.spawn(&program)?;
        self.started.borrow_mut().push(pid);
        Ok(pid)
    }

    /// Starts the guest's first program on the client that [`shared`](Self::shared) gave.
    pub fn start_on(&self, host: &dyn Host) -> Check<Pid> {
        Ok(host.spawn(&self.stage.program("main"))?)
    }

    /// Runs `body` with a client that threads can share, of a kernel of its own.
    pub fn shared(&self, body: &mut dyn FnMut(&(dyn Host + Sync)) -> Check) -> Check {
        self.stage.shared(&mut |host| match self.quirk {
            None => body(host),
            Some(rule) => body(&Quirky::new(host, rule, self.me())),
        })
    }

    /// Starts the guest and opens its `trace`, which takes the hold over.
    pub fn begin(&self) -> Check<(Pid, Trace<'a>)> {
        self.begin_with(OpenFlags::empty())
    }

    /// [`begin`](Self::begin) with open flags.
    pub fn begin_with(&self, flags: OpenFlags) -> Check<(Pid, Trace<'a>)> {
        let pid = self.start()?;
        Ok((pid, Trace::open(self.host, pid, flags)?))
    }

    /// Starts the guest and opens its `trace.x`.
    pub fn begin_experimental(&self) -> Check<(Pid, Trace<'a>)> {
        let pid = self.start()?;
        Ok((pid, Trace::experimental(self.host, pid, OpenFlags::empty())?))
    }

    /// The address of a label of the first program.
    pub fn label(&self, label: &str) -> u64 {
        self.label_in("main", label)
    }

    /// The address of a label of any program of the guest.
    #[track_caller]
    pub fn label_in(&self, program: &str, label: &str) -> u64 {
        match self.stage.label(program, label) {
            Some(address) => address,
            None => panic!("the guest's program {program} has no label {label}"),
        }
    }

    /// A call's number on this machine.
    pub fn call(&self, name: &str) -> u64 {
        self.stage.call(name)
    }

    /// Runs the tracee to the entry of its next call of this name.
    pub fn to_call(&self, trace: &Trace<'_>, name: &str) -> Check<PtraceEvent> {
        loop {
            trace.resume(PtraceFlags::STOP_PRE_SYSCALL)?;
            let event = event(trace, PtraceFlags::STOP_PRE_SYSCALL)?;
            if event.d == self.call(name) {
                return Ok(event);
            }
        }
    }

    /// The text of its `status`.
    pub fn status(&self, pid: Pid) -> Check<Vec<u8>> {
        Ok(read_text(self.host, &format!("proc:{pid}/status"))?)
    }

    /// How it ended; waits for that.
    pub fn ended(&self, pid: Pid) -> Check<Status> {
        self.host.wait(pid, true)?.ok_or_else(|| Failure::new("a blocking wait gave nothing"))
    }

    /// Runs an unrelated process from start to end: whatever is able to run meanwhile, does.
    pub fn meanwhile(&self) -> Check {
        let pid = self.start_program("bystander")?;
        Trace::open(self.host, pid, OpenFlags::empty())?.close()?;
        same!(self.ended(pid)?, Status::exited(0));
        Ok(())
    }

    /// Starts the guest's first program under a pid that was in use before, by a process with this `status`. It tries
    /// often: others may be faster, and Linux tells starts apart only by the clock tick.
    pub fn start_as(&self, pid: Pid, former: &[u8]) -> Check<Pid> {
        const TRIES: usize = 2000;
        for _ in 0..TRIES {
            ensure!(self.stage.reuse_pid(pid), "this machine cannot be made to use a pid again");
            let new = self.start()?;
            if new == pid && self.status(pid)? != former {
                return Ok(pid);
            }
            self.host.kill(new, Signal::KILL)?;
            self.ended(new)?;
        }
        Err(Failure::new(format!("{TRIES} times, another process got pid {pid}")))
    }
}

/// A rule may fail anywhere; its guests must not outlive it, and their statuses not stay for the next rule.
impl Drop for Bench<'_> {
    fn drop(&mut self) {
        for pid in self.started.take() {
            if self.host.wait(pid, false) == Ok(None) && self.host.kill(pid, Signal::KILL).is_ok() {
                let _ = self.host.wait(pid, true);
            }
        }
    }
}

/// The next record, which must be of this cause.
#[track_caller]
pub(super) fn event(trace: &Trace<'_>, cause: PtraceFlags) -> Check<PtraceEvent> {
    match trace.next()? {
        Some(event) if event.cause() == cause => Ok(event),
        other => Err(Failure::new(format!("wanted {cause:?}, got {other:x?}"))),
    }
}

/// Every record until the tracee is gone, each answered by the same mask.
pub(super) fn events_to_end(trace: &Trace<'_>, mask: PtraceFlags) -> Check<Vec<PtraceEvent>> {
    let mut all = Vec::new();
    loop {
        match trace.resume(mask).and_then(|()| trace.next()) {
            Ok(Some(event)) => all.push(event),
            Ok(None) => return Err(Failure::new("stopped without an event")),
            Err(Errno::ESRCH) => return Ok(all),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The error of a call that must fail.
#[track_caller]
pub(super) fn refused<T>(result: Result<T, Errno>) -> Check<Errno> {
    match result {
        Ok(unwanted) => {
            drop(unwanted);
            Err(Failure::new("succeeded where it must fail"))
        }
        Err(errno) => Ok(errno),
    }
}
