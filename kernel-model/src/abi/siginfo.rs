//! [`SigInfo`]: what comes with a signal, in the layout that a handler gets it in (sigaction(2), siginfo_t on x86-64).
//!
//! Redox has nothing like it. Which of the fields after `code` mean something depends on the code; the bytes are the
//! machine's, so that a tool shows them as it shows a siginfo_t that it finds in memory.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Pid, Signal, Status};

/// 128 bytes: a signal and where it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SigInfo {
    /// Which signal.
    pub signo: i32,
    /// An error number; hardly ever used.
    pub errno: i32,
    /// How it came about: one of the constants here, or the machine's.
    pub code: i32,
    /// Nothing.
    pub padding: u32,
    /// The rest, by `code`.
    pub fields: [u64; 14],
}

impl SigInfo {
    /// Bytes.
    pub const SIZE: usize = size_of::<SigInfo>();
    /// `code`: a process sent it, by kill.
    pub const USER: i32 = 0;
    /// `code`: the system raised it.
    pub const KERNEL: i32 = 0x80;
    /// `code` of CHLD: the child exited.
    pub const EXITED: i32 = 1;
    /// `code` of CHLD: a signal ended it.
    pub const KILLED: i32 = 2;
    /// `code` of CHLD: the same, with an image of its memory.
    pub const DUMPED: i32 = 3;
    /// `code` of CHLD: job control stopped it.
    pub const STOPPED: i32 = 5;
    /// `code` of CHLD: it was continued.
    pub const CONTINUED: i32 = 6;

    /// One that a process sent.
    pub fn sent(signal: Signal, pid: Pid, uid: u32) -> SigInfo {
        let fields = first([u64::from(pid.0) | u64::from(uid) << 32, 0]);
        SigInfo { signo: signal.0.into(), code: SigInfo::USER, fields, ..SigInfo::default() }
    }

    /// One that the system raised.
    pub fn raised(signal: Signal) -> SigInfo {
        SigInfo { signo: signal.0.into(), code: SigInfo::KERNEL, ..SigInfo::default() }
    }

    /// CHLD: what became of a child. `status` is its exit code, or a signal.
    pub fn child(code: i32, pid: Pid, uid: u32, status: u8) -> SigInfo {
        let fields = first([u64::from(pid.0) | u64::from(uid) << 32, status.into()]);
        SigInfo { signo: Signal::CHLD.0.into(), code, fields, ..SigInfo::default() }
    }

    /// CHLD: how a child ended.
    pub fn ended(pid: Pid, uid: u32, status: Status) -> SigInfo {
        match status.signal() {
            Some(signal) if status.dumped() => SigInfo::child(SigInfo::DUMPED, pid, uid, signal.0),
            Some(signal) => SigInfo::child(SigInfo::KILLED, pid, uid, signal.0),
            None => SigInfo::child(SigInfo::EXITED, pid, uid, status.code().unwrap_or(0)),
        }
    }

    /// Of [`sent`](Self::sent) and [`child`](Self::child): the sender, the child.
    pub fn pid(&self) -> Pid {
        Pid(self.fields[0] as u32)
    }

    /// Of the same: the sender's user.
    pub fn uid(&self) -> u32 {
        (self.fields[0] >> 32) as u32
    }

    /// Of [`child`](Self::child): exit code, or signal.
    pub fn status(&self) -> i32 {
        self.fields[1] as i32
    }
}

fn first(words: [u64; 2]) -> [u64; 14] {
    let mut fields = [0; 14];
    fields[..2].copy_from_slice(&words);
    fields
}

const _: () = assert!(SigInfo::SIZE == 128);
