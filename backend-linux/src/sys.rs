//! Every unsafe block of the crate: one thin function per system call, no decisions.
//!
//! Three groups: ptrace requests on one task, waiting, and the two ways of making a process (a program to be traced,
//! and the doorbell). A `static` at the end of the second group remembers what the process was started with.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint, c_void};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use kernel_model::abi::SigInfo;
use kernel_model::scheme::User;
use nix::errno::Errno;

use crate::fault;

pub(crate) use libc::{user_fpregs_struct as FpRegs, user_regs_struct as Regs};

/// What the kernel answers.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// What people call a request, for those who ask where we died.
const fn name(request: c_uint) -> &'static str {
    match request {
        libc::PTRACE_SEIZE => "SEIZE",
        libc::PTRACE_INTERRUPT => "INTERRUPT",
        libc::PTRACE_CONT => "CONT",
        libc::PTRACE_SYSCALL => "SYSCALL",
        libc::PTRACE_SINGLESTEP => "SINGLESTEP",
        libc::PTRACE_LISTEN => "LISTEN",
        libc::PTRACE_DETACH => "DETACH",
        libc::PTRACE_SETOPTIONS => "SETOPTIONS",
        libc::PTRACE_GETEVENTMSG => "GETEVENTMSG",
        libc::PTRACE_GETSIGINFO => "GETSIGINFO",
        libc::PTRACE_GETREGS => "GETREGS",
        libc::PTRACE_GETFPREGS => "GETFPREGS",
        _ => "other",
    }
}

/// A ptrace request whose arguments are numbers.
fn request(request: c_uint, pid: i32, address: usize, data: usize) -> Result<()> {
    let _request = fault::around(name(request), pid);
    // SAFETY: the callers in this file pass requests that take no pointers, so no memory of ours is touched.
    Errno::result(unsafe { libc::ptrace(request, pid, address, data) }).map(drop)
}

/// PTRACE_SEIZE, with the options in the call.
pub(crate) fn seize(pid: i32, options: c_int) -> Result<()> {
    request(libc::PTRACE_SEIZE, pid, 0, options as usize)
}

/// PTRACE_INTERRUPT.
pub(crate) fn interrupt(pid: i32) -> Result<()> {
    request(libc::PTRACE_INTERRUPT, pid, 0, 0)
}

/// PTRACE_CONT, SYSCALL, SINGLESTEP, LISTEN or DETACH, with a signal.
pub(crate) fn restart(how: c_uint, pid: i32, signal: c_int) -> Result<()> {
    request(how, pid, 0, signal as usize)
}

/// PTRACE_SETOPTIONS.
pub(crate) fn set_options(pid: i32, options: c_int) -> Result<()> {
    request(libc::PTRACE_SETOPTIONS, pid, 0, options as usize)
}

/// PTRACE_SETSIGMASK.
pub(crate) fn set_signal_mask(pid: i32, mask: u64) -> Result<()> {
    const SETSIGMASK: c_uint = 0x420b;
    let _request = fault::around("SETSIGMASK", pid);
    // SAFETY: the kernel reads the 8 bytes that `address` announces, from a local that outlives the call.
    Errno::result(unsafe { libc::ptrace(SETSIGMASK, pid, size_of::<u64>(), &raw const mask) }).map(drop)
}

/// A ptrace request that fills one `T`.
fn fetch<T>(request: c_uint, pid: i32) -> Result<T> {
    let _request = fault::around(name(request), pid);
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: the callers pair each request with the type the kernel fills for it; `value` outlives the call.
    Errno::result(unsafe { libc::ptrace(request, pid, 0usize, value.as_mut_ptr()) })?;
    // SAFETY: every `T` used here is plain integers, for which all-zero or kernel-filled bytes are valid.
    Ok(unsafe { value.assume_init() })
}

/// PTRACE_GETEVENTMSG.
pub(crate) fn event_message(pid: i32) -> Result<u64> {
    fetch(libc::PTRACE_GETEVENTMSG, pid)
}

/// `si_code` of PTRACE_GETSIGINFO.
pub(crate) fn signal_code(pid: i32) -> Result<c_int> {
    fetch::<libc::siginfo_t>(libc::PTRACE_GETSIGINFO, pid).map(|info| info.si_code)
}

