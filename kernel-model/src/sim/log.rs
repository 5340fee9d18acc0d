//! [`Log`]: one line per transition, with its reason; [`Bell`], which ends a wait from another thread; and [`Clock`].
//!
//! None is part of what the system *is*: two simulators that differ only here are equal and hash alike.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::abi::Pid;
use crate::machine::Wake;

/// The last lines, as many as were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<String>,
    room: usize,
}

impl Log {
    pub(super) fn new(room: usize) -> Log {
        Log { lines: VecDeque::new(), room }
    }

    pub(super) fn add(&mut self, pid: Pid, text: impl FnOnce() -> String) {
        if self.room == 0 {
            return;
        }
        if self.lines.len() == self.room {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{pid} {}", text()));
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines).into()
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

/// Turns taken. Programs cannot ask for it, so it decides nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock(pub(super) u64);

/// Remembers that it was rung until someone listens. A copy of a simulator has a bell of its own.
#[derive(Debug, Default)]
pub(super) struct Bell(pub(super) Arc<Rung>);

#[derive(Debug, Default)]
pub(super) struct Rung {
    flag: AtomicBool,
    /// A quirk: rings are forgotten.
    broken: AtomicBool,
}

impl Bell {
    pub(super) fn new(broken: bool) -> Bell {
        let bell = Bell::default();
        bell.0.broken.store(broken, Ordering::Relaxed);
        bell
    }

    /// Whether it was rung since the last time.
    pub(super) fn take(&self) -> bool {
        self.0.flag.swap(false, Ordering::Acquire)
    }
}

impl Wake for Rung {
    fn wake(&self) {
        if !self.broken.load(Ordering::Relaxed) {
            self.flag.store(true, Ordering::Release);
        }
    }
}

impl Clone for Bell {
    fn clone(&self) -> Bell {
        Bell::new(self.0.broken.load(Ordering::Relaxed))
    }
}

/// Makes a type invisible to comparison and hashing.
macro_rules! beside_the_point {
    ($($name:ty),*) => {$(
        impl PartialEq for $name {
            fn eq(&self, _: &Self) -> bool {
                true
            }
        }
        impl Eq for $name {}
        impl Hash for $name {
            fn hash<H: Hasher>(&self, _: &mut H) {}
        }
    )*};
}

beside_the_point!(Log, Bell, Clock);
