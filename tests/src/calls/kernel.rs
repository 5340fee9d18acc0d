//! Families of calls that few programs make, and some every day: threads, prctl, keys, tracing, privileges.

use super::{Code, Family, sys, wide};

pub(super) const FAMILIES: &[Family] = &[
    wide("threads", threads),
    wide("more_prctl", more_prctl),
    wide("memory_advice", memory_advice),
    wide("keys", keys),
    wide("bpf_and_perf", bpf_and_perf),
    wide("tracing", tracing),
    wide("signal_queues", signal_queues),
    wide("waiting_words", waiting_words),
    wide("schedulers", schedulers),
    wide("shared_memory", shared_memory),
    wide("numa", numa),
    wide("privileges", privileges),
    wide("modules", modules),
    wide("clock_changes", clock_changes),
    wide("filters", filters),
];

fn threads(code: &mut Code) {
    let (tid, stack, status) = (code.space(8), code.space(4096), code.space(128));
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_SETTLS
        | libc::CLONE_PARENT_SETTID
        | libc::CLONE_CHILD_CLEARTID;
    // Refused for a missing size or an unknown flag, so that nothing runs.
    let args = code.words(&[flags as u64, 0, tid, tid, 0, stack, 4096, 0x7f00_0000_0000, 0, 0, 0]);
    sys!(code, SYS_clone3, args, 8);
    let args = code.words(&[flags as u64, 0, tid, tid, 77, stack, 4096, 0x1000, 0, 0, 0]);
    sys!(code, SYS_clone3, args, 88);
    let args = code.words(&[0, 0, 0, 0, libc::SIGCHLD as u64, stack, 0, 0, 0, 0, 0]);
    sys!(code, SYS_clone3, args, 88);
    let wanted = code.words32(&[7, 8]);
    let args = code.words(&[libc::CLONE_NEWPID as u64 | 0x2_0000_0000, 0, 0, 0, 17, 0, 0, 0, wanted, 2, 99]);
    sys!(code, SYS_clone3, args, 88);
    sys!(code, SYS_clone3, args, 96);
    sys!(code, SYS_clone3, 0, 88);
    let args = code.words(&[(libc::CLONE_VM | libc::CLONE_VFORK) as u64, 0, 0, 0, 17, 0, 0, 0]);
    sys!(code, SYS_clone3, args, 64);
    code.in_child(|code| {
        sys!(code, SYS_exit, 3);
    });
    sys!(code, SYS_wait4, -1, status, 0, 0);
    let pidfd = code.space(8);
    let args = code.words(&[libc::CLONE_PIDFD as u64, pidfd, 0, 0, 17, 0, 0, 0]);
    sys!(code, SYS_clone3, args, 64);
    code.in_child(|code| {
        sys!(code, SYS_exit_group, 4);
    });
    sys!(code, SYS_waitid, libc::P_PIDFD as i32, 3, status, libc::WEXITED, 0);
    sys!(code, SYS_wait4, -1, status, libc::__WALL, 0);
    sys!(code, SYS_get_robust_list, 0, tid, status);
}