/// PTRACE_GETSIGINFO, whole.
pub(crate) fn siginfo(pid: i32) -> Result<SigInfo> {
    fetch(libc::PTRACE_GETSIGINFO, pid)
}

/// getxattr(2) of a short value.
pub(crate) fn attribute(path: &CStr, name: &CStr) -> Result<Vec<u8>> {
    let mut value = vec![0u8; 64];
    // SAFETY: both names end with NUL, and the kernel writes no more than the length of the vector, which outlives the call.
    let length =
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(Errno::result(length)? as usize);
    Ok(value)
}

/// PTRACE_PEEKUSER of the result register: cheaper than all of them. The raw call, since libc's reports by errno.
pub(crate) fn peek_result(pid: i32) -> Result<u64> {
    let _request = fault::around("PEEKUSER", pid);
    let mut value = 0u64;
    let offset = std::mem::offset_of!(Regs, rax);
    // SAFETY: the kernel writes one word to `value`, which outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_PEEKUSER, pid, offset, &raw mut value) };
    Errno::result(done).map(|_| value)
}

/// Where in [`Regs`] the register lies that `choose` picks.
pub(crate) fn register_offset(choose: impl FnOnce(&mut Regs) -> &mut u64) -> usize {
    // SAFETY: all fields are integers.
    let mut regs = unsafe { MaybeUninit::<Regs>::zeroed().assume_init() };
    let start = (&raw const regs).addr();
    (&raw const *choose(&mut regs)).addr() - start
}

/// PTRACE_POKEUSER of the general register that lies at `offset` of [`Regs`].
pub(crate) fn poke_register(pid: i32, offset: usize, value: u64) -> Result<()> {
    let _request = fault::around("POKEUSER", pid);
    // SAFETY: the kernel takes the value from the argument itself, so no memory of ours is touched.
    Errno::result(unsafe { libc::ptrace(libc::PTRACE_POKEUSER, pid, offset, value) }).map(drop)
}

/// PTRACE_GETREGS.
pub(crate) fn get_regs(pid: i32) -> Result<Regs> {
    fetch(libc::PTRACE_GETREGS, pid)
}

/// PTRACE_SETREGS.
pub(crate) fn set_regs(pid: i32, regs: &Regs) -> Result<()> {
    let _request = fault::around("SETREGS", pid);
    // SAFETY: the kernel reads one user_regs_struct, which is what the reference is.
    Errno::result(unsafe { libc::ptrace(libc::PTRACE_SETREGS, pid, 0usize, &raw const *regs) }).map(drop)
}

/// An FXSAVE area as PTRACE_GETFPREGS fills it.
pub(crate) const FP_BYTES: usize = size_of::<FpRegs>();

/// PTRACE_GETFPREGS.
pub(crate) fn get_fp_regs(pid: i32) -> Result<[u8; FP_BYTES]> {
    fetch(libc::PTRACE_GETFPREGS, pid)
}

/// PTRACE_SETFPREGS.
pub(crate) fn set_fp_regs(pid: i32, area: &[u8; FP_BYTES]) -> Result<()> {
    let _request = fault::around("SETFPREGS", pid);
    // SAFETY: the kernel reads `FP_BYTES` bytes, which is what the reference is.
    Errno::result(unsafe { libc::ptrace(libc::PTRACE_SETFPREGS, pid, 0usize, area.as_ptr()) }).map(drop)
}

/// The head of `struct ptrace_syscall_info`: what is known of the call a task is stopped at.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallInfo {
    /// PTRACE_SYSCALL_INFO_ENTRY and its siblings.
    pub(crate) op: u8,
    _pad: [u8; 3],
    /// AUDIT_ARCH_*.
    pub(crate) arch: u32,
    _ip: u64,
    _sp: u64,
    /// The number, at an entry; the result, at an exit.
    pub(crate) number: u64,
    /// The arguments, at an entry.
    pub(crate) args: [u64; 6],
    /// What the seccomp filter gave with its answer, at PTRACE_EVENT_SECCOMP.
    pub(crate) filter_data: u32,
    _pad_end: u32,
}

