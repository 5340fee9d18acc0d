//! The system calls of guests and tests that Rust can make only in `unsafe`: fork, handlers, faults, raw waits.
//! Every function here is safe to call; what it relies on is checked in it or named at the block.

use std::ffi::CString;
use std::io::{Error, Result};
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::Relaxed};

use libc::{c_int, c_long, c_void, pid_t, siginfo_t};

/// One more than the highest signal number.
pub const SIGNALS: usize = 65;

const VALUES: usize = 64;

static COUNTS: [AtomicU32; SIGNALS] = [const { AtomicU32::new(0) }; SIGNALS];
static QUEUED: [AtomicI32; VALUES] = [const { AtomicI32::new(0) }; VALUES];
static QUEUED_LEN: AtomicUsize = AtomicUsize::new(0);
/// Where the handler writes a byte, from its third call on; -1: nowhere.
static POKE: AtomicI32 = AtomicI32::new(-1);
static STACK_START: AtomicUsize = AtomicUsize::new(0);
const STACK_LEN: usize = 64 * 1024;

fn check(result: c_long) -> Result<c_long> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// Counts the signal; notes a queued value; pokes.
extern "C" fn note_signal(signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    // SAFETY: the location of errno is valid for the life of the thread. A handler leaves it as it was.
    let errno = unsafe { *libc::__errno_location() };
    let count = COUNTS[signal as usize].fetch_add(1, Relaxed) + 1;
    // SAFETY: the kernel passes a valid siginfo to a handler installed with SA_SIGINFO.
    let (code, value) = unsafe { ((*info).si_code, (*info).si_value().sival_ptr as usize as i32) };
    if code == libc::SI_QUEUE {
        let at = QUEUED_LEN.fetch_add(1, Relaxed);
        QUEUED[at % VALUES].store(value, Relaxed);
    }
    let poke = POKE.load(Relaxed);
    if poke >= 0 && count >= 3 {
        // SAFETY: one readable byte; write is async-signal-safe.
        unsafe { libc::write(poke, c"!".as_ptr().cast(), 1) };
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Counts deliveries of `signal` from now on. `flags`: SA_RESTART, SA_ONSTACK.
pub fn count_signal(signal: c_int, flags: c_int) -> Result<()> {
    // SAFETY: all zero is a valid sigaction.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = note_signal as *const () as usize;
    action.sa_flags = flags | libc::SA_SIGINFO;
    // SAFETY: the handler has the three-argument form that SA_SIGINFO asks for, and calls only async-signal-safe things.
    check(unsafe { libc::sigaction(signal, &action, null_mut()) }.into()).map(drop)
}

/// Deliveries counted so far.
pub fn count(signal: c_int) -> u32 {
    COUNTS[signal as usize].load(Relaxed)
}

/// Forgets all counts and values.
pub fn forget_counts() {
    COUNTS.iter().for_each(|count| count.store(0, Relaxed));
    QUEUED_LEN.store(0, Relaxed);
}

/// Values that came with queued signals, in order of delivery (the last 64 at most).
pub fn queued_values() -> Vec<i32> {
    QUEUED[..QUEUED_LEN.load(Relaxed).min(VALUES)].iter().map(|value| value.load(Relaxed)).collect()
}

/// From its third call on, the handler writes a byte to `fd`: the end of a call that SA_RESTART would restart for ever.
pub fn poke_after_three(fd: Option<&OwnedFd>) {
    POKE.store(fd.map_or(-1, AsRawFd::as_raw_fd), Relaxed);
}

/// Sets a disposition to `SIG_DFL` or `SIG_IGN`.
pub fn set_disposition(signal: c_int, disposition: usize) -> Result<()> {
    assert!(disposition == libc::SIG_DFL || disposition == libc::SIG_IGN);
    // SAFETY: neither value names code.
    if unsafe { libc::signal(signal, disposition) } == libc::SIG_ERR {
        Err(Error::last_os_error())
    } else {
        Ok(())
    }
}

/// `default`, `ignored`, `handler`, or an errno.
pub fn disposition(signal: c_int) -> Result<&'static str> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: reads into a valid sigaction, which zeroed made.
    let action = unsafe {
        check(libc::sigaction(signal, null(), action.as_mut_ptr()).into())?;
        action.assume_init()
    };
    Ok(match action.sa_sigaction {
        libc::SIG_DFL => "default",
        libc::SIG_IGN => "ignored",
        _ => "handler",
    })
}

/// The blocked signals of this thread, as bits (bit 0 is signal 1), C library's own included.
pub fn blocked_mask() -> Result<u64> {
    let mut mask = 0u64;
    // SAFETY: the kernel writes the 8 bytes that the last argument names.
    check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, null::<u64>(), &mut mask, 8) })?;
    Ok(mask)
}

