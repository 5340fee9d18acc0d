//! Records that are read from `log` handles (RFC 0006): a [`LogHeader`], a body by its kind, and for calls, captures.
//!
//! Every structure is a multiple of 8 bytes, native-endian, without padding. A reader skips kinds it does not know by their
//! length, and bytes of a body beyond those it knows. [`LogRecord`] takes a record apart; it trusts no length.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// [`LogHeader::version`] of all kinds below.
pub const LOG_VERSION: u16 = 1;
/// No record is longer: a buffer of this size always has room for one.
pub const LOG_MOST: usize = 1 << 16;

macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
        )]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    )*};
}

layouts! {
    /// What every record starts with.
    LogHeader {
        /// Bytes of the whole record, this included.
        length: u32,
        /// Of the layout of this kind.
        version: u16,
        /// One of the constants below.
        kind: u16,
        /// The task.
        pid: u32,
        /// The process it belongs to.
        process: u32,
        /// When the record was made, by the machine's clock, in nanoseconds.
        time: u64,
    }
    /// A call; [`LogCapture`]s follow.
    LogCall {
        /// Its number, at its entry.
        number: u64,
        /// 0 the machine's own ABI, 1 its 32-bit one.
        abi: u32,
        /// [`NO_ENTRY`](Self::NO_ENTRY), [`NO_EXIT`](Self::NO_EXIT).
        flags: u32,
        /// As `e` of a [`PtraceEvent`](super::PtraceEvent): counts the task's calls.
        id: u64,
        /// Arguments, at its entry.
        args: [u64; 6],
        /// What it gave; 0 with [`NO_EXIT`](Self::NO_EXIT).
        result: i64,
        /// When it was entered; 0 with [`NO_ENTRY`](Self::NO_ENTRY).
        entered: u64,
        /// When it was left; 0 with [`NO_EXIT`](Self::NO_EXIT).
        left: u64,
    }
    /// A signal, before it is acted on.
    LogSignal {
        /// Which.
        signal: u64,
        /// As `b` of a [`PtraceEvent`](super::PtraceEvent).
        handler: u64,
    }
    /// A child was made.
    LogBirth {
        /// The task.
        child: u32,
        /// Its process: the header's, if it is a thread.
        process: u32,
    }
    /// A new program was loaded.
    LogImage {
        /// The pid before, which another thread's exec changes.
        former: u64,
    }
    /// The task has ended; its last record.
    LogDeath {
        /// Its wait status; `u64::MAX` where nobody can know.
        status: u64,
    }
    /// Records were lost here: the queue was full. The header's time is that of the first.
    LogDrop {
        /// How many.
        count: u64,
    }
    /// Memory of a call; `length` bytes follow, and zeros up to a multiple of 8.
    LogCapture {
        /// The argument that its line of the table names.
        argument: u8,
        /// Which of the call's lines, from 0.
        line: u8,
        /// [`STRING`](Self::STRING)…
        what: u8,
        /// [`FAULT`](Self::FAULT)…
        flags: u8,
        /// Bytes that follow.
        length: u32,
        /// Where they were.
        address: u64,
    }
    /// In captures of many pieces, before each; `length` bytes follow, and zeros up to a multiple of 8.
    LogPiece {
        /// Where it was.
        address: u64,
        /// Its size; for a string, as far as it was read.
        size: u64,
        /// Bytes that follow.
        length: u64,
    }
}

impl LogHeader {
    /// [`LogCall`]
    pub const CALL: u16 = 1;
    /// [`LogSignal`]
    pub const SIGNAL: u16 = 2;
    /// [`LogBirth`]
    pub const BIRTH: u16 = 3;
    /// [`LogImage`]
    pub const IMAGE: u16 = 4;
    /// [`LogDeath`]
    pub const DEATH: u16 = 5;
    /// [`LogDrop`]
    pub const DROP: u16 = 6;
}

impl LogCall {
    /// It was in progress when the log began.
    pub const NO_ENTRY: u32 = 1;
    /// It did not come back: exit, exec, return from a handler, death.
    pub const NO_EXIT: u32 = 2;
}

impl LogCapture {
    /// Up to a zero byte, which is not in it.
    pub const STRING: u8 = 1;
    /// Bytes.
    pub const BUFFER: u8 = 2;
    /// [`LogPiece`]s, one for each address in an array that ends with 0.
    pub const STRINGS: u8 = 3;
    /// [`LogPiece`]s, one for each pair of address and size in an array.
    pub const IOVECS: u8 = 4;

    /// Reading ended at an address that could not be read.
    pub const FAULT: u8 = 1;
    /// There was more than the table allows.
    pub const CUT: u8 = 2;
    /// Made at the exit.
    pub const EXIT: u8 = 4;
}