fn more_prctl(code: &mut Code) {
    let room = code.space(64);
    for (option, args) in [
        (libc::PR_SET_KEEPCAPS, [1, 0, 0, 0]),
        (libc::PR_GET_KEEPCAPS, [0, 0, 0, 0]),
        (libc::PR_SET_TIMERSLACK, [50_000, 0, 0, 0]),
        (libc::PR_GET_TIMERSLACK, [0, 0, 0, 0]),
        (libc::PR_SET_CHILD_SUBREAPER, [1, 0, 0, 0]),
        (libc::PR_GET_CHILD_SUBREAPER, [room, 0, 0, 0]),
        (libc::PR_SET_PTRACER, [u64::MAX, 0, 0, 0]),
        (libc::PR_SET_PTRACER, [0, 0, 0, 0]),
        (libc::PR_GET_SECUREBITS, [0, 0, 0, 0]),
        (libc::PR_SET_SECUREBITS, [0x2f, 0, 0, 0]),
        (libc::PR_CAPBSET_READ, [99, 0, 0, 0]),
        (libc::PR_CAPBSET_DROP, [99, 0, 0, 0]),
        (libc::PR_CAP_AMBIENT, [1, 12, 0, 0]),
        (libc::PR_CAP_AMBIENT, [2, 99, 0, 0]),
        (libc::PR_CAP_AMBIENT, [4, 0, 0, 0]),
        (libc::PR_GET_TSC, [room, 0, 0, 0]),
        (libc::PR_SET_TSC, [1, 0, 0, 0]),
        (libc::PR_SET_THP_DISABLE, [0, 0, 0, 0]),
        (libc::PR_GET_THP_DISABLE, [0, 0, 0, 0]),
        (libc::PR_MCE_KILL, [1, 2, 0, 0]),
        (libc::PR_MCE_KILL_GET, [0, 0, 0, 0]),
        (libc::PR_SET_MM, [libc::PR_SET_MM_BRK as u64, 0x1000, 0, 0]),
        (libc::PR_GET_SPECULATION_CTRL, [0, 0, 0, 0]),
        (libc::PR_GET_SPECULATION_CTRL, [1, 0, 0, 0]),
        (libc::PR_SET_SPECULATION_CTRL, [0, 4, 0, 0]),
        (58, [0, 0, 0, 0]),
        (libc::PR_SET_VMA, [0, 0x1000, 4096, 0x10]),
        (libc::PR_SET_SECCOMP, [1, 0, 0, 7]),
        (libc::PR_SET_SECCOMP, [9, 0, 0, 0]),
        (libc::PR_GET_TID_ADDRESS, [room, 0, 0, 0]),
        (libc::PR_TASK_PERF_EVENTS_DISABLE, [0, 0, 0, 0]),
        (libc::PR_GET_TIMING, [0, 0, 0, 0]),
        (libc::PR_GET_UNALIGN, [room, 0, 0, 0]),
        (libc::PR_SET_NO_NEW_PRIVS, [2, 0, 0, 0]),
        (libc::PR_GET_NAME, [0x10, 0, 0, 0]),
        (62, [0, 0, 0, 0]),
        (62, [1, 0, 1, 0]),
    ] {
        let [a, b, c, d] = args;
        if option == libc::PR_SET_SECCOMP && a == 1 {
            continue;
        }
        sys!(code, SYS_prctl, option, a, b, c, d);
    }
}

fn memory_advice(code: &mut Code) {
    let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let area = sys!(code, SYS_mmap, 0, 1 << 20, libc::PROT_READ | libc::PROT_WRITE, anonymous, -1, 0);
    for advice in [0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 99] {
        sys!(code, SYS_madvise, area, 4096, advice);
    }
    for flags in [
        libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
        anonymous | libc::MAP_STACK | libc::MAP_NORESERVE | libc::MAP_GROWSDOWN,
        anonymous | libc::MAP_FIXED_NOREPLACE,
        anonymous | libc::MAP_HUGETLB | 21 << 26,
        libc::MAP_SHARED_VALIDATE | libc::MAP_SYNC,
        anonymous | libc::MAP_LOCKED | libc::MAP_NONBLOCK | libc::MAP_32BIT,
    ] {
        sys!(code, SYS_mmap, 0x1_0000_0000u64, 8192, libc::PROT_NONE, flags, -1, 0x1000);
    }
    sys!(code, SYS_mprotect, area, 4096, libc::PROT_READ | libc::PROT_EXEC | libc::PROT_GROWSDOWN);
    sys!(code, SYS_mprotect, area, 4096, 0x40);
    sys!(code, SYS_mremap, area, 4096, 8192, libc::MREMAP_MAYMOVE | libc::MREMAP_DONTUNMAP);
    sys!(code, SYS_mremap, area, 4096, 4096, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, 0x2_0000_0000u64);
    sys!(code, SYS_msync, area, 4096, libc::MS_SYNC | libc::MS_INVALIDATE);
    sys!(code, SYS_mlockall, libc::MCL_CURRENT | libc::MCL_ONFAULT);
    sys!(code, SYS_mlock2, area, 4096, 1);
    sys!(code, SYS_munlockall);
    sys!(code, SYS_pkey_alloc, 0, 3);
    sys!(code, SYS_pkey_mprotect, area, 4096, 1, -1);
    sys!(code, SYS_pkey_free, 9);
    let part = code.words(&[0x1000, 4096]);
    sys!(code, SYS_process_madvise, 77, part, 1, libc::MADV_COLD, 0);
    sys!(code, SYS_process_mrelease, 77, 0);
    sys!(code, SYS_membarrier, 0, 0, 0);
    sys!(code, SYS_membarrier, 16, 0, 0);
    sys!(code, SYS_membarrier, 8, 0, 0);
    sys!(code, SYS_remap_file_pages, area, 4096, 0, 0, 0);
    sys!(code, SYS_userfaultfd, 1 | libc::O_NONBLOCK);
}