/// Blocks or unblocks one signal, real-time ones included.
pub fn mask_signal(how: c_int, signal: c_int) -> Result<()> {
    let set = 1u64 << (signal - 1);
    // SAFETY: the kernel reads the 8 bytes that the last argument names.
    check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &set, null_mut::<u64>(), 8) }).map(drop)
}

/// kill(2), with any signal number.
pub fn kill(pid: pid_t, signal: c_int) -> Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// sigqueue(3).
pub fn queue_signal(pid: pid_t, signal: c_int, value: i32) -> Result<()> {
    let value = libc::sigval { sival_ptr: value as usize as *mut c_void };
    // SAFETY: the value is a number in a pointer's place; nobody follows it.
    check(unsafe { libc::sigqueue(pid, signal, value) }.into()).map(drop)
}

/// What a signal said, if it was of a child.
#[derive(Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// Which.
    pub signal: c_int,
    /// `si_code`.
    pub code: c_int,
    /// `si_pid`.
    pub pid: pid_t,
    /// `si_status`.
    pub status: c_int,
}

/// sigtimedwait(2) for one signal; `None`: without a limit.
pub fn wait_signal(signal: c_int, limit_ms: Option<i64>) -> Result<SignalInfo> {
    let limit = limit_ms.map(milliseconds);
    // SAFETY: all parts are valid for the call; si_pid and si_status may be read, the siginfo having been zeroed.
    unsafe {
        let (mut set, mut info): (libc::sigset_t, siginfo_t) = (zeroed(), zeroed());
        libc::sigaddset(&mut set, signal);
        let limit = limit.as_ref().map_or(null(), |limit| limit as *const libc::timespec);
        let signal = check(libc::sigtimedwait(&set, &mut info, limit).into())? as c_int;
        Ok(SignalInfo { signal, code: info.si_code, pid: info.si_pid(), status: info.si_status() })
    }
}

fn milliseconds(ms: i64) -> libc::timespec {
    libc::timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 }
}

/// setitimer(2), periodic; 0 ends it.
pub fn set_timer(which: c_int, period_us: i64) -> Result<()> {
    let period = libc::timeval { tv_sec: period_us / 1_000_000, tv_usec: period_us % 1_000_000 };
    let value = libc::itimerval { it_interval: period, it_value: period };
    // The constants' type differs between C libraries.
    // SAFETY: reads a valid itimerval.
    check(unsafe { libc::syscall(libc::SYS_setitimer, which, &value, null_mut::<libc::itimerval>()) })
        .map(drop)
}

/// nanosleep(2).
pub fn nanosleep_ms(ms: i64) -> Result<()> {
    // SAFETY: reads a valid timespec.
    check(unsafe { libc::nanosleep(&milliseconds(ms), null_mut()) }.into()).map(drop)
}

/// pause(2): returns with EINTR.
pub fn pause() -> Error {
    // SAFETY: no memory is involved.
    unsafe { libc::pause() };
    Error::last_os_error()
}

/// FUTEX_WAIT on a word that nobody wakes.
pub fn futex_wait(limit_ms: Option<i64>) -> Result<()> {
    let word = AtomicU32::new(0);
    let limit = limit_ms.map(milliseconds);
    let limit = limit.as_ref().map_or(null(), |limit| limit as *const libc::timespec);
    // SAFETY: word and limit outlive the call.
    check(unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, 0, limit) }).map(drop)
}

/// semop(2) on a new semaphore that stays zero; removed afterwards.
pub fn semaphore_wait() -> Result<()> {
    // SAFETY: the operation array has the one element that is announced.
    unsafe {
        let id = check(libc::semget(libc::IPC_PRIVATE, 1, 0o600).into())? as c_int;
        let mut operation = libc::sembuf { sem_num: 0, sem_op: -1, sem_flg: 0 };
        let result = check(libc::semop(id, &mut operation, 1).into());
        libc::semctl(id, 0, libc::IPC_RMID);
        result.map(drop)
    }
}

/// msgrcv(2) on a new, empty queue; removed afterwards.
pub fn message_wait() -> Result<()> {
    // SAFETY: the buffer has room for the type and the eight bytes that are announced.
    unsafe {
        let id = check(libc::msgget(libc::IPC_PRIVATE, 0o600).into())? as c_int;
        let mut message = [0u64; 2];
        let result = check(libc::msgrcv(id, message.as_mut_ptr().cast(), 8, 0, 0) as c_long);
        libc::msgctl(id, libc::IPC_RMID, null_mut());
        result.map(drop)
    }
}

