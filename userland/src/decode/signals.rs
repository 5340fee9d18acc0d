//! Signals: sets, actions, what came with one, stacks.

use std::sync::OnceLock;

use kernel_model::abi::{Errno, Result, SigInfo};
use zerocopy::IntoBytes;

use super::{Args, Memory, STACK, Show, decoders, le32, le64, word};
use crate::tables::Calls;
use crate::tables::flags as names;

decoders! {
    sigset, old_sigset, sigaction, old_sigaction, siginfo, stack, sigset_pair, signal_handler, signal_mask_word,
}

const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;
const SA_RESTORER: u64 = 0x0400_0000;
/// linux/signal.h, _NSIG.
const SIGNALS: u32 = 64;

/// `[HUP INT]`; `~[KILL]` if most are in it.
pub(super) fn put_set(args: &mut Args<'_>, mut set: u64, signals: u32) {
    let all = if signals == 64 { u64::MAX } else { (1 << signals) - 1 };
    set &= all;
    if set.count_ones() >= signals * 2 / 3 {
        args.text("~");
        set = !set & all;
    }
    args.text("[");
    let mut first = true;
    for number in 1..=signals {
        if set >> (number - 1) & 1 == 1 {
            args.text(if first { "" } else { " " });
            first = false;
            let start = args.out.len();
            args.put_signal(number);
            args.out.drain(start..start + 3); // the `SIG` of its name
        }
    }
    args.text("]");
}

/// A set whose size is the last argument.
fn sigset(args: &mut Args<'_>, address: u64) {
    let Some(set) = args.fetch::<8>(address) else { return };
    put_set(args, le64(&set, 0), SIGNALS);
}

/// One word: sigprocmask of the 32-bit ABI.
fn old_sigset(args: &mut Args<'_>, address: u64) {
    let Some(set) = args.fetch::<4>(address) else { return };
    put_set(args, le32(&set, 0).into(), 32);
}

fn signal_mask_word(args: &mut Args<'_>, set: u64) {
    put_set(args, set, 32);
}

/// pselect's last argument: a set and its size, in a structure.
fn sigset_pair(args: &mut Args<'_>, address: u64) {
    let (size, narrow) = (args.word_size() * 2, args.is_narrow());
    let mut pair = [0; 16];
    if !args.fetch_into(address, &mut pair[..size]) {
        return;
    }
    args.text("{sigmask=");
    sigset(args, word(&pair, 0, narrow));
    put!(args.out, ", sigsetsize={}}}", word(&pair, 1, narrow));
}

fn signal_handler(args: &mut Args<'_>, handler: u64) {
    match handler {
        SIG_DFL => args.text("SIG_DFL"),
        SIG_IGN => args.text("SIG_IGN"),
        handler => args.put_address(handler),
    }
}

/// struct sigaction as the kernel has it.
fn sigaction(args: &mut Args<'_>, address: u64) {
    let narrow = args.is_narrow();
    let mut action = [0; 32];
    let size = if narrow { 20 } else { 32 };
    if !args.fetch_into(address, &mut action[..size]) {
        return;
    }
    let field = |index| word(&action, index, narrow);
    let set = le64(&action, 3 * if narrow { 4 } else { 8 });
    put_action(args, field(0), set, SIGNALS, field(1), field(2));
}

/// The 32-bit ABI's first one.
fn old_sigaction(args: &mut Args<'_>, address: u64) {
    let Some(action) = args.fetch::<16>(address) else { return };
    let field = |index| word(&action, index, true);
    put_action(args, field(0), field(1), 32, field(2), field(3));
}

fn put_action(args: &mut Args<'_>, handler: u64, set: u64, signals: u32, flags: u64, restorer: u64) {
    args.text("{sa_handler=");
    signal_handler(args, handler);
    args.text(", sa_mask=");
    put_set(args, set, signals);
    args.text(", sa_flags=");
    args.flags(&names::SIGACT_FLAGS, flags);
    if flags & SA_RESTORER != 0 {
        args.text(", sa_restorer=");
        args.put_address(restorer);
    }
    args.text("}");
}

