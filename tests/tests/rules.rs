//! Every rule of RFC 0002 on every machine, and each one broken on the simulator to see its test fail.
//!
//! `sim::R11` and `linux::R11` must hold; `quirk::R11` must not, and says so by passing; `divergence::linux::R32` must do
//! what RFC 0003 says instead, and the rule must indeed not hold there. After the run, a line for each machine.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use conformance::rules::stage::on_sim;
use conformance::rules::{Access, Rule, rules};
use libtest_mimic::{Arguments, Failed, Trial};

static ON_SIM: AtomicUsize = AtomicUsize::new(0);

/// Under both access policies.
fn holds_on_sim(rule: &'static Rule) -> Result<(), Failed> {
    for access in [Access::Descendants, Access::SameUser] {
        on_sim(rule.guest, rule.run, access, None).map_err(|why| format!("under {access:?}: {why}"))?;
    }
    ON_SIM.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn fails_under_quirk(rule: &'static Rule) -> Result<(), Failed> {
    match on_sim(rule.guest, rule.run, Access::Descendants, Some(rule.id)) {
        Err(_) => Ok(()),
        Ok(()) => Err("it holds although it is broken: the test cannot fail".into()),
    }
}

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let mut trials = Vec::new();
    for rule in rules() {
        trials.push(Trial::test(format!("sim::{}", rule.id), || holds_on_sim(rule)));
        trials.push(Trial::test(format!("quirk::{}", rule.id), || fails_under_quirk(rule)));
    }
    let conclusion = libtest_mimic::run(&args, trials);
    if !args.list {
        eprintln!("rules on sim: {} of {}", ON_SIM.load(Ordering::Relaxed), rules().count());
    }
    conclusion.exit_code()
}
