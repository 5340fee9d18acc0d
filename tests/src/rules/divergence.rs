//! [`DIVERGENCES`]: what Linux does where it cannot obey a rule. RFC 0003 has the same rows, with the reasons in full.
//!
//! A row is tested from both sides: its function must hold, and the rule's must not. When the machine starts to agree,
//! the row goes.

use kernel_model::abi::PtraceFlags;

use super::stage::Run;
use super::syscalls::{disturbed, first_post_of_stopped, order};
use crate::{ensure, same};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;

/// One rule that one machine does not keep.
pub struct Divergence {
    /// The rule.
    pub id: &'static str,
    /// Where that is decided: kernel function or man page.
    pub source: &'static str,
    /// What it does instead.
    pub run: Run,
}

/// Of the Linux machine.
pub const DIVERGENCES: &[Divergence] = &[
    Divergence {
        id: "R32",
        source: "kernel/entry/common.c: the exit work of a call, with its stop, comes before signals are delivered",
        run: |b| {
            let want = [
                (PRE, "kill"),
                (POST, "kill"),
                (SIGNAL, ""),
                (PRE, "getuid"),
                (POST, "getuid"),
                (PRE, "rt_sigreturn"),
                (PRE, "exit"),
            ];
            let number = |name: &str| if name.is_empty() { 0 } else { b.call(name) };
            same!(order(b)?, want.map(|(cause, name)| (cause, number(name))));
            Ok(())
        },
    },
    Divergence {
        id: "R33",
        source: "kernel/entry/common.c: as R32; the kill was over when the process stopped",
        run: |b| {
            same!(first_post_of_stopped(b)?, b.call("getuid"));
            Ok(())
        },
    },
    Divergence {
        id: "R76",
        source: "ptrace(2), PTRACE_INTERRUPT; signal(7): an interrupted call is left and made again, with both its stops",
        run: |b| {
            let events = disturbed(b)?;
            ensure!(!events.is_empty(), "nothing was told");
            for event in events {
                same!(event.d, b.call("pause"));
            }
            Ok(())
        },
    },
];

/// The row of a rule.
pub fn row(id: &str) -> Option<&'static Divergence> {
    DIVERGENCES.iter().find(|row| row.id == id)
}
