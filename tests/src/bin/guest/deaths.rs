//! Ways to die: every signal, every fault of the processor, a handler on its own stack.

use std::io::Result;

use conformance::sys::{self, Fault};
use nix::sys::resource::{Resource, setrlimit};

use crate::{me, say, waited};

/// No core files: a dump is slow, and its place is the system's choice.
fn no_core() -> Result<()> {
    Ok(setrlimit(Resource::RLIMIT_CORE, 0, 0)?)
}

/// Undoes what Rust's runtime set for SIGPIPE, SIGSEGV and SIGBUS.
fn default_action(signal: i32) {
    // Refused for SIGKILL, which needs it least.
    let _ = sys::set_disposition(signal, libc::SIG_DFL);
}

/// By signal N, with its default action.
pub(crate) fn die(signal: i32) -> Result<i32> {
    no_core()?;
    say!("dying of {signal}");
    default_action(signal);
    sys::kill(me(), signal)?;
    say!("survived {signal}");
    Ok(0)
}

/// One child per signal. Stop signals and those ignored by default are not fatal.
pub(crate) fn by_every_signal() -> Result<i32> {
    no_core()?;
    for signal in (1..sys::SIGNALS as i32).filter(|signal| ![19, 20, 21, 22, 32, 33].contains(signal)) {
        let child = sys::fork(|| {
            default_action(signal);
            let _ = sys::kill(me(), signal);
            77
        })?;
        say!("{signal}: {}", waited(child, 0));
    }
    Ok(0)
}

/// One child per fault: with the default action, and with the signal blocked, which kills all the same.
pub(crate) fn by_faults() -> Result<i32> {
    no_core()?;
    for fault in [Fault::Segment, Fault::Illegal, Fault::Divide, Fault::Breakpoint, Fault::Abort] {
        for blocked in [false, true] {
            let child = sys::fork(|| {
                default_action(libc::SIGSEGV);
                if blocked {
                    for signal in [libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGABRT] {
                        let _ = sys::mask_signal(libc::SIG_BLOCK, signal);
                    }
                }
                sys::commit(fault);
                77
            })?;
            say!("{fault:?}, blocked {blocked}: {}", waited(child, 0));
        }
    }
    // A breakpoint with a handler: it runs, and the program goes on behind the instruction.
    sys::count_signal(libc::SIGTRAP, 0)?;
    sys::commit(Fault::Breakpoint);
    sys::commit(Fault::Breakpoint);
    say!("breakpoints handled: {}", sys::count(libc::SIGTRAP));
    Ok(0)
}

/// A fault handled on the alternate stack, which sees the address.
pub(crate) fn on_alternate_stack() -> Result<i32> {
    sys::use_alternate_stack()?;
    sys::tell_faults()?;
    let child = sys::fork(|| {
        sys::commit(Fault::Segment);
        77
    })?;
    say!("{}", waited(child, 0));
    Ok(0)
}
