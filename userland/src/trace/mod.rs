//! `tracefd trace`: every call of processes with its name, arguments and result; signals, births, ends.
//!
//! [`run`] starts a command or attaches, then hands over to [`follow`], which reads events and keeps [`tasks`]; [`args`]
//! and [`call`] have [`crate::decode`] make text of registers and memory. What happens is told to a [`view::View`], which is one of
//! [`crate::format`] or [`summary`]; [`mod@print`] makes lines. [`inject`] is what `-e inject=` does to calls,
//! [`delay`] how they are made late, [`dump`] what `-e read=` adds.

pub mod args;
pub mod call;
mod calls;
pub mod delay;
pub mod dump;
pub mod first;
pub mod follow;
pub mod inject;
pub mod moment;
pub mod print;
pub mod summary;
pub mod tasks;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;
pub mod view;
pub mod whole;

use kernel_model::abi::{Errno, Pid, Signal, Status};
use kernel_model::client::read_text;
use kernel_model::scheme::{Host, Program};

pub use crate::decode::Show;
use crate::diagnose::{self, Asker};
use crate::failure::Failure;
use crate::launch;
use crate::qualify::Set;
use crate::select::Selection;
use crate::signals::Signals;
use crate::tables::Calls;
use delay::Ringer;
use follow::{Follow, LeftAt, Started};
use inject::Rule;
use view::View;

/// What to trace.
pub enum Target {
    /// A command, searched for in PATH.
    Command(launch::Command),
    /// A program of a machine that has its own kind.
    Program(Program),
    /// A program that a recording has.
    Recorded {
        /// As it was started.
        program: Program,
        /// The command that named it, if there was one.
        words: Vec<std::ffi::OsString>,
    },
    /// A process that waits to be traced, then becomes the command.
    Waiting {
        /// Which.
        pid: Pid,
        /// It may go on.
        traced: Box<dyn Fn()>,
    },
    /// Processes that are there.
    Attach(Vec<Pid>),
}

/// How to trace.
pub struct Options {
    /// Children too.
    pub follow: bool,
    /// How arguments are shown.
    pub show: Show,
    /// The calls that the machine has.
    pub calls: Calls,
    /// Which of them are shown.
    pub select: Selection,
    /// Which signals are shown.
    pub signals: Set,
    /// Which ends of calls are shown.
    pub endings: Set,
    /// Calls whose structures are abbreviated, if that was said.
    pub abbreviated: Option<Selection>,
    /// Calls whose arguments are shown as plain words.
    pub raw: Selection,
    /// Descriptors of which all that is read is shown.
    pub read: Set,
    /// The same of what is written.
    pub written: Set,
    /// Only calls about one of these files are shown, if there are any.
    pub paths: Vec<Vec<u8>>,
    /// What is done to calls.
    pub rules: Vec<Rule>,
    /// The first process that is about to make one of these is left stopped there.
    pub stop_at: Option<Selection>,
    /// Tasks that come to another program are let go.
    pub leaves_at_exec: bool,
    /// Tracees die with the tool.
    pub kill_on_exit: bool,
    /// Everything is read, shown or not: for a recording, and for what is replayed.
    pub whole: bool,
    /// Where times come from.
    pub clock: whole::Source,
}

impl Options {
    /// How this call is shown.
    pub fn show_of(&self, abi: u64, number: u64) -> Show {
        let full = self.abbreviated.as_ref().map_or(self.show.full, |set| !set.has(abi, number));
        Show { full, raw: self.raw.has(abi, number), ..self.show }
    }

    /// Whether a call is told to the view.
    pub(crate) fn shows(&self, abi: u64, number: u64) -> bool {
        self.whole || self.select.has(abi, number)
    }

    /// Whether the tool has to hear of this call, to show it or to do something about it.
    pub fn needs(&self, abi: u64, number: u64) -> bool {
        self.whole
            || self.select.has(abi, number)
            || self.rules.iter().any(|rule| rule.is_about(abi, number))
            || self.stop_at.as_ref().is_some_and(|calls| calls.has(abi, number))
    }
}