/// PTRACE_GET_SYSCALL_INFO; the kernel copies no more than is asked for.
pub(crate) fn call_info(pid: i32) -> Result<CallInfo> {
    let _request = fault::around("GET_SYSCALL_INFO", pid);
    let mut info = MaybeUninit::<CallInfo>::zeroed();
    let size = size_of::<CallInfo>();
    // SAFETY: the kernel writes at most `size` bytes to a local of that size.
    Errno::result(unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, info.as_mut_ptr()) })?;
    // SAFETY: all fields are integers, and the bytes were zeroed before the kernel wrote some of them.
    Ok(unsafe { info.assume_init() })
}

/// Whom to wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Every tracee of this thread, and no ordinary child: `__WCLONE` leaves out those that are not traced and
    /// end with SIGCHLD, while tracees are eligible whatever the flags (eligible_child in kernel/exit.c).
    Tracees,
    /// Every tracee and every child of this thread.
    All,
    /// One task.
    One(i32),
}

/// What waitid says of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Who.
    pub(crate) pid: i32,
    /// CLD_*.
    pub(crate) code: c_int,
    /// For CLD_TRAPPED all of `exit_code`: the signal, and the event above it.
    pub(crate) status: c_int,
}

/// waitid for stops of tracees and for ends; never looks at tracees and children of other threads.
///
/// WSTOPPED is left out: tracees are reported without it (wait_task_stopped), and with it stopped children that
/// are nobody's tracees would be.
pub(crate) fn wait(target: Target, block: bool, consume: bool) -> Result<Option<Change>> {
    let (idtype, id, kind) = match target {
        Target::Tracees => (libc::P_ALL, 0, libc::__WCLONE),
        Target::All => (libc::P_ALL, 0, libc::__WALL),
        Target::One(pid) => (libc::P_PID, pid as libc::id_t, libc::__WALL),
    };
    let _request = fault::around(if consume { "wait" } else { "peek" }, id as i32);
    let mut flags = libc::WEXITED | libc::__WNOTHREAD | kind;
    if !block {
        flags |= libc::WNOHANG;
    }
    if !consume {
        flags |= libc::WNOWAIT;
    }
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the kernel fills the siginfo_t that the local is.
    Errno::result(unsafe { libc::waitid(idtype, id, info.as_mut_ptr(), flags) })?;
    // SAFETY: zeroed before, and filled by waitid where there was something to say.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills the SIGCHLD member of the union, or leaves the zeroes.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((pid != 0).then_some(Change { pid, code: info.si_code, status }))
}

/// The calling thread.
pub(crate) fn own_tid() -> i32 {
    nix::unistd::gettid().as_raw()
}

/// kill(2), by number: real-time signals have no name in nix.
pub(crate) fn kill(pid: i32, signal: c_int) -> Result<()> {
    let _request = fault::around("kill", pid);
    // SAFETY: no pointers.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// tgkill(2).
pub(crate) fn tgkill(tgid: i32, tid: i32, signal: c_int) -> Result<()> {
    let _request = fault::around("tgkill", tid);
    // SAFETY: no pointers.
    Errno::result(unsafe { libc::syscall(libc::SYS_tgkill, tgid, tid, signal) }).map(drop)
}

// ---------------------------------------------------------------------------------------------- making a process

/// [`ignored_at_start`]
static IGNORED_AT_START: AtomicU64 = AtomicU64::new(0);
/// The signal mask this process was started with.
static MASK_AT_START: AtomicU64 = AtomicU64::new(0);

/// `struct sigaction` as the kernel has it on x86-64; glibc's own refuses signals 32 and 33.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct KernelAction {
    handler: usize,
    flags: c_long,
    restorer: usize,
    mask: u64,
}

const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;
const MASK_BYTES: usize = size_of::<u64>();

/// Runs before main, thus before Rust's runtime ignores SIGPIPE: what the user's shell gave us is what a program
/// that we start must get.
extern "C" fn remember_start() {
    let mut ignored = 0;
    for signal in SIGNALS {
        ignored |= u64::from(action(signal, None).handler == libc::SIG_IGN) << (signal - 1);
    }
    IGNORED_AT_START.store(ignored, Ordering::Relaxed);
    MASK_AT_START.store(swap_mask(None), Ordering::Relaxed);
}

