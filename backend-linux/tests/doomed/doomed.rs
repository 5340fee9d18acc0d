//! A tracer that is made to die: goes through one protocol on one guest. The test `fault` of `conformance` starts it, built
//! with the feature `fault`, once for each request to the kernel that the protocol makes, and looks at the guest.
//!
//! `doomed PROTOCOL HOW spawn PROGRAM ARGS…` starts the guest; `doomed PROTOCOL HOW attach PID ADDRESS` attaches to one that
//! waits until this program's stdin, a socket, says something or ends. HOW is `leave` or `kill` (O_EXCL).

mod protocols;

use std::io::Write;
use std::os::fd::AsFd;

use kernel_model::abi::{OpenFlags, Pid, Result};
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::scheme::{Host, Program};

/// What a protocol has to work with.
struct Stage<'a> {
    host: &'a dyn Host,
    pid: Pid,
    flags: OpenFlags,
    /// Of the instruction that the guest comes by three times; 0 where it could not tell.
    address: u64,
    attached: bool,
}

impl Stage<'_> {
    /// Lets a guest begin that waits for that.
    fn go(&self) -> Result<()> {
        if self.attached {
            let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("stdin is open");
            std::fs::File::from(socket).write_all(b"g").expect("the guest is there");
        }
        Ok(())
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let [protocol, how, from, rest @ ..] = words.as_slice() else { panic!("{args:?}") };
    let flags = if *how == "kill" { OpenFlags::O_EXCL } else { OpenFlags::empty() };
    let kernel = Local::new(Kernel::new(backend_linux::Linux::new(), Policy::SameUser));
    let host = kernel.client(backend_linux::caller());
    let done = match (*from, rest) {
        ("spawn", [path, args @ ..]) => {
            let mut program = args.iter().fold(Program::new(*path), |program, arg| program.arg(*arg));
            program.pushed = protocols::pushed(protocol);
            host.spawn(&program).and_then(|pid| {
                let stage = Stage { host: &host, pid, flags, address: 0, attached: false };
                protocols::run(protocol, &stage)?;
                host.wait(pid, true).map(drop)
            })
        }
        ("attach", [pid, address]) => {
            let number = |text: &str| text.parse::<u64>().expect("a number");
            let (pid, address) = (Pid(number(pid) as u32), number(address));
            protocols::run(protocol, &Stage { host: &host, pid, flags, address, attached: true })
        }
        other => panic!("{other:?}"),
    };
    done.unwrap_or_else(|errno| panic!("{args:?}: {errno:?}"));
}