/// A record, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRecord<'b> {
    /// With what was captured.
    Call(LogCall, Vec<(LogCapture, &'b [u8])>),
    /// A signal.
    Signal(LogSignal),
    /// A child.
    Birth(LogBirth),
    /// A new program.
    Image(LogImage),
    /// The end.
    Death(LogDeath),
    /// A gap.
    Drop(LogDrop),
    /// A kind or version that is younger than this reader.
    Unknown,
}

impl<'b> LogRecord<'b> {
    /// The first of many records, and the rest. `None`: no whole record is there, or it is damaged.
    pub fn split(bytes: &'b [u8]) -> Option<(LogHeader, LogRecord<'b>, &'b [u8])> {
        let (header, _) = LogHeader::read_from_prefix(bytes).ok()?;
        let length = usize::try_from(header.length).ok()?;
        let (record, rest) = bytes.split_at_checked(length)?;
        let body = record.get(size_of::<LogHeader>()..)?;
        let record = match (header.version, header.kind) {
            (LOG_VERSION, LogHeader::CALL) => {
                let (call, mut left) = LogCall::read_from_prefix(body).ok()?;
                let mut captures = Vec::new();
                while !left.is_empty() {
                    let (capture, more) = LogCapture::read_from_prefix(left).ok()?;
                    let (data, more) = padded(more, u64::from(capture.length))?;
                    captures.push((capture, data));
                    left = more;
                }
                LogRecord::Call(call, captures)
            }
            (LOG_VERSION, LogHeader::SIGNAL) => LogRecord::Signal(body_of(body)?),
            (LOG_VERSION, LogHeader::BIRTH) => LogRecord::Birth(body_of(body)?),
            (LOG_VERSION, LogHeader::IMAGE) => LogRecord::Image(body_of(body)?),
            (LOG_VERSION, LogHeader::DEATH) => LogRecord::Death(body_of(body)?),
            (LOG_VERSION, LogHeader::DROP) => LogRecord::Drop(body_of(body)?),
            _ => LogRecord::Unknown,
        };
        Some((header, record, rest))
    }
}

impl LogPiece {
    /// The pieces of a capture that has many; ends early where it is damaged.
    pub fn all(mut data: &[u8]) -> impl Iterator<Item = (LogPiece, &[u8])> {
        std::iter::from_fn(move || {
            let (piece, more) = LogPiece::read_from_prefix(data).ok()?;
            let (bytes, more) = padded(more, piece.length)?;
            data = more;
            Some((piece, bytes))
        })
    }
}

fn body_of<T: FromBytes>(body: &[u8]) -> Option<T> {
    T::read_from_prefix(body).ok().map(|(body, _)| body)
}

fn padded(bytes: &[u8], length: u64) -> Option<(&[u8], &[u8])> {
    let length = usize::try_from(length).ok()?;
    let (whole, rest) = bytes.split_at_checked(length.checked_next_multiple_of(8)?)?;
    Some((&whole[..length], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call with two captures, and a death.
    fn sample() -> Vec<u8> {
        let call = LogCall { number: 7, args: [1, 2, 3, 4, 5, 6], ..LogCall::default() };
        let capture = LogCapture { length: 5, ..LogCapture::default() };
        let mut body = [call.as_bytes(), capture.as_bytes(), b"hello\0\0\0"].concat();
        let piece = LogPiece { address: 9, size: 3, length: 3 };
        let pieces = LogCapture { what: LogCapture::STRINGS, length: 32, ..LogCapture::default() };
        body.extend([pieces.as_bytes(), piece.as_bytes(), b"abc\0\0\0\0\0"].concat());
        let record = |kind, body: &[u8]| {
            let length = (size_of::<LogHeader>() + body.len()) as u32;
            let header = LogHeader { length, version: LOG_VERSION, kind, ..LogHeader::default() };
            [header.as_bytes(), body].concat()
        };
        [record(LogHeader::CALL, &body), record(LogHeader::DEATH, LogDeath { status: 1 }.as_bytes())].concat()
    }

    /// Everything in `bytes`, as a reader walks it; how many records, and how many bytes were left.
    fn walk(mut bytes: &[u8]) -> (usize, usize) {
        let mut records = 0;
        while let Some((_, record, rest)) = LogRecord::split(bytes) {
            assert!(rest.len() < bytes.len(), "a reader would never end");
            if let LogRecord::Call(_, captures) = record {
                let all = captures.iter().flat_map(|(_, data)| LogPiece::all(data));
                assert!(all.count() <= bytes.len());
            }
            (records, bytes) = (records + 1, rest);
        }
        (records, bytes.len())
    }

    #[test]
    fn records_are_taken_apart() {
        let bytes = sample();
        let Some((header, LogRecord::Call(call, captures), rest)) = LogRecord::split(&bytes) else {
            panic!("the first is a call");
        };
        assert_eq!((header.kind, call.args[5]), (LogHeader::CALL, 6));
        assert_eq!((captures[0].1, captures.len()), (&b"hello"[..], 2));
        let pieces: Vec<_> =
            LogPiece::all(captures[1].1).map(|(piece, data)| (piece.address, data)).collect();
        assert_eq!(pieces, [(9, &b"abc"[..])]);
        let (_, last, rest) = LogRecord::split(rest).unwrap();
        assert_eq!((last, rest), (LogRecord::Death(LogDeath { status: 1 }), &[][..]));
    }

    #[test]
    fn a_damaged_or_cut_record_is_no_record() {
        let whole = sample();
        assert_eq!(walk(&whole), (2, 0));
        for cut in 0..whole.len() {
            assert!(walk(&whole[..cut]).0 < 2, "cut at {cut}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                walk(&bytes);
            }
        }
    }

    #[test]
    fn what_is_younger_is_skipped_by_its_length() {
        for (at, value) in [(4, 2), (6, 99)] {
            let mut bytes = sample();
            bytes[at] = value;
            assert_eq!(walk(&bytes), (2, 0));
            assert_eq!(LogRecord::split(&bytes).unwrap().1, LogRecord::Unknown);
        }
    }
}
