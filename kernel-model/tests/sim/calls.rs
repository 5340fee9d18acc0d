//! Calls that have no file of their own: pipes, mappings, groups, and what unknown ones answer.

use kernel_model::abi::{Errno, Status};
use kernel_model::machine::{Demand, Report};
use kernel_model::sim::{CALLS as TABLE, call};

use super::{CALLS, code, regs, run, spawn, to};

/// The result of one call, as a program sees it.
fn result(call: &str) -> i64 {
    let (mut sim, task) = spawn(&format!("program main\n{call}\n.data\nfds: .word 0\ntext: .asciz \"text\""));
    to(&mut sim, task, CALLS);
    assert_eq!(to(&mut sim, task, CALLS), Report::CallExit);
    regs(&mut sim, task).rax as i64
}

fn error(errno: Errno) -> i64 {
    -i64::from(errno.0)
}

#[test]
fn the_table_is_dense_and_named() {
    for (index, info) in TABLE.iter().enumerate() {
        assert_eq!(info.number, index as u64 + 1);
        assert_eq!(call(info.number), Some(info));
    }
    assert_eq!((call(0), call(31)), (None, None));
}

#[test]
fn results_and_errors() {
    for (text, expected) in [
        ("mov rax, 0\n syscall", error(Errno::ENOSYS)),
        ("mov rax, 1000\n syscall", error(Errno::ENOSYS)),
        ("sys getpid", 4),
        ("sys gettid", 4),
        ("sys getppid", 3),
        ("sys getuid", 1000),
        ("sys write, 1, text, 4", 4),
        ("sys write, 1, 0, 4", error(Errno::EFAULT)),
        ("sys write, 9, text, 4", error(Errno::EBADF)),
        ("sys read, 0, text, 4", 0),
        ("sys close, 9", error(Errno::EBADF)),
        ("sys pipe, 8", error(Errno::EFAULT)),
        ("sys kill, 99, 0", error(Errno::ESRCH)),
        ("sys kill, 1, 0", error(Errno::EPERM)),
        ("sys kill, 4, 65", error(Errno::EINVAL)),
        ("sys rt_sigaction, sig.kill, text, 0, 8", error(Errno::EINVAL)),
        ("sys rt_sigaction, sig.usr1, 0, 0, 4", error(Errno::EINVAL)),
        ("sys rt_sigprocmask, 7, text, 0, 8", error(Errno::EINVAL)),
        ("sys arch_prctl, arch.set_fs, 0x8000000000000", error(Errno::EPERM)),
        ("sys arch_prctl, 0, 0", error(Errno::EINVAL)),
        ("sys munmap, 1, 4096", error(Errno::EINVAL)),
        ("sys mprotect, 0x10000, 4096, 0", error(Errno::ENOMEM)),
        ("sys mmap, 0, 4096, prot.read, map.private, -1, 0", error(Errno::EINVAL)),
        ("sys setpgid, 0, 0", 0),
        ("sys setpgid, 99, 0", error(Errno::ESRCH)),
        ("sys setpgid, 0, 99", error(Errno::EPERM)),
        ("sys getpgid, 0", 3),
        ("sys setsid", 4),
    ] {
        assert_eq!(result(text), expected, "{text}");
    }
}

#[test]
fn the_way_back_from_a_call_is_kept_in_two_registers() {
    let (mut sim, task) = spawn("program main\n sys getpid");
    assert_eq!(to(&mut sim, task, Demand::CALL_ENTRY), Report::CallEntry);
    let int = regs(&mut sim, task);
    assert_eq!((int.rcx, int.r11, int.rip), (int.rip, int.rflags, 0x40_0009));
}

const PING: &str = "
program main
    sys pipe, there
    sys pipe, back
    sys fork
    test rax, rax
    je child
    sys write, 4, word, 4
    sys read, 5, word, 4
    sys write, 1, word, 4
    sys exit, 0
child:
    sys read, 3, word, 4
    sys write, 6, reply, 4
    sys exit, 0
.data
there: .word 0
back: .word 0
word: .asciz \"ping\"
reply: .asciz \"pong\"
";

#[test]
fn a_pipe_carries_bytes_and_blocks_its_reader() {
    assert_eq!(run(PING), ("pong".into(), Status::exited(0)));
}

#[test]
fn a_pipe_without_writers_ends_and_without_readers_breaks() {
    let text = "
program main
    sys pipe, fds
    sys close, 4
    sys read, 3, fds, 8
    mov r15, rax
    sys pipe, fds
    sys close, 3
    sys write, 4, fds, 8
    sys exit, 99
.data
fds: .word 0
";
    // The second pipe took 4 and 5: 3 was still the old reader, so 4 is the new one's reading end.
    assert_eq!(code(text), 99);
    let text = text.replace("sys close, 3", "sys close, 4").replace("sys write, 4", "sys write, 5");
    assert_eq!(run(&text).1.signal(), Some(kernel_model::abi::Signal::PIPE));
}

#[test]
fn a_full_pipe_blocks_its_writer() {
    let text = "
program main
    sys pipe, fds
    sys fork
    test rax, rax
    je child
    sys write, 4, 0x600000, 65536
    sys write, 4, 0x600000, 8
    sys exit, rax
child:
    sys sched_yield
    sys sched_yield
    sys sched_yield
    sys sched_yield
    sys read, 3, 0x600000, 8
    sys exit, 0
.data
fds: .space 65536
";
    assert_eq!(code(text), 8);
}

#[test]
fn mappings_come_go_and_are_protected() {
    let text = |after: &str| {
        format!(
            "program main\n sys mmap, 0, 8192, prot.read + prot.write, map.private + map.anonymous, -1, 0\n \
             mov rbx, rax\n mov [rbx + 4096], rbx\n {after}\n mov [rbx + 4096], rbx\n sys exit, 0"
        )
    };
    assert_eq!(code(&text("nop")), 0);
    assert!(run(&text("sys mprotect, rbx, 8192, prot.read")).1.signal().is_some());
    assert!(run(&text("sys munmap, rbx, 8192")).1.signal().is_some());
}

#[test]
fn fs_base_is_set_by_a_call() {
    use kernel_model::machine::{Machine, RegSet};
    let (mut sim, task) = spawn("program main\n sys arch_prctl, arch.set_fs, 0x600000\n.data\n.word 0");
    to(&mut sim, task, CALLS);
    to(&mut sim, task, CALLS);
    let mut env = [0; 16];
    sim.read_regs(task, RegSet::Env, &mut env).unwrap();
    assert_eq!(env[..8], 0x60_0000_u64.to_ne_bytes());
}
