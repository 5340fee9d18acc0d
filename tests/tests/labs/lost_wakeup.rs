//! Lab 2, that its schedule is what the explorer finds, and that its answer is right.

use std::collections::HashSet;

use conformance::harness::{Outcome, Suite, ensure, same};
use kernel_model::explore::schedule::Schedule;
use kernel_model::explore::search::explore;
use kernel_model::explore::{Setup, World};
use kernel_model::scenario::Scenario;

use super::fails;

#[path = "../../labs/2-lost-wakeup/checks.rs"]
mod checks;
#[path = "../../labs-solutions/2-lost-wakeup/census.rs"]
mod solution;
#[path = "../../labs/2-lost-wakeup/census.rs"]
mod starter;

const SOLUTION: checks::Work = checks::Work {
    scenario: include_str!("../../labs-solutions/2-lost-wakeup/census.scenario"),
    census: solution::census,
    answer: include_str!("../../labs-solutions/2-lost-wakeup/answer.txt"),
};
const STARTER: checks::Work = checks::Work {
    scenario: include_str!("../../labs/2-lost-wakeup/census.scenario"),
    census: starter::census,
    answer: include_str!("../../labs/2-lost-wakeup/answer.txt"),
};

/// Repairs that are none, as what the solution's statements become.
const TEMPTING: [(&str, &str, &str); 4] = [
    ("takes_twice", "goto more", "take main none next gone done\n  write main clone\n  goto next"),
    ("leaves_early", "none next", "none done"),
    ("polls", "none next", "none more"),
    ("reads_on", "goto more", "read main\n  goto more"),
];

pub(crate) fn add(suite: &mut Suite) {
    for &(name, check) in checks::CHECKS {
        suite.test(&format!("lost_wakeup::solution::{name}"), &[], move || check(&SOLUTION));
        suite.test(&format!("lost_wakeup::starter_fails::{name}"), &[], move || fails(&check(&STARTER)));
    }
    for (name, from, to) in TEMPTING {
        suite.test(&format!("lost_wakeup::no_repair::{name}"), &[], move || tempting(from, to));
    }
    suite.test("lost_wakeup::the_schedule_is_what_the_explorer_finds", &[], schedule);
    suite.test("lost_wakeup::no_order_ends_well_after_that_move", &[], right_answer);
}

fn tempting(from: &str, to: &str) -> Outcome {
    let scenario = SOLUTION.scenario.replace(from, to);
    ensure(scenario != SOLUTION.scenario, || format!("the solution has no `{from}`"))?;
    let work = checks::Work { scenario: scenario.leak(), ..SOLUTION };
    let (_, check) = checks::CHECKS.iter().find(|(name, _)| name.contains("model")).ok_or("no such check")?;
    fails(&check(&work))
}

/// To the letter: a student must be able to trust it.
fn schedule() -> Outcome {
    let scenario = Scenario::parse(STARTER.scenario)?;
    let setup = Setup::new(scenario.clone(), &[])?;
    let (violation, moves) = explore(&setup, 50_000, |_| true).violation.ok_or("nothing is lost")?;
    let schedule = Schedule::of(&setup, &scenario, &violation, &moves);
    same("lost.schedule", &schedule.to_string(), checks::SCHEDULE)
}

/// Before the move that the check asks for some order ends well, after it none.
fn right_answer() -> Outcome {
    let schedule = Schedule::parse(checks::SCHEDULE)?;
    let setup = Setup::new(schedule.scenario.clone(), &[])?;
    let silent = checks::silent_move(&checks::played()?).ok_or("no wake-up is lost")?;
    let mut world = World::new(&setup);
    for (n, text) in schedule.moves.iter().enumerate() {
        let well = ends_well(&setup, &world);
        ensure(well == (n < silent), || format!("before move {}: an order ends well: {well}", n + 1))?;
        let chosen = world.moves(&setup).into_iter().find(|chosen| world.move_text(&setup, *chosen) == *text);
        let chosen = chosen.ok_or_else(|| format!("`{text}` cannot happen"))?;
        world.make(&setup, chosen, &mut Vec::new()).map_err(|violation| violation.to_string())?;
    }
    Ok(())
}

/// Whether any order leads from here to an end at which nobody waits.
fn ends_well(setup: &Setup, world: &World) -> bool {
    let (mut seen, mut open) = (HashSet::new(), vec![world.clone()]);
    while let Some(world) = open.pop() {
        let moves = world.moves(setup);
        if moves.is_empty() && world.check_end(setup).is_ok() {
            return true;
        }
        for chosen in moves {
            let mut next = world.clone();
            if next.make(setup, chosen, &mut Vec::new()).is_ok() && seen.insert(next.digest()) {
                open.push(next);
            }
        }
    }
    false
}