/// Handlers with SA_ONSTACK run on a stack of their own from now on, which is never freed.
pub fn use_alternate_stack() -> Result<()> {
    let memory = Box::leak(vec![0u8; STACK_LEN].into_boxed_slice());
    STACK_START.store(memory.as_ptr() as usize, Relaxed);
    let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK_LEN };
    // SAFETY: the memory is leaked, hence valid for as long as a handler may run on it.
    check(unsafe { libc::sigaltstack(&stack, null_mut()) }.into()).map(drop)
}

/// Says what it was called for, where it ran, and ends the process.
extern "C" fn tell_fault(signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    let here = &raw const info as usize;
    let start = STACK_START.load(Relaxed);
    // SAFETY: the kernel passes a valid siginfo; the signals this is installed for carry an address.
    let address = unsafe { (*info).si_addr() } as usize;
    let ok =
        (start..start + STACK_LEN).contains(&here) && address == FAULT_ADDRESS && signal == libc::SIGSEGV;
    // SAFETY: async-signal-safe.
    unsafe { libc::_exit(if ok { 3 } else { 4 }) };
}

/// A write here faults: the first page is never mapped.
const FAULT_ADDRESS: usize = 0x10;

/// SIGSEGV ends the process with status 3 if its handler runs on the alternate stack and sees the right address, else 4.
pub fn tell_faults() -> Result<()> {
    // SAFETY: all zero is a valid sigaction; the handler has the form that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = tell_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        check(libc::sigaction(libc::SIGSEGV, &action, null_mut()).into()).map(drop)
    }
}

/// Faults of the processor.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A write where nothing is mapped.
    Segment,
    /// An undefined instruction.
    Illegal,
    /// A division by zero.
    Divide,
    /// A breakpoint instruction.
    Breakpoint,
    /// abort(3).
    Abort,
}

/// Commits it; comes back only where a handler or a tracer lets it.
pub fn commit(fault: Fault) {
    // SAFETY: each ends the process by a signal, or traps and goes on; no memory that Rust knows of is touched.
    unsafe {
        match fault {
            Fault::Segment => std::arch::asm!("mov byte ptr [{}], 1", in(reg) FAULT_ADDRESS),
            Fault::Illegal => std::arch::asm!("ud2"),
            Fault::Divide => {
                std::arch::asm!("xor edx, edx", "mov eax, 1", "div edx", out("eax") _, out("edx") _);
            }
            Fault::Breakpoint => std::arch::asm!("int3"),
            Fault::Abort => libc::abort(),
        }
    }
}

/// fork(2): the child runs `child` and exits with its answer. The caller must have one thread.
pub fn fork(child: impl FnOnce() -> i32) -> Result<pid_t> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    assert_eq!(threads, 1, "fork in a program with threads");
    // SAFETY: with one thread (just counted) nobody else holds a lock that the child would miss.
    match unsafe { libc::fork() } {
        0 => {
            let status = child();
            // SAFETY: ends the child, without running the parent's destructors in it.
            unsafe { libc::_exit(status) }
        }
        pid => check(pid.into()).map(|pid| pid as pid_t),
    }
}

struct Exec {
    path: CString,
    args: Vec<*const libc::c_char>,
}

extern "C" fn exec_in_child(exec: *mut c_void) -> c_int {
    // SAFETY: `vfork_exec` passes an Exec that it owns and sleeps until this child has gone to another program.
    unsafe {
        let exec = &*exec.cast::<Exec>();
        libc::execv(exec.path.as_ptr(), exec.args.as_ptr());
        libc::_exit(127)
    }
}

/// vfork and exec of `args`, the first being the path.
pub fn vfork_exec(args: &[&str]) -> Result<pid_t> {
    let args: Vec<CString> =
        args.iter().map(|arg| CString::new(*arg)).collect::<std::result::Result<_, _>>()?;
    let mut exec = Exec { path: args[0].clone(), args: args.iter().map(|arg| arg.as_ptr()).collect() };
    exec.args.push(null());
    let mut stack = vec![0u128; 4096];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: CLONE_VFORK holds this thread until the child has left the shared memory; the stack, its top aligned to
    // 16 bytes, and the arguments live until then. The child allocates nothing.
    let pid = unsafe {
        libc::clone(exec_in_child, stack.as_mut_ptr_range().end.cast(), flags, (&raw mut exec).cast())
    };
    check(pid.into()).map(|pid| pid as pid_t)
}

