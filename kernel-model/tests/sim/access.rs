//! Who is there, and who may be touched.

use kernel_model::abi::{Errno, Pid, Signal};
use kernel_model::machine::{Error, Leave, Machine, OnDeath, Program, State, Verdict};
use kernel_model::sim::{Newcomer, Sim, SimConfig};

use super::{config, next, spawn_with};

const LOOP: &str = "program loop\nhere: jmp here\nprogram pause\n sys pause";

fn world(uid: u32) -> Sim {
    let mut sim = Sim::new(SimConfig { uid, ..config() });
    sim.load(LOOP).unwrap();
    sim
}

fn newcomer(parent: Pid) -> Newcomer<'static> {
    Newcomer { program: "pause", uid: 7, gid: 8, parent, tracer: None }
}

#[test]
fn facts_tell_who_everyone_is() {
    let mut sim = world(1000);
    let task = sim.spawn(&Program::new("loop")).unwrap();
    let pid = sim.pid(task).unwrap();
    let facts = sim.facts(pid).unwrap();
    assert_eq!((facts.process, facts.parent, facts.uid, facts.gid), (pid, Some(sim.owner()), 1000, 1000));
    assert_eq!(facts.state, State::Traced);
    assert_eq!((sim.threads(pid), sim.exe(pid)), (Ok(vec![pid]), Ok(b"sim:/loop".to_vec())));
    assert_eq!(sim.start(pid), Ok(facts.start));
    assert!(facts.user && facts.tracer.is_none());
    assert_eq!(sim.facts(Pid(1)).unwrap().parent, None);
    assert!(!sim.facts(Pid(2)).unwrap().user);
    assert_eq!(sim.facts(Pid(99)), Err(Error::Gone));
}

#[test]
fn strangers_have_their_own_users_and_parents() {
    let mut sim = world(1000);
    let first = sim.add_process(&newcomer(Pid(1))).unwrap();
    let second = sim.add_process(&newcomer(first)).unwrap();
    let facts = sim.facts(second).unwrap();
    assert_eq!((facts.parent, facts.uid, facts.gid), (Some(first), 7, 8));
    assert_ne!(facts.start, sim.facts(first).unwrap().start);
    assert_eq!(sim.add_process(&newcomer(Pid(99))), Err(Errno::ESRCH));
    assert_eq!(sim.add_process(&Newcomer { program: "none", ..newcomer(first) }), Err(Errno::ENOENT));
    assert_eq!(sim.signal(first, Signal::TERM), Err(Error::Denied));
    assert_eq!(world(0).signal(Pid(2), Signal::TERM), Err(Error::Denied));
}

#[test]
fn attaching_has_its_refusals() {
    let mut sim = world(1000);
    let traced = sim.add_process(&Newcomer { tracer: Some(Pid(1)), ..newcomer(Pid(1)) }).unwrap();
    assert_eq!(sim.attach(traced, OnDeath::Leave), Err(Error::Traced));
    assert_eq!(sim.facts(traced).unwrap().tracer, Some(Pid(1)));
    assert_eq!(sim.attach(Pid(2), OnDeath::Leave), Err(Error::Denied));
    let owner = sim.owner();
    assert_eq!(sim.attach(owner, OnDeath::Leave), Err(Error::Denied));
    assert_eq!(sim.attach(Pid(99), OnDeath::Leave), Err(Error::Gone));
    let stranger = sim.add_process(&newcomer(Pid(1))).unwrap();
    let task = sim.attach(stranger, OnDeath::Leave).unwrap();
    assert_eq!(sim.attach(stranger, OnDeath::Leave), Err(Error::Traced));
    sim.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
    assert_eq!(sim.resume(task, Verdict::Proceed), Err(Error::Gone));
    let again = sim.attach(stranger, OnDeath::Leave).unwrap();
    assert_eq!(again.slot, task.slot);
    assert_ne!(again.generation, task.generation);
}

#[test]
fn a_program_that_is_not_there_cannot_be_spawned() {
    assert_eq!(world(0).spawn(&Program::new("none")), Err(Error::Other(Errno::ENOENT)));
}

#[test]
fn users_matter_to_calls() {
    let eperm = Errno::EPERM.0 as u8;
    let text = "program main\n sys setuid, 5\n mov rbx, 0\n sub rbx, rax\n sys exit, rbx";
    for (uid, expected) in [(0, 0), (5, 0), (6, eperm)] {
        let (mut sim, task) = spawn_with(SimConfig { uid, ..config() }, text);
        sim.resume(task, Verdict::Proceed).unwrap();
        let kernel_model::machine::Report::Gone { status: Some(status) } = next(&mut sim).1 else { panic!() };
        assert_eq!(status.code(), Some(expected), "uid {uid}");
    }
}