// SAFETY: the section holds pointers to functions without arguments that return nothing, and this is one; it needs
// nothing of Rust's runtime, which is not up yet when it is called.
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER_START: extern "C" fn() = remember_start;

/// Bit n − 1: signal n was ignored when this process was started.
pub(crate) fn ignored_at_start() -> u64 {
    IGNORED_AT_START.load(Ordering::Relaxed)
}

/// Sets SA_NOCLDSTOP on SIGCHLD at its default action.
pub(crate) fn no_child_stop_signals() {
    let (handler, flags) = (libc::SIG_DFL, c_long::from(libc::SA_NOCLDSTOP));
    action(libc::SIGCHLD, Some(KernelAction { handler, flags, ..KernelAction::default() }));
}

/// Sets a signal's action, which is none of our functions, and gives the one before. KILL and STOP have only one.
fn action(signal: c_int, new: Option<KernelAction>) -> KernelAction {
    let mut old = KernelAction::default();
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let arguments = [signal as usize, new as usize, (&raw mut old) as usize, MASK_BYTES];
    // SAFETY: both have the kernel's own layout and outlive the call; what is no function needs no restorer.
    let _ = unsafe { raw(libc::SYS_rt_sigaction, arguments) };
    old
}

/// Sets the calling thread's mask, all 64 signals of it, and gives the one before.
fn swap_mask(mask: Option<u64>) -> u64 {
    let mut old = 0u64;
    let new = mask.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let arguments = [libc::SIG_SETMASK as usize, new as usize, (&raw mut old) as usize, MASK_BYTES];
    // SAFETY: the kernel reads 8 bytes of `new`, unless null, and writes 8 to `old`; both outlive the call.
    let _ = unsafe { raw(libc::SYS_rt_sigprocmask, arguments) };
    old
}

/// A program, ready to be passed to execve.
pub(crate) struct Image<'a> {
    pub(crate) path: &'a CString,
    pub(crate) args: &'a [CString],
    pub(crate) env: Option<&'a [CString]>,
    pub(crate) filter: Option<&'a [libc::sock_filter]>,
    pub(crate) user: Option<&'a User>,
}

/// A child that waits to be let into its program.
pub(crate) struct Embryo<'a> {
    pub(crate) pid: i32,
    release: OwnedFd,
    failure: OwnedFd,
    _of_the_child: (Box<Birth<'a>>, Box<[MaybeUninit<u128>]>),
}

/// What the child of [`fork`] looks at.
struct Birth<'a> {
    image: &'a Image<'a>,
    args: Vec<*const c_char>,
    env: Option<Vec<*const c_char>>,
    filter: Option<libc::sock_fprog>,
    /// To wait for, and to say why there is no program; the parent's end of the first, of no use to the child.
    ends: [OwnedFd; 2],
    closed: c_int,
}

/// Makes a child. It waits for [`Embryo::release`], then becomes `image` with the dispositions and the mask that this
/// process was started with. The embryo has to be kept until the child is seen at its exec or has ended.
///
/// The child runs in our memory, on a stack of its own: to copy the memory and to fault our own pages back in was much of what
/// it takes to start a small program. So its system calls share no errno, and it writes to its stack only; other threads may
/// exist. Who shall be another user gets a copy: its memory is not dumpable (commit_creds in kernel/cred.c), ours shall be.
pub(crate) fn fork<'a>(image: &'a Image<'a>) -> Result<Embryo<'a>> {
    let _request = fault::around("fork", 0);
    let (wait_end, release) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (failure, fail_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (args, env) = (pointers(image.args), image.env.map(pointers));
    let filter = image
        .filter
        .map(|program| libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() });
    let (ends, closed) = ([wait_end, fail_end], release.as_raw_fd());
    let birth = Box::new(Birth { image, args, env, filter, ends, closed });
    let mut stack = Box::<[u128]>::new_uninit_slice(STACK);
    let memory = if image.user.is_some() { 0 } else { libc::CLONE_VM };
    // A handler of the host's must not run in the child.
    let mask = swap_mask(Some(u64::MAX));
    // SAFETY: the end of an aligned stack that the embryo owns, like what `birth` points to; the child calls `be_born`,
    // which keeps to what is said above.
    let pid = Errno::result(unsafe {
        let top = stack.as_mut_ptr_range().end.cast();
        libc::clone(be_born, top, memory | libc::SIGCHLD, std::ptr::from_ref(&*birth).cast_mut().cast())
    });
    swap_mask(Some(mask));
    Ok(Embryo { pid: pid?, release, failure, _of_the_child: (birth, stack) })
}