/// waitpid(2): pid and raw status.
pub fn wait(pid: pid_t, options: c_int) -> Result<(pid_t, c_int)> {
    let mut status = 0;
    // SAFETY: writes one int.
    let pid = check(unsafe { libc::waitpid(pid, &mut status, options) }.into())?;
    Ok((pid as pid_t, status))
}

/// A pidfd, readable once the process has ended.
pub fn pidfd(pid: pid_t) -> Result<OwnedFd> {
    // SAFETY: a fresh descriptor, owned by nobody else.
    unsafe {
        let fd = check(libc::syscall(libc::SYS_pidfd_open, pid, 0))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// The command gets a session of its own, with `terminal` as controlling terminal and as stdin, stdout and stderr.
pub fn on_terminal(command: &mut Command, terminal: &OwnedFd) -> Result<()> {
    for attach in [Command::stdin, Command::stdout, Command::stderr] {
        attach(command, terminal.as_fd().try_clone_to_owned()?);
    }
    // SAFETY: both calls are async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            check(libc::setsid().into())?;
            check(libc::ioctl(0, libc::TIOCSCTTY, 0).into()).map(drop)
        });
    }
    Ok(())
}

/// A system call without arguments that the C library does not answer by itself.
pub fn getppid_raw() -> c_long {
    // SAFETY: no memory is involved.
    unsafe { libc::syscall(libc::SYS_getppid) }
}

/// PTRACE_GET_SYSCALL_INFO, the answer unused: what a minimal tracer pays.
pub fn syscall_info(pid: pid_t) -> Result<()> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::uninit();
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: writes at most the size that is announced.
    check(unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, info.as_mut_ptr()) }).map(drop)
}

/// From now on a tracer of this thread and of all that it makes is told of these calls, and of no others. For minimal tracers to compare with.
pub fn trace_only(calls: &[c_long]) -> Result<()> {
    answer(calls, libc::SECCOMP_RET_TRACE)
}

/// From now on these calls kill the process.
pub fn die_of(calls: &[c_long]) -> Result<()> {
    answer(calls, libc::SECCOMP_RET_KILL_PROCESS)
}

/// A seccomp filter that answers some calls so, and nobody gains privileges by exec.
fn answer(calls: &[c_long], answer: u32) -> Result<()> {
    let op = |code: u32, k: u32, yes: u8| libc::sock_filter { code: code as u16, jt: yes, jf: 0, k };
    let mut program = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (at, &call) in calls.iter().enumerate() {
        let to_end = (calls.len() - at) as u8;
        program.push(op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, to_end));
    }
    program.push(op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0));
    program.push(op(libc::BPF_RET | libc::BPF_K, answer, 0));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: no memory is involved.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
    // SAFETY: the kernel copies the program, which outlives the call.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) }.into()).map(drop)
}

/// munmap(2) of memory that nobody in this program uses.
pub fn unmap(at: usize, bytes: usize) -> Result<()> {
    // SAFETY: the caller found it among what it did not map itself.
    check(unsafe { libc::munmap(at as *mut c_void, bytes) }.into()).map(drop)
}

