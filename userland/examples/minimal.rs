//! A complete tracer: the name and result of every system call of a command, and how it ended.
//!
//! `cargo run -p userland --example minimal -- /bin/true` (or a simulator program, `FILE.asm`)

use std::os::unix::ffi::OsStringExt;

use kernel_model::abi::{Errno, OpenFlags, PtraceFlags, Status};
use kernel_model::client::Trace;
use kernel_model::scheme::{Host, Program};

#[path = "../src/machines.rs"]
mod machines;
use machines::{Backend, calls, with_host};
use userland::tables::Calls;

/// Runs a program from call to call. Works on every machine: it knows files, not ptrace.
fn trace(host: &dyn Host, calls: &Calls, program: &Program) -> Result<Status, Errno> {
    let pid = host.spawn(program)?;
    let trace = Trace::open(host, pid, OpenFlags::O_EXCL)?;
    let regs = trace.regs()?;
    loop {
        trace.resume(PtraceFlags::STOP_POST_SYSCALL | PtraceFlags::STOP_EXIT)?;
        while let Some(event) = trace.next()? {
            match event.cause() {
                PtraceFlags::STOP_POST_SYSCALL => {
                    let name = calls.get(event.f, event.d).map_or("?", |call| call.name);
                    eprintln!("{name} = {}", regs.int()?.rax as i64);
                }
                PtraceFlags::STOP_EXIT => {
                    trace.resume(PtraceFlags::empty())?;
                    let status = host.wait(pid, true)?;
                    return Ok(status.unwrap_or(Status(event.a as u32)));
                }
                _ => {}
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<Vec<u8>> = std::env::args_os().skip(1).map(|arg| arg.into_vec()).collect();
    let path = args.first().cloned().ok_or("usage: minimal PROGRAM [ARG]... | minimal FILE.asm")?;
    let (backend, path) = match path.ends_with(b".asm") {
        true => {
            let (sim, name) = Backend::simulator(&std::fs::read_to_string(std::str::from_utf8(&path)?)?)?;
            (sim, name.into_bytes())
        }
        false => (Backend::Linux, path),
    };
    let (names, program) = (calls(&backend), Program { path, args, env: None });
    let status = with_host(backend, |host| trace(host, &names, &program))?;
    eprintln!("ended: {status:?}");
    Ok(())
}
