//! [`Scenario`]: programs, who traces them and how, and what may be seen of it, as one text (RFC 0008).
//!
//! [`parse`](Scenario::parse) and [`Display`](std::fmt::Display) are each other's reverse. Two things are done with one: a
//! client of `at` lines ([`script`]) is *played*, once, on any machine; clients of [`Act`]s are *explored*, in every order,
//! on the simulator ([`crate::explore`]).
//!
//! ```
//! use kernel_model::scenario::Scenario;
//!
//! let scenario = Scenario::parse("
//! client a
//!   spawn main
//!   open main
//!   serve main pre signal
//! signal main usr1
//! ends main: exit 0, SIGUSR1
//! program main
//!   sys getpid
//!   sys exit, 0
//! ")?;
//! assert_eq!(scenario.clients[0].acts.len(), 3);
//! assert_eq!(Scenario::parse(&scenario.to_string())?, scenario);
//! # Ok::<(), kernel_model::scenario::WrongLine>(())
//! ```

mod parse;
pub mod script;
pub mod text;

use crate::abi::{OpenFlags, PtraceFlags, Signal, Status};
pub use parse::WrongLine;
use script::Script;

/// A case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scenario {
    /// Why machines differ, if that is known and open.
    pub known: Option<String>,
    /// Signals are acted on after the call that they interrupt, as on Linux, and not within it.
    pub deferred_signals: bool,
    /// Who traces. They run at the same time.
    pub clients: Vec<Client>,
    /// What happens once, at any moment, without anybody's doing.
    pub events: Vec<Event>,
    /// How tasks may end; those that are not named, in any way.
    pub ends: Vec<Ends>,
    /// What the only client sees, where it is played: (its nth session, a line).
    pub sees: Vec<(usize, String)>,
    /// In the simulator's language (RFC 0004).
    pub programs: String,
}

/// Somebody who traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    /// For other lines.
    pub name: String,
    /// How it opens and waits.
    pub manner: Manner,
    /// What it does, one after the other.
    pub acts: Vec<Act>,
    /// What it does at each stop of the program `main`, in place of acts.
    pub main: Script,
    /// The same, of each child.
    pub child: Script,
}

impl Client {
    /// Whether it has lines for stops in place of acts.
    pub fn is_scripted(&self) -> bool {
        !self.main.is_empty() || !self.child.is_empty() || self.acts.is_empty()
    }

    /// Where a label is, among the acts.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.acts.iter().position(|act| matches!(act, Act::Label { label } if label == name))
    }

    /// The next act from a place on that does something: labels are passed and gotos followed. `None` where they lead round
    /// and round.
    pub fn settle(&self, mut at: usize) -> Option<usize> {
        for _ in 0..=self.acts.len() {
            match self.acts.get(at) {
                Some(Act::Label { .. }) => at += 1,
                // A label that is nowhere was refused when the text was read.
                Some(Act::Goto { label }) => at = self.place(label)?,
                _ => return Some(at),
            }
        }
        None
    }
}

/// How a client opens and waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Manner {
    /// `trace.x`.
    pub experimental: bool,
    /// O_EXCL.
    pub exclusive: bool,
    /// O_NONBLOCK and `event:`, or else reads that wait.
    pub queue: bool,
    /// Offered children. Only where it is played.
    pub children: Children,
}

/// What becomes of children that are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Children {
    /// Each is traced, with the script for children.
    Follow,
    /// The next write lets them go.
    #[default]
    Release,
    /// They are opened and closed at once.
    Shut,
}

/// One file operation, or a short protocol of them. Tasks are named: those that are spawned by the client that does so, and
/// the nth child of NAME is `NAME.n`, from 1. An act on a task that is not born yet is not done before it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Starts a program, and names the task.
    Spawn {
        /// Of the file.
        program: String,
        /// Its name from now on.
        task: String,
    },
    /// Opens its `trace`, in the client's manner.
    Open {
        /// Whose.
        task: String,
        /// O_TRUNC, O_EXCL, O_NONBLOCK.
        flags: OpenFlags,
    },
    /// Writes a mask.
    Write {
        /// Whose handle.
        task: String,
        /// What.
        mask: PtraceFlags,
    },
    /// Reads once, up to four records.
    Read {
        /// Whose handle.
        task: String,
    },
    /// Reads, and writes the mask at each stop, until the task has ended.
    Serve {
        /// Whose handle.
        task: String,
        /// What.
        mask: PtraceFlags,
    },
    /// Closes.
    Close {
        /// Whose handle.
        task: String,
    },
    /// Opens its `regs/int`, reads it, which stops the task shortly if it runs, and closes it.
    Regs {
        /// Whose.
        task: String,
    },
    /// Sends a signal.
    Kill {
        /// To whom.
        task: String,
        /// Which.
        signal: Signal,
    },
    /// Waits for the end of a task that it spawned.
    Wait {
        /// Which.
        task: String,
    },
    /// Dies: everything of it closes.
    Die,
    /// Waits until the client's `event:` has a report, and takes it, whichever handle it is about.
    Await,
    /// Reads one record, and does not wait for it.
    Take {
        /// Whose handle.
        task: String,
        /// The label to go on at if there is none.
        none: Option<String>,
        /// The label to go on at if the task has ended, and all was read.
        gone: Option<String>,
    },
    /// Goes on at a label. Takes no time.
    Goto {
        /// Which.
        label: String,
    },
    /// A place to go on at.
    Label {
        /// Its name, among those of the client.
        label: String,
    },
}

impl Act {
    /// The task it is about.
    pub fn task(&self) -> Option<&str> {
        match self {
            Act::Spawn { task, .. }
            | Act::Open { task, .. }
            | Act::Write { task, .. }
            | Act::Read { task }
            | Act::Take { task, .. }
            | Act::Serve { task, .. }
            | Act::Close { task }
            | Act::Regs { task }
            | Act::Kill { task, .. }
            | Act::Wait { task } => Some(task),
            Act::Die | Act::Await | Act::Goto { .. } | Act::Label { .. } => None,
        }
    }

    /// The labels it may go on at.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Act::Take { none, gone, .. } => (none.as_ref(), gone.as_ref()),
            Act::Goto { label } => (Some(label), None),
            _ => (None, None),
        };
        first.into_iter().chain(second).map(String::as_str)
    }
}

/// What happens once, at any moment, or never.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A signal is sent to a task.
    Signal {
        /// Whose.
        task: String,
        /// Which.
        signal: Signal,
    },
    /// A client dies.
    Death {
        /// Its name.
        client: String,
    },
}

/// How a task may end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Its name.
    pub task: String,
    /// Any of these. Whether a core was dumped does not matter.
    pub ways: Vec<Status>,
}
