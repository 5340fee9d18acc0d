//! RFC 0011, where signals come from and what descriptors are: R140–R146.

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceFlags, SigInfo, Signal};
use kernel_model::client::{Handle, Trace, read_text, siginfo};
use kernel_model::scheme::Caller;

use super::bench::{event, refused};
use super::{Bench, Check, Rule};
use crate::{ensure, same};

const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;

/// Signals itself.
const GUEST: &str = "
program main
.text
    sys getpid
    mov rdi, rax
    mov rsi, sig.usr1
    mov rax, sys.kill
    syscall
    sys exit, 0
";

const PARENT: &str = "
program main
.text
    sys fork
    cmp rax, 0
    je child
    sys wait4, -1, 0, 0, 0
    sys exit, 0
child:
    sys exit, 5
";

/// A pipe, whose ends it does not use.
const PIPE: &str = "
program main
.text
    sys pipe, ends
    sys getpid
    sys exit, 0
.data
ends:
    .word 0
";

/// The pair of descriptors that the guest's pipe has, at its call of getpid.
fn ends<'a>(b: &Bench<'a>) -> Check<(Pid, Trace<'a>, [u32; 2])> {
    let (pid, trace) = b.begin()?;
    b.to_call(&trace, "getpid")?;
    let word = trace.mem()?.word(b.label("ends"))?;
    Ok((pid, trace, [word as u32, (word >> 32) as u32]))
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R140",
        sentence: "When a process is held at a signal that kill sent, `siginfo` is 128 bytes: the signal, code 0, the sender's pid and user.",
        guest: GUEST,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let handle = trace.handle().dup("siginfo")?;
            trace.resume(SIGNAL)?;
            event(&trace, SIGNAL)?;
            let info = siginfo(&handle)?;
            same!((info.signo, info.code), (i32::from(Signal::USR1.0), SigInfo::USER));
            same!((info.pid(), info.uid()), (pid, b.me().uid));
            same!(siginfo(&handle)?, info);
            same!(handle.read(&mut [0; 200])?, SigInfo::SIZE);
            let mut part = [0; 4];
            same!(handle.read(&mut part)?, 4);
            same!(i32::from_ne_bytes(part), info.signo);
            Ok(())
        },
    },
    Rule {
        id: "R141",
        sentence: "When a process is held at CHLD because a child exited, `siginfo` has code 1, the child's pid and its exit code.",
        guest: PARENT,
        run: |b| {
            let (_, trace) = b.begin()?;
            trace.resume(PtraceFlags::EVENT_CLONE)?;
            let born = event(&trace, PtraceFlags::EVENT_CLONE)?;
            trace.resume(SIGNAL)?;
            let signal = event(&trace, SIGNAL)?;
            same!(signal.a, u64::from(Signal::CHLD.0));
            let info = siginfo(&trace.handle().dup("siginfo")?)?;
            same!((info.signo, info.code), (i32::from(Signal::CHLD.0), SigInfo::EXITED));
            same!((u64::from(info.pid().0), info.status()), (born.a, 5));
            Ok(())
        },
    },
    Rule {
        id: "R142",
        sentence: "When a process is not held at a signal, `siginfo` is ENODATA, whether it is stopped or runs, and that does not stop it; a \
                   write is EBADF.",
        guest: GUEST,
        run: |b| {
            let pid = b.start()?;
            let held = Handle::open(b.host, &format!("proc:{pid}/siginfo"), OpenFlags::O_RDONLY)?;
            same!(refused(siginfo(&held))?, Errno::ENODATA);
            same!(refused(held.write(&[0; 128]))?, Errno::EBADF);
            let trace = Trace::open(b.host, pid, OpenFlags::empty())?;
            b.to_call(&trace, "kill")?;
            same!(refused(siginfo(&held))?, Errno::ENODATA);
            trace.resume(PtraceFlags::empty())?;
            same!(
                refused(siginfo(&held)).map(|errno| [Errno::ENODATA, Errno::ESRCH].contains(&errno))?,
                true
            );
            Ok(())
        },
    },
    Rule {
        id: "R143",
        sentence: "When `fd/N` is opened, its text is the name of what descriptor N refers to; both ends of a pipe have one name.",
        guest: PIPE,
        run: |b| {
            let (pid, _trace, [reader, writer]) = ends(b)?;
            let name = |number: u32| read_text(b.host, &format!("proc:{pid}/fd/{number}"));
            let (one, other) = (name(reader)?, name(writer)?);
            ensure!(one.starts_with(b"pipe:["), "{:?}", String::from_utf8_lossy(&one));
            same!(one, other);
            ensure!(reader != writer, "one descriptor");
            Ok(())
        },
    },
    Rule {
        id: "R144",
        sentence: "When `fd/N` or `fdinfo/N` of a descriptor that is not open is opened, that is ENOENT; what is neither a number nor `cwd` \
                   is EINVAL.",
        guest: PIPE,
        run: |b| {
            let (pid, _trace, _) = ends(b)?;
            for op in ["fd", "fdinfo"] {
                let open = |which: &str| {
                    Handle::open(b.host, &format!("proc:{pid}/{op}/{which}"), OpenFlags::O_RDONLY)
                };
                same!(refused(open("77777"))?, Errno::ENOENT);
                for which in ["", "x", "-1", "+1", "1/2", "99999999999", "cwd/"] {
                    same!((which, refused(open(which))?), (which, Errno::EINVAL));
                }
            }
            Ok(())
        },
    },
    Rule {
        id: "R145",
        sentence: "When `fdinfo/N` is opened, each line of its text is one of `device`, `process`, `socket`, `local`, `peer` and a value; a pipe \
                   has none.",
        guest: PIPE,
        run: |b| {
            let (pid, _trace, [reader, _]) = ends(b)?;
            let text = |number: u32| read_text(b.host, &format!("proc:{pid}/fdinfo/{number}"));
            same!(text(reader)?, Vec::<u8>::new());
            for number in 0..reader {
                let text = match text(number) {
                    Err(Errno::ENOENT) => continue,
                    answer => String::from_utf8_lossy(&answer?).into_owned(),
                };
                for line in text.lines() {
                    let (key, value) = line.split_once(' ').unwrap_or((line, ""));
                    let known = ["device", "process", "socket", "local", "peer"].contains(&key);
                    ensure!(known && !value.is_empty(), "{line:?}");
                }
            }
            Ok(())
        },
    },
    Rule {
        id: "R146",
        sentence: "When `siginfo`, `fd/N` or `fdinfo/N` of a process that one may not control is opened, that is EPERM.",
        guest: GUEST,
        run: |b| {
            let pid = b.start()?;
            let me = b.me();
            let stranger = b.client(Caller { uid: me.uid + 1, ..me });
            for op in ["siginfo", "fd/0", "fdinfo/0", "fd/cwd"] {
                let opened = stranger.host().open(&format!("proc:{pid}/{op}"), OpenFlags::O_RDONLY);
                same!((op, refused(opened)?), (op, Errno::EPERM));
            }
            Ok(())
        },
    },
];
