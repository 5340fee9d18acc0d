//! Real programs to be traced, one per subcommand. Each prints every errno, wait status and signal count that it sees,
//! and no pid or time, so that a traced run can be compared with an untraced one byte for byte.

mod acts;
mod attachee;
mod deaths;
mod dump;
mod exec;
mod ignored;
mod interrupts;
mod job_control;
mod many;
mod pipes;
mod signals;
mod stops;
mod timers;
mod torture;
mod workload;

use std::fs::File;

use conformance::sys;

/// Prints a line.
macro_rules! say {
    ($($arg:tt)*) => { println!($($arg)*) };
}
pub(crate) use say;

/// `EINTR` for an error, otherwise what `Ok` holds.
pub(crate) fn told<T: std::fmt::Debug>(result: std::io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => errno(&error),
    }
}

/// The name of an error's errno.
pub(crate) fn errno(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{:?}", nix::errno::Errno::from_raw(number)),
        None => error.to_string(),
    }
}

/// A wait status in words.
pub(crate) fn status(raw: i32) -> String {
    if libc::WIFEXITED(raw) {
        format!("exited {}", libc::WEXITSTATUS(raw))
    } else if libc::WIFSIGNALED(raw) {
        format!("killed {}", libc::WTERMSIG(raw))
    } else if libc::WIFSTOPPED(raw) {
        format!("stopped {}", libc::WSTOPSIG(raw))
    } else if libc::WIFCONTINUED(raw) {
        "continued".into()
    } else {
        format!("status {raw:#x}")
    }
}

/// waitpid, in words.
pub(crate) fn waited(pid: i32, options: i32) -> String {
    match sys::wait(pid, options) {
        Ok((0, _)) => "nothing".into(),
        Ok((_, raw)) => status(raw),
        Err(error) => errno(&error),
    }
}

/// This process.
pub(crate) fn me() -> i32 {
    std::process::id() as i32
}

/// A pipe: the end to read, the end to write.
pub(crate) fn pipe() -> std::io::Result<(File, File)> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok((reader.into(), writer.into()))
}

/// The path of this program.
pub(crate) fn own_path() -> String {
    std::env::current_exe().expect("/proc is mounted").to_str().expect("a path in UTF-8").to_owned()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |at: usize| -> i32 { args[at].parse().expect("a number") };
    let result = match args[0] {
        "threads" => many::threads(number(1)),
        "storm" => many::storm(number(1), number(2)),
        "tree" => many::tree(number(1)),
        "orphans" => many::orphans(),
        "exec-thread" => exec::from_thread(),
        "vfork-exec" => exec::by_vfork(),
        "mark" => exec::marked(&args[1..]),
        "say" => exec::tell(&args[1..]),
        "endless" => many::endless(),
        "signals" => signals::all(),
        "queued" => signals::queued(),
        "child-signals" => signals::of_children(),
        "stops" => stops::reported(),
        "orphaned-group" => stops::orphaned_group(),
        "interrupts" => interrupts::table(),
        "ignored" => ignored::table(),
        "altstack" => deaths::on_alternate_stack(),
        "deaths" => deaths::by_every_signal(),
        "faults" => deaths::by_faults(),
        "die" => deaths::die(number(1)),
        "exit" => Ok(number(1)),
        "timers" => timers::all(),
        "pipes" => pipes::all(),
        "groups" => job_control::groups(),
        "job" => job_control::job(args.get(1).copied()),
        "dump" => dump::all(),
        "getppid" => workload::getppid(number(1)),
        "open-close" => workload::open_close(number(1), args.get(2).copied()),
        "given-memory" => workload::given_memory(number(1), args[2], args.get(3).copied()),
        "threads-open-close" => workload::threads_open_close(number(1), number(2), args[3]),
        "stat" => workload::stat(number(1), args[2]),
        "pread" => workload::pread(number(1), args[2]),
        "read-all" => workload::read_all(args[1]),
        "fork-exec" => workload::fork_exec(number(1)),
        "act" => acts::act(args[1]),
        "go" => acts::go(args[1]),
        "beside" => acts::beside(&args[1..]),
        "torture" => torture::act(args[1]),
        "torture-again" => torture::again(number(1)),
        "attachee" => attachee::serve(number(1)),
        "napper" => attachee::nap(),
        other => panic!("no guest {other}"),
    };
    std::process::exit(result.unwrap_or_else(|error| {
        say!("guest failed: {error}");
        99
    }))
}
