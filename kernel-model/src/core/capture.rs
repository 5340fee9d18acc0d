//! [`Table`]: which memory of which calls a log takes along, and how it is read. Inside the stop; nothing is formatted.
//!
//! Everything read is the tracee's word: counts are cut to what the table allows, addresses may wrap or be nobody's, and
//! what cannot be read is marked.

use std::collections::BTreeMap;

use zerocopy::IntoBytes;

use crate::abi::{LogCapture, LogPiece};
use crate::machine::CallValues;
use crate::sets::CallSet;

/// Addresses that differ only below this are on one page of every machine.
const PAGE: u64 = 4096;
/// Most strings are shorter than what is left of this.
const LINE: u64 = 256;

/// Where a number comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// The table.
    Number(u64),
    /// An argument.
    Argument(u8),
    /// The result; 0 if that is an error.
    Result,
    /// Memory, `offset` bytes after where an argument points. `size` 0: as large as an address.
    At {
        /// Which argument.
        argument: u8,
        /// Bytes after it.
        offset: u64,
        /// Bytes of the number: 0, 1, 2, 4, 8.
        size: u8,
    },
}

/// What is at a place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum What {
    /// Bytes up to a zero byte.
    String,
    /// So many times so many bytes.
    Buffer(Value, u64),
    /// Addresses of strings, up to a zero.
    Strings,
    /// So many pairs of address and size.
    Iovecs(Value),
}

/// When it is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum When {
    /// At the entry.
    Entry,
    /// At the exit of a call that succeeded.
    Exit,
    /// At every exit.
    Return,
}

/// One line of a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Capture {
    /// An argument, or a number in memory.
    pub place: Value,
    /// What is there.
    pub what: What,
    /// Bytes, at most.
    pub most: usize,
    /// When.
    pub when: When,
}

/// What a log's tool has asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Table {
    /// By ABI and number of the call.
    pub captures: BTreeMap<(u64, u64), Vec<Capture>>,
    /// The calls that have records; `None`: all.
    pub calls: Option<CallSet>,
    /// Whether children born from now on are observed, too.
    pub inherit: bool,
    /// Bytes of records that may wait to be read.
    pub room: usize,
}

impl Default for Table {
    fn default() -> Table {
        Table { captures: BTreeMap::new(), calls: None, inherit: false, room: Table::ROOM }
    }
}

impl Table {
    /// Of a table that says nothing else.
    pub const ROOM: usize = 1 << 20;
    /// Lines for one call, at most.
    pub const MOST_LINES: usize = 16;
}

/// The memory of a task.
pub(super) type Memory<'m> = dyn FnMut(u64, &mut [u8]) -> bool + 'm;

/// A call at one of its stops.
pub(super) struct Scene<'m> {
    pub(super) values: CallValues,
    pub(super) memory: &'m mut Memory<'m>,
}

