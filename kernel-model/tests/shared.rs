//! The shared form under a scheduler that tries many orders of events (shuttle): no request, no wake-up and no end is lost,
//! whichever thread runs when. A thread that waits for ever is a deadlock, which fails the test and prints the schedule.
//!
//! `cargo test -p kernel-model --features shuttle --test shared`; `SHUTTLE_RUNS` asks for more than 500 schedules each.

use std::sync::Arc;

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceFlags, SigInfo, Signal};
use kernel_model::client::Trace;
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::machine::{
    CallChange, CallName, CallValues, Demand, Detail, Facts, Filter, Leave, Machine, Medium, OnDeath, RegSet,
    Report, Result, Task, Verdict, Wait, Wake, Which,
};
use kernel_model::scheme::{Caller, Host, Program, Scheme};
use kernel_model::shared::{Client, Shared};
use kernel_model::sim::{Sim, SimConfig};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

/// A flag to sleep on.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Sleeps until it is rung; once per ring.
    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !std::mem::take(&mut *rung) {
            rung = self.changed.wait(rung).unwrap();
        }
    }
}

impl Wake for Bell {
    fn wake(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

/// The simulator as a machine that sleeps: where nothing is there to report it waits for a ring, as one does whose tasks sleep.
struct Sleepy {
    sim: Sim,
    bell: Arc<Bell>,
    /// Rung at its end.
    end: Arc<Bell>,
}

impl Drop for Sleepy {
    fn drop(&mut self) {
        self.end.wake();
    }
}

impl Machine for Sleepy {
    fn next_stop(&mut self, wait: Wait) -> Result<Option<(Task, Report)>> {
        let found = self.sim.next_stop(Wait::Poll);
        if wait == Wait::Block && found == Ok(None) {
            self.bell.wait();
        }
        found
    }
    fn waker(&mut self) -> Result<Arc<dyn Wake>> {
        let bell: Arc<dyn Wake> = self.bell.clone();
        Ok(bell)
    }
    fn spawn(&mut self, program: &Program) -> Result<Task> {
        self.sim.spawn(program)
    }
    fn attach(&mut self, pid: Pid, on_owner_death: OnDeath) -> Result<Task> {
        self.sim.attach(pid, on_owner_death)
    }
    fn on_owner_death(&mut self, task: Task, what: OnDeath) -> Result<()> {
        self.sim.on_owner_death(task, what)
    }
    fn pid(&self, task: Task) -> Result<Pid> {
        self.sim.pid(task)
    }
    fn demand(&mut self, task: Task, demand: Demand) -> Result<()> {
        self.sim.demand(task, demand)
    }
    fn filter(&mut self, task: Task, filter: &Filter) -> Result<()> {
        self.sim.filter(task, filter)
    }
    fn calls(&self) -> &[CallName] {
        self.sim.calls()
    }
    fn interrupt(&mut self, task: Task) -> Result<()> {
        self.sim.interrupt(task)
    }
    fn resume(&mut self, task: Task, verdict: Verdict) -> Result<()> {
        self.sim.resume(task, verdict)
    }
    fn detail(&mut self, task: Task) -> Result<Detail> {
        self.sim.detail(task)
    }
    fn call_values(&mut self, task: Task) -> Result<CallValues> {
        self.sim.call_values(task)
    }
    fn set_call(&mut self, task: Task, change: &CallChange) -> Result<()> {
        self.sim.set_call(task, change)
    }
    fn now(&mut self) -> u64 {
        self.sim.now()
    }
    fn reg_size(&self, set: RegSet) -> usize {
        self.sim.reg_size(set)
    }
    fn read_regs(&mut self, task: Task, set: RegSet, buf: &mut [u8]) -> Result<()> {
        self.sim.read_regs(task, set, buf)
    }
    fn write_regs(&mut self, task: Task, set: RegSet, bytes: &[u8]) -> Result<()> {
        self.sim.write_regs(task, set, bytes)
    }
    fn read_mem(&mut self, pid: Pid, start: u64, address: u64, buf: &mut [u8]) -> Result<()> {
        self.sim.read_mem(pid, start, address, buf)
    }
    fn write_mem(&mut self, pid: Pid, start: u64, address: u64, bytes: &[u8]) -> Result<()> {
        self.sim.write_mem(pid, start, address, bytes)
    }
    fn facts(&mut self, pid: Pid) -> Result<Facts> {
        self.sim.facts(pid)
    }
    fn start(&mut self, pid: Pid) -> Result<u64> {
        self.sim.start(pid)
    }
    fn siginfo(&mut self, task: Task) -> Result<Option<SigInfo>> {
        self.sim.siginfo(task)
    }
    fn descriptor(&mut self, pid: Pid, which: Which) -> Result<Option<Vec<u8>>> {
        self.sim.descriptor(pid, which)
    }
    fn descriptor_facts(&mut self, pid: Pid, which: Which) -> Result<Option<Medium>> {
        self.sim.descriptor_facts(pid, which)
    }
    fn threads(&mut self, pid: Pid) -> Result<Vec<Pid>> {
        self.sim.threads(pid)
    }
    fn exe(&mut self, pid: Pid) -> Result<Vec<u8>> {
        self.sim.exe(pid)
    }
    fn signal(&mut self, pid: Pid, signal: Signal) -> Result<()> {
        self.sim.signal(pid, signal)
    }
    fn detach(&mut self, task: Task, leave: Leave) -> Result<()> {
        self.sim.detach(task, leave)
    }
}

/// Goes on by itself until it is killed.
const PROGRAM: &str = "
program main
.text
again:
    sys getpid
    sys pause
    jmp again
";

const ROOT: Caller = Caller { pid: Pid(1), uid: 0, gid: 0 };

/// A kernel on its thread, and what is rung when that has ended.
fn start() -> (Shared<Sleepy>, Arc<Bell>) {
    let end = Arc::new(Bell::default());
    let told = Arc::clone(&end);
    let shared = Shared::start(move || {
        let mut sim = Sim::new(SimConfig::default());
        sim.load(PROGRAM).expect("the program is correct");
        Ok(Kernel::new(Sleepy { sim, bell: Arc::default(), end: told }, Policy::SameUser))
    });
    (shared.unwrap(), end)
}

fn try_orders(body: impl Fn() + Send + Sync + 'static) {
    let runs = std::env::var("SHUTTLE_RUNS").map_or(500, |text| text.parse().expect("a number"));
    shuttle::check_random(body, runs);
}

fn requests(client: &Client<Sleepy>) {
    let fd = client.open("proc:features", OpenFlags::O_RDONLY).unwrap();
    assert!(client.read(fd, &mut [0; 64]).unwrap() > 0);
    client.close(fd).unwrap();
}

/// Requests of two threads of one client and of another client are all answered.
#[test]
fn every_request_is_answered() {
    try_orders(|| {
        let (shared, end) = start();
        let (one, other) = (Arc::new(shared.client(ROOT).unwrap()), shared.client(ROOT).unwrap());
        let again = Arc::clone(&one);
        let threads = [thread::spawn(move || requests(&one)), thread::spawn(move || requests(&other))];
        requests(&again);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop((again, shared));
        end.wait();
    });
}

/// The thread ends with the last value that refers to it, wherever it is then.
#[test]
fn the_end_is_noticed() {
    try_orders(|| {
        let (shared, end) = start();
        drop(shared);
        end.wait();
    });
    try_orders(|| {
        let (shared, end) = start();
        let (one, other) = (shared.client(ROOT).unwrap(), shared.client(ROOT).unwrap());
        let thread = thread::spawn(move || drop(one));
        drop(shared);
        drop(other);
        thread.join().unwrap();
        end.wait();
    });
}

/// A read that waits is ended by what another thread does, whichever comes first.
#[test]
fn a_read_that_waits_is_woken() {
    try_orders(|| {
        let (shared, end) = start();
        let (reads, kills) = (shared.client(ROOT).unwrap(), shared.client(ROOT).unwrap());
        let pid = kills.spawn(&Program::new("main")).unwrap();
        let trace = Trace::open(&reads, pid, OpenFlags::empty()).unwrap();
        trace.resume(PtraceFlags::STOP_PRE_SYSCALL).unwrap();
        let killer = thread::spawn(move || {
            kills.kill(pid, Signal::KILL).unwrap();
            kills.wait(pid, true).unwrap();
        });
        let last = loop {
            match trace.next() {
                Ok(Some(_)) => trace.resume(PtraceFlags::empty()).map_or((), drop),
                Ok(None) => {}
                Err(errno) => break errno,
            }
        };
        assert_eq!(last, Errno::ESRCH);
        killer.join().unwrap();
        drop(trace);
        drop((reads, shared));
        end.wait();
    });
}
