//! `exe`, `threads`, `status`, `fd`, `fdinfo`, `features`: text, taken at open, with a cursor.

use super::{Node, state};
use crate::abi::{Errno, Pid, PtraceFlags, Result};
use crate::core::{Core, Identity};
use crate::machine::{Machine, Medium, Socket, State, Which};

/// Bytes and a cursor.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Text {
    pid: Option<Pid>,
    bytes: Vec<u8>,
    cursor: u64,
}

impl Text {
    pub(super) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    pub(super) fn read(&mut self, buf: &mut [u8]) -> usize {
        let rest = self.bytes.get(self.cursor as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        self.cursor += n as u64;
        n
    }

    pub(super) fn seek(&mut self, offset: i64, whence: u32) -> Result<u64> {
        self.cursor = state::seek(self.cursor, self.bytes.len() as u64, offset, whence)?;
        Ok(self.cursor)
    }

    /// Bytes not read yet.
    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() as u64).saturating_sub(self.cursor)
    }
}

fn text(pid: Option<Pid>, bytes: Vec<u8>) -> Node {
    Node::Text(Text { pid, bytes, cursor: 0 })
}

/// The program file with its scheme.
pub(super) fn exe<M: Machine>(core: &mut Core<M>, id: Identity) -> Result<Node> {
    Ok(text(Some(id.pid), core.machine().exe(id.pid)?))
}

/// One pid a line.
pub(super) fn threads<M: Machine>(core: &mut Core<M>, id: Identity) -> Result<Node> {
    let lines: String = core.machine().threads(id.pid)?.iter().map(|pid| format!("{pid}\n")).collect();
    Ok(text(Some(id.pid), lines.into_bytes()))
}

/// One `key value` a line; a key without a value is left out. Zombies have one too.
pub(super) fn status<M: Machine>(core: &mut Core<M>, id: Identity) -> Result<Node> {
    let facts = core.machine().facts(id.pid)?;
    let state = match facts.state {
        State::Running => "running",
        State::Uninterruptible => "uninterruptible",
        State::Stopped => "stopped",
        State::Traced => "traced",
        State::Zombie => "zombie",
    };
    let mut lines = format!("process {}\n", facts.process);
    if let Some(parent) = facts.parent {
        lines += &format!("parent {parent}\n");
    }
    lines += &format!("uid {}\ngid {}\nstate {state}\n", facts.uid, facts.gid);
    if let Some(tracer) = facts.tracer {
        lines += &format!("tracer {tracer}\n");
    }
    lines += &format!("user {}\nstart {}\n", u8::from(facts.user), facts.start);
    Ok(text(Some(id.pid), lines.into_bytes()))
}

/// What a descriptor refers to. ENOENT: it is not open.
pub(super) fn descriptor<M: Machine>(core: &mut Core<M>, id: Identity, which: Which) -> Result<Node> {
    let name = core.machine().descriptor(id.pid, which)?.ok_or(Errno::ENOENT)?;
    Ok(text(Some(id.pid), name))
}

/// What is known of it beside that: one `key value` a line. ENOENT: it is not open.
pub(super) fn descriptor_facts<M: Machine>(core: &mut Core<M>, id: Identity, which: Which) -> Result<Node> {
    let facts = core.machine().descriptor_facts(id.pid, which)?.ok_or(Errno::ENOENT)?;
    let lines = match facts {
        Medium::Named => String::new(),
        Medium::Device { character, major, minor } => {
            format!("device {} {major}:{minor}\n", if character { "char" } else { "block" })
        }
        Medium::Process(pid) => format!("process {pid}\n"),
        Medium::Socket(Socket { protocol, id, local, peer }) => {
            let line =
                |key, value: Option<String>| value.map_or(String::new(), |text| format!("{key} {text}\n"));
            format!("socket {protocol} {id}\n") + &line("local", local) + &line("peer", peer)
        }
    };
    Ok(text(Some(id.pid), lines.into_bytes()))
}

/// One feature a line: `op NAME`, and `trace.x NAME BIT` for each experiment.
pub(super) fn features(operations: impl Iterator<Item = &'static str>) -> Node {
    let mut lines: String = operations.map(|name| format!("op {name}\n")).collect();
    for (name, bit) in PtraceFlags::EXPERIMENTS.iter_names() {
        lines += &format!("trace.x {name} {:#x}\n", bit.bits());
    }
    text(None, lines.into_bytes())
}
