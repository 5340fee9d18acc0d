//! A complete tracer: the number, arguments and result of every system call of a program, and how it ended.
//!
//! `cargo run -p userland --example minimal -- /bin/ls /`

use kernel_model::abi::{Errno, OpenFlags, PtraceFlags, Status};
use kernel_model::client::Trace;
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::scheme::{Host, Program};

/// Runs a program from call to call. Works on every machine: it knows files, not ptrace.
fn trace(host: &dyn Host, program: &Program) -> Result<Option<Status>, Errno> {
    let pid = host.spawn(program)?;
    let trace = Trace::open(host, pid, OpenFlags::O_EXCL)?; // the program dies with us
    let regs = trace.regs()?;
    loop {
        trace.resume(PtraceFlags::STOP_PRE_SYSCALL | PtraceFlags::STOP_POST_SYSCALL)?;
        let event = match trace.next() {
            Ok(Some(event)) => event,
            Ok(None) => continue,
            Err(Errno::ESRCH) => return host.wait(pid, true), // it has ended
            Err(errno) => return Err(errno),
        };
        let r = regs.int()?;
        match event.cause() {
            PtraceFlags::STOP_PRE_SYSCALL => {
                eprintln!("#{} call {}({:#x}, {:#x}, {:#x}, …)", event.e, event.d, r.rdi, r.rsi, r.rdx);
            }
            _ => eprintln!("#{} = {}", event.e, r.rax as i64), // the id pairs it with its call
        }
    }
}

fn main() -> Result<(), Errno> {
    let mut args = std::env::args().skip(1);
    let program = Program::new(args.next().unwrap_or("/bin/true".into()));
    let program = args.fold(program, |program, arg| program.arg(arg));
    // The only lines that name a machine; `Sim::new(…)` would do as well.
    let kernel = Kernel::new(backend_linux::Linux::new(), Policy::SameUser);
    let status = trace(&Local::new(kernel).client(backend_linux::caller()), &program)?;
    eprintln!("ended: {status:?}");
    Ok(())
}
