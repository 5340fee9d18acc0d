//! [`ACID`]: one long scenario through most of the rules, in the order of Redox's own end-to-end test of this interface.
//!
//! A process stops itself and is taken over; it is stepped, read, forked, signalled, trapped, polled, lied to, and ends.
//! Each function is one act, and leaves the tracee where the next one begins.

use kernel_model::abi::{Errno, F_GETFL, F_SETFL, OpenFlags, Pid, PtraceFlags, SEEK_CUR, Signal, Status};
use kernel_model::client::{EventQueue, Trace};
use kernel_model::scheme::Caller;

use super::bench::{event, refused};
use super::flags::child_of;
use super::held::stopped_child;
use super::{Bench, Check, Failure, Rule};
use crate::{ensure, same};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
const STEP: PtraceFlags = PtraceFlags::STOP_SINGLESTEP;
const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;
const BREAKPOINT: PtraceFlags = PtraceFlags::STOP_BREAKPOINT;
const EXIT: PtraceFlags = PtraceFlags::STOP_EXIT;
const CLONE: PtraceFlags = PtraceFlags::EVENT_CLONE;
const IGNORE: PtraceFlags = PtraceFlags::FLAG_IGNORE;

/// The whole scenario.
pub const ACID: Rule = Rule {
    id: "acid",
    sentence: "When a process is led through all of it in one session, every rule holds beside the others.",
    guest: "
program main
.text
    sys fork
    cmp rax, 0
    je tracee
    mov rbx, child_pid
    mov [rbx+0], rax
    sys wait4, -1, status, wuntraced, 0
    sys getpid
    sys wait4, -1, status, 0, 0
    mov rbx, status
    mov rdi, [rbx+1]
    mov rax, sys.exit
    syscall
tracee:
    sys rt_sigaction, sig.usr1, action, 0, 8
    call send_stop
    mov rax, 1
    mov rax, 2
    nop
    mov rax, 3
    dec rax
    dec rax
    mov rbx, 3
    push rbx
    mov rbx, 2
    push rbx
    mov rbx, 1
    push rbx
    mov rbx, thirty_two
    fld qword [rbx+0]
    fsqrt
    sys getppid
    sys fork
    cmp rax, 0
    je born
    sys wait4, -1, 0, 0, 0
    sys fork
    cmp rax, 0
    je born
    sys wait4, -1, 0, 0, 0
    call send_usr1
    call send_usr1
    call send_usr1
    sys getppid
trap:
    int3
    sys pause
    sys getpid
    mov rdi, rax
    mov rax, sys.exit
    syscall
born:
    sys getpid
    sys exit, 0
send_usr1:
    sys getpid
    mov rdi, rax
    mov rsi, sig.usr1
    mov rax, sys.kill
    syscall
    ret
send_stop:
    sys getpid
    mov rdi, rax
    mov rsi, sig.stop
    mov rax, sys.kill
    syscall
    ret
handler:
    sys getuid
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
thirty_two:
    .word 0x4040000000000000
child_pid:
    .word 0
status:
    .word 0, 0
",
    run: |b| {
        let (shell, main) = b.begin()?;
        let pid = stopped_child(b, &main)?;
        main.close()?;
        let trace = Trace::open(b.host, pid, OpenFlags::O_TRUNC | OpenFlags::O_EXCL)?;
        b.host.kill(pid, Signal::CONT)?;
        same!(trace.next()?, None);
        state(b, &trace)?;
        children(b, &trace)?;
        signals(b, &trace)?;
        breakpoint(b, &trace)?;
        polling(b, &trace)?;
        end(b, &trace)?;
        same!(b.ended(shell)?, Status::exited(123));
        let stranger = b.client(Caller { pid: b.me().pid, uid: 4242, gid: 4242 });
        for pid in (1..200).map(Pid).chain([pid, shell]) {
            let errno = refused(stranger.host().open(&format!("proc:{pid}/trace"), OpenFlags::O_RDWR))?;
            ensure!([Errno::EPERM, Errno::ESRCH].contains(&errno), "pid {pid}: {errno:?}");
        }
        Ok(())
    },
};

/// Single steps, the stack through `mem`, the square root of 32 through `regs/float`.
fn state(b: &Bench<'_>, trace: &Trace<'_>) -> Check {
    let regs = trace.regs()?;
    trace.resume(STEP)?;
    event(trace, STEP)?; // the return from send_stop
    for rax in [1, 2, 2, 3, 2, 1] {
        trace.resume(STEP)?;
        event(trace, STEP)?;
        same!(regs.int()?.rax, rax);
    }
    b.to_call(trace, "getppid")?;
    let (mem, rsp) = (trace.mem()?, regs.int()?.rsp);
    let mut stack = [0; 24];
    mem.read_at(rsp, &mut stack)?;
    same!([stack[0], stack[8], stack[16]], [1, 2, 3]);
    same!(b.host.seek(mem.handle().fd(), 0, SEEK_CUR)?, rsp + 24);
    let root = extended(&regs.float()?.st[0]);
    ensure!((root - 32f64.sqrt()).abs() < 1e-12, "the root of 32 is {root}");
    Ok(())
}

