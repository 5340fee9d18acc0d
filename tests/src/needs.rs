//! What a test needs besides the compiler, and whether it is here.
//!
//! What can be installed must not be missing where `CI=true`: there a skip for it is a failure, so that nothing is
//! skipped without being seen.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Something that may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A program in PATH.
    Program(&'static str),
    /// The right to become another user.
    Root,
    /// The kernel runs 32-bit programs.
    I386,
    /// gcc and a C library for 32-bit programs: Debian's gcc-multilib.
    GccM32,
    /// The kernel has the Yama module, and it is on.
    Yama,
    /// Pid 2 is a kernel thread: not so in a container.
    KernelThread,
    /// The tracer is tracefd itself, not a stand-in.
    Tracefd,
}

impl Need {
    /// Why it is not here; `None` if it is.
    pub fn missing(self) -> Option<String> {
        let (here, reason) = match self {
            Need::Program(name) => (find_program(name).is_some(), format!("{name} not found")),
            Need::Root => (nix::unistd::geteuid().is_root(), "not root".into()),
            Need::I386 => (runs_i386(), "this kernel runs no 32-bit programs".into()),
            Need::GccM32 => (compiles_m32(), "gcc -m32 makes no program (gcc-multilib not found)".into()),
            Need::Yama => (yama() > 0, "this kernel has no Yama, or it is off".into()),
            Need::KernelThread => {
                let thread = crate::procfs::stat(2).is_some_and(|stat| stat.is_kernel_thread());
                (thread, "pid 2 is no kernel thread here".into())
            }
            Need::Tracefd => (!crate::tracer::is_stand_in(), "a stand-in is under test".into()),
        };
        (!here).then_some(reason)
    }

    /// Can a CI script see to it?
    pub fn installable(self) -> bool {
        matches!(self, Need::Program(_) | Need::GccM32)
    }
}

/// The first match in PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Runs in CI?
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

fn runs_i386() -> bool {
    let run = || -> std::io::Result<bool> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("probe");
        crate::i386::write_program(&path)?;
        Ok(Command::new(path).output()?.status.code() == Some(42))
    };
    run().unwrap_or(false)
}

fn compiles_m32() -> bool {
    static COMPILES: OnceLock<bool> = OnceLock::new();
    let compile = || -> std::io::Result<bool> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("probe.c"), "int main(void) { return 0; }\n")?;
        Ok(crate::i386::compile(dir.path(), "probe.c", "probe").is_ok())
    };
    *COMPILES.get_or_init(|| compile().unwrap_or(false))
}

fn yama() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