fn keys(code: &mut Code) {
    let (kind, name, payload) = (code.text("user"), code.text("a key"), code.bytes(b"secret"));
    sys!(code, SYS_add_key, kind, name, payload, 6, -3);
    sys!(code, SYS_request_key, kind, name, 0, -2);
    let room = code.space(64);
    sys!(code, SYS_keyctl, 0, -3, 0);
    sys!(code, SYS_keyctl, 1, name);
    sys!(code, SYS_keyctl, 3, 1);
    sys!(code, SYS_keyctl, 5, 1, 0x3f01_0000);
    sys!(code, SYS_keyctl, 6, 1, room, 64);
    sys!(code, SYS_keyctl, 8, 1, -2);
    sys!(code, SYS_keyctl, 10, -2, kind, name, 0);
    sys!(code, SYS_keyctl, 11, 1, room, 64);
    sys!(code, SYS_keyctl, 15, 1, 60);
    sys!(code, SYS_keyctl, 99, 1, 2, 3, 4);
}

fn bpf_and_perf(code: &mut Code) {
    let attr = code.words32(&[1, 4, 8, 16, 0, 0, 0, 0, 0, 0, 0, 0]);
    sys!(code, SYS_bpf, 0, 0, 48);
    sys!(code, SYS_bpf, 99, attr, 48);
    sys!(code, SYS_perf_event_open, 0, 0, -1, -1, 8);
}

fn tracing(code: &mut Code) {
    let room = code.space(256);
    sys!(code, SYS_ptrace, libc::PTRACE_PEEKDATA, -1, room, 0);
    sys!(code, SYS_ptrace, libc::PTRACE_POKEDATA, -1, room, 5);
    sys!(code, SYS_ptrace, libc::PTRACE_CONT, -1, 1, libc::SIGUSR1);
    sys!(code, SYS_ptrace, libc::PTRACE_SYSCALL, -1, 0, 0);
    sys!(code, SYS_ptrace, libc::PTRACE_SEIZE, -1, 0, 0x10007f);
    sys!(code, SYS_ptrace, libc::PTRACE_SETOPTIONS, -1, 0, 0x1f);
    sys!(code, SYS_ptrace, libc::PTRACE_GETREGS, -1, 0, room);
    sys!(code, SYS_ptrace, libc::PTRACE_GETSIGINFO, -1, 0, room);
    sys!(code, SYS_ptrace, libc::PTRACE_GETEVENTMSG, -1, 0, room);
    sys!(code, SYS_ptrace, libc::PTRACE_GETSIGMASK, -1, 8, room);
    sys!(code, SYS_ptrace, libc::PTRACE_GET_SYSCALL_INFO, -1, 88, room);
    sys!(code, SYS_ptrace, libc::PTRACE_INTERRUPT, -1, 0, 0);
    sys!(code, SYS_ptrace, libc::PTRACE_LISTEN, -1, 0, 0);
    sys!(code, SYS_ptrace, libc::PTRACE_DETACH, -1, 0, 0);
    sys!(code, SYS_ptrace, libc::PTRACE_KILL, -1, 0, 0);
    sys!(code, SYS_ptrace, libc::PTRACE_ATTACH, -1, 0, 0);
    sys!(code, SYS_ptrace, 0x9999, -1, 1, 2);
    sys!(code, SYS_process_vm_readv, -1, 0, 0, 0, 0, 0);
    let part = code.words(&[room, 8]);
    sys!(code, SYS_process_vm_readv, -1, part, 1, part, 1, 0);
}

