//! **[`Machine`]**: the least that something which runs processes must offer. Mechanism only.
//!
//! No masks, events, handles, paths, queues, ancestor rules, callbacks, `Send` or operating-system types. The kernel in
//! [`crate::core`] is the only caller.
//!
//! # Contract
//!
//! 1. **A report is a stop.** When [`next_stop`](Machine::next_stop) returns `(task, report)`, that task does not run
//!    until it is resumed or detached. Exceptions: `Gone` (nothing is left to resume); `Born` stops the parent, *and* the
//!    child it names, which is stopped before its first instruction.
//! 2. **More than demanded, never less.** [`demand`](Machine::demand) is a hint that may arrive while the task runs; from
//!    its return on, every demanded stop is reported. Undemanded ones may be; the kernel resumes them.
//! 3. **Transparency.** A stop that the kernel resumes with [`Verdict::Proceed`] and without writing state leaves no trace
//!    in the task: signals arrive, calls restart, job control is as it would be. What a machine cannot hide is in its
//!    divergence table.
//! 4. **Every death is reported once**, as `Gone`, after all other reports of that task. A task that execs from another
//!    thread keeps its [`Task`] and changes its pid (`Image`); the tasks that exec ends are `Gone`.
//! 5. **A [`Task`] is never reused** while anything can name it: it carries a generation. A request for a task that is
//!    gone answers [`Error::Gone`]; one that needs a stopped task and finds it running, [`Error::Running`].
//! 6. **Only `next_stop` waits**, and only when told to. `attach` and `interrupt` return before the stop; `detach` of a
//!    running task leaves it at its next stop at the latest.
//! 7. **One thread.** All calls come from the thread that made the machine; [`Wake`] is the exception.
//! 8. **Owner's death.** When the machine is dropped, or the process that owns it dies, tasks attached with
//!    [`OnDeath::Kill`] die, all others go on unharmed, with every signal they were sent.

use std::sync::Arc;

use bitflags::bitflags;

use crate::abi::Errno;
pub use crate::abi::{Pid, SigInfo, Signal, Status};
pub use crate::scheme::Program;
pub use crate::sets::{CallSet, Filter, SignalSet};

/// A task this machine traces, or has started. The generation guards against a reused slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Task {
    /// Index into the machine's table. Small and dense: the kernel indexes by it.
    pub slot: u32,
    /// Counts the uses of the slot.
    pub generation: u32,
}

bitflags! {
    /// Kinds of stop, as a set.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Demand: u32 {
        /// [`Report::CallEntry`]
        const CALL_ENTRY = 1 << 0;
        /// [`Report::CallExit`]
        const CALL_EXIT = 1 << 1;
        /// [`Report::Step`]: one instruction. One-shot: the machine forgets it when the task stops.
        const STEP = 1 << 2;
        /// [`Report::Signal`]
        const SIGNAL = 1 << 3;
        /// [`Report::Trap`]
        const TRAP = 1 << 4;
        /// [`Report::Exiting`]
        const EXITING = 1 << 5;
        /// [`Report::Born`]
        const BORN = 1 << 6;
        /// [`Report::Image`]
        const IMAGE = 1 << 7;
        /// [`Report::GroupStop`]
        const GROUP_STOP = 1 << 8;
        /// [`Report::Interrupt`]
        const INTERRUPT = 1 << 9;
        /// [`Report::Gone`]; always reported.
        const GONE = 1 << 10;
    }
}

