//! Families of calls that make, wait for, limit and name processes.

use super::{Code, Family, sys, wide};

pub(super) const FAMILIES: &[Family] = &[
    wide("fork_wait", fork_wait),
    wide("clone", clone),
    wide("exec", exec),
    wide("limits", limits),
    wide("scheduling", scheduling),
    wide("identities", identities),
    wide("prctl", prctl),
    wide("futex", futex),
];

fn child_exits(code: &mut Code, status: i32) {
    code.in_child(|code| {
        sys!(code, SYS_exit_group, status);
    });
}

fn fork_wait(code: &mut Code) {
    let (status, usage, info) = (code.space(8), code.space(160), code.space(128));
    let child = sys!(code, SYS_fork);
    child_exits(code, 3);
    sys!(code, SYS_waitid, libc::P_PID as i32, child, info, libc::WEXITED | libc::WNOWAIT, 0);
    sys!(code, SYS_wait4, child, status, 0, usage);
    let child = sys!(code, SYS_fork);
    code.in_child(|code| {
        let pid = sys!(code, SYS_getpid);
        sys!(code, SYS_kill, pid, libc::SIGKILL);
    });
    sys!(code, SYS_wait4, child, status, libc::__WALL, 0);
    sys!(code, SYS_wait4, -1, status, libc::WNOHANG | libc::WUNTRACED, 0);
    sys!(code, SYS_waitid, libc::P_ALL as i32, 0, info, libc::WEXITED, 0);
    let child = sys!(code, SYS_vfork);
    child_exits(code, 0);
    sys!(code, SYS_wait4, child, 0, libc::WCONTINUED, 0);
}

fn clone(code: &mut Code) {
    let (tid, status) = (code.space(8), code.space(8));
    let flags = libc::CLONE_CHILD_CLEARTID | libc::CLONE_CHILD_SETTID | libc::SIGCHLD;
    sys!(code, SYS_clone, flags, 0, 0, tid, 0);
    child_exits(code, 0);
    sys!(code, SYS_wait4, -1, status, 0, 0);
    sys!(code, SYS_clone, libc::CLONE_PARENT_SETTID | libc::SIGCHLD, 0, tid, 0, 0);
    child_exits(code, 1);
    sys!(code, SYS_wait4, -1, status, 0, 0);
    let args =
        code.words(&[libc::CLONE_PARENT_SETTID as u64, 0, 0, tid, libc::SIGCHLD as u64, 0, 0, 0, 0, 0, 0]);
    sys!(code, SYS_clone3, args, 88);
    child_exits(code, 2);
    sys!(code, SYS_wait4, -1, status, 0, 0);
    let args = code.words(&[0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0]);
    sys!(code, SYS_clone3, args, 64);
    child_exits(code, 2);
    sys!(code, SYS_wait4, -1, status, 0, 0);
    sys!(code, SYS_clone, libc::CLONE_SIGHAND, 0, 0, 0, 0);
    sys!(code, SYS_unshare, libc::CLONE_FS | libc::CLONE_FILES);
    sys!(code, SYS_setns, 77, libc::CLONE_NEWNET);
}

fn exec(code: &mut Code) {
    let (path, word) = (code.text("/bin/missing"), code.text("a \"word\""));
    let (argv, envp) = (code.words(&[path, word, 0]), code.words(&[word, 0]));
    sys!(code, SYS_execve, path, argv, envp);
    sys!(code, SYS_execve, path, 0, 0);
    sys!(code, SYS_execveat, -100, path, argv, envp, libc::AT_SYMLINK_NOFOLLOW);
    let tool = code.text("/bin/true");
    let argv = code.words(&[tool, 0]);
    sys!(code, SYS_fork);
    code.in_child(|code| {
        sys!(code, SYS_execve, tool, argv, envp);
    });
    sys!(code, SYS_wait4, -1, 0, 0, 0);
}

fn limits(code: &mut Code) {
    let (room, limits) = (code.space(160), code.words(&[1 << 20, u64::MAX]));
    sys!(code, SYS_prlimit64, 0, 3, 0, room);
    sys!(code, SYS_prlimit64, 0, libc::RLIMIT_CORE, limits, room);
    sys!(code, SYS_getrlimit, libc::RLIMIT_NOFILE, room);
    sys!(code, SYS_setrlimit, libc::RLIMIT_FSIZE, limits);
    sys!(code, SYS_getrlimit, 99, room);
    sys!(code, SYS_getrusage, libc::RUSAGE_SELF, room);
    sys!(code, SYS_getrusage, libc::RUSAGE_CHILDREN, room);
    sys!(code, SYS_getpriority, libc::PRIO_PROCESS, 0);
    sys!(code, SYS_setpriority, libc::PRIO_PROCESS, 0, 1);
}

