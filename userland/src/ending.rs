//! How the tool itself ends: as the traced command did.

use std::io::Write;
use std::process::ExitCode;

use kernel_model::abi::Status;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};

/// Exits with the same code, or dies of the same signal.
///
/// A shell tells "killed by 11" from "exited with 139", and a script's `set -e` or `trap` acts on it.
pub fn like(status: Status) -> ExitCode {
    if let Some(code) = status.code() {
        return ExitCode::from(code);
    }
    let number = status.signal().map_or(0, |signal| signal.0);
    die_of(i32::from(number));
    // What could not be raised: what a shell would show.
    ExitCode::from(128u8.wrapping_add(number))
}

/// Dies of a signal, without a core file: the traced command has left its own. Returns only if that is impossible.
pub fn die_of(number: i32) {
    // Without a core limit a core of the tool would be a nuisance, no more.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    if let Ok(signal) = Signal::try_from(number) {
        let mut only = SigSet::empty();
        only.add(signal);
        let _ = only.thread_unblock();
    }
    // The runtime ignores SIGPIPE, and a parent may have us ignore others: the default has to be put back.
    let _ = signal_hook::low_level::emulate_default_handler(number);
    // Real-time signals, which that knows nothing of.
    let _ = signal_hook::low_level::raise(number);
}

/// `tracefd: <tool>: <failure>`, and its exit status.
pub fn failed(tool: &str, failure: &crate::failure::Failure) -> ExitCode {
    // With standard error closed, the exit status has to say it all.
    let _ = writeln!(std::io::stderr(), "tracefd: {tool}: {failure}");
    ExitCode::from(failure.exit_code())
}
