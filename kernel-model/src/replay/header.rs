//! [`Header`]: who recorded what, when, on which machine.

use super::Damage;
use super::wire::{Frames, Put, Take, put_frame};
use crate::abi::Pid;
use crate::core::Policy;
use crate::machine::{Machine, RegSet};
use crate::scheme::Caller;

/// The first bytes, with the version that [`Header`] and records have.
const MAGIC: [u8; 20] = *b"tracefd recording 1\n";
/// Where the version stands in it.
const VERSION: usize = 18;
const KIND: u8 = 0;

/// The register files that there are, in the order of their sizes.
pub(super) const SETS: [RegSet; 3] = [RegSet::Int, RegSet::Float, RegSet::Env];

/// All that stands before the first record.
pub(super) struct Beginning {
    pub(super) header: Header,
    /// Of register files.
    pub(super) sizes: [usize; 3],
    /// The machine's clock.
    pub(super) now: u64,
}

/// What a recording begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The machine's name; calls and registers are its own.
    pub machine: String,
    /// Who recorded. A replay must ask as the same, to be answered the same.
    pub caller: Caller,
    /// The kernel's rule.
    pub policy: Policy,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// What the tool wants to find again: names and values.
    pub notes: Vec<(String, Vec<u8>)>,
}

impl Header {
    /// The values of this name.
    pub fn notes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.notes.iter().filter(move |(known, _)| known == name).map(|(_, value)| &value[..])
    }

    /// All that stands before the first record.
    pub(super) fn bytes(&self, machine: &impl Machine, now: u64) -> Vec<u8> {
        let mut payload = Vec::new();
        payload.put_bytes(self.machine.as_bytes());
        for number in [self.caller.pid.0, self.caller.uid, self.caller.gid] {
            payload.put(number.into());
        }
        payload.put(match self.policy {
            Policy::Descendants => 0,
            Policy::SameUser => 1,
        });
        payload.put(self.began);
        payload.put(now);
        for set in SETS {
            payload.put(machine.reg_size(set) as u64);
        }
        payload.put(self.notes.len() as u64);
        for (name, value) in &self.notes {
            payload.put_bytes(name.as_bytes());
            payload.put_bytes(value);
        }
        let mut out = MAGIC.to_vec();
        put_frame(&mut out, MAGIC.len() as u64, KIND, &payload);
        out
    }

    /// Reads it.
    pub(super) fn read(frames: &mut Frames) -> Result<Beginning, Damage> {
        let none = || Damage::at(0, "not a recording of tracefd");
        let magic: [u8; MAGIC.len()] = frames.raw().map_err(|_| none())?;
        let mut same = magic;
        same[VERSION] = MAGIC[VERSION];
        if same != MAGIC {
            return Err(none());
        }
        if magic != MAGIC {
            let version = char::from(magic[VERSION]);
            let what = format!("a recording of version {version:?}; this tracefd reads version 1");
            return Err(Damage { offset: VERSION as u64, what });
        }
        match frames.next()? {
            Some((at, KIND, payload)) => {
                Header::take(&mut Take(payload)).ok_or(Damage::at(at, "the header is wrong"))
            }
            Some((at, ..)) => Err(Damage::at(at, "there is no header")),
            None => Err(Damage::cut(MAGIC.len() as u64)),
        }
    }

    fn take(take: &mut Take<'_>) -> Option<Beginning> {
        /// Larger than any register file there is.
        const LARGEST: u32 = 1 << 16;
        let machine = String::from_utf8(take.bytes()?.to_vec()).ok()?;
        let caller = Caller { pid: Pid(take.small()?), uid: take.small()?, gid: take.small()? };
        let policy = if take.flag()? { Policy::SameUser } else { Policy::Descendants };
        let (began, now) = (take.number()?, take.number()?);
        let mut sizes = [0; 3];
        for size in &mut sizes {
            *size = take.small().filter(|size| *size <= LARGEST)? as usize;
        }
        let notes = take.list(|take| {
            let name = String::from_utf8(take.bytes()?.to_vec()).ok()?;
            Some((name, take.bytes()?.to_vec()))
        })?;
        Some(Beginning { header: Header { machine, caller, policy, began, notes }, sizes, now })
    }
}