impl Scene<'_> {
    /// Appends what these lines ask for at this stop, as long as `out` has room.
    pub(super) fn capture(&mut self, lines: &[Capture], out: &mut Vec<u8>, room: usize) {
        let at_exit = self.values.result.is_some();
        let failed = self.values.result.is_some_and(|result| (-4095..0).contains(&result));
        for (line, capture) in lines.iter().enumerate() {
            let now = match capture.when {
                When::Entry => !at_exit,
                When::Exit => at_exit && !failed,
                When::Return => at_exit,
            };
            let left = room.saturating_sub(out.len() + size_of::<LogCapture>()) & !7;
            if now && left > 0 {
                self.one(line, capture, out, left);
            }
        }
    }

    fn one(&mut self, line: usize, capture: &Capture, out: &mut Vec<u8>, left: usize) {
        let most = capture.most.min(left);
        let argument = match capture.place {
            Value::Argument(argument) | Value::At { argument, .. } => argument,
            Value::Number(_) | Value::Result => u8::MAX,
        };
        let mut data = Vec::new();
        let mut flags = if self.values.result.is_some() { LogCapture::EXIT } else { 0 };
        let place = self.value(capture.place);
        let what = match capture.what {
            What::String => LogCapture::STRING,
            What::Buffer(..) => LogCapture::BUFFER,
            What::Strings => LogCapture::STRINGS,
            What::Iovecs(_) => LogCapture::IOVECS,
        };
        flags |= match (place, capture.what) {
            (None, _) => LogCapture::FAULT,
            (Some(at), What::String) => self.string(at, most, &mut data),
            (Some(at), What::Buffer(count, size)) => match self.value(count) {
                Some(count) => self.bytes(at, count.saturating_mul(size), most, &mut data),
                None => LogCapture::FAULT,
            },
            (Some(at), What::Strings) => self.strings(at, most, &mut data),
            (Some(at), What::Iovecs(count)) => match self.value(count) {
                Some(count) => self.iovecs(at, count, most, &mut data),
                None => LogCapture::FAULT,
            },
        };
        let header = LogCapture {
            argument,
            line: line as u8,
            what,
            flags,
            length: data.len() as u32,
            address: place.unwrap_or(0),
        };
        out.extend_from_slice(header.as_bytes());
        append(out, &data);
    }

    fn value(&mut self, value: Value) -> Option<u64> {
        let argument = |n: u8| self.values.args.get(usize::from(n)).copied();
        match value {
            Value::Number(number) => Some(number),
            Value::Argument(n) => argument(n),
            Value::Result => Some(self.values.result.map_or(0, |result| result.max(0) as u64)),
            Value::At { argument: n, offset, size } => {
                let at = argument(n)?.checked_add(offset)?;
                self.number(at, if size == 0 { self.values.word } else { size })
            }
        }
    }

    /// A little-endian number in memory.
    fn number(&mut self, at: u64, size: u8) -> Option<u64> {
        let mut bytes = [0; 8];
        (self.memory)(at, bytes.get_mut(..usize::from(size))?).then(|| u64::from_le_bytes(bytes))
    }

    /// As many of `length` bytes as can be had.
    fn bytes(&mut self, at: u64, length: u64, most: usize, out: &mut Vec<u8>) -> u8 {
        let wanted = usize::try_from(length).unwrap_or(usize::MAX).min(most);
        let cut = if length > wanted as u64 { LogCapture::CUT } else { 0 };
        let before = out.len();
        out.resize(before + wanted, 0);
        if wanted == 0 || (self.memory)(at, &mut out[before..]) {
            return cut;
        }
        let mut done = 0;
        while done < wanted {
            let Some(address) = at.checked_add(done as u64) else { break };
            let n = ((PAGE - address % PAGE) as usize).min(wanted - done);
            if !(self.memory)(address, &mut out[before + done..][..n]) {
                break;
            }
            done += n;
        }
        out.truncate(before + done);
        LogCapture::FAULT
    }

    fn string(&mut self, at: u64, most: usize, out: &mut Vec<u8>) -> u8 {
        let start = out.len();
        let mut unit = LINE;
        loop {
            let done = out.len() - start;
            if done == most {
                return LogCapture::CUT;
            }
            let Some(address) = at.checked_add(done as u64) else { return LogCapture::FAULT };
            let n = ((unit - address % unit) as usize).min(most - done);
            out.resize(start + done + n, 0);
            if !(self.memory)(address, &mut out[start + done..]) {
                out.truncate(start + done);
                return LogCapture::FAULT;
            }
            if let Some(end) = out[start + done..].iter().position(|byte| *byte == 0) {
                out.truncate(start + done + end);
                return 0;
            }
            unit = PAGE;
        }
    }

    fn strings(&mut self, at: u64, most: usize, out: &mut Vec<u8>) -> u8 {
        let word = u64::from(self.values.word);
        for n in 0.. {
            let Some(address) = at.checked_add(n * word).and_then(|at| self.number(at, word as u8)) else {
                return LogCapture::FAULT;
            };
            if address == 0 {
                return 0;
            }
            let flags = piece(out, most, address, None, |at, room, data| self.string(at, room, data));
            if flags != 0 {
                return flags;
            }
        }
        0
    }

    /// At an exit the pieces have no more bytes than the result says.
    fn iovecs(&mut self, at: u64, count: u64, most: usize, out: &mut Vec<u8>) -> u8 {
        let word = u64::from(self.values.word);
        let mut total = self.values.result.map_or(u64::MAX, |result| result.max(0) as u64);
        for n in 0..count {
            let pair = n.checked_mul(2 * word).and_then(|offset| at.checked_add(offset)).and_then(|at| {
                Some((self.number(at, word as u8)?, self.number(at.checked_add(word)?, word as u8)?))
            });
            let Some((address, size)) = pair else { return LogCapture::FAULT };
            let length = size.min(total);
            total -= length;
            let flags =
                piece(out, most, address, Some(size), |at, room, data| self.bytes(at, length, room, data));
            if flags != 0 {
                return flags;
            }
        }
        0
    }
}

/// Appends one piece, if there is room for its head; `read` appends its bytes, as many as the room it is given.
fn piece(
    out: &mut Vec<u8>,
    most: usize,
    address: u64,
    size: Option<u64>,
    read: impl FnOnce(u64, usize, &mut Vec<u8>) -> u8,
) -> u8 {
    let room = most.saturating_sub(out.len() + size_of::<LogPiece>()) & !7;
    if room == 0 {
        return LogCapture::CUT;
    }
    let mut data = Vec::new();
    let flags = read(address, room, &mut data);
    let length = data.len() as u64;
    out.extend_from_slice(LogPiece { address, size: size.unwrap_or(length), length }.as_bytes());
    append(out, &data);
    flags
}

/// Appends bytes, and zeros up to a multiple of 8.
fn append(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(8), 0);
}

#[cfg(test)]
mod tests;