/// mmap(2) of something else in its place.
pub fn map_over(at: usize, bytes: usize) -> Result<()> {
    let (rights, how) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
    // SAFETY: as for `unmap`.
    let mapped = unsafe { libc::mmap(at as *mut c_void, bytes, rights, how, -1, 0) };
    if mapped == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Memory below 4 GiB, for the arguments of system calls that are made by number, on either ABI.
pub struct Arena {
    at: usize,
    used: usize,
}

const ARENA_LEN: usize = 1 << 22;

impl Arena {
    /// Maps it, for the life of the process.
    pub fn new() -> Result<Arena> {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe { libc::mmap(null_mut(), ARENA_LEN, protection, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            Err(Error::last_os_error())
        } else {
            Ok(Arena { at: at as usize, used: 0 })
        }
    }

    /// Forgets what was put into it.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Copies bytes into it, aligned to 16 and with room for a NUL; their address.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.used;
        self.used = (at + bytes.len() + 1).next_multiple_of(16);
        assert!(self.used <= ARENA_LEN, "the arena is full");
        // SAFETY: the range lies in the mapping, which nothing else refers to.
        unsafe {
            let to = (self.at + at) as *mut u8;
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            to.add(bytes.len()).write(0);
        }
        (self.at + at) as u64
    }

    /// Copies bytes out of it.
    pub fn get(&self, address: u64, len: usize) -> Vec<u8> {
        let at = (address as usize).checked_sub(self.at).filter(|at| at + len <= ARENA_LEN);
        let at = at.expect("an address of the arena");
        // SAFETY: the range lies in the mapping, which was zeroed by the kernel and is only written by `put` and by calls.
        unsafe { std::slice::from_raw_parts((self.at + at) as *const u8, len) }.to_vec()
    }

    /// Makes a call by its number: by `syscall` if `abi` is 0, else by `int 0x80`. Pointers among the arguments are
    /// addresses of this arena with enough room behind them; the answer is the kernel's, an errno negated.
    pub fn call(&self, abi: usize, number: i64, args: [u64; 6]) -> i64 {
        let [a, b, c, d, e, f] = args;
        let result: i64;
        if abi == 0 {
            // SAFETY: memory that the kernel writes to is the arena's, which Rust only reads by `get`.
            unsafe {
                std::arch::asm!(
                    "syscall",
                    inlateout("rax") number => result,
                    in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
                    lateout("rcx") _, lateout("r11") _,
                );
            }
            return result;
        }
        // SAFETY: as above; rbx and rbp, which the compiler keeps for itself, are put back.
        unsafe {
            std::arch::asm!(
                "push rbp",
                "push rbx",
                "mov rbx, {a}",
                "mov rbp, {f}",
                "int 0x80",
                "pop rbx",
                "pop rbp",
                a = in(reg) a, f = in(reg) f,
                inlateout("rax") number => result,
                in("rcx") b, in("rdx") c, in("rsi") d, in("rdi") e,
                lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
            );
        }
        i64::from(result as i32)
    }

    /// Makes a 64-bit call with its stack in this arena, between bytes that nobody has a reason to touch. Its result, and
    /// whether the argument registers and all those bytes are as they were.
    pub fn call_watched(&mut self, number: i64, args: [u64; 6]) -> (i64, bool) {
        const ROOM: usize = 64 * 1024;
        let pattern: Vec<u8> = (0..2 * ROOM).map(|n| (n % 251) as u8).collect();
        let at = self.put(&pattern);
        let stack = at + ROOM as u64;
        let mut after = args;
        let result: i64;
        // SAFETY: the stack pointer is only used by the kernel until it is put back, and r12 keeps it; no signal handler of
        // this process runs on this thread. Memory that the kernel writes to is the arena's.
        unsafe {
            std::arch::asm!(
                "mov r12, rsp",
                "mov rsp, {stack}",
                "syscall",
                "mov rsp, r12",
                stack = in(reg) stack,
                inlateout("rax") number => result,
                inlateout("rdi") args[0] => after[0], inlateout("rsi") args[1] => after[1],
                inlateout("rdx") args[2] => after[2], inlateout("r10") args[3] => after[3],
                inlateout("r8") args[4] => after[4], inlateout("r9") args[5] => after[5],
                out("r12") _, lateout("rcx") _, lateout("r11") _,
            );
        }
        (result, after == args && self.get(at, pattern.len()) == pattern)
    }
}

/// fork(2), the child with this pid. Errors: EEXIST the pid is in use; EPERM without CAP_CHECKPOINT_RESTORE.
pub fn fork_as(pid: pid_t, child: impl FnOnce() -> i32) -> Result<pid_t> {
    let wanted = [pid];
    // SAFETY: all zero is a valid clone_args.
    let mut args: libc::clone_args = unsafe { zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    args.set_tid = wanted.as_ptr() as u64;
    args.set_tid_size = 1;
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    assert_eq!(threads, 1, "fork in a program with threads");
    // SAFETY: no stack and no CLONE_VM: this is fork, and with one thread nobody else holds a lock. The arguments outlive it.
    match check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) })? {
        0 => {
            let status = child();
            // SAFETY: ends the child, without running the parent's destructors in it.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(pid as pid_t),
    }
}

/// Closes all descriptors of this process, those that Rust knows of included. What uses one from now on fails.
pub fn close_all() -> Result<()> {
    // SAFETY: a guest does this as the last thing before it ends.
    check(unsafe { libc::syscall(libc::SYS_close_range, 0u32, u32::MAX, 0u32) }).map(drop)
}

/// Puts this process under a seccomp filter that does `action` (SECCOMP_RET_*) to getppid and lets all else pass.
pub fn filter_getppid(action: u32) -> Result<()> {
    let code = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let program = [
        // The number is the first field of struct seccomp_data.
        code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_getppid as u32),
        code(libc::BPF_RET | libc::BPF_K, 0, 0, action),
        code(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
    // SAFETY: the kernel copies the program that `filter` describes, which outlives the call.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter) })
        .map(drop)
}

/// What getppid answers, errors included.
pub fn getppid_checked() -> Result<c_long> {
    check(getppid_raw())
}
