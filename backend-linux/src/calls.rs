//! The few system calls this machine must know by number: those without an exit, and those that a mere interrupt ends.

use crate::sys::Regs;

/// AUDIT_ARCH_I386: what GET_SYSCALL_INFO says of `int 0x80` and sysenter, from 32-bit and from 64-bit code alike.
pub(crate) const ARCH_I386: u32 = 0x4000_0003;
/// AUDIT_ARCH_X86_64, also of x32, whose numbers have bit 30.
pub(crate) const ARCH_X64: u32 = 0xc000_003e;

/// clone3, on both ABIs.
pub(crate) const CLONE3: u64 = 435;
/// The calls that can make a child without a tracer.
pub(crate) const CLONES: [(Abi, u64); 4] =
    [(Abi::X64, 56), (Abi::X64, CLONE3), (Abi::I386, 120), (Abi::I386, CLONE3)];

/// Which table a number is looked up in; the value is what [`kernel_model::machine::Detail::Call`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abi {
    /// The `syscall` instruction of 64-bit code.
    X64 = 0,
    /// The 32-bit table.
    I386 = 1,
}

impl Abi {
    /// From the `arch` field of GET_SYSCALL_INFO.
    pub(crate) fn of(arch: u32) -> Abi {
        if arch == ARCH_I386 { Abi::I386 } else { Abi::X64 }
    }

    /// A call's arguments, in order.
    pub(crate) fn args(self, regs: &Regs) -> [u64; 6] {
        match self {
            Abi::X64 => [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9],
            Abi::I386 => {
                [regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi, regs.rbp].map(|arg| arg & 0xffff_ffff)
            }
        }
    }

    /// Bytes of an address.
    pub(crate) fn word(self) -> u8 {
        match self {
            Abi::X64 => 8,
            Abi::I386 => 4,
        }
    }

    /// Whether the call never comes back to where it was made: exit, and the return from a handler. (A successful exec
    /// is known by its event.)
    pub(crate) fn has_no_exit(self, number: u64) -> bool {
        match self {
            Abi::X64 => matches!(number, 15 | 60 | 231),
            Abi::I386 => matches!(number, 1 | 119 | 173 | 252),
        }
    }

    /// Whether the call ends the thread, or the process: exit, exit_group.
    pub(crate) fn ends(self, number: u64) -> bool {
        match self {
            Abi::X64 => matches!(number, 60 | 231),
            Abi::I386 => matches!(number, 1 | 252),
        }
    }

    /// Whether the kernel ends the call with EINTR where others restart: measured, and in signal(7) under
    /// "Interruption of system calls … by stop signals". A call that can end with EINTR of its own (a FUSE server's)
    /// must not be here.
    pub(crate) fn is_broken_by_interrupt(self, number: u64) -> bool {
        match self {
            // epoll_wait epoll_pwait epoll_pwait2; accept accept4 recvfrom recvmsg sendto sendmsg connect with a
            // timeout on the socket; recvmmsg sendmmsg; rt_sigtimedwait; semop semtimedop; io_getevents; io_uring_enter
            Abi::X64 => {
                matches!(number, 232 | 281 | 441 | 42..=47 | 288 | 299 | 307 | 128 | 65 | 220 | 208 | 426)
            }
            // socketcall and ipc carry many calls under one number; those among them that restart never show EINTR here
            Abi::I386 => matches!(
                number,
                256 | 319 | 441 | 102 | 337 | 345 | 362 | 364 | 369
                    ..=372 | 417 | 177 | 421 | 117 | 420 | 247 | 426
            ),
        }
    }
}

/// Whether a call changes no register but its result: do_syscall_64 stores that alone. Those that reach into the saved
/// registers or the segments themselves are excepted, and so is every call younger than this list (Linux 6.18).
pub(crate) fn keeps_registers(abi: Abi, number: u64) -> bool {
    // rt_sigreturn execve; modify_ldt arch_prctl iopl ioperm set_thread_area; execveat, uretprobe uprobe
    let reaches = matches!(number, 15 | 59 | 154 | 158 | 172 | 173 | 205 | 322 | 335 | 336);
    abi == Abi::X64 && number <= 470 && !reaches
}

/// 64-bit calls inside which a birth stops their caller: clone fork vfork, clone3.
pub(crate) const CHILDREN: [u64; 4] = [56, 57, 58, 435];

/// Length of the system-call instruction that starts with `bytes`, if it is one: `syscall`, `int 0x80`, `sysenter`,
/// after any prefixes.
pub(crate) fn is_call_instruction(bytes: &[u8]) -> bool {
    let prefix = |byte: &u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    let start = bytes.iter().position(|byte| !prefix(byte)).unwrap_or(bytes.len());
    matches!(bytes[start..], [0x0f, 0x05 | 0x34, ..] | [0xcd, 0x80, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_instructions_are_known_after_prefixes() {
        for yes in
            [&[0x0f, 0x05][..], &[0xcd, 0x80], &[0x0f, 0x34], &[0x48, 0x0f, 0x05], &[0x66, 0xf2, 0xcd, 0x80]]
        {
            assert!(is_call_instruction(yes), "{yes:x?}");
        }
        for no in [&[][..], &[0x0f], &[0x0f, 0x0b], &[0xcd, 0x03], &[0x48], &[0x90, 0x0f, 0x05]] {
            assert!(!is_call_instruction(no), "{no:x?}");
        }
    }
}
