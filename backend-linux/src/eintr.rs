//! Hiding an interrupt from the task: a call that ends with EINTR only because of us is restarted by the kernel.
//!
//! Most interrupted calls restart by themselves: their result is an ERESTART code, which the kernel acts on when the
//! task leaves the stop. A few families end with a plain EINTR, which an untraced task would not see: after our own
//! PTRACE_INTERRUPT; after a SIGCONT, which traps a seized task even if it was not stopped (ptrace_trap_notify); and
//! after a signal that is discarded, which untraced is dropped where it is sent and wakes nobody (sig_ignored).
//! There the result becomes ERESTARTNOHAND: the kernel itself then decides, and still says EINTR if a handler runs.

use crate::calls::Abi;
use crate::sys;
use crate::tracee::Held;

const EINTR: i64 = -(libc::EINTR as i64);
const ERESTARTNOHAND: i64 = -514;

/// Does so if the call is one of those, unless the tracer has written registers.
pub(crate) fn hide(pid: i32, held: &mut Held) {
    if !may_hide(pid, held) {
        return;
    }
    // Only now is the request worth its price.
    let (Ok(info), Ok(regs)) = (sys::call_info(pid), held.fetch(pid)) else { return };
    if Abi::of(info.arch).is_broken_by_interrupt(regs.orig_rax) {
        regs.rax = ERESTARTNOHAND as u64;
        let _ = sys::set_regs(pid, regs);
    }
}

/// Whether there may be anything to hide: EINTR of a call in the list of one ABI. Far cheaper than a look into /proc.
pub(crate) fn may_hide(pid: i32, held: &mut Held) -> bool {
    if held.written {
        return false;
    }
    let Ok(regs) = held.fetch(pid) else { return false };
    // A 32-bit result may be extended either way.
    let interrupted = regs.rax as i64 == EINTR || regs.rax == u64::from(EINTR as u32);
    let listed = |abi: Abi| abi.is_broken_by_interrupt(regs.orig_rax);
    interrupted && regs.orig_rax as i64 != -1 && (listed(Abi::X64) || listed(Abi::I386))
}
