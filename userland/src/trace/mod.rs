//! `tracefd trace`: every call of processes with its name, arguments and result; signals, births, ends.
//!
//! [`run`] starts a command or attaches, then hands over to [`follow`], which reads events and keeps [`tasks`]; [`args`]
//! and [`call`] have [`crate::decode`] make text of registers and memory, [`mod@print`] makes lines of it.

pub mod args;
pub mod call;
pub mod first;
pub mod follow;
pub mod print;
pub mod tasks;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

use kernel_model::abi::{Errno, Pid, Signal, Status};
use kernel_model::client::read_text;
use kernel_model::scheme::{Host, Program};

use crate::diagnose::{self, Asker};
use crate::failure::Failure;
use crate::launch;
use crate::output::Output;
use crate::select::Selection;
use crate::signals::Signals;
use crate::tables::Calls;
use follow::{Follow, Started};
use print::{Prefix, Printer};

/// What to trace.
pub enum Target {
    /// A command, searched for in this PATH.
    Command {
        /// Its name and arguments.
        words: Vec<OsString>,
        /// The value of PATH.
        search: Option<OsString>,
    },
    /// A program of a machine that has its own kind.
    Program(Program),
    /// Processes that are there.
    Attach(Vec<Pid>),
}

/// How to trace.
pub struct Options {
    /// Children too.
    pub follow: bool,
    /// The longest string shown.
    pub limit: usize,
    /// The calls that the machine has.
    pub calls: Calls,
    /// Which of them are shown.
    pub select: Selection,
    /// No line when a process joins.
    pub quiet: bool,
    /// The trace goes to a file.
    pub to_file: bool,
    /// Tracees die with the tool.
    pub kill_on_exit: bool,
    /// Which pids are shown.
    pub prefix: Prefix,
}

/// Traces to the end. Answers how the command ended; `None` after attaching.
pub fn run(
    host: &dyn Host,
    target: &Target,
    options: &Options,
    output: &Output,
    signals: Option<&Signals>,
) -> Result<Option<Status>, Failure> {
    let printer = Printer::new(output.clone(), options.prefix);
    let mut follow = Follow::new(host, options, printer, signals)?;
    let root = match target {
        Target::Command { words, search } => {
            let root = launch::spawn(host, words, search.clone())?;
            follow.began_with(words);
            root
        }
        Target::Program(program) => host
            .spawn(program)
            .map_err(|errno| Failure::Machine(format!("cannot start the program: {errno}")))?,
        Target::Attach(pids) => {
            for &pid in pids {
                attach(host, &mut follow, pid)?;
            }
            follow.to_the_end()?;
            return Ok(None);
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
    let last = follow.root_status();
    drop(follow);
    // The tracer is the parent here: nobody else can wait for it.
    match host.wait(root, true) {
        Ok(Some(status)) => Ok(Some(status)),
        Ok(None) | Err(Errno::ECHILD) => Ok(last.or(Some(Status(0)))),
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