/// Why a task stopped. Bare: details are fetched by [`Machine::detail`], if anyone asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// Before a system call is handled.
    CallEntry,
    /// After it. Never for calls that do not come back: exit, a successful exec, return from a handler.
    CallExit,
    /// Before a signal is acted on, whatever its disposition. Never for KILL.
    Signal,
    /// One instruction was executed.
    Step,
    /// A breakpoint instruction. The program counter reads as its address. Only if demanded: otherwise it is the
    /// `Signal` that it raises, with the program counter where the hardware left it.
    Trap,
    /// A child was made, process or thread. Both are stopped.
    Born {
        /// The child.
        child: Task,
        /// Its pid.
        pid: Pid,
    },
    /// A new program is loaded; none of it has run. `former` is the pid the task had before; it differs from
    /// [`Machine::pid`] where a thread's exec takes over the process's pid.
    Image {
        /// The pid before.
        former: Pid,
    },
    /// Job control stopped the task with this signal. Resuming lets it stay stopped, as it would be untraced, until
    /// it is continued.
    GroupStop {
        /// What stopped it.
        signal: Signal,
    },
    /// The answer to [`Machine::interrupt`].
    Interrupt,
    /// About to end; memory and registers are still there.
    Exiting {
        /// How it ends.
        status: Status,
    },
    /// Ended.
    Gone {
        /// How; `None` where nobody can know (a thread that another thread's exec ended).
        status: Option<Status>,
    },
}

impl Report {
    /// Those that say all there is by their kind; what else there is to tell is their [`Detail`].
    pub const PLAIN: &[Report] = &[
        Report::CallEntry, // in the order of the kinds
        Report::CallExit,
        Report::Signal,
        Report::Step,
        Report::Trap,
        Report::Interrupt,
    ];

    /// The kind as a set of one.
    pub const fn kind(self) -> Demand {
        match self {
            Report::CallEntry => Demand::CALL_ENTRY,
            Report::CallExit => Demand::CALL_EXIT,
            Report::Signal => Demand::SIGNAL,
            Report::Step => Demand::STEP,
            Report::Trap => Demand::TRAP,
            Report::Born { .. } => Demand::BORN,
            Report::Image { .. } => Demand::IMAGE,
            Report::GroupStop { .. } => Demand::GROUP_STOP,
            Report::Interrupt => Demand::INTERRUPT,
            Report::Exiting { .. } => Demand::EXITING,
            Report::Gone { .. } => Demand::GONE,
        }
    }
}

/// More about the stop a task is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detail {
    /// At `CallEntry` and `CallExit`.
    Call {
        /// Its number.
        number: u64,
        /// Counts the calls this machine has seen of this task, from 1. Entry and exit of a call have the same.
        id: u64,
        /// 0 the machine's own calling convention, 1 its 32-bit one.
        abi: u64,
    },
    /// At `Signal`, and at `Trap`, where it is the signal that the trap would raise.
    Signal {
        /// Which.
        signal: Signal,
        /// 0 default, 1 ignored, otherwise the handler's address, or [`Detail::SOME_HANDLER`].
        handler: u64,
    },
    /// At every other stop.
    None,
}

/// What a call was given, and what it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallValues {
    /// Its arguments, in order, zero-extended.
    pub args: [u64; 6],
    /// At `CallExit`: sign-extended; −4095 to −1 is an error's number, negated.
    pub result: Option<i64>,
    /// Whether a `CallExit` can come: not for exit and the return from a handler.
    pub returns: bool,
    /// Bytes of an address in memory that the call reads.
    pub word: u8,
}

/// What becomes of a call that a task is stopped at; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CallChange {
    /// Its arguments, in order.
    pub args: [Option<u64>; 6],
    /// At an entry the number, or the result if the call is then skipped; at an exit the result.
    pub register: Option<u64>,
    /// At an entry: the task has its own arguments again when the call is over, demanded or not. What is changed later in the same
    /// stop without this stays.
    pub lent: bool,
}

impl CallChange {
    /// What does not stay: arguments by their index, the register as the one after the last.
    pub fn each(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let value = |place| self.args.get(place).copied().unwrap_or(self.register);
        (0..=self.args.len()).filter_map(move |place| Some((place, value(place)?)))
    }
}

impl Detail {
    /// There is a handler, and this machine cannot tell its address.
    pub const SOME_HANDLER: u64 = u64::MAX;
}