fn signal_queues(code: &mut Code) {
    let mut info = [0; 128];
    (info[0], info[8], info[16], info[24]) = (10, 0xff, 7, 5);
    info[9..12].fill(0xff);
    let info = code.bytes(&info);
    let pid = sys!(code, SYS_getpid);
    let mask = code.words(&[1 << 9 | 1 << 11 | 1 << 34]);
    sys!(code, SYS_rt_sigprocmask, libc::SIG_BLOCK, mask, 0, 8);
    sys!(code, SYS_rt_sigqueueinfo, pid, libc::SIGUSR1, info);
    sys!(code, SYS_rt_tgsigqueueinfo, pid, pid, 35, info);
    let room = code.space(256);
    let time = code.words(&[0, 0]);
    sys!(code, SYS_rt_sigpending, room, 8);
    sys!(code, SYS_rt_sigtimedwait, mask, room, time, 8);
    sys!(code, SYS_rt_sigtimedwait, mask, room, time, 8);
    sys!(code, SYS_rt_sigtimedwait, mask, room, time, 8);
    let full = code.words(&[u64::MAX]);
    sys!(code, SYS_rt_sigprocmask, libc::SIG_SETMASK, full, room, 8);
    sys!(code, SYS_rt_sigprocmask, 9, 0, room, 8);
    let action = code.words(&[1, 0x1000_0000 | 0x8000_0000 | 3, 0, 1 << 4]);
    sys!(code, SYS_rt_sigaction, libc::SIGUSR2, action, room, 8);
    sys!(code, SYS_rt_sigaction, libc::SIGKILL, action, 0, 8);
    sys!(code, SYS_rt_sigaction, 99, 0, room, 8);
    sys!(code, SYS_rt_sigaction, 64, 0, room, 8);
    sys!(code, SYS_tgkill, -1, -1, 0);
    sys!(code, SYS_kill, 0x3fff_ffff, 0);
    let event = code.words(&[5, libc::SIGUSR1 as u64 | 1 << 32, 0, 0]);
    sys!(code, SYS_timer_create, libc::CLOCK_MONOTONIC, event, room);
    let event = code.words(&[5, libc::SIGUSR1 as u64 | 4 << 32, 3, 0]);
    sys!(code, SYS_timer_create, libc::CLOCK_REALTIME, event, room);
    sys!(code, SYS_sigaltstack, 0, room);
    let stack = code.words(&[room, 0, 8192]);
    sys!(code, SYS_sigaltstack, stack, 0);
}

fn waiting_words(code: &mut Code) {
    let (word, time) = (code.words(&[1]), code.words(&[0, 1000]));
    let entry = code.words(&[2, word, 2 | 128]);
    sys!(code, SYS_futex_waitv, entry, 1, 0, time, libc::CLOCK_MONOTONIC);
    sys!(code, SYS_futex_waitv, entry, 0, 0, 0, 0);
    sys!(code, SYS_futex, word, libc::FUTEX_LOCK_PI, 0, time);
    sys!(code, SYS_futex, word, libc::FUTEX_WAIT_REQUEUE_PI, 2, time, word, 0);
    sys!(code, SYS_futex, word, libc::FUTEX_CMP_REQUEUE_PI, 1, 2, word, 5);
    sys!(code, SYS_futex, word, 13, 0, time);
    sys!(code, SYS_futex, word, libc::FUTEX_WAKE, 0x7fff_ffff);
    sys!(code, SYS_futex, word, libc::FUTEX_WAKE_OP | 128, 1, 1, word, 0xb000_1002u32);
}

