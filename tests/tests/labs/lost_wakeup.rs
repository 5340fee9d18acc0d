//! Lab 2, and that its schedule is what the starter does.

use conformance::harness::{Outcome, Suite, ensure, same};

use super::fails;

#[path = "../../labs/2-lost-wakeup/checks.rs"]
mod checks;
#[path = "../../labs-solutions/2-lost-wakeup/census.rs"]
mod solution;
#[path = "../../labs/2-lost-wakeup/census.rs"]
mod starter;

const SOLUTION: checks::Work = checks::Work {
    census: solution::census,
    answer: include_str!("../../labs-solutions/2-lost-wakeup/answer.txt"),
};
const STARTER: checks::Work =
    checks::Work { census: starter::census, answer: include_str!("../../labs/2-lost-wakeup/answer.txt") };

pub(crate) fn add(suite: &mut Suite) {
    for &(name, check) in checks::CHECKS {
        suite.test(&format!("lost_wakeup::solution::{name}"), &[], move || check(&SOLUTION));
        suite.test(&format!("lost_wakeup::starter_fails::{name}"), &[], move || fails(&check(&STARTER)));
    }
    suite.test("lost_wakeup::the_schedule_is_what_the_starter_does", &[], schedule);
}

/// To the letter, and the shortest of those that lose a wake-up: a student must be able to trust it.
fn schedule() -> Outcome {
    let lost =
        (0..400).map(|seed| checks::replay(starter::census, seed)).filter(|(answer, _)| answer.is_err());
    let mut told: Vec<String> = lost.map(|(_, told)| told).collect();
    ensure(told.len() < 400, || "it fails under every schedule: there is nothing to find".into())?;
    told.sort_by_key(|told| told.lines().count());
    let shortest = told.first().ok_or("no schedule loses a wake-up")?;
    same("schedule.txt", shortest, checks::SCHEDULE)
}