/// What becomes of the thing a task is stopped before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It happens: the call is made, the signal delivered. After `Trap`: the trap's signal is raised, with the program
    /// counter where the hardware left it.
    Proceed,
    /// It does not: the call is skipped, its result being what the result register holds; the signal is dropped. After
    /// `Trap`: no signal, and the task goes on at the program counter that was shown. No effect at other stops.
    Skip,
}

/// A name that calls go by, for people and for files that they write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallName {
    /// As in [`Detail::Call`].
    pub abi: u64,
    /// As in [`Detail::Call`].
    pub number: u64,
    /// Its name; the same on all ABIs that have it.
    pub name: &'static str,
    /// One letter for each of [`CallName::GROUPS`] that it is in.
    pub groups: &'static str,
}

impl CallName {
    /// Groups of calls and the letters that stand for them: those that take a path, a descriptor; that make or end
    /// processes, or wait for them; about sockets, signals, memory.
    pub const GROUPS: [(&'static str, char); 6] =
        [("file", 'f'), ("desc", 'd'), ("process", 'p'), ("network", 'n'), ("signal", 's'), ("memory", 'm')];
}

/// What happens to a task when its owner dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnDeath {
    /// It goes on.
    Leave,
    /// It is killed, with its thread group.
    Kill,
}

/// Whether [`Machine::next_stop`] may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Only what is there.
    Poll,
    /// Until a report or a [`Wake`].
    Block,
}

/// How a detached task is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leave {
    /// Running, or stopped by job control if it was. What it was stopped before gets this verdict.
    Free(Verdict),
    /// Dead, with its thread group.
    Dead,
}

/// A register file. Sizes and layouts are the machine's ([`crate::abi::IntRegisters`] and others on x86-64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegSet {
    /// General registers. At `CallEntry` the result register reads as the call's number, and writing it changes the call.
    Int,
    /// Floating point.
    Float,
    /// Segment bases and the like.
    Env,
}

/// A way by which a task reaches files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// The folder that its relative paths begin at.
    Folder,
    /// A descriptor.
    Number(u32),
}

/// What is behind a descriptor, where that is more than its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Medium {
    /// No more.
    #[default]
    Named,
    /// A device.
    Device {
        /// Of characters, not of blocks.
        character: bool,
        /// Its driver's number.
        major: u64,
        /// The driver's number for it.
        minor: u64,
    },
    /// A process.
    Process(Pid),
    /// A socket.
    Socket(Socket),
}

/// A socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Socket {
    /// Its protocol's name.
    pub protocol: String,
    /// The system's number for it.
    pub id: u64,
    /// Its own address, if it has one.
    pub local: Option<String>,
    /// The address or, in a protocol without addresses, the id of the socket it is connected to.
    pub peer: Option<String>,
}

/// Coarse state of a task, for people and for access checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Runs, can run, or sleeps in a way that an interrupt ends.
    Running,
    /// Sleeps in a way that nothing ends but its own end: it cannot be stopped now.
    Uninterruptible,
    /// Stopped by job control.
    Stopped,
    /// Held by a tracer.
    Traced,
    /// Ended, not waited for.
    Zombie,
}

/// What the machine knows of a task, traced or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The process it belongs to; a single-threaded process's own pid.
    pub process: Pid,
    /// Parent of the process; `None` at the root.
    pub parent: Option<Pid>,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Coarse state.
    pub state: State,
    /// When it started, in the machine's own unit: (pid, start) never occurs twice.
    pub start: u64,
    /// The foreign tracer, if there is one.
    pub tracer: Option<Pid>,
    /// Whether it has memory and registers of a program; false for tasks of the system itself.
    pub user: bool,
}

/// Ends a [`Machine::next_stop`] that waits, from any thread. A wake is never lost: one that comes before the wait ends it.
pub trait Wake: Send + Sync {
    /// Does so.
    fn wake(&self);
}

