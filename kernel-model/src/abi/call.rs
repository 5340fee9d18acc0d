//! [`CallRecord`]: what a `call` handle answers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The call a task is stopped at, and what it is to be: 88 bytes, native-endian, 8-byte fields in this order. Ours; Redox has no such handle.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CallRecord {
    /// Number of the call. Written at its entry: of the call to make, or the result if that is skipped.
    pub number: u64,
    /// Sequence id, as in the PRE and the POST.
    pub id: u64,
    /// ABI: 0 the machine's own, 1 its 32-bit one.
    pub abi: u64,
    /// Its arguments in order, zero-extended; with what a tracer has made of them.
    pub args: [u64; 6],
    /// At its exit, where it can be written, sign-extended; −4095 to −1 is an error's number, negated. Else 0.
    pub result: i64,
    /// 1 at its exit, 0 at its entry. Written at its entry, [`LENT`](Self::LENT) as well.
    pub ended: u64,
}

impl CallRecord {
    /// Bytes of a record.
    pub const SIZE: usize = size_of::<Self>();
    /// [`ended`](Self::ended): the arguments are for this call only. When it is over, the task has again those that it had.
    pub const LENT: u64 = 2;
}