/// siginfo_t of a child, a sender, a timer or a fault (asm-generic/siginfo.h).
pub(super) fn siginfo(args: &mut Args<'_>, address: u64) {
    if let Some(info) = args.fetch::<128>(address) {
        put_siginfo(args, &info);
    }
}

/// The same, of bytes.
fn put_siginfo(args: &mut Args<'_>, info: &[u8; 128]) {
    const SIGCHLD: u32 = 17;
    const SIGIO: u32 = 29;
    const SIGSYS: u32 = 31;
    let (signal, errno, code) = (le32(info, 0), le32(info, 4), le32(info, 8) as i32);
    if signal == 0 {
        return args.text("{}");
    }
    args.text("{si_signo=");
    args.put_signal(signal);
    args.text(", si_code=");
    put_code(args, signal, code);
    if errno != 0 {
        put!(args.out, ", si_errno={errno}");
    }
    // Before the union of the rest, 64-bit processes have 4 bytes of padding.
    let rest = if args.is_narrow() { 12 } else { 16 };
    let (pid, uid) = (le32(info, rest) as i32, le32(info, rest + 4));
    match code {
        _ if signal == SIGCHLD && code > 0 => {
            let status = le32(info, rest + 8);
            put!(args.out, ", si_pid={pid}, si_uid={uid}, si_status=");
            if code == 1 {
                put!(args.out, "{}", status as i32)
            } else {
                args.put_signal(status)
            }
            let times = |index: usize| {
                if args.abi != 0 {
                    le32(info, rest + 12 + 4 * index).into()
                } else {
                    le64(info, rest + 16 + 8 * index)
                }
            };
            let (user, system) = (times(0), times(1));
            put!(args.out, ", si_utime={user}, si_stime={system}");
        }
        0 | -6 => put!(args.out, ", si_pid={pid}, si_uid={uid}"),
        -2 => {
            put!(args.out, ", si_timerid={:#x}, si_overrun={}", le32(info, rest), le32(info, rest + 4));
            put_value(args, info, rest + 8);
        }
        -1 | -3 => {
            put!(args.out, ", si_pid={pid}, si_uid={uid}");
            put_value(args, info, rest + 8);
        }
        1 if signal == SIGSYS => {
            args.text(", si_call_addr=");
            args.put_address(word(&info[rest..], 0, args.is_narrow()));
            put_refused(args, le32(info, rest + args.word_size()), le32(info, rest + args.word_size() + 4));
        }
        _ if code > 0 && signal == SIGIO => {
            put!(args.out, ", si_band={}, si_fd={}", le64(info, rest) as i64, le32(info, rest + 8) as i32);
        }
        _ if code > 0 && matches!(signal, 4 | 5 | 7 | 8 | 11) => {
            args.text(", si_addr=");
            args.put_address(word(&info[rest..], 0, args.is_narrow()));
        }
        _ => {}
    }
    args.text("}");
}

/// The same, of a record.
pub fn put_origin(out: &mut Vec<u8>, info: &SigInfo) {
    let mut nothing = Nothing;
    let mut args = Args::new(out, &mut nothing, &[0; 7], 0, Show::DEFAULT, None);
    let mut bytes = [0; SigInfo::SIZE];
    bytes.copy_from_slice(info.as_bytes());
    put_siginfo(&mut args, &bytes);
}

/// No memory: a record holds all that is shown of it.
struct Nothing;

impl Memory for Nothing {
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<()> {
        Err(Errno::EFAULT)
    }

