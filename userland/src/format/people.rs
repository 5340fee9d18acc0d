//! Who made whom, what each process runs, and who sent a signal: what pictures draw arrows from.

use std::collections::HashMap;

use kernel_model::abi::{Pid, Signal};

use crate::trace::view::{CallView, Who};

/// One process, or a thread that is drawn on its own.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// Who made it.
    pub parent: Option<Pid>,
    /// The last part of its program's path.
    pub program: String,
}

/// All that were seen.
#[derive(Default)]
pub struct People {
    by_pid: HashMap<Pid, Person>,
    /// Signals that calls sent and nobody got yet: receiver, signal, sender.
    sent: Vec<(Pid, Signal, Pid)>,
    /// Signals that arrived before the call that sent them was over: the receiver may be faster.
    early: Vec<(Who, Signal)>,
}

/// The process of a task; the task where that is not known.
pub fn process(who: Who) -> Pid {
    who.process.unwrap_or(who.pid)
}

impl People {
    /// A task was made. Answers whether it is a process of its own.
    pub fn born(&mut self, parent: Who, child: Pid, of: Option<Pid>) -> bool {
        let program = self.program(process(parent)).to_owned();
        let own = of.unwrap_or(child) == child;
        if own {
            self.by_pid.insert(child, Person { parent: Some(process(parent)), program });
        }
        own
    }

    /// A process runs a file.
    pub fn runs(&mut self, pid: Pid, path: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.by_pid.entry(pid).or_default().program = name.to_owned();
    }

    /// The program of a process, or nothing.
    pub fn program(&self, pid: Pid) -> &str {
        self.by_pid.get(&pid).map_or("", |person| &person.program)
    }

    /// Who made it.
    pub fn parent(&self, pid: Pid) -> Option<Pid> {
        self.by_pid.get(&pid)?.parent
    }

    /// `7 sh`.
    pub fn label(&self, pid: Pid) -> String {
        format!("{pid} {}", self.program(pid)).trim_end().to_owned()
    }

    /// A call that may send a signal is over, without an error. Processes and threads only; groups have no one receiver.
    /// Answers the receiver, if the signal has arrived already.
    pub fn may_send(&mut self, who: Who, call: &CallView<'_>) -> Option<(Who, Signal)> {
        let (to, signal) = match &*call.name {
            "kill" | "tkill" => (call.words[0], call.words[1]),
            "tgkill" => (call.words[1], call.words[2]),
            _ => return None,
        };
        if let (Ok(to @ 1..), Ok(signal @ 1..)) = (u32::try_from(to as u32 as i32), u8::try_from(signal)) {
            let is = |(early, got): &(Who, Signal)| {
                got.0 == signal && (early.pid == Pid(to) || process(*early) == Pid(to))
            };
            if let Some(at) = self.early.iter().position(is) {
                return Some(self.early.remove(at));
            }
            // A receiver may be slow, or never get it: what is oldest is forgotten.
            if self.sent.len() >= 64 {
                self.sent.remove(0);
            }
            self.sent.push((Pid(to), Signal(signal), process(who)));
        }
        None
    }

    /// Who sent a signal that arrives now, where that is known.
    pub fn sender(&mut self, who: Who, signal: Signal) -> Option<Pid> {
        let at = self
            .sent
            .iter()
            .position(|(to, sent, _)| *sent == signal && (*to == who.pid || *to == process(who)));
        let Some(at) = at else {
            if self.early.len() >= 64 {
                self.early.remove(0);
            }
            self.early.push((who, signal));
            return None;
        };
        Some(self.sent.remove(at).2)
    }
}
