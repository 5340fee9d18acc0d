//! A scenario as its text.

use std::fmt::{Display, Formatter, Result};

use super::script::word;
use super::{Act, Children, Client, Event, Manner, Scenario};
use crate::abi::{OpenFlags, PtraceFlags, Signal, Status};

/// Words of an open, and the flags they stand for.
pub(super) const FLAGS: [(&str, OpenFlags); 3] =
    [("stopped", OpenFlags::O_TRUNC), ("exclusive", OpenFlags::O_EXCL), ("nonblock", OpenFlags::O_NONBLOCK)];

/// A signal as scenarios and programs write it: `usr1`, or a number.
pub(super) fn signal_word(signal: Signal) -> String {
    let name = signal.name().and_then(|name| name.strip_prefix("SIG"));
    name.map_or_else(|| signal.0.to_string(), str::to_lowercase)
}

/// `exit 3`, or the signal's name.
pub fn way(status: Status) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => signal.name().map_or_else(|| signal.0.to_string(), str::to_owned),
        (None, None) => format!("{:#x}", status.0),
    }
}

fn mask_words(mask: PtraceFlags) -> String {
    mask.iter().map(|bit| format!(" {}", word(bit))).collect()
}

impl Display for Scenario {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(reason) = &self.known {
            writeln!(f, "known: {reason}")?;
        }
        if self.deferred_signals {
            writeln!(f, "signals: deferred")?;
        }
        for client in &self.clients {
            client.fmt(f)?;
        }
        for event in &self.events {
            match event {
                Event::Signal { task, signal } => writeln!(f, "signal {task} {}", signal_word(*signal))?,
                Event::Death { client } => writeln!(f, "death {client}")?,
            }
        }
        for ends in &self.ends {
            let ways: Vec<String> = ends.ways.iter().copied().map(way).collect();
            writeln!(f, "ends {}: {}", ends.task, ways.join(", "))?;
        }
        for (session, line) in &self.sees {
            writeln!(f, "sees {session}: {line}")?;
        }
        f.write_str(&self.programs)
    }
}

impl Display for Client {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "client {}", self.name)?;
        let Manner { experimental, exclusive, queue, children } = self.manner;
        let words = [(" experimental", experimental), (" exclusive", exclusive), (" queue", queue)];
        for (word, set) in words {
            f.write_str(if set { word } else { "" })?;
        }
        match children {
            Children::Follow => f.write_str(" follow")?,
            Children::Shut => f.write_str(" shut")?,
            Children::Release => {}
        }
        f.write_str("\n")?;
        for act in &self.acts {
            writeln!(f, "  {act}")?;
        }
        for line in &self.main {
            writeln!(f, "  {line}")?;
        }
        if !self.child.is_empty() {
            writeln!(f, "  child")?;
            for line in &self.child {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

impl Display for Act {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Act::Spawn { program, task } if program == task => write!(f, "spawn {program}"),
            Act::Spawn { program, task } => write!(f, "spawn {program} as {task}"),
            Act::Open { task, flags } => {
                let set = FLAGS.iter().filter(|(_, flag)| flags.contains(*flag));
                let words: String = set.map(|(word, _)| format!(" {word}")).collect();
                write!(f, "open {task}{words}")
            }
            Act::Write { task, mask } => write!(f, "write {task}{}", mask_words(*mask)),
            Act::Serve { task, mask } => write!(f, "serve {task}{}", mask_words(*mask)),
            Act::Read { task } => write!(f, "read {task}"),
            Act::Close { task } => write!(f, "close {task}"),
            Act::Kill { task, signal } => write!(f, "kill {task} {}", signal_word(*signal)),
            Act::Regs { task } => write!(f, "regs {task}"),
            Act::Wait { task } => write!(f, "wait {task}"),
            Act::Die => f.write_str("die"),
            Act::Await => f.write_str("await"),
            Act::Take { task, none, gone } => {
                write!(f, "take {task}")?;
                for (word, label) in [("none", none), ("gone", gone)] {
                    if let Some(label) = label {
                        write!(f, " {word} {label}")?;
                    }
                }
                Ok(())
            }
            Act::Goto { label } => write!(f, "goto {label}"),
            Act::Label { label } => write!(f, "label {label}"),
        }
    }
}
