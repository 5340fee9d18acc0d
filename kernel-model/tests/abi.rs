//! Every value and layout of `abi` against the `redox_syscall` crate.

use std::mem::{align_of, offset_of, size_of};

use kernel_model::abi::*;

#[test]
fn masks_are_redox() {
    use syscall::flag::PtraceFlags as Redox;
    let pairs = [
        (PtraceFlags::STOP_PRE_SYSCALL, Redox::PTRACE_STOP_PRE_SYSCALL),
        (PtraceFlags::STOP_POST_SYSCALL, Redox::PTRACE_STOP_POST_SYSCALL),
        (PtraceFlags::STOP_SINGLESTEP, Redox::PTRACE_STOP_SINGLESTEP),
        (PtraceFlags::STOP_SIGNAL, Redox::PTRACE_STOP_SIGNAL),
        (PtraceFlags::STOP_BREAKPOINT, Redox::PTRACE_STOP_BREAKPOINT),
        (PtraceFlags::STOP_EXIT, Redox::PTRACE_STOP_EXIT),
        (PtraceFlags::EVENT_CLONE, Redox::PTRACE_EVENT_CLONE),
        (PtraceFlags::FLAG_IGNORE, Redox::PTRACE_FLAG_IGNORE),
    ];
    for (ours, redox) in pairs {
        assert_eq!(ours.bits(), redox.bits(), "{ours:?}");
    }
    assert_eq!(PtraceFlags::STOP_MASK, Redox::PTRACE_STOP_MASK.bits());
    assert_eq!(PtraceFlags::EVENT_MASK, Redox::PTRACE_EVENT_MASK.bits());
    assert_eq!(PtraceFlags::FLAG_MASK, Redox::PTRACE_FLAG_MASK.bits());
    // Ours, and therefore outside what Redox may ever define in the low half.
    assert_eq!(PtraceFlags::EXPERIMENTS.bits() & 0xffff_ffff, 0);
    assert_eq!(EventFlags::READ.bits(), syscall::flag::EventFlags::EVENT_READ.bits());
    assert_eq!(EventFlags::WRITE.bits(), syscall::flag::EventFlags::EVENT_WRITE.bits());
}

#[test]
fn open_flags_and_commands_are_redox() {
    use syscall::flag as redox;
    let pairs = [
        (OpenFlags::O_RDONLY, redox::O_RDONLY),
        (OpenFlags::O_WRONLY, redox::O_WRONLY),
        (OpenFlags::O_RDWR, redox::O_RDWR),
        (OpenFlags::O_NONBLOCK, redox::O_NONBLOCK),
        (OpenFlags::O_CLOEXEC, redox::O_CLOEXEC),
        (OpenFlags::O_CREAT, redox::O_CREAT),
        (OpenFlags::O_TRUNC, redox::O_TRUNC),
        (OpenFlags::O_EXCL, redox::O_EXCL),
    ];
    for (ours, redox) in pairs {
        assert_eq!(ours.bits() as usize, redox, "{ours:?}");
    }
    assert_eq!(
        [F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL].map(|command| command as usize),
        [redox::F_DUPFD, redox::F_GETFD, redox::F_SETFD, redox::F_GETFL, redox::F_SETFL]
    );
    assert_eq!(
        [SEEK_SET, SEEK_CUR, SEEK_END].map(|whence| whence as usize),
        [redox::SEEK_SET, redox::SEEK_CUR, redox::SEEK_END]
    );
    assert_eq!(Stat::MODE_FILE, redox::MODE_FILE);
}

macro_rules! same_layout {
    ($ours:ty, $redox:ty, $($field:ident),*) => {
        assert_eq!(size_of::<$ours>(), size_of::<$redox>());
        $(assert_eq!(offset_of!($ours, $field), offset_of!($redox, $field), stringify!($field));)*
    };
}