fn schedulers(code: &mut Code) {
    let mut attr = [0; 56];
    attr[0] = 56;
    attr[4] = 3;
    let at = code.bytes(&attr);
    sys!(code, SYS_sched_setattr, 0, at, 0);
    (attr[4], attr[24], attr[32], attr[40]) = (6, 10, 20, 30);
    let at = code.bytes(&attr);
    sys!(code, SYS_sched_setattr, 0x3fff_ffff, at, 0);
    sys!(code, SYS_sched_setattr, 0, 0, 0);
    let (param, room) = (code.words32(&[5]), code.space(64));
    sys!(code, SYS_sched_setscheduler, 0x3fff_ffff, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, param);
    sys!(code, SYS_sched_setparam, 0x3fff_ffff, param);
    sys!(code, SYS_sched_rr_get_interval, 0, room);
    sys!(code, SYS_sched_getattr, 0, room, 48, 0);
    sys!(code, SYS_ioprio_set, 1, 0, 2 << 13 | 4);
    sys!(code, SYS_ioprio_get, 1, 0);
    sys!(code, SYS_ioprio_set, 2, 0x3fff_ffff, 3 << 13);
    sys!(code, SYS_getpriority, libc::PRIO_USER, 0);
    for resource in 0..17 {
        sys!(code, SYS_prlimit64, 0, resource, 0, room);
    }
    let limits = code.words(&[1024 * 1024, 5_000_000]);
    sys!(code, SYS_prlimit64, 0x3fff_ffff, libc::RLIMIT_AS, limits, 0);
}

fn shared_memory(code: &mut Code) {
    let room = code.space(256);
    let id = sys!(code, SYS_shmget, libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o600);
    sys!(code, SYS_shmctl, id, libc::IPC_STAT, room);
    sys!(code, SYS_shmctl, id, libc::SHM_LOCK, 0);
    let area = sys!(code, SYS_shmat, id, 0, libc::SHM_RDONLY);
    sys!(code, SYS_shmdt, area);
    sys!(code, SYS_shmctl, id, libc::IPC_RMID, 0);
    sys!(code, SYS_shmctl, id, 99, room);
    let id = sys!(code, SYS_msgget, libc::IPC_PRIVATE, libc::IPC_CREAT | 0o644);
    sys!(code, SYS_msgctl, id, libc::IPC_STAT, room);
    sys!(code, SYS_msgctl, id, libc::IPC_RMID, 0);
    let id = sys!(code, SYS_semget, libc::IPC_PRIVATE, 2, libc::IPC_CREAT | 0o600);
    sys!(code, SYS_semctl, id, 1, libc::SETVAL, 5);
    sys!(code, SYS_semctl, id, 1, libc::GETVAL, 0);
    sys!(code, SYS_semctl, id, 0, libc::GETALL, room);
    sys!(code, SYS_semctl, id, 0, libc::IPC_STAT, room);
    let (ops, time) = (code.bytes(&[0, 0, 1, 0, 0, 0x18, 1, 0, 0xff, 0xff, 0, 8]), code.words(&[0, 1]));
    sys!(code, SYS_semtimedop, id, ops, 2, time);
    sys!(code, SYS_semctl, id, 0, libc::IPC_RMID, 0);
}

fn numa(code: &mut Code) {
    let (nodes, room) = (code.words(&[1]), code.space(64));
    sys!(code, SYS_get_mempolicy, room, room + 8, 64, 0, 0);
    sys!(code, SYS_get_mempolicy, room, 0, 0, 0, 4);
    sys!(code, SYS_set_mempolicy, 0, 0, 0);
    sys!(code, SYS_set_mempolicy, 3 | 1 << 15, nodes, 64);
    sys!(code, SYS_mbind, 0x1000, 4096, 2, nodes, 64, 3);
    sys!(code, SYS_migrate_pages, 0x3fff_ffff, 64, nodes, nodes);
    let pages = code.words(&[0x1000, 0x2000]);
    let list = code.words32(&[0, 0]);
    sys!(code, SYS_move_pages, 0x3fff_ffff, 2, pages, list, room, 2);
}

