//! What names mean here: the table of calls with this machine's own numbers, and constants.
//!
//! The calls' arguments have the shapes that x86-64 systems after POSIX agree on, so the constants below have the same
//! values there. The numbers are deliberately nobody else's: what reads them must ask the machine.

use crate::abi::{Errno, Signal};
use crate::machine::CallName;

use super::asm::Names;
use super::signal;

/// A call of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallInfo {
    /// In the result register at the `syscall` instruction.
    pub number: u64,
    /// As in `sys.NAME`.
    pub name: &'static str,
    /// What the argument registers hold: `d` number, `p` address, `s` address of a string, `b` address of bytes whose
    /// count follows, `x` bits.
    pub arguments: &'static str,
}

macro_rules! calls {
    ($($number:literal $constant:ident $name:literal $arguments:literal;)*) => {
        $(pub(super) const $constant: u64 = $number;)*
        /// Every call, by number, without a gap from 1.
        pub const CALLS: &[CallInfo] =
            &[$(CallInfo { number: $number, name: $name, arguments: $arguments }),*];
    };
}

calls! {
    1 EXIT "exit" "d";
    2 EXIT_GROUP "exit_group" "d";
    3 GETPID "getpid" "";
    4 GETPPID "getppid" "";
    5 GETTID "gettid" "";
    6 GETUID "getuid" "";
    7 SETUID "setuid" "d";
    8 FORK "fork" "";
    9 VFORK "vfork" "";
    10 EXECVE "execve" "spp";
    11 WAIT4 "wait4" "dpxp";
    12 KILL "kill" "dd";
    13 TKILL "tkill" "dd";
    14 RT_SIGACTION "rt_sigaction" "dppd";
    15 RT_SIGPROCMASK "rt_sigprocmask" "dppd";
    16 RT_SIGRETURN "rt_sigreturn" "";
    17 PAUSE "pause" "";
    18 RT_SIGSUSPEND "rt_sigsuspend" "pd";
    19 SCHED_YIELD "sched_yield" "";
    20 PIPE "pipe" "p";
    21 READ "read" "dpd";
    22 WRITE "write" "dbd";
    23 CLOSE "close" "d";
    24 MMAP "mmap" "pdxxdd";
    25 MUNMAP "munmap" "pd";
    26 MPROTECT "mprotect" "pdx";
    27 SETPGID "setpgid" "dd";
    28 GETPGID "getpgid" "d";
    29 SETSID "setsid" "";
    30 ARCH_PRCTL "arch_prctl" "xp";
}

/// The same for the kernel above, in its groups.
pub(super) static NAMES: [CallName; CALLS.len()] = {
    let mut names = [CallName { abi: 0, number: 0, name: "", groups: "" }; CALLS.len()];
    let mut n = 0;
    while n < CALLS.len() {
        let groups = match CALLS[n].number {
            EXIT | EXIT_GROUP | FORK | VFORK | WAIT4 => "p",
            EXECVE => "fp",
            KILL | TKILL | RT_SIGACTION | RT_SIGPROCMASK | RT_SIGRETURN | PAUSE | RT_SIGSUSPEND => "s",
            PIPE | READ | WRITE | CLOSE => "d",
            MMAP | MUNMAP | MPROTECT => "m",
            _ => "",
        };
        names[n] = CallName { abi: 0, number: CALLS[n].number, name: CALLS[n].name, groups };
        n += 1;
    }
    names
};

/// The call with this number.
pub fn call(number: u64) -> Option<&'static CallInfo> {
    CALLS.get(usize::try_from(number).ok()?.checked_sub(1)?)
}

pub(super) const WNOHANG: u64 = 1;
pub(super) const WUNTRACED: u64 = 2;
pub(super) const WCONTINUED: u64 = 8;
pub(super) const PROT_READ: u64 = 1;
pub(super) const PROT_WRITE: u64 = 2;
pub(super) const PROT_EXEC: u64 = 4;
pub(super) const MAP_FIXED: u64 = 0x10;
pub(super) const MAP_ANONYMOUS: u64 = 0x20;
pub(super) const ARCH_SET_FS: u64 = 0x1002;
pub(super) const SIG_BLOCK: u64 = 0;
pub(super) const SIG_UNBLOCK: u64 = 1;
pub(super) const SIG_SETMASK: u64 = 2;

const CONSTANTS: [(&str, u64); 22] = [
    ("sa.default", signal::DEFAULT),
    ("sa.ignore", signal::IGNORE),
    ("sa.nocldstop", signal::SA_NOCLDSTOP),
    ("sa.nocldwait", signal::SA_NOCLDWAIT),
    // Says that the action has a restorer; here every one has.
    ("sa.restorer", 0x0400_0000),
    ("sa.restart", signal::SA_RESTART),
    ("sa.nodefer", signal::SA_NODEFER),
    ("sa.resethand", signal::SA_RESETHAND),
    ("sig.block", SIG_BLOCK),
    ("sig.unblock", SIG_UNBLOCK),
    ("sig.setmask", SIG_SETMASK),
    ("wnohang", WNOHANG),
    ("wuntraced", WUNTRACED),
    ("wcontinued", WCONTINUED),
    ("prot.none", 0),
    ("prot.read", PROT_READ),
    ("prot.write", PROT_WRITE),
    ("prot.exec", PROT_EXEC),
    ("map.private", 2),
    ("map.fixed", MAP_FIXED),
    ("map.anonymous", MAP_ANONYMOUS),
    ("arch.set_fs", ARCH_SET_FS),
];

/// A constant: one of RFC 0004's table, `sig.NAME`, `bit.NAME` (a signal as a set), or `errno.NAME`, in lower case.
pub fn constant(name: &str) -> Option<u64> {
    if let Some((_, value)) = CONSTANTS.iter().find(|(constant, _)| *constant == name) {
        return Some(*value);
    }
    let (kind, short) = name.split_once('.')?;
    let by_signal = || {
        let known =
            |signal: &&Signal| signal.name().is_some_and(|full| full[3..].eq_ignore_ascii_case(short));
        Signal::ALL.iter().find(known)
    };
    match kind {
        "sig" => by_signal().map(|signal| u64::from(signal.0)),
        "bit" => by_signal().map(|signal| signal::bit(*signal)),
        "errno" => {
            let known = |errno: &&Errno| errno.name().is_some_and(|full| full.eq_ignore_ascii_case(short));
            Errno::ALL.iter().find(known).map(|errno| errno.0 as u64)
        }
        _ => None,
    }
}

/// The simulator's own meaning of names: a program's path is its name.
#[derive(Clone, Copy, Debug)]
pub struct SimNames;

impl Names for SimNames {
    fn call(&self, name: &str) -> Option<u64> {
        CALLS.iter().find(|call| call.name == name).map(|call| call.number)
    }

    fn constant(&self, name: &str) -> Option<u64> {
        constant(name)
    }

    fn path(&self, program: &str) -> Option<Vec<u8>> {
        Some(program.into())
    }
}
