//! The simulator, seen from the level of `Machine`: one file per subject, and here what they share.

mod access;
mod asm;
mod calls;
mod determinism;
mod encodings;
mod family;
mod int3;
mod jobs;
mod owner;
mod quirks;
mod rfc;
mod signals;
mod steps;

use kernel_model::abi::{IntRegisters, Pid, Status};
use kernel_model::machine::{Demand, Detail, Error, Machine, Program, RegSet, Report, Task, Verdict, Wait};
use kernel_model::sim::{Sim, SimConfig, call};
use zerocopy::{FromBytes, IntoBytes};

/// Calls, signals, traps, children and images: everything but single steps and interrupts.
const ALL: Demand = Demand::all().difference(Demand::STEP);
const CALLS: Demand = Demand::CALL_ENTRY.union(Demand::CALL_EXIT);

fn config() -> SimConfig {
    SimConfig { log: 10_000, ..SimConfig::default() }
}

/// A simulator with the programs of `text`, the first of them spawned and held.
fn spawn_with(config: SimConfig, text: &str) -> (Sim, Task) {
    let mut sim = Sim::new(config);
    let names = sim.load(text).expect("the test's program is correct");
    let task = sim.spawn(&Program::new(names[0].as_str())).expect("it was just loaded");
    (sim, task)
}

fn spawn(text: &str) -> (Sim, Task) {
    spawn_with(config(), text)
}

/// Runs to the end without a look; the output and the status.
fn run(text: &str) -> (String, Status) {
    let (mut sim, task) = spawn(text);
    sim.resume(task, Verdict::Proceed).unwrap();
    let stop = next(&mut sim);
    let (_, Report::Gone { status: Some(status) }) = stop else { panic!("{stop:?}, {:#?}", log(&sim)) };
    (String::from_utf8(sim.output(1).to_vec()).unwrap(), status)
}

/// The exit code of a program that is run without a look.
fn code(text: &str) -> u8 {
    let status = run(text).1;
    status.code().unwrap_or_else(|| panic!("ended by {:?}", status.signal()))
}

fn log(sim: &Sim) -> Vec<String> {
    sim.log().map(str::to_owned).collect()
}

fn next(sim: &mut Sim) -> (Task, Report) {
    match sim.next_stop(Wait::Block).unwrap() {
        Some(stop) => stop,
        None => panic!("nothing happens any more: {:#?}", log(sim)),
    }
}

/// Nothing can happen any more without another request.
fn assert_idle(sim: &mut Sim) {
    assert_eq!(sim.next_stop(Wait::Block), Err(Error::Idle));
}

fn go(sim: &mut Sim, task: Task, demand: Demand, verdict: Verdict) -> Report {
    sim.demand(task, demand).unwrap();
    sim.resume(task, verdict).unwrap();
    let (stopped, report) = next(sim);
    assert_eq!(stopped, task, "{report:?}");
    report
}

/// Lets it go on, and expects a stop of the same task.
fn to(sim: &mut Sim, task: Task, demand: Demand) -> Report {
    go(sim, task, demand, Verdict::Proceed)
}

fn regs(sim: &mut Sim, task: Task) -> IntRegisters {
    let mut bytes = [0; 168];
    sim.read_regs(task, RegSet::Int, &mut bytes).unwrap();
    IntRegisters::read_from_bytes(&bytes).unwrap()
}

fn set_regs(sim: &mut Sim, task: Task, change: impl FnOnce(&mut IntRegisters)) {
    let mut int = regs(sim, task);
    change(&mut int);
    sim.write_regs(task, RegSet::Int, int.as_bytes()).unwrap();
}

fn peek(sim: &mut Sim, task: Task, address: u64) -> u64 {
    let pid = sim.pid(task).unwrap();
    let start = sim.facts(pid).unwrap().start;
    let mut word = [0; 8];
    sim.read_mem(pid, start, address, &mut word).unwrap();
    u64::from_le_bytes(word)
}

/// A stop in words: `entry kill 1`, `exit kill 1 = 0`, `signal SIGUSR1 handled`, …
fn describe(sim: &mut Sim, task: Task, report: Report) -> String {
    let name = |number| call(number).map_or("?", |call| call.name);
    match (report, sim.detail(task)) {
        (Report::CallEntry, Ok(Detail::Call { number, id, .. })) => format!("entry {} {id}", name(number)),
        (Report::CallExit, Ok(Detail::Call { number, id, .. })) => {
            format!("exit {} {id} = {}", name(number), regs(sim, task).rax as i64)
        }
        (Report::Signal, Ok(Detail::Signal { signal, handler })) => {
            let how = ["default", "ignored"].get(handler as usize).unwrap_or(&"handled");
            format!("signal {signal} {how}")
        }
        (Report::GroupStop { signal }, _) => format!("group-stop {signal}"),
        (Report::Gone { status: Some(Status(status)) }, _) => format!("gone {status:#x}"),
        (Report::Exiting { status: Status(status) }, _) => format!("exiting {status:#x}"),
        (Report::Born { pid: Pid(pid), .. }, _) => format!("born {pid}"),
        (Report::Image { .. }, _) => "image".into(),
        (report, _) => format!("{report:?}").to_lowercase(),
    }
}

/// Everything one task does under `demand`, to its end; children are let go unseen.
fn story_of(mut sim: Sim, task: Task, demand: Demand) -> Vec<String> {
    let mut story = Vec::new();
    sim.demand(task, demand).unwrap();
    sim.resume(task, Verdict::Proceed).unwrap();
    loop {
        let (stopped, report) = next(&mut sim);
        assert_eq!(stopped, task);
        story.push(describe(&mut sim, task, report));
        match report {
            Report::Gone { .. } => return story,
            Report::Born { child, .. } => {
                sim.detach(child, kernel_model::machine::Leave::Free(Verdict::Proceed)).unwrap();
            }
            _ => {}
        }
        sim.demand(task, demand).unwrap();
        sim.resume(task, Verdict::Proceed).unwrap();
    }
}

fn story(text: &str, demand: Demand) -> Vec<String> {
    let (sim, task) = spawn(text);
    story_of(sim, task, demand)
}
