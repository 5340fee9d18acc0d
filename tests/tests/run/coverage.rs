//! Every call that takes a path, on a path that exists only through a mount: the same as natively on a real directory.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::needs::Need;
use conformance::tracer::{own_program, tracefd};
use conformance::unprobed::UNPROBED;
use userland::run::calls::{Rule, Special, rows};

/// Tests of what the table says.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("probe_is_equal", &[Need::Tracefd, Need::I386], equal);
    suite.test("calls_without_paths_are_left_alone", &[Need::Tracefd, Need::I386], free);
    suite.test("refused_calls_say_so", &[Need::Tracefd, Need::I386], refused);
}

fn native(dir: &Path) -> Command {
    let mut command = Command::new(own_program("probe"));
    command.arg(dir);
    command
}

fn through(dir: &Path, point: &str) -> Command {
    let mut command = Command::new(tracefd());
    command.args(["run", "-b", &format!("{point}=dir:{}", dir.display()), "--"]);
    command.args([&own_program("probe"), point]);
    command
}

/// A mount point that is not on the host, as long as the path of `real`: results are lengths, too.
fn point_like(real: &Path) -> String {
    let path = real.to_str().expect("UTF-8");
    let point = |last: char| format!("{}{last}", &path[..path.len() - 1]);
    ('a'..='z').map(point).find(|point| !Path::new(point).exists()).expect("one of 26")
}

fn lines(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    format!("{text}{}\n{:?}\n", String::from_utf8_lossy(&output.stderr), output.status)
}

fn equal() -> Outcome {
    let (real, mounted) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let expected = lines(&native(real.path()).output()?);
    let found = lines(&through(mounted.path(), &point_like(real.path())).output()?);
    same("what calls answer", &expected, &found)?;
    ensure(found.lines().count() >= 160, || format!("only {} lines", found.lines().count()))?;
    let translated = |rule: &Rule| match rule {
        Rule::Paths(_) => true,
        Rule::Special(special) => *special != Special::Ptrace,
        Rule::NoPath | Rule::Refused(..) => false,
    };
    each_row_said("natively", &expected, translated)?;
    each_row_said("in a mount", &found, translated)
}

/// A row counts when its call was made, here and now: the probe's line comes after it.
fn each_row_said(place: &str, said: &str, counts: impl Fn(&Rule) -> bool) -> Outcome {
    let probed: BTreeSet<(usize, &str)> = said.lines().filter_map(probed).collect();
    let rows = rows().filter(|(_, _, _, rule)| counts(rule)).map(|(abi, _, name, _)| (abi, name));
    let missing: Vec<_> = rows.filter(|row| !probed.contains(row)).collect();
    ensure(missing.is_empty(), || format!("{place}, no probe of {missing:?} was executed"))
}

/// Those that take no path are left alone: what they say is what they say without `run`.
fn free() -> Outcome {
    let dir = tempfile::tempdir()?;
    let expected = lines(&native(dir.path()).arg("free").output()?);
    let found = lines(&through(dir.path(), &point_like(dir.path())).arg("free").output()?);
    same("what calls without paths answer", &expected, &found)?;
    ensure(expected.ends_with("ExitStatus(unix_wait_status(0))\n"), || expected.clone())?;
    let unprobed = UNPROBED.iter().map(|(name, _)| format!("0 {name}: \n1 {name}: \n"));
    let all = found + &unprobed.collect::<String>();
    each_row_said("in a mount", &all, |rule| *rule == Rule::NoPath)
}

/// ABI and call of a line.
fn probed(line: &str) -> Option<(usize, &str)> {
    let (abi, rest) = line.split_once(' ')?;
    let name = rest.split([' ', ':', '-']).next()?;
    Some((abi.parse().ok()?, name))
}

fn refused() -> Outcome {
    let dir = tempfile::tempdir()?;
    let output = through(dir.path(), &point_like(dir.path())).arg("refused").output()?;
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut expected = String::new();
    for (abi, _, name, rule) in rows() {
        if let Rule::Refused(errno, _) = rule {
            let errno = errno.name().expect("it has a name");
            expected.push_str(&format!("{abi} {name}: {errno}\n"));
        }
    }
    expected.push_str("0 5000: ENOSYS\n1 5000: ENOSYS\n0 1073742081: ENOSYS\n");
    same("what refused calls answer", &expected, &found)
}