    fn descriptor(&mut self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

fn put_value(args: &mut Args<'_>, info: &[u8], at: usize) {
    let pointer = if args.is_narrow() { le32(info, at).into() } else { le64(info, at) };
    put!(args.out, ", si_int={}, si_ptr=", le32(info, at) as i32);
    args.put_address(pointer);
}

/// Names of the codes from 1 on, by signal (asm-generic/siginfo.h).
const RAISED: [(u32, &[&str]); 6] = [
    (
        4,
        &[
            "ILL_ILLOPC",
            "ILL_ILLOPN",
            "ILL_ILLADR",
            "ILL_ILLTRP",
            "ILL_PRVOPC",
            "ILL_PRVREG",
            "ILL_COPROC",
            "ILL_BADSTK",
            "ILL_BADIADDR",
        ],
    ),
    (5, &["TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT", "TRAP_UNK", "TRAP_PERF"]),
    (7, &["BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO"]),
    (
        8,
        &[
            "FPE_INTDIV",
            "FPE_INTOVF",
            "FPE_FLTDIV",
            "FPE_FLTOVF",
            "FPE_FLTUND",
            "FPE_FLTRES",
            "FPE_FLTINV",
            "FPE_FLTSUB",
        ],
    ),
    (11, &["SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR"]),
    (29, &["POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP"]),
];

/// The call that a filter refused: its number, and the ABI by the names of linux/audit.h.
fn put_refused(args: &mut Args<'_>, number: u32, arch: u32) {
    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;
    let (abi, arch_name) = match arch {
        X86_64 => (0, "AUDIT_ARCH_X86_64"),
        I386 => (1, "AUDIT_ARCH_I386"),
        _ => return put!(args.out, ", si_syscall={number}, si_arch={arch:#x}"),
    };
    static CALLS: OnceLock<Calls> = OnceLock::new(); // such signals are rare
    let call = CALLS.get_or_init(Calls::linux).get(abi, number.into());
    match call.filter(|_| abi == 0) {
        Some(call) => put!(args.out, ", si_syscall=__NR_{}", call.name),
        None => put!(args.out, ", si_syscall={number}"),
    }
    put!(args.out, ", si_arch={arch_name}");
}

fn put_code(args: &mut Args<'_>, signal: u32, code: i32) {
    const SENT: [&str; 7] =
        ["SI_USER", "SI_QUEUE", "SI_TIMER", "SI_MESGQ", "SI_ASYNCIO", "SI_SIGIO", "SI_TKILL"];
    const CHILD: [&str; 6] =
        ["CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"];
    let name = match (signal, code) {
        (_, 0x80) => Some("SI_KERNEL"),
        (_, -6..=0) => SENT.get(-code as usize).copied(),
        (17, 1..=6) => CHILD.get(code as usize - 1).copied(),
        (31, 1) => Some("SYS_SECCOMP"),
        (_, 1..) => RAISED
            .iter()
            .find(|(number, _)| *number == signal)
            .and_then(|(_, names)| names.get(code as usize - 1))
            .copied(),
        _ => None,
    };
    match name {
        Some(name) => args.text(name),
        None => put!(args.out, "{code:#x}"),
    }
}

/// stack_t.
fn stack(args: &mut Args<'_>, address: u64) {
    let narrow = args.is_narrow();
    let mut stack = [0; 24];
    let size = if narrow { 12 } else { 24 };
    if !args.fetch_into(address, &mut stack[..size]) {
        return;
    }
    args.text("{ss_sp=");
    args.put_address(word(&stack, 0, narrow));
    args.text(", ss_flags=");
    args.flags(&names::SS_FLAGS, le32(&stack, if narrow { 4 } else { 8 }).into());
    put!(args.out, ", ss_size={}}}", word(&stack, 2, narrow));
}

/// Offsets from the stack pointer at rt_sigreturn, 64 bits: after `pretcode` comes struct ucontext, with 40 bytes before its
/// struct sigcontext (asm/ucontext.h, asm/sigcontext.h).
const FRAME_MASK: u64 = 40 + 256;
const FRAME_RAX: u64 = 40 + 13 * 8;

/// `{mask=[]}`: what the handler's return restores.
pub(super) fn sigframe(args: &mut Args<'_>) {
    if args.is_narrow() {
        return;
    }
    let place = args.words[STACK].wrapping_add(FRAME_MASK);
    let mut set = [0; 8];
    if args.memory.read(place, &mut set).is_ok() {
        args.text("{mask=");
        put_set(args, le64(&set, 0), SIGNALS);
        args.text("}");
    }
}

/// The register that will hold the result after a 64-bit rt_sigreturn: the interrupted program's.
pub fn sigreturn_result(memory: &mut dyn super::Memory, stack: u64) -> Option<u64> {
    let mut rax = [0; 8];
    memory.read(stack.wrapping_add(FRAME_RAX), &mut rax).ok()?;
    Some(u64::from_le_bytes(rax))
}
