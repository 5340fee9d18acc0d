//! `two_stop CMD ARGS…`: both stops of every call of a command and its children, and nothing done in them.
//!
//! The machine's own share of a tracer's cost. Compare with a bare loop in C over waitpid, GET_SYSCALL_INFO and
//! PTRACE_SYSCALL. With `STOPS` in the environment, says how many stops there were.

use backend_linux::Linux;
use kernel_model::machine::{Demand, Error, Machine, Program, Report, Task, Verdict, Wait};

fn main() -> Result<(), Error> {
    let args: Vec<Vec<u8>> = std::env::args().skip(1).map(String::into_bytes).collect();
    let Some(path) = args.first().cloned() else {
        eprintln!("usage: two_stop CMD ARGS...");
        std::process::exit(2);
    };
    let mut machine = Linux::new();
    let wanted = Demand::CALL_ENTRY | Demand::CALL_EXIT | Demand::BORN;
    let go = |machine: &mut Linux, task: Task| {
        machine.demand(task, wanted).and_then(|()| machine.resume(task, Verdict::Proceed))
    };
    let first = machine.spawn(&Program { path, args, ..Program::default() })?;
    go(&mut machine, first)?;
    let mut stops = 0u64;
    let mut code = 0;
    while let Ok(Some((task, report))) = machine.next_stop(Wait::Block) {
        stops += 1;
        match report {
            Report::Gone { status } if task == first => {
                code = status.and_then(|status| status.code()).unwrap_or(1);
            }
            Report::Gone { .. } => {}
            Report::Born { child, .. } => {
                go(&mut machine, child)?;
                machine.resume(task, Verdict::Proceed)?;
            }
            _ => machine.resume(task, Verdict::Proceed)?,
        }
    }
    if std::env::var_os("STOPS").is_some() {
        eprintln!("{stops} stops");
    }
    std::process::exit(code.into());
}