fn scheduling(code: &mut Code) {
    let (room, param) = (code.space(128), code.words(&[0]));
    sys!(code, SYS_sched_getaffinity, 0, 128, room);
    let mask = code.words(&[1]);
    sys!(code, SYS_sched_setaffinity, 0, 8, mask);
    sys!(code, SYS_sched_getaffinity, 0, 8, room);
    sys!(code, SYS_sched_yield);
    sys!(code, SYS_sched_getscheduler, 0);
    sys!(code, SYS_sched_setscheduler, 0, libc::SCHED_BATCH, param);
    sys!(code, SYS_sched_getparam, 0, room);
    sys!(code, SYS_sched_get_priority_max, libc::SCHED_FIFO);
    sys!(code, SYS_sched_get_priority_min, libc::SCHED_RR);
    sys!(code, SYS_sched_getattr, 0, room, 56, 0);
    sys!(code, SYS_ioprio_get, 1, 0);
    sys!(code, SYS_getcpu, room, room + 4, 0);
}

fn identities(code: &mut Code) {
    let (room, groups) = (code.space(256), code.words32(&[1, 2]));
    sys!(code, SYS_getpid);
    sys!(code, SYS_gettid);
    sys!(code, SYS_getuid);
    sys!(code, SYS_getresuid, room, room + 4, room + 8);
    sys!(code, SYS_getresgid, room, room + 4, room + 8);
    sys!(code, SYS_getgroups, 0, 0);
    sys!(code, SYS_getgroups, 64, room);
    sys!(code, SYS_setgroups, 2, groups);
    sys!(code, SYS_setresuid, -1, -1, -1);
    sys!(code, SYS_setreuid, -1, -1);
    sys!(code, SYS_getpgid, 0);
    sys!(code, SYS_setpgid, 0, 0);
    sys!(code, SYS_getsid, 0);
    let header = code.words32(&[0x2008_0522, 0]);
    sys!(code, SYS_capget, header, room);
    sys!(code, SYS_capget, header, 0);
    sys!(code, SYS_personality, 0xffff_ffffu32);
}

fn prctl(code: &mut Code) {
    let (name, room) = (code.text("a name of its own"), code.space(32));
    sys!(code, SYS_prctl, libc::PR_SET_NAME, name);
    sys!(code, SYS_prctl, libc::PR_GET_NAME, room);
    sys!(code, SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGTERM);
    sys!(code, SYS_prctl, libc::PR_GET_PDEATHSIG, room);
    sys!(code, SYS_prctl, libc::PR_GET_DUMPABLE);
    sys!(code, SYS_prctl, libc::PR_SET_DUMPABLE, 1);
    sys!(code, SYS_prctl, libc::PR_CAPBSET_READ, 21);
    sys!(code, SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    sys!(code, SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sys!(code, SYS_prctl, libc::PR_GET_SECCOMP);
    sys!(code, SYS_prctl, 9999, 1, 2, 3, 4);
    sys!(code, SYS_arch_prctl, 0x1003, room);
    sys!(code, SYS_arch_prctl, 0x1002, room);
    sys!(code, SYS_arch_prctl, 0x3001, room);
    sys!(code, SYS_set_tid_address, room);
    sys!(code, SYS_set_robust_list, room, 24);
    sys!(code, SYS_rseq, room, 32, 0, 0x5305_3053);
    sys!(code, SYS_seccomp, 2, 0, 0x10);
}

fn futex(code: &mut Code) {
    let (word, time, other) = (code.words(&[1]), code.words(&[0, 1000]), code.words(&[1]));
    sys!(code, SYS_futex, word, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, 1, time);
    sys!(code, SYS_futex, word, libc::FUTEX_WAIT, 2, 0);
    sys!(code, SYS_futex, word, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
    let bitset = libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;
    sys!(code, SYS_futex, word, bitset, 1, time, 0, 0xffff_ffffu32);
    sys!(code, SYS_futex, word, libc::FUTEX_WAKE_BITSET, 1, 0, 0, 0x5);
    sys!(code, SYS_futex, word, libc::FUTEX_CMP_REQUEUE, 1, 2, other, 1);
    sys!(code, SYS_futex, word, libc::FUTEX_REQUEUE, 1, 2, other);
    sys!(code, SYS_futex, word, libc::FUTEX_WAKE_OP, 1, 1, other, 0x0100_1002);
    sys!(code, SYS_futex, word, libc::FUTEX_UNLOCK_PI);
    sys!(code, SYS_futex, word, libc::FUTEX_TRYLOCK_PI);
}