/// An 80-bit number: 64 bits of fraction, 15 of exponent.
fn extended(bytes: &[u8; 16]) -> f64 {
    let fraction = bytes[..8].iter().rev().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    let exponent = i32::from(u16::from_le_bytes([bytes[8], bytes[9]]) & 0x7fff) - 16383 - 63;
    fraction as f64 * 2f64.powi(exponent)
}

/// One child is let go, the next is traced to its end.
fn children(b: &Bench<'_>, trace: &Trace<'_>) -> Check {
    b.to_call(trace, "fork")?;
    trace.resume(POST | CLONE)?;
    let child = child_of(&event(trace, CLONE)?);
    event(trace, POST)?;
    same!(trace.regs()?.int()?.rax, u64::from(child.0));
    trace.resume(POST)?;
    same!(event(trace, POST)?.d, b.call("wait4"));
    same!(trace.regs()?.int()?.rax, u64::from(child.0));

    trace.resume(CLONE)?;
    let child = child_of(&event(trace, CLONE)?);
    let born = Trace::open(b.host, child, OpenFlags::empty())?;
    for name in ["getpid", "exit"] {
        born.resume(PRE)?;
        same!(event(&born, PRE)?.d, b.call(name));
    }
    born.resume(PtraceFlags::empty())?;
    same!(refused(born.next())?, Errno::ESRCH);
    b.to_call(trace, "getpid")?;
    Ok(())
}

/// Two signals are handled, the third is dropped.
fn signals(b: &Bench<'_>, trace: &Trace<'_>) -> Check {
    let call = |name: &str| b.call(name);
    for _ in 0..2 {
        b.to_call(trace, "kill")?;
        let mut seen = Vec::new();
        while seen.last() != Some(&(PRE, call("rt_sigreturn"))) {
            trace.resume(PRE | POST | SIGNAL)?;
            let event = trace.next()?.ok_or_else(|| Failure::new("stopped without an event"))?;
            ensure!(event.cause() != SIGNAL || event.b > 1, "no handler: {event:?}");
            seen.push((event.cause(), event.d));
        }
        // When the kill comes back is R32.
        seen.retain(|stop| *stop != (POST, call("kill")));
        let work = call("getuid");
        same!(seen, [(SIGNAL, 0), (PRE, work), (POST, work), (PRE, call("rt_sigreturn"))]);
    }
    b.to_call(trace, "kill")?;
    trace.resume(SIGNAL)?;
    same!(event(trace, SIGNAL)?.a, u64::from(Signal::USR1.0));
    trace.resume(PRE | IGNORE)?;
    same!(event(trace, PRE)?.d, call("getppid"));
    Ok(())
}

/// The program's own int3 is stepped over.
fn breakpoint(b: &Bench<'_>, trace: &Trace<'_>) -> Check {
    trace.resume(BREAKPOINT)?;
    event(trace, BREAKPOINT)?;
    let regs = trace.regs()?;
    let mut at = regs.int()?;
    same!(at.rip, b.label("trap"));
    at.rip += 1;
    regs.set_int(&at)?;
    trace.resume(PRE | IGNORE)?;
    same!(event(trace, PRE)?.d, b.call("pause"));
    Ok(())
}

/// Sets that are replaced before they match, reads that do not wait, and a queue that does.
fn polling(b: &Bench<'_>, trace: &Trace<'_>) -> Check {
    let fd = trace.handle().fd();
    let flags = b.host.fcntl(fd, F_GETFL, 0)?;
    b.host.fcntl(fd, F_SETFL, flags | u64::from(OpenFlags::O_NONBLOCK.bits()))?;
    for mask in [POST, BREAKPOINT | POST, PRE] {
        trace.resume(mask)?;
        same!(refused(trace.next())?, Errno::EAGAIN);
    }
    let queue = EventQueue::open(b.host, OpenFlags::empty())?;
    queue.watch(fd, 5)?;
    b.host.kill(trace.pid(), Signal::USR1)?;
    same!(queue.next()?.data, 5);
    same!(event(trace, PRE)?.d, b.call("getuid"));
    same!(trace.next()?, None);
    b.host.fcntl(fd, F_SETFL, flags)?;
    Ok(())
}

/// A result that never was, and the exit that it causes.
fn end(b: &Bench<'_>, trace: &Trace<'_>) -> Check {
    b.to_call(trace, "getpid")?;
    let regs = trace.regs()?;
    let mut at = regs.int()?;
    at.rax = 123;
    regs.set_int(&at)?;
    trace.resume(PRE | IGNORE)?;
    same!(event(trace, PRE)?.d, b.call("exit"));
    same!(regs.int()?.rdi, 123);
    trace.resume(EXIT)?;
    same!(event(trace, EXIT)?.a, u64::from(Status::exited(123).0));
    trace.resume(PtraceFlags::empty())?;
    same!(refused(trace.next())?, Errno::ESRCH);
    Ok(())
}