/// Why a machine refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// No such task, or it has ended.
    #[error("no such task")]
    Gone,
    /// It must be stopped for this, and runs.
    #[error("the task is running")]
    Running,
    /// It cannot be stopped now.
    #[error("the task cannot be stopped now")]
    Unstoppable,
    /// Somebody traces it already.
    #[error("already traced")]
    Traced,
    /// The system refuses.
    #[error("not permitted")]
    Denied,
    /// An address in the range is not mapped, or not accessible even to a tracer.
    #[error("bad address")]
    Fault,
    /// A value no task can have, such as a segment base outside its range.
    #[error("invalid value")]
    Invalid,
    /// The wait was ended by a signal to the caller.
    #[error("interrupted")]
    Interrupted,
    /// Nothing is there that could ever end the wait.
    #[error("nothing to wait for")]
    Idle,
    /// Anything else, by number.
    #[error("{0}")]
    Other(Errno),
}

impl From<Error> for Errno {
    fn from(error: Error) -> Errno {
        match error {
            Error::Gone => Errno::ESRCH,
            Error::Running | Error::Unstoppable => Errno::EAGAIN,
            Error::Traced => Errno::EBUSY,
            Error::Denied => Errno::EPERM,
            Error::Fault => Errno::EFAULT,
            Error::Invalid => Errno::EINVAL,
            Error::Interrupted => Errno::EINTR,
            Error::Idle => Errno::EDEADLK,
            Error::Other(errno) => errno,
        }
    }
}

/// What a machine answers.
pub type Result<T> = std::result::Result<T, Error>;

/// Something that runs processes.
pub trait Machine {
    /// Starts a program, stopped before its first instruction, attached, with an empty demand. A child of the caller.
    /// No report is made of that first stop: the task is stopped when this returns.
    ///
    /// With [`Program::pushed`] the machine may let calls that are in neither set pass without a stop, for this task and
    /// all its descendants, whatever is demanded later. The kernel then demands `Born` of all of them, frees none, and has
    /// all of them killed when the owner dies.
    fn spawn(&mut self, program: &Program) -> Result<Task>;

    /// Begins to trace a task, without stopping it. Errors: `Gone` (also for one that has ended and was not waited for),
    /// `Traced`, `Denied`.
    ///
    /// If job control has stopped it, a `GroupStop` is reported.
    fn attach(&mut self, pid: Pid, on_owner_death: OnDeath) -> Result<Task>;

    /// Changes what [`attach`](Self::attach) said; for children, which inherit it. May take effect at the next stop.
    fn on_owner_death(&mut self, task: Task, what: OnDeath) -> Result<()>;

    /// The task's pid now.
    fn pid(&self, task: Task) -> Result<Pid>;

    /// From now on, at least these stops are reported. Replaces the set of before, running or not.
    fn demand(&mut self, task: Task, demand: Demand) -> Result<()>;

    /// Of the demanded call and signal stops, only these are wanted, from the next one on. A hint, as `demand` is: more may
    /// be reported, never less. A new task's filter is [`Filter::ALL`].
    fn filter(&mut self, task: Task, filter: &Filter) -> Result<()>;

    /// The calls this machine knows by name.
    fn calls(&self) -> &[CallName];

    /// Stops a running task as soon as possible; answered by [`Report::Interrupt`] unless another stop's resumption
    /// makes it superfluous. While one is under way, or the task is stopped, another has no effect.
    /// Errors: `Unstoppable`, where the machine knows that it cannot stop now; it will as soon as it can, all the same.
    fn interrupt(&mut self, task: Task) -> Result<()>;

    /// Lets a stopped task go on to the next demanded stop.
    fn resume(&mut self, task: Task, verdict: Verdict) -> Result<()>;

    /// The next report. `None`: nothing there (`Poll`), or woken (`Block`).
    /// Errors: `Interrupted`; `Idle` with `Block`, when no report can come any more without another request.
    fn next_stop(&mut self, wait: Wait) -> Result<Option<(Task, Report)>>;

