//! What lab 1 asks for, on both machines: first on the simulator, where a tracer that waits for ever is told so.

use conformance::harness::{Outcome, ensure};
use conformance::rules::stage::{Broken, on_linux, on_sim};
use conformance::rules::{Access, Bench, Check, Failure};
use kernel_model::abi::{Errno, Pid, Signal, Status};
use kernel_model::scheme::Host;

/// What is handed in.
pub(crate) struct Work {
    /// The function.
    pub(crate) trace: fn(&dyn Host, Pid, &mut Vec<String>) -> Result<Status, Errno>,
    /// The file.
    pub(crate) text: &'static str,
}

/// A check with its name.
pub(crate) type Named = (&'static str, fn(&Work) -> Outcome);

/// All of them.
pub(crate) const CHECKS: &[Named] = &[
    ("calls_have_arguments_and_results", calls),
    ("the_end_is_told_and_answered", ends),
    ("signals_are_told_and_delivered", signals),
    ("a_handler_does_not_confuse_the_call_it_interrupts", nested),
    ("children_are_traced_too", children),
    ("it_has_at_most_60_lines", length),
];

/// Runs the tracer on a guest; `check` gets the bench, the guest's pid, the lines and the answer.
fn on_both(work: &Work, guest: &str, check: fn(&Bench<'_>, Pid, &[String], Status) -> Check) -> Outcome {
    let run = |b: &Bench<'_>| {
        let pid = b.start()?;
        let mut out = Vec::new();
        let status = (work.trace)(b.host, pid, &mut out)?;
        check(b, pid, &out, status)
            .map_err(|why| Failure::new(format!("{why}\nthe tracer said:\n{}", out.join("\n"))))
    };
    on_sim(guest, run, Access::SameUser, Broken::Nothing).map_err(|why| format!("on sim: {why}"))?;
    on_linux(guest, run, Access::SameUser).map_err(|why| format!("on Linux: {why}"))?;
    Ok(())
}

fn has(out: &[String], line: &str) -> Check {
    if out.iter().any(|said| said == line) { Ok(()) } else { Err(Failure::new(format!("no line: {line}"))) }
}

fn calls(work: &Work) -> Outcome {
    const GUEST: &str = "
program main
    sys getpid
    sys kill, 0x7ffffff, 0, 5
    sys getpgid, 0x7ffffff, 1, 2
    sys exit, 0, 3, 4
";
    on_both(work, GUEST, |b, pid, out, _| {
        has(out, &format!("{pid} {}(0x7ffffff, 0x0, 0x5) = -3", b.call("kill")))?;
        has(out, &format!("{pid} {}(0x7ffffff, 0x1, 0x2) = -3", b.call("getpgid")))?;
        has(out, &format!("{pid} {}(0x0, 0x3, 0x4) = ?", b.call("exit")))?;
        let getpid = format!("{pid} {}(", b.call("getpid"));
        let told = out.iter().find(|line| line.starts_with(&getpid));
        match told {
            Some(line) if line.ends_with(&format!(") = {pid}")) => Ok(()),
            other => Err(Failure::new(format!("getpid answers {pid}, not {other:?}"))),
        }
    })
}

fn ends(work: &Work) -> Outcome {
    on_both(work, "program main\n sys exit, 7", |_, pid, out, status| {
        if status != Status::exited(7) || out.last() != Some(&format!("{pid} exited 7")) {
            return Err(Failure::new(format!("it exited with 7, and the answer is {status:?}")));
        }
        Ok(())
    })?;
    on_both(work, "program main\n ud2", |_, pid, out, status| {
        if status.signal() != Some(Signal::ILL) || out.last() != Some(&format!("{pid} killed 4")) {
            return Err(Failure::new(format!("SIGILL killed it, and the answer is {status:?}")));
        }
        Ok(())
    })
}

/// A handler that makes a call, and a signal to oneself.
const HANDLER: &str = "
program main
.text
handler:
    sys getpgid, 0x7ffffff, 8, 9
    mov r15, 1
    ret
restorer:
    sys rt_sigreturn
start:
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    mov rdi, rax
    mov rsi, 10
    mov rdx, 6
    mov rax, sys.kill
    syscall
    mov rdi, r15
    mov rax, sys.exit
    syscall
.data
action: .word handler, sa.restorer+sa.nodefer, restorer, 0
";

fn signals(work: &Work) -> Outcome {
    on_both(work, HANDLER, |_, pid, out, _| {
        has(out, &format!("{pid} signal 10"))?;
        let times = out.iter().filter(|line| line.ends_with(" signal 10")).count();
        if times == 1 { Ok(()) } else { Err(Failure::new(format!("one signal was told {times} times"))) }
    })
}

fn nested(work: &Work) -> Outcome {
    on_both(work, HANDLER, |b, pid, out, _| {
        has(out, &format!("{pid} {}({:#x}, 0xa, 0x6) = 0", b.call("kill"), pid.0))?;
        has(out, &format!("{pid} {}(0x7ffffff, 0x8, 0x9) = -3", b.call("getpgid")))
    })
}

fn children(work: &Work) -> Outcome {
    const GUEST: &str = "
program main
    sys fork
    test rax, rax
    je child
    sys wait4, -1, 0, 0, 0
    sys exit, 0
child:
    sys getpgid, 0x7ffffff, 1, 2
    sys exit, 5
";
    on_both(work, GUEST, |b, pid, out, status| {
        let born = out.iter().find_map(|line| line.strip_prefix(&format!("{pid} child ")));
        let child = born.ok_or_else(|| Failure::new("no birth was told"))?;
        has(out, &format!("{child} {}(0x7ffffff, 0x1, 0x2) = -3", b.call("getpgid")))?;
        has(out, &format!("{child} exited 5"))?;
        if status == Status::exited(0) { Ok(()) } else { Err(Failure::new("that is the child's end")) }
    })
}

fn length(work: &Work) -> Outcome {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let lines = work.text.lines().filter(is_code).count();
    ensure((21..=60).contains(&lines), || format!("{lines} lines of code: it fits into 60, not into 20"))
}
