//! What a person is told: calls that were refused, once each.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write;

use kernel_model::abi::Pid;

use super::calls::Rule;
use crate::tables::Calls;

/// To standard error.
pub(super) struct Reporter {
    /// `--warn-unknown`.
    every: bool,
    told: RefCell<HashSet<(u64, u64)>>,
}

impl Reporter {
    pub(super) fn new(every: bool) -> Reporter {
        Reporter { every, told: RefCell::default() }
    }

    /// A call was refused. A tracer in the box is always told why, since nothing else would tell it.
    pub(super) fn refused(&self, pid: Pid, abi: u64, number: u64, rule: &Rule) {
        let (tracer, reason) = match rule {
            Rule::Refused(_, reason) => (false, *reason),
            _ => (true, "what runs under `run` has its tracer already, and can have no other"),
        };
        if (!self.every && !tracer) || !self.told.borrow_mut().insert((abi, number)) {
            return;
        }
        let calls = Calls::linux();
        let name =
            calls.get(abi, number).map_or_else(|| format!("call {number}"), |call| call.name.to_owned());
        let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let abi = if abi == 0 { "" } else { " (32-bit)" };
        self.note(&format!("{}[{pid}]: {name}{abi} refused: {reason}", program.trim_end()));
    }

    pub(super) fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "tracefd: run: {text}");
    }
}
