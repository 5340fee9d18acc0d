//! Program changes: exec by a thread that is not the leader, exec after vfork, and small programs to go to.

use std::ffi::CString;
use std::io::Result;
use std::sync::Barrier;

use conformance::sys;
use nix::unistd::execv;

use crate::{me, own_path, say, waited};

/// Becomes another program.
pub(crate) fn to(args: &[&str]) -> Result<i32> {
    let args: Vec<CString> = args.iter().map(|arg| CString::new(*arg).expect("no NUL")).collect();
    match execv(&args[0], &args) {
        Ok(never) => match never {},
        Err(errno) => Err(errno.into()),
    }
}

/// Twenty threads; one of them execs while the others sleep in a call. The pid stays.
pub(crate) fn from_thread() -> Result<i32> {
    let barrier = Barrier::new(21);
    let (path, pid) = (own_path(), me().to_string());
    std::thread::scope(|scope| {
        for i in 0..20 {
            let (barrier, path, pid) = (&barrier, &path, &pid);
            scope.spawn(move || {
                barrier.wait();
                if i == 7 {
                    let _ = to(&[path, "say", "same-pid", pid, "9"]);
                }
                loop {
                    sys::pause();
                }
            });
        }
        barrier.wait();
        loop {
            sys::pause();
        }
    })
}

/// Twenty times vfork and exec, and once an exec that fails.
pub(crate) fn by_vfork() -> Result<i32> {
    let path = own_path();
    for i in 0..20 {
        let child = sys::vfork_exec(&[&path, "say", "vforked", "-", &i.to_string()])?;
        say!("{}", waited(child, 0));
    }
    let child = sys::vfork_exec(&["/nonexistent/program"])?;
    say!("missing program: {}", waited(child, 0));
    Ok(0)
}

/// `say WORD PID|- STATUS`: prints the word, whether PID is its own, and exits.
pub(crate) fn tell(args: &[&str]) -> Result<i32> {
    let whose = if args[1] == me().to_string() { "own pid" } else { "-" };
    say!("{} {whose}, {} thread", args[0], std::fs::read_dir("/proc/self/task")?.count());
    Ok(args[2].parse().expect("a number"))
}

/// `mark FILE CMD…`: writes the pid to FILE, then becomes CMD.
pub(crate) fn marked(args: &[&str]) -> Result<i32> {
    // Complete or absent, never half: whoever reads it races with this.
    let part = format!("{}.part", args[0]);
    std::fs::write(&part, me().to_string())?;
    std::fs::rename(&part, args[0])?;
    use std::os::unix::process::CommandExt;
    Err(std::process::Command::new(args[1]).args(&args[2..]).exec())
}