/// How tracing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The command ended so.
    Command(Status),
    /// The last process that was attached to has ended.
    Attached,
    /// A process was left stopped; the others run.
    Left(LeftAt),
}

/// Traces to the end.
pub fn run(
    host: &dyn Host,
    target: &Target,
    options: &Options,
    view: &mut dyn View,
    signals: Option<&Signals>,
    ringer: Option<&Ringer<'_>>,
) -> Result<End, Failure> {
    if options.whole {
        return all(host, target, options, &mut whole::Shown::new(view, options), signals, ringer);
    }
    all(host, target, options, view, signals, ringer)
}

fn all(
    host: &dyn Host,
    target: &Target,
    options: &Options,
    view: &mut dyn View,
    signals: Option<&Signals>,
    ringer: Option<&Ringer<'_>>,
) -> Result<End, Failure> {
    let mut follow = Follow::new(host, options, view, signals, ringer)?;
    let root = match target {
        Target::Command(command) => {
            let root = launch::spawn(host, command)?;
            follow.began_with(&command.words);
            root
        }
        Target::Program(program) => host
            .spawn(program)
            .map_err(|errno| Failure::Machine(format!("cannot start the program: {errno}")))?,
        Target::Recorded { program, words } => {
            let root = host.spawn(program).map_err(Failure::kernel("starting the recorded program"))?;
            follow.began_with(words);
            root
        }
        Target::Waiting { pid, traced } => {
            let opened = follow.adopt(*pid, Started::Waiting);
            opened.map_err(|errno| diagnose::attach(host, *pid, errno, Asker::this()))?;
            traced();
            follow.to_the_end()?;
            return Ok(End::Attached);
        }
        Target::Attach(pids) => {
            for &pid in pids {
                attach(host, &mut follow, pid)?;
            }
            follow.to_the_end()?;
            return Ok(follow.left_at().cloned().map_or(End::Attached, End::Left));
        }
    };
    // What can fail from here on must not leave the command behind, held for ever.
    let adopted = follow.adopt(root, Started::Here).map_err(|errno| {
        let failure = diagnose::attach(host, root, errno, Asker::this());
        let _ = host.kill(root, Signal::KILL);
        let _ = host.wait(root, true);
        failure
    });
    adopted?;
    if let Some(signals) = signals {
        signals.root_is(root.0);
    }
    follow.to_the_end()?;
    if let Some(left) = follow.left_at() {
        return Ok(End::Left(left.clone()));
    }
    let last = follow.root_status();
    drop(follow);
    // The tracer is the parent here: nobody else can wait for it.
    match host.wait(root, true) {
        Ok(Some(status)) => Ok(End::Command(status)),
        Ok(None) | Err(Errno::ECHILD) => Ok(End::Command(last.unwrap_or(Status(0)))),
        Err(Errno::EDEADLK) => Err(Failure::Deadlock),
        Err(errno) => Err(Failure::Kernel { doing: "waiting for the command", errno }),
    }
}

/// Opens all threads of a process. New ones may be born meanwhile, by threads that are not open yet: look again until
/// a look finds none.
fn attach(host: &dyn Host, follow: &mut Follow<'_>, pid: Pid) -> Result<(), Failure> {
    let asker = Asker::this();
    diagnose::refuse_self(host, pid, asker)?;
    loop {
        let refused = |errno| diagnose::attach(host, pid, errno, asker);
        let text = read_text(host, &format!("proc:{pid}/threads")).map_err(refused)?;
        let text = String::from_utf8_lossy(&text);
        let mut found = false;
        for tid in text.split_whitespace().filter_map(|word| word.parse().ok()).map(Pid) {
            if follow.knows(tid) {
                continue;
            }
            match follow.adopt(tid, Started::Elsewhere { process: pid }) {
                Ok(()) => found = true,
                // A thread that ended since; the process itself is another matter.
                Err(Errno::ESRCH) if tid != pid => {}
                Err(errno) => return Err(diagnose::attach(host, tid, errno, asker)),
            }
        }
        if !found {
            return Ok(());
        }
    }
}