/// Of the child of [`fork`], in 16 bytes each.
const STACK: usize = 1024;

/// The child's side of [`fork`]; what it returns is its exit status.
extern "C" fn be_born(birth: *mut c_void) -> c_int {
    // SAFETY: the embryo keeps it for as long as this runs.
    let birth = unsafe { &*birth.cast::<Birth<'_>>() };
    let [wait_end, fail_end] = birth.ends.each_ref().map(AsRawFd::as_raw_fd);
    let mut byte = 0u8;
    // SAFETY: a descriptor of our own copy of the table: the last copy, in the parent, tells of the parent's death.
    let _ = unsafe { raw(libc::SYS_close, [birth.closed as usize, 0, 0, 0]) };
    // SAFETY: reads into a local byte.
    if unsafe { raw(libc::SYS_read, [wait_end as usize, (&raw mut byte) as usize, 1, 0]) } == Ok(1) {
        let env = birth.env.as_deref().map_or_else(inherited, <[_]>::as_ptr);
        let failed = enter(birth.image, birth.args.as_ptr(), env, birth.filter.as_ref());
        let errno = (failed as i32).to_ne_bytes();
        // SAFETY: writes four local bytes.
        let _ = unsafe { raw(libc::SYS_write, [fail_end as usize, errno.as_ptr() as usize, 4, 0]) };
    }
    127
}

/// A system call that leaves errno alone, which the child of [`fork`] has in common with us.
///
/// # Safety
///
/// What the arguments point to must be fit for this call.
unsafe fn raw(number: c_long, [a, b, c, d]: [usize; 4]) -> Result<usize> {
    let answer: isize;
    // SAFETY: the kernel changes these three registers, and otherwise does what the caller vouches for.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => answer,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") 0,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&answer) { Err(Errno::from_raw(-answer as i32)) } else { Ok(answer as usize) }
}

/// Becomes the program, with the dispositions and the mask that this process was started with; why it could not.
fn enter(
    image: &Image<'_>,
    args: *const *const c_char,
    env: *const *const c_char,
    filter: Option<&libc::sock_fprog>,
) -> Errno {
    let ignored = IGNORED_AT_START.load(Ordering::Relaxed);
    for signal in SIGNALS {
        let handler = if ignored >> (signal - 1) & 1 == 1 { libc::SIG_IGN } else { libc::SIG_DFL };
        action(signal, Some(KernelAction { handler, ..KernelAction::default() }));
    }
    swap_mask(Some(MASK_AT_START.load(Ordering::Relaxed)));
    // The filter first: who is nobody any more may not install one.
    let refused = filter.map_or(Ok(()), install).and_then(|()| image.user.map_or(Ok(()), turn_into)).err();
    if let Some(errno) = refused {
        return errno;
    }
    let arguments = [image.path.as_ptr() as usize, args as usize, env as usize, 0];
    // SAFETY: the callers made NUL-terminated strings and NULL-terminated lists, alive for as long as this runs.
    unsafe { raw(libc::SYS_execve, arguments) }.err().unwrap_or(Errno::UnknownErrno)
}

/// The environment of this process.
fn inherited() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: reads the pointer, not what is behind it; setenv elsewhere in the host replaces it whole.
    unsafe { environ }
}

/// Makes this process the program, without a fork. Returns only to say why it could not; signals are then as they were
/// before main.
pub(crate) fn replace(image: &Image<'_>) -> Errno {
    let (args, env) = (pointers(image.args), image.env.map(pointers));
    enter(image, args.as_ptr(), env.as_ref().map_or_else(inherited, |env| env.as_ptr()), None)
}

/// PR_SET_PTRACER of Yama: whether any process may trace this one, if it may otherwise. Without Yama: nothing.
pub(crate) fn allow_tracers(any: bool) {
    let who = if any { libc::PR_SET_PTRACER_ANY } else { 0 };
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, who, 0, 0, 0) };
}

