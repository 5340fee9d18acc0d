//! Why a process cannot be traced: an errno and the text of `proc:<pid>/status` become a cause and a remedy.

use kernel_model::abi::{Errno, Pid};
use kernel_model::client::{Handle, read_text};
use kernel_model::scheme::Host;

use crate::failure::Failure;

/// Who asks: what an answer may depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The tool's own process.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
}

impl Asker {
    /// This process.
    pub fn this() -> Asker {
        Asker { pid: std::process::id(), uid: nix::unistd::geteuid().as_raw() }
    }
}

/// A tool cannot trace itself: it would wait for itself. Asked before anything is opened.
pub fn refuse_self(host: &dyn Host, pid: Pid, asker: Asker) -> Result<(), Failure> {
    let process = Status::of(host, pid).number("process").unwrap_or(pid.0);
    if pid.0 != asker.pid && process != asker.pid {
        return Ok(());
    }
    let cause = "it is this tracefd itself; give the pid of another process".to_owned();
    Err(Failure::Attach { pid, name: None, cause })
}

/// The failure to report after a refusal.
pub fn attach(host: &dyn Host, pid: Pid, errno: Errno, asker: Asker) -> Failure {
    let status = Status::of(host, pid);
    let cause = cause(host, &status, errno, asker);
    Failure::Attach { pid, name: program(host, pid), cause }
}

fn cause(host: &dyn Host, status: &Status, errno: Errno, asker: Asker) -> String {
    if status.0.is_empty() {
        return match errno {
            Errno::ESRCH => "no such process; `ps -e` lists those there are".to_owned(),
            errno => errno.to_string(),
        };
    }
    if status.word("state").is_some_and(|state| state.eq_ignore_ascii_case("zombie")) {
        let parent = status.number("parent").map(|parent| format!(", process {parent},")).unwrap_or_default();
        return format!(
            "it is a zombie: it has ended, and waits for its parent{parent} to notice; there is nothing left to trace"
        );
    }
    if status.word("user").is_some_and(|user| ["false", "no", "0"].contains(&user)) {
        return "it is a kernel thread, which makes no system calls; give the pid of a program".to_owned();
    }
    match errno {
        Errno::EBUSY | Errno::EPERM if status.tracer().is_some() => {
            let tracer = status.tracer().unwrap_or_default();
            let name = program(host, Pid(tracer)).map(|name| format!(" ({name})")).unwrap_or_default();
            format!("already traced by process {tracer}{name}; a process has one tracer: end that one first")
        }
        Errno::EBUSY => "already traced; a process has one tracer: end that one first".to_owned(),
        Errno::ESRCH => "it has just ended".to_owned(),
        Errno::EPERM | Errno::EACCES => denied(status, asker),
        errno => errno.to_string(),
    }
}

fn denied(status: &Status, asker: Asker) -> String {
    match status.number("uid") {
        _ if asker.uid == 0 => "operation not permitted, even for root: a security module or a container without \
                                CAP_SYS_PTRACE forbids it; run outside of it"
            .to_owned(),
        Some(uid) if uid != asker.uid => {
            format!("operation not permitted; it belongs to user {uid}: run as that user or root")
        }
        _ => "operation not permitted, although it is yours: it has more privileges, or Yama allows only descendants; \
              run as root, or start it with `tracefd trace -- …`, or `sysctl kernel.yama.ptrace_scope=0`"
            .to_owned(),
    }
}

/// The file name of a process's program, where that can be read.
pub fn program(host: &dyn Host, pid: Pid) -> Option<String> {
    let exe = read_text(host, &format!("proc:{pid}/exe")).ok()?;
    let exe = String::from_utf8_lossy(&exe);
    let path = exe.split_once(':').map_or(&*exe, |(_, path)| path);
    let name = path.trim_end().rsplit('/').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The text of `proc:<pid>/status`: `key value` lines. Empty if there is no such process.
pub struct Status(String);

impl Status {
    /// Reads it.
    pub fn of(host: &dyn Host, pid: Pid) -> Status {
        let text = read_text(host, &format!("proc:{pid}/status")).unwrap_or_default();
        Status(String::from_utf8_lossy(&text).into_owned())
    }

    /// Reads that of the task a handle is on, whatever its pid is now.
    pub fn of_handle(handle: &Handle<'_>) -> Status {
        let text = handle.dup("status").and_then(|status| status.read_to_end()).unwrap_or_default();
        Status(String::from_utf8_lossy(&text).into_owned())
    }

    /// The value of a key.
    pub fn word(&self, key: &str) -> Option<&str> {
        self.0
            .lines()
            .filter_map(|line| line.split_once(char::is_whitespace))
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v.trim())
    }

    /// The value of a key, where it is a number.
    pub fn number(&self, key: &str) -> Option<u32> {
        self.word(key)?.parse().ok()
    }

    fn tracer(&self) -> Option<u32> {
        self.number("tracer").filter(|&tracer| tracer != 0)
    }
}