    /// Something that ends `next_stop` from another thread. All are the same.
    fn waker(&mut self) -> Result<Arc<dyn Wake>>;

    /// More about the stop the task is in.
    fn detail(&mut self, task: Task) -> Result<Detail>;

    /// Arguments and result of the call a task is stopped at; apart from [`detail`](Self::detail) because it may cost more.
    /// Errors: `Invalid` the stop is not a call's.
    fn call_values(&mut self, task: Task) -> Result<CallValues>;

    /// Changes the call a task is stopped at: the registers that hold it, and nothing else. Lent arguments come back before the
    /// exit is reported; they may stay if the task is detached before it, and do in a child that the call makes. Errors: `Invalid` the
    /// stop is not a call's, or a value does not fit the call's ABI.
    fn set_call(&mut self, task: Task, change: &CallChange) -> Result<()>;

    /// This machine's clock, in nanoseconds from some moment in the past. It never goes back.
    fn now(&mut self) -> u64;

    /// Bytes of a register file.
    fn reg_size(&self, set: RegSet) -> usize;

    /// Reads a register file of a stopped task. `buf` may be shorter than the file; it is then cut.
    fn read_regs(&mut self, task: Task, set: RegSet, buf: &mut [u8]) -> Result<()>;

    /// Writes a register file of a stopped task. `bytes` is whole. Errors: `Invalid` a value no task can have.
    fn write_regs(&mut self, task: Task, set: RegSet, bytes: &[u8]) -> Result<()>;

    /// Reads memory of a task, traced or not, stopped or not; `start` is [`Facts::start`] and guards against a reused
    /// pid. All of `buf`, or an error; `Fault` leaves `buf` unspecified.
    fn read_mem(&mut self, pid: Pid, start: u64, address: u64, buf: &mut [u8]) -> Result<()>;

    /// Writes memory, also where the task itself may not. All of `bytes`, or an error; on `Fault` nothing, or the pages
    /// before the bad one, are written.
    fn write_mem(&mut self, pid: Pid, start: u64, address: u64, bytes: &[u8]) -> Result<()>;

    /// What is known of a task. Errors: `Gone`. A zombie still has facts.
    fn facts(&mut self, pid: Pid) -> Result<Facts>;

    /// [`Facts::start`] alone, for the cost of that. Errors: `Gone`, also for a zombie.
    fn start(&mut self, pid: Pid) -> Result<u64>;

    /// All tasks of a task's process, itself included, ascending. Errors: `Gone`.
    fn threads(&mut self, pid: Pid) -> Result<Vec<Pid>>;

    /// The program file of a task, with the name of the scheme it is in (`file:/bin/ls`); empty for tasks of the system
    /// itself. Errors: `Gone`.
    fn exe(&mut self, pid: Pid) -> Result<Vec<u8>>;

    /// What came with the signal that a stopped task is before; `None` at any stop but `Signal` and `Trap`.
    fn siginfo(&mut self, task: Task) -> Result<Option<SigInfo>>;

    /// What a descriptor of a task refers to: a path, or what the system calls something that has none (`pipe:[7]`). `None`
    /// for one that is not open. Errors: `Gone`, `Denied`.
    fn descriptor(&mut self, pid: Pid, which: Which) -> Result<Option<Vec<u8>>>;

    /// What is known of it beside that; `None` as there. Errors: `Gone`, `Denied`.
    fn descriptor_facts(&mut self, pid: Pid, which: Which) -> Result<Option<Medium>>;

    /// Sends a signal, on behalf of the owner. Errors: `Gone`, `Denied`, `Invalid`.
    fn signal(&mut self, pid: Pid, signal: Signal) -> Result<()>;

    /// Stops tracing. `Gone` is still reported for tasks of [`spawn`](Self::spawn), for nothing else; reports that were not
    /// fetched yet are forgotten, and a child that only they tell of goes its way.
    fn detach(&mut self, task: Task, leave: Leave) -> Result<()>;
}