fn privileges(code: &mut Code) {
    let header = code.words32(&[0x2008_0522, 0]);
    let data = code.words32(&[0xff, 0xffff_ffff, 0, 0x1f, 0x1ff, 0]);
    sys!(code, SYS_capget, header, data);
    let some = code.words32(&[1, 3, 0, 0, 0, 0]);
    let nobody = code.words32(&[0x2008_0522, 0x3fff_ffff]);
    sys!(code, SYS_capset, nobody, some);
    sys!(code, SYS_setfsuid, -1);
    sys!(code, SYS_setfsgid, -1);
    sys!(code, SYS_setuid, -1);
    sys!(code, SYS_setresgid, -1, -1, -1);
    sys!(code, SYS_setregid, -1, -1);
    sys!(code, SYS_getgroups, -1, 0);
    sys!(code, SYS_personality, 0x4_0000);
    sys!(code, SYS_personality, 0xffff_ffffu32);
    sys!(code, SYS_iopl, 9);
    sys!(code, SYS_ioperm, 0x7_0000, 1, 1);
    sys!(code, SYS_setpgid, 0x3fff_ffff, 0);
    sys!(code, SYS_setsid);
    let room = code.space(16);
    sys!(code, SYS_arch_prctl, 0x1001, 0xffff_ffff_ffff_0000u64);
    sys!(code, SYS_arch_prctl, 0x1004, room);
    sys!(code, SYS_arch_prctl, 0x1021, 18);
    sys!(code, SYS_arch_prctl, 0x9999, 5);
}

fn modules(code: &mut Code) {
    let (image, options) = (code.bytes(b"\x7fELF"), code.text("a=1"));
    sys!(code, SYS_init_module, image, 4, options);
    sys!(code, SYS_finit_module, 77, options, 3);
    sys!(code, SYS_reboot, 1, 2, 3, 0);
    sys!(code, SYS_syslog, 9, 0, 0);
    sys!(code, SYS_setdomainname, options, -1);
}

fn clock_changes(code: &mut Code) {
    let (room, past) = (code.space(256), code.words(&[1, 2_000_000_000]));
    sys!(code, SYS_settimeofday, past, 0);
    sys!(code, SYS_clock_settime, libc::CLOCK_MONOTONIC, past);
    sys!(code, SYS_clock_gettime, libc::CLOCK_TAI, room);
    sys!(code, SYS_clock_gettime, -6, room);
    sys!(code, SYS_clock_gettime, 77, room);
    sys!(code, SYS_clock_getres, libc::CLOCK_MONOTONIC_COARSE, 0);
    sys!(code, SYS_clock_nanosleep, libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, past, 0);
    sys!(code, SYS_nanosleep, past, room);
    sys!(code, SYS_nanosleep, 0x10, room);
    sys!(code, SYS_setitimer, libc::ITIMER_PROF, room, room + 32);
    sys!(code, SYS_setitimer, 9, room, 0);
    sys!(code, SYS_getrusage, libc::RUSAGE_THREAD, room);
    sys!(code, SYS_getitimer, libc::ITIMER_REAL, room);
}

fn filters(code: &mut Code) {
    sys!(code, SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sys!(code, SYS_seccomp, 1, 1 | 2, 0x10);
    sys!(code, SYS_prctl, libc::PR_SET_SECCOMP, 2, 0x10);
    let room = code.space(32);
    sys!(code, SYS_seccomp, 3, 0, room);
    let action = code.words32(&[0x7fff_0000]);
    sys!(code, SYS_seccomp, 2, 0, action);
    let action = code.words32(&[0x7ffc_0000]);
    sys!(code, SYS_seccomp, 2, 0, action);
    sys!(code, SYS_seccomp, 9, 0, 0);
    let attr = code.words(&[0x1fff, 3, 3]);
    let ruleset = sys!(code, SYS_landlock_create_ruleset, attr, 8, 0);
    sys!(code, SYS_landlock_create_ruleset, attr, 24, 0);
    sys!(code, SYS_landlock_create_ruleset, 0, 0, 9);
    let rule = code.bytes(&[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    sys!(code, SYS_landlock_add_rule, ruleset, 1, rule, 0);
    sys!(code, SYS_landlock_restrict_self, ruleset, 0);
}