/// A list as execve takes it.
fn pointers(list: &[CString]) -> Vec<*const c_char> {
    list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Puts this process and all that it will make under a seccomp filter. The mitigations that come with filters on some
/// kernels would slow it down, and are of no use here; no_new_privs is set only where the kernel asks for it.
fn install(filter: &libc::sock_fprog) -> Result<()> {
    let set = || {
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW);
        // SAFETY: the kernel reads the program that `fork` described, alive for as long as this runs.
        unsafe {
            raw(libc::SYS_seccomp, [mode as usize, flags as usize, std::ptr::from_ref(filter) as usize, 0])
        }
    };
    match set() {
        Err(Errno::EACCES) => {
            // SAFETY: numbers only.
            unsafe { raw(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0]) }?;
            set().map(drop)
        }
        done => done.map(drop),
    }
}

/// Gives all privileges of this process's user up for those of another. The raw calls: the C library's would do the same
/// in every thread that it remembers, and there is only one here.
fn turn_into(user: &User) -> Result<()> {
    let User { uid, gid, groups } = user;
    let (uid, gid) = (*uid as usize, *gid as usize);
    // SAFETY: the kernel reads as many numbers as the slice has, which is alive for as long as this runs.
    unsafe { raw(libc::SYS_setgroups, [groups.len(), groups.as_ptr() as usize, 0, 0]) }?;
    // SAFETY: numbers only.
    unsafe { raw(libc::SYS_setresgid, [gid, gid, gid, 0]) }?;
    // SAFETY: numbers only.
    unsafe { raw(libc::SYS_setresuid, [uid, uid, uid, 0]) }.map(drop)
}

impl Embryo<'_> {
    /// Lets it call execve.
    pub(crate) fn release(&self) -> Result<()> {
        let _request = fault::around("release", self.pid);
        nix::unistd::write(&self.release, &[0]).map(drop)
    }

    /// Once it has ended: why execve refused, unless something else ended it.
    pub(crate) fn failure(&self) -> Option<Errno> {
        let mut bytes = [0; 4];
        // A process that another thread forked at the same time may hold the other end: never wait for its end.
        nix::fcntl::fcntl(&self.failure, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))
            .ok()?;
        match nix::unistd::read(&self.failure, &mut bytes) {
            Ok(4) => Some(Errno::from_raw(i32::from_ne_bytes(bytes))),
            _ => None,
        }
    }
}

/// A process of our own that only sleeps, with all signals blocked: shares memory and descriptors, so that it costs no
/// copy and keeps no pipe open; its exit signal is 0, so that the host's wait calls do not see it.
pub(crate) fn sleeper() -> Result<i32> {
    let _request = fault::around("clone", 0);
    let mask = swap_mask(Some(u64::MAX));
    let pid: c_long;
    // SAFETY: the child shares our memory and our stack pointer, and therefore stays inside this block, touching
    // neither stack nor memory: it asks to die with its parent and sleeps for ever. The parent leaves with its pid.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 3f",
            "mov eax, {prctl}",
            "mov edi, {pdeathsig}",
            "mov esi, {kill}",
            "syscall",
            "2:",
            "mov eax, {pause}",
            "syscall",
            "jmp 2b",
            "3:",
            prctl = const libc::SYS_prctl,
            pdeathsig = const libc::PR_SET_PDEATHSIG,
            kill = const libc::SIGKILL,
            pause = const libc::SYS_pause,
            inlateout("rax") libc::SYS_clone => pid,
            in("rdi") libc::CLONE_VM | libc::CLONE_FILES,
            in("rsi") 0,
            in("rdx") 0,
            in("r10") 0,
            in("r8") 0,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    swap_mask(Some(mask));
    if pid < 0 { Err(Errno::from_raw(-pid as i32)) } else { Ok(pid as i32) }
}

/// pidfd_open(2).
pub(crate) fn pidfd(pid: i32) -> Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// pidfd_send_signal(2).
pub(crate) fn pidfd_signal(fd: &OwnedFd, signal: c_int) -> Result<()> {
    let _request = fault::around("pidfd_send_signal", 0);
    let none = std::ptr::null::<c_void>();
    // SAFETY: a null siginfo is allowed, and the kernel makes one.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, none, 0) })
        .map(drop)
}
