//! What formats about processes have in common: [`Processes`] tells what became of which one, [`Told`] is what they know,
//! which is put into text at the end, whenever that is.
//!
//! A process's state is its first thread's: what other threads do is left out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel_model::abi::{Pid, Signal, Status};

use super::announce;
use super::people::{People, process};
use crate::output::Output;
use crate::trace::view::{Happened, Needs, What};

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Another one made it.
    Born {
        /// Which.
        by: Pid,
    },
    /// Its session began.
    Joins,
    /// Its program's name is known now.
    Named,
    /// It makes this call.
    Calls(&'a str),
    /// The call is over.
    Returns,
    /// A signal is about to be acted on.
    Signal(Signal),
    /// Job control stopped it.
    Stopped(Signal),
    /// It runs a new program.
    Execs,
    /// It ended so.
    Ends(Status),
    /// It is no more, and nobody knows how it would have ended: another thread's exec took its place.
    Vanishes,
}

/// Who there is.
pub struct Processes {
    output: Output,
    /// Names and parents.
    pub people: People,
}

impl Processes {
    /// What a format about processes wants to be told.
    pub const NEEDS: Needs = Needs {
        arguments: false,
        joined: false,
        times: false,
        pc: false,
        origins: false,
        programs: true,
        ends: false,
    };

    /// Nobody yet.
    pub fn new(output: Output) -> Processes {
        Processes { output, people: People::default() }
    }

    /// What an event means for a process; nothing, if it is about a thread.
    pub fn step<'a>(&mut self, happened: &'a Happened<'_>) -> Option<(Pid, Step<'a>)> {
        let who = happened.who;
        let pid = process(who);
        if let What::Born { child, process } = &happened.what {
            let own = self.people.born(who, *child, *process);
            return own.then_some((*child, Step::Born { by: pid }));
        }
        if who.pid != pid {
            return None;
        }
        let step = match &happened.what {
            What::Program(path) => {
                self.people.runs(pid, path);
                Step::Named
            }
            What::Joins(how) => {
                announce(&self.output, who, *how);
                Step::Joins
            }
            What::Begins(call) => Step::Calls(&call.name),
            What::Ends(_) => Step::Returns,
            What::Signal { signal, .. } => Step::Signal(*signal),
            What::Stopped(signal) => Step::Stopped(*signal),
            What::Image => Step::Execs,
            What::Dies(Some(status)) => Step::Ends(*status),
            What::Dies(None) | What::Superseded { .. } | What::LetGo(_) => Step::Vanishes,
            What::Born { .. } | What::Leaves => return None,
        };
        Some((pid, step))
    }

    /// The tool is about to wait.
    pub fn idle(&self) {
        self.output.idle();
    }
}

/// What is known so far. The end may come in another thread.
pub struct Told<T>(Arc<Mutex<T>>);

impl<T: Default + Send + 'static> Told<T> {
    /// Nothing yet; `text` makes text of it, at the end of `output`.
    pub fn new(output: &Output, text: fn(&T) -> Vec<u8>) -> Told<T> {
        let told = Told(Arc::default());
        let at_end = Told(Arc::clone(&told.0));
        output.at_end(move || text(&at_end.lock()));
        told
    }

    /// To change it. It is whole between any two changes.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A note cannot stand in the middle of these formats.
pub fn note(text: &str) {
    put!(&mut std::io::stderr(), "tracefd: {text}\n");
}
