//! Every rule of RFCs 0002, 0005, 0006 and 0011 on every machine, and each one broken on the simulator to see its test fail.
//!
//! `sim::R11` and `linux::R11` must hold, and `recording::R11` on the simulator while it is recorded, then on the recording (RFC 0007); `quirk::R11` must not, and passes by that, as `machine_quirk::R39` does where
//! the simulator itself can be broken; `divergence::R32` must do what RFC 0003 says instead, and the rule must indeed not hold there. After the run, a line for each machine.
//!
//! A rule on Linux runs in a process of its own, which is a process group: nothing it starts outlives it, and one that
//! hangs is a failure.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use conformance::rules::stage::{
    Broken, MACHINE_QUIRKS, Run, cannot_reuse_pids, on_linux, on_recording, on_sim,
};
use conformance::rules::{ACID, Access, Rule, divergence, rules};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Names the rule that this process is to run on Linux, and how.
const CHILD: &str = "TRACEFD_RULE";
/// Far more than any rule takes.
const LIMIT: Duration = Duration::from_secs(60);

/// The rule whose clients are threads.
const THREADED: &str = "F9";

const POLICIES: [Access; 2] = [Access::SameUser, Access::Descendants];

static ON_SIM: AtomicUsize = AtomicUsize::new(0);
static ON_LINUX: AtomicUsize = AtomicUsize::new(0);
static DIVERGENT: AtomicUsize = AtomicUsize::new(0);

fn all() -> impl Iterator<Item = &'static Rule> {
    rules().chain([&ACID])
}

fn holds_on_sim(rule: &'static Rule) -> Result<(), Failed> {
    for access in POLICIES {
        on_sim(rule.guest, rule.run, access, Broken::Nothing)
            .map_err(|why| format!("under {access:?}: {why}"))?;
    }
    ON_SIM.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn holds_on_recording(rule: &'static Rule) -> Result<(), Failed> {
    for access in POLICIES {
        on_recording(rule.guest, rule.run, access, rule.id == THREADED)
            .map_err(|why| format!("under {access:?}: {why}"))?;
    }
    Ok(())
}

fn fails_when(broken: Broken, rule: &'static Rule) -> Result<(), Failed> {
    match on_sim(rule.guest, rule.run, Access::Descendants, broken) {
        Err(_) => Ok(()),
        Ok(()) => Err("it holds although it is broken: the test cannot fail".into()),
    }
}

/// Runs this program again for one rule on Linux; what it says on stderr if it fails.
fn in_child(task: &str) -> Result<(), Failed> {
    let child = Command::new(std::env::current_exe()?)
        .env(CHILD, task)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = Pid::from_raw(i32::try_from(child.id())?);
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = ended.recv_timeout(LIMIT);
    // Guests that are left keep the pipe open as well.
    let _ = killpg(group, Signal::SIGKILL);
    let output = output.map_err(|_| format!("it did not end in {LIMIT:?}"))??;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

/// The other side of [`in_child`].
fn be_child(task: &str) -> ExitCode {
    let (how, id) = task.split_once(' ').unwrap_or(("", task));
    let Some(rule) = all().find(|rule| rule.id == id) else {
        eprintln!("no rule is named {id}");
        return ExitCode::FAILURE;
    };
    let run: Run = match how {
        "diverge" => divergence::row(id).map_or(rule.run, |row| row.run),
        _ => rule.run,
    };
    for access in POLICIES {
        if let Err(why) = on_linux(rule.guest, run, access) {
            eprintln!("under {access:?}: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn holds_on_linux(rule: &'static Rule) -> Result<(), Failed> {
    in_child(&format!("hold {}", rule.id))?;
    ON_LINUX.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn diverges_on_linux(rule: &'static Rule) -> Result<(), Failed> {
    in_child(&format!("diverge {}", rule.id))?;
    if in_child(&format!("hold {}", rule.id)).is_ok() {
        return Err("the rule holds by now: remove its row here and in RFC 0003".into());
    }
    DIVERGENT.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// The tables of the RFC are the list, in its order.
fn tells_the_rules() -> Result<(), Failed> {
    let rfcs = concat!(env!("CARGO_MANIFEST_DIR"), "/../rfcs");
    let mut text = String::new();
    let documents =
        ["0002-tracing-semantics.md", "0005-syscall-sets.md", "0006-observers.md", "0011-origins.md"];
    for rfc in documents {
        text += &std::fs::read_to_string(format!("{rfcs}/{rfc}"))?;
    }
    let is_id =
        |id: &str| id.len() > 1 && id.starts_with(['R', 'F']) && id[1..].bytes().all(|b| b.is_ascii_digit());
    let mut told = text.lines().filter_map(|line| {
        let (id, sentence) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        is_id(id).then_some((id, sentence))
    });
    for rule in rules() {
        let want = Some((rule.id, rule.sentence));
        let found = told.next();
        if found != want {
            return Err(format!("the list has {want:?}\nthe RFC has  {found:?}").into());
        }
    }
    match told.next() {
        None => Ok(()),
        Some(more) => Err(format!("not in the list: {more:?}").into()),
    }
}

fn main() -> ExitCode {
    if let Ok(task) = std::env::var(CHILD) {
        return be_child(&task);
    }
    let args = Arguments::from_args();
    let skip = cannot_reuse_pids();
    let mut trials = Vec::new();
    for rule in all() {
        let id = rule.id;
        trials.push(Trial::test(format!("sim::{id}"), || holds_on_sim(rule)));
        trials.push(Trial::test(format!("recording::{id}"), || holds_on_recording(rule)));
        trials.push(match divergence::row(id) {
            None => Trial::test(format!("linux::{id}"), || holds_on_linux(rule))
                .with_ignored_flag(id == "F15" && skip.is_some()),
            Some(_) => Trial::test(format!("divergence::{id}"), || diverges_on_linux(rule)),
        });
    }
    for rule in rules() {
        trials.push(Trial::test(format!("quirk::{}", rule.id), || fails_when(Broken::Rule(rule.id), rule)));
        for &(_, quirks) in MACHINE_QUIRKS.iter().filter(|(id, _)| *id == rule.id) {
            let name = format!("machine_quirk::{}", rule.id);
            trials.push(Trial::test(name, move || fails_when(Broken::Machine(quirks), rule)));
        }
    }
    trials.push(Trial::test("rfc::tells_the_rules_word_for_word", tells_the_rules));
    let conclusion = libtest_mimic::run(&args, trials);
    if !args.list {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let rules = all().count();
        if let Some(reason) = skip {
            eprintln!("skipped: linux::F15: {reason}");
        }
        eprintln!("sim: {} of {rules} rules hold", count(&ON_SIM));
        eprintln!(
            "linux: {} of {rules} rules hold, {} diverge as documented",
            count(&ON_LINUX),
            count(&DIVERGENT)
        );
    }
    conclusion.exit_code()
}
