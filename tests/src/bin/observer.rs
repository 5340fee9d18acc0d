//! Observers as programs: `observer N CMD…` runs CMD under N logs that take memory along, or with 0 under a session that is
//! told of every call; `observer opens PID` is the example. It ends as CMD does.

#[allow(dead_code, clippy::allow_attributes, reason = "its main is of no use here")]
#[path = "../../../userland/examples/opens.rs"]
mod opens;

use std::io::{Error, Result};

use backend_linux::{Linux, caller};
use kernel_model::abi::{Errno, LOG_MOST, OpenFlags, Pid, PtraceFlags, Status};
use kernel_model::client::{Handle, Trace};
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::scheme::{Host, Program};

const TABLE: &[u8] =
    b"inherit\nwrite 1 buffer len=2 max=64\nread 1 buffer len=result max=64 at=exit\nexecve 1 strings";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let kernel = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
    let host = kernel.client(caller());
    if let [mode, pid] = &args[..]
        && mode == "opens"
    {
        let pid = pid.parse().map_err(Error::other)?;
        return opens::opens(&host, Pid(pid), &mut std::io::stdout());
    }
    let [logs, cmd, rest @ ..] = &args[..] else { return Err(Error::other("observer N CMD…")) };
    let program = rest.iter().fold(Program::new(cmd.as_str()), |program, arg| program.arg(arg.as_str()));
    let status = run(&host, logs.parse().map_err(Error::other)?, &program)?;
    std::process::exit(status.and_then(Status::code).map_or(99, i32::from))
}

fn run(host: &dyn Host, logs: usize, program: &Program) -> Result<Option<Status>> {
    let pid = host.spawn(program)?;
    let open = |_| -> Result<Handle<'_>> {
        let log = Handle::open(host, &format!("proc:{pid}/log"), OpenFlags::O_RDWR)?;
        log.write(TABLE)?;
        Ok(log)
    };
    let logs = (0..logs).map(open).collect::<Result<Vec<_>>>()?;
    let trace = Trace::open(host, pid, OpenFlags::empty())?;
    if logs.is_empty() {
        until_gone(|| trace.step(PtraceFlags::STOP_PRE_SYSCALL | PtraceFlags::STOP_POST_SYSCALL).map(drop))?;
    } else {
        trace.close()?;
        let mut buf = vec![0; LOG_MOST];
        for log in &logs {
            until_gone(|| log.read(&mut buf).map(drop))?;
        }
    }
    Ok(host.wait(pid, true)?)
}

fn until_gone(mut act: impl FnMut() -> kernel_model::abi::Result<()>) -> Result<()> {
    loop {
        match act() {
            Ok(()) => {}
            Err(Errno::ESRCH) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}