#[test]
fn records_are_redox() {
    same_layout!(PtraceEvent, syscall::data::PtraceEvent, cause, a, b, c, d, e, f);
    assert_eq!((size_of::<PtraceEvent>(), align_of::<PtraceEvent>()), (56, 8));
    same_layout!(Event, syscall::data::Event, id, flags, data);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn registers_are_redox() {
    macro_rules! same_offsets {
        ($ours:ty, $redox:ty, $($field:ident = $theirs:ident),*) => {
            $(assert_eq!(offset_of!($ours, $field), offset_of!($redox, $theirs), stringify!($field));)*
        };
    }
    same_offsets!(
        IntRegisters,
        syscall::IntRegisters,
        r15 = r15,
        r14 = r14,
        r13 = r13,
        r12 = r12,
        rbp = rbp,
        rbx = rbx,
        r11 = r11,
        r10 = r10,
        r9 = r9,
        r8 = r8,
        rax = rax,
        rcx = rcx,
        rdx = rdx,
        rsi = rsi,
        rdi = rdi,
        rip = rip,
        cs = cs,
        rflags = rflags,
        rsp = rsp,
        ss = ss
    );
    // The generation that is canonical here has one word more than today's crate: fs.
    assert_eq!(size_of::<IntRegisters>(), size_of::<syscall::IntRegisters>() + 8);
    assert_eq!(size_of::<IntRegisters>(), 168);
    same_offsets!(
        FloatRegisters,
        syscall::FloatRegisters,
        fcw = fcw,
        fsw = fsw,
        ftw = ftw,
        fop = fop,
        fip = fip,
        fdp = fdp,
        mxcsr = mxcsr,
        mxcsr_mask = mxcsr_mask,
        st = st_space,
        xmm = xmm_space
    );
    assert_eq!(size_of::<FloatRegisters>(), size_of::<syscall::FloatRegisters>());
    same_layout!(EnvRegisters, syscall::EnvRegisters, fsbase, gsbase);
}

/// Names that `redox_syscall` spells the same way.
macro_rules! same_errno {
    ($($name:ident)*) => {
        [$((Errno::$name, syscall::error::$name)),*]
    };
}

#[test]
fn errnos_are_redox() {
    let checked = same_errno!(
        EPERM ENOENT ESRCH EINTR EIO ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY ENODEV EISDIR EINVAL EMFILE
        ENOSPC ESPIPE EDEADLK ENOSYS ELOOP ENODATA EOVERFLOW EOPNOTSUPP ENOTRECOVERABLE
    );
    for (ours, redox) in checked {
        assert_eq!(ours.0, redox, "{ours:?}");
    }
    assert_eq!(checked.map(|(ours, _)| ours), Errno::ALL, "one more error needs one more comparison");
    assert_eq!(format!("{}", Errno::ESRCH), "no such process (ESRCH)");
    assert_eq!(format!("{:?}", Errno(12345)), "errno 12345");
}

#[test]
fn signals_are_redox() {
    assert_eq!(usize::from(Signal::CHLD.0), syscall::flag::SIGCHLD);
    assert_eq!(usize::from(Signal::TSTP.0), syscall::flag::SIGTSTP);
    assert_eq!(usize::from(Signal::TTIN.0), syscall::flag::SIGTTIN);
    assert_eq!(usize::from(Signal::TTOU.0), syscall::flag::SIGTTOU);
    assert!(Signal::ALL.iter().enumerate().all(|(n, signal)| usize::from(signal.0) == n + 1));
    assert_eq!(Signal(34).to_string(), "SIGRT_2");
}

#[test]
fn statuses_decode() {
    assert_eq!((Status::exited(3).code(), Status::exited(3).signal()), (Some(3), None));
    let killed = Status::killed(Signal::SEGV);
    assert_eq!((killed.code(), killed.signal(), killed.dumped()), (None, Some(Signal::SEGV), false));
    assert!(Status(killed.0 | 0x80).dumped());
}
