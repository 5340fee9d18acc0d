//! Shared by the tests: the guest program, guests started untraced or traced, and a [`Tracer`] that follows everything.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of it")]

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use backend_linux::Linux;
use kernel_model::abi::IntRegisters;
use kernel_model::machine::{
    Demand, Detail, Machine, OnDeath, Pid, Program, RegSet, Report, Signal, Status, Task, Verdict, Wait,
};
use zerocopy::{FromZeros, IntoBytes};

/// The guest program, compiled once per test process with the linker's C compiler.
pub(crate) fn guest() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/guest.c");
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("guest-{}", std::process::id()));
        let compile = |kind: &[&str]| {
            let mut command = Command::new("cc");
            command.args(["-O1", "-w", "-fno-stack-protector", "-fcf-protection=none"]).args(kind);
            command.args(["-o", path.to_str().unwrap(), source, "-pthread"]).status().unwrap().success()
        };
        assert!(compile(&["-static", "-no-pie"]) || compile(&["-no-pie"]), "no C compiler");
        path.into_os_string().into_string().unwrap()
    })
}

/// A guest that runs on its own; the test is its real parent.
pub(crate) struct Free {
    pub(crate) child: Child,
}

impl Free {
    pub(crate) fn start(args: &[&str]) -> Free {
        let mut command = Command::new(guest());
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        Free { child: command.spawn().unwrap() }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// Lets a guest that was started with "go" begin.
    pub(crate) fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"g").unwrap();
    }

    /// Reads one line that the guest printed, as it is printed.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.child.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// All that the guest prints, and how it ends: −1 by a signal, −2 if it was traced to its end by this process,
    /// which is its parent, too: then the report has had the status.
    pub(crate) fn finish(mut self) -> (String, i32) {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.child.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
        (text, self.child.wait().map_or(-2, |status| status.code().unwrap_or(-1)))
    }
}

/// What a guest prints when nobody looks.
pub(crate) fn untraced(args: &[&str]) -> (String, i32) {
    let mut args = args.to_vec();
    args.insert(0, "go");
    let mut free = Free::start(&args);
    free.go();
    free.finish()
}

pub(crate) const CALLS: Demand = Demand::CALL_ENTRY.union(Demand::CALL_EXIT);

/// A machine, with a few words to say less.
pub(crate) struct Tracer {
    pub(crate) machine: Linux,
}

impl Tracer {
    pub(crate) fn new() -> Tracer {
        Tracer { machine: Linux::new() }
    }

    /// Attaches to a guest that waits for "go", and stops it there.
    pub(crate) fn hold(&mut self, free: &Free, demand: Demand) -> Task {
        let task = self.machine.attach(free.pid(), OnDeath::Leave).unwrap();
        self.machine.demand(task, demand).unwrap();
        self.machine.interrupt(task).unwrap();
        loop {
            let (who, report) = self.next();
            assert_eq!(who, task);
            if report == Report::Interrupt {
                return task;
            }
            self.go(task);
        }
    }

    pub(crate) fn spawn(&mut self, args: &[&str]) -> Task {
        let mut program = Program::new(guest());
        for arg in args {
            program = program.arg(*arg);
        }
        self.machine.spawn(&program).unwrap()
    }

    /// The next report; there must be one.
    pub(crate) fn next(&mut self) -> (Task, Report) {
        self.machine.next_stop(Wait::Block).unwrap().expect("a report")
    }

    pub(crate) fn demand(&mut self, task: Task, demand: Demand) {
        self.machine.demand(task, demand).unwrap();
    }

    pub(crate) fn go(&mut self, task: Task) {
        self.machine.resume(task, Verdict::Proceed).unwrap();
    }

    pub(crate) fn skip(&mut self, task: Task) {
        self.machine.resume(task, Verdict::Skip).unwrap();
    }

    pub(crate) fn call(&mut self, task: Task) -> (u64, u64, u64) {
        match self.machine.detail(task).unwrap() {
            Detail::Call { number, id, abi } => (number, id, abi),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn regs(&mut self, task: Task) -> IntRegisters {
        let mut regs = IntRegisters::new_zeroed();
        self.machine.read_regs(task, RegSet::Int, regs.as_mut_bytes()).unwrap();
        regs
    }

    pub(crate) fn set_regs(&mut self, task: Task, regs: &IntRegisters) {
        self.machine.write_regs(task, RegSet::Int, regs.as_bytes()).unwrap();
    }

    /// Goes on, through all else, until this report of this task.
    pub(crate) fn until(
        &mut self,
        task: Task,
        mut wanted: impl FnMut(&mut Tracer, Report) -> bool,
    ) -> Report {
        loop {
            let (who, report) = self.next();
            if who == task && wanted(self, report) {
                return report;
            }
            assert!(!(who == task && matches!(report, Report::Gone { .. })), "ended before");
            self.pass(who, report);
        }
    }

    /// Goes on to the entry of this call; the task is stopped, with calls demanded.
    pub(crate) fn until_entry(&mut self, task: Task, number: i64) {
        self.until(task, |tracer, report| {
            report == Report::CallEntry && tracer.call(task).0 == number as u64
        });
    }

    /// Resumes from any report, following children with their parent's demand.
    pub(crate) fn pass(&mut self, task: Task, report: Report) {
        match report {
            Report::Gone { .. } => {}
            Report::Born { child, .. } => {
                self.demand(child, CALLS | Demand::BORN);
                let _ = self.machine.resume(child, Verdict::Proceed);
                self.go(task);
            }
            _ => self.go(task),
        }
    }

    /// Lets everything go on until this task is gone; how it ended.
    pub(crate) fn finish(&mut self, task: Task) -> Option<Status> {
        loop {
            match self.next() {
                (who, Report::Gone { status }) if who == task => return status,
                (who, report) => self.pass(who, report),
            }
        }
    }

    pub(crate) fn signal(&mut self, pid: Pid, signal: Signal) {
        self.machine.signal(pid, signal).unwrap();
    }
}
