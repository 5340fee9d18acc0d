//! [`View`]: what a format is told. The loop knows events and tasks; a view makes text of what happened, and acts on
//! nothing.

use std::borrow::Cow;
use std::time::Duration;

use kernel_model::abi::{Pid, SigInfo, Signal, Status};

use super::moment::Moment;

/// Who something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// Tells tasks apart; outlives a change of pid.
    pub key: usize,
    /// Is shown.
    pub pid: Pid,
    /// The process it is a thread of, where that is known.
    pub process: Option<Pid>,
}

/// What a view wants to be told; what nobody wants is not fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Arguments of calls, as words and text.
    pub arguments: bool,
    /// A call is told once, when it is over, with its arguments.
    pub joined: bool,
    /// Moments.
    pub times: bool,
    /// The program counter.
    pub pc: bool,
    /// What comes with signals.
    pub origins: bool,
    /// The names of program files.
    pub programs: bool,
    /// A call that its task died in is told to have ended, without a result.
    pub ends: bool,
}

/// One thing that happened.
pub struct Happened<'a> {
    /// To whom.
    pub who: Who,
    /// When; a constant if no view needs times.
    pub now: Moment,
    /// The program counter, if needed and known.
    pub pc: Option<u64>,
    /// What.
    pub what: What<'a>,
}

/// A call, begun or over.
pub struct CallView<'a> {
    /// Its name, or `syscall_0x…`.
    pub name: Cow<'static, str>,
    /// Its number.
    pub number: u64,
    /// 0 the machine's own, 1 its 32-bit one.
    pub abi: u64,
    /// Counts the task's calls.
    pub id: u64,
    /// The argument words.
    pub words: [u64; 6],
    /// `name(argument, argument`. Empty at the end of a call that was told when it began.
    pub text: &'a [u8],
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this value.
    Value(i64),
    /// With this error number. Those above 511 are the kernel's own: the call will be made again, or not.
    Error(i32),
    /// It does not return (exit, the return from a handler), or the task died in it.
    Never,
    /// It returned, and the result cannot be read.
    Unreadable,
}

/// The end of a call.
pub struct Ended<'a> {
    /// Which.
    pub call: CallView<'a>,
    /// How.
    pub outcome: Outcome,
    /// The arguments that only the end can tell, in the form of the rest of `call.text`.
    pub rest: &'a [u8],
    /// The result as text.
    pub result: &'a [u8],
    /// Whole lines that show what it moved.
    pub dump: &'a [u8],
    /// When it began; `None`: before the session.
    pub began: Option<Moment>,
    /// From event to event.
    pub spent: Option<Duration>,
    /// The tool made the result.
    pub injected: bool,
    /// The tool held the task before or after it.
    pub delayed: bool,
    /// The task died in it.
    pub cut: bool,
}

/// Where a task comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The tool started it.
    Started,
    /// It was there before.
    Attached,
    /// A traced task made it, which `Born` told.
    Born,
}

/// What happened.
pub enum What<'a> {
    /// Its session begins.
    Joins(Joined),
    /// A call begins. Not told to views that want calls joined.
    Begins(CallView<'a>),
    /// A call is over.
    Ends(Ended<'a>),
    /// A signal is about to be acted on.
    Signal {
        /// Which.
        signal: Signal,
        /// 0 default, 1 ignored, `u64::MAX` some handler, else its address.
        handler: u64,
        /// What came with it, if needed and known.
        info: Option<&'a SigInfo>,
    },
    /// It made a task.
    Born {
        /// Its pid.
        child: Pid,
        /// The child's process.
        process: Option<Pid>,
    },
    /// It runs a new program.
    Image,
    /// What file it runs: after `Joins` and `Image`, to views that need it.
    Program(&'a str),
    /// Another thread's exec took its pid; `None`: one that is not traced.
    Superseded {
        /// The pid that thread had.
        by: Option<Pid>,
    },
    /// Job control stopped it.
    Stopped(Signal),
    /// It ended. `None`: by another thread's exec.
    Dies(Option<Status>),
    /// It executes another program, and goes on untraced. Its exec, if that is shown; told with text to views that want calls
    /// joined.
    LetGo(Option<CallView<'a>>),
    /// The session is over; the key may be another's from now on.
    Leaves,
}

/// A format.
pub trait View {
    /// What it wants to be told. Does not change.
    fn needs(&self) -> Needs;
    /// Something happened.
    fn tell(&mut self, happened: &Happened<'_>);
    /// About the tool's own doings.
    fn note(&mut self, text: &str);
    /// The tool is about to wait; this many tasks are traced.
    fn idle(&mut self, tasks: usize);
}
