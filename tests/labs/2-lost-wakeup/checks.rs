//! What lab 2 asks for: the student can say where the wake-up was lost; the model is right in every order, and the tool under
//! many seeds.

use std::collections::HashSet;

use conformance::harness::{Outcome, ensure, same};
use kernel_model::abi::{Pid, PtraceFlags, Result};
use kernel_model::explore::schedule::{Made, Schedule};
use kernel_model::explore::search::explore;
use kernel_model::explore::{Move, Setup, World};
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::scenario::{Act, Scenario};
use kernel_model::scheme::{Caller, Host, Program};
use kernel_model::sim::{Sim, SimConfig};

/// What is handed in.
pub(crate) struct Work {
    /// The model.
    pub(crate) scenario: &'static str,
    /// The tool.
    pub(crate) census: fn(&dyn Host, &[Pid]) -> Result<Vec<u32>>,
    /// The file.
    pub(crate) answer: &'static str,
}

/// A check with its name.
pub(crate) type Named = (&'static str, fn(&Work) -> Outcome);

/// All of them.
pub(crate) const CHECKS: &[Named] = &[
    ("the_answer_names_the_move_and_the_rule", answer),
    ("the_model_counts_in_every_order", model),
    ("the_tool_counts_under_every_seed", tool),
];

/// What the explorer finds in the model as it is given.
pub(crate) const SCHEDULE: &str = include_str!("lost.schedule");

/// Children of the model's worker.
const BIRTHS: usize = 2;
/// States, far more than such a model has.
const MOST: usize = 50_000;

/// Moves of the schedule.
pub(crate) fn played() -> std::result::Result<Vec<Made>, String> {
    Schedule::parse(SCHEDULE).map_err(|error| error.to_string())?.replay()
}

/// The move, from 1, by which a record is queued behind another one, so that nobody is told.
pub(crate) fn silent_move(made: &[Made]) -> Option<usize> {
    let behind = |line: &String| line.contains(", 2 records unread");
    made.iter().position(|made| made.after.iter().any(behind)).map(|n| n + 1)
}

fn answer(work: &Work) -> Outcome {
    let said = |key: &str| work.answer.lines().find_map(|line| line.strip_prefix(key)).map_or("", str::trim);
    let silent = silent_move(&played()?).ok_or("no wake-up is lost in lost.schedule")?;
    ensure(said("move:").parse() == Ok(silent), || format!("it is not lost by move {:?}", said("move:")))?;
    ensure(said("rule:") == "R59", || format!("{:?} is not the rule that says so", said("rule:")))
}

fn model(work: &Work) -> Outcome {
    let scenario = Scenario::parse(work.scenario)?;
    let given = Schedule::parse(SCHEDULE)?.scenario;
    let rest = |scenario: &Scenario| {
        let mut rest = scenario.clone();
        rest.clients.iter_mut().for_each(|client| client.acts.clear());
        rest.to_string()
    };
    same("what is not the client's statements", &rest(&given), &rest(&scenario))?;
    for act in &scenario.clients[0].acts {
        let may = match act {
            Act::Write { mask, .. } => *mask == PtraceFlags::EVENT_CLONE,
            Act::Spawn { .. } | Act::Open { .. } | Act::Await | Act::Take { .. } => true,
            Act::Goto { .. } | Act::Label { .. } => true,
            _ => false,
        };
        ensure(may, || format!("`{act}`: census.rs does nothing of the kind"))?;
    }
    let setup = Setup::new(scenario.clone(), &[])?.told();
    let found = explore(&setup, MOST, |_| true);
    if let Some((violation, moves)) = found.violation {
        let schedule = Schedule::of(&setup, &scenario, &violation, &moves);
        return Err(format!("{violation}\n{schedule}").into());
    }
    ensure(found.exhausted, || format!("more than {MOST} states"))?;
    count(&setup)
}

/// Every order to its end: what the client was told of, and that it waits where nothing is to be done.
fn count(setup: &Setup) -> Outcome {
    let (mut seen, mut open) = (HashSet::new(), vec![(World::new(setup), 0)]);
    while let Some((world, told)) = open.pop() {
        ensure(!polls(setup, &world), || "the client goes round and round where nothing happens".into())?;
        let moves = world.moves(setup);
        ensure(!moves.is_empty() || told == BIRTHS, || format!("it ends, and was told of {told} births"))?;
        for chosen in moves {
            let (mut next, mut lines) = (world.clone(), Vec::new());
            next.make(setup, chosen, &mut lines).map_err(|violation| violation.to_string())?;
            let takes = |line: &&String| line.contains(": take main") && line.ends_with(": gives clone");
            let told = told + lines.iter().filter(takes).count();
            if seen.insert((next.digest(), told)) {
                open.push((next, told));
            }
        }
    }
    Ok(())
}

/// Whether the client comes back to where it is without anybody else's doing.
fn polls(setup: &Setup, world: &World) -> bool {
    let mut world = world.clone();
    let mut seen = HashSet::from([world.digest()]);
    while world.moves(setup).contains(&Move::Client(0)) {
        if world.make(setup, Move::Client(0), &mut Vec::new()).is_err() {
            return false;
        }
        if !seen.insert(world.digest()) {
            return true;
        }
    }
    false
}

/// Seeds of the simulator that the tool is tried with.
const SEEDS: std::ops::Range<u64> = 0..400;

/// Two workers, with two and with three children that end at once.
const GUEST: &str = "
program main
    sys fork
    test rax, rax
    je child
    sys fork
    test rax, rax
    je child
    sys exit, 0
child:
    sys exit, 1
program other
    sys fork
    test rax, rax
    je child
    sys fork
    test rax, rax
    je child
    sys fork
    test rax, rax
    je child
    sys exit, 0
child:
    sys exit, 1
";
const RIGHT: [u32; 2] = [2, 3];

fn tool(work: &Work) -> Outcome {
    for seed in SEEDS {
        let mut sim = Sim::new(SimConfig { seed, log: 10_000, ..SimConfig::default() });
        sim.load(GUEST).map_err(|error| error.to_string())?;
        let me = Caller { pid: sim.owner(), uid: 1000, gid: 1000 };
        let local = Local::new(Kernel::new(sim, Policy::SameUser));
        let client = local.client(me);
        let spawn = |name| client.spawn(&Program::new(name)).map_err(|errno| format!("{errno:?}"));
        let workers = [spawn("main")?, spawn("other")?];
        let answer = (work.census)(&client, &workers);
        ensure(answer == Ok(RIGHT.into()), || {
            let log = local.with_machine(|sim| sim.log().collect::<Vec<_>>().join("\n"));
            format!("seed {seed}: {answer:?}, not {RIGHT:?}; what the tasks did:\n{log}")
        })?;
    }
    Ok(())
}
