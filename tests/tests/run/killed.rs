//! A tracefd that is killed while its command writes: nobody is left, and what was told to be written is there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;
use conformance::tracer::tracefd;

/// id: "R221"
pub(crate) fn add(suite: &mut Suite) {
    suite.test("R221", &[Need::Tracefd], || {
        let scratch = tempfile::tempdir()?;
        let dir = scratch.path().canonicalize()?;
        let at = |name: &str| dir.join(name);
        for after in [1, 2, 3, 10, 30, 60] {
            for name in ["real", "lower", "upper"] {
                let _ = fs::remove_dir_all(at(name));
                fs::create_dir(at(name))?;
            }
            for name in ["real", "lower"] {
                fs::write(at(name).join("old"), "0\n")?;
            }
            killed(&format!("dir:{}", at("real").display()), &at("real"), after)?;
            let overlay = format!("overlay:{}:{}", at("lower").display(), at("upper").display());
            killed(&overlay, &at("upper"), after)?;
            let below = fs::read_to_string(at("lower/old"))?;
            ensure(below == "0\n", || format!("what is below an overlay was changed: {below}"))?;
        }
        Ok(())
    });
}

/// Appends to a file that was there and to a new one, makes files under other names, and then says that it has.
const WRITES: &str = "cd /tracefd-m; i=0; while :; do i=$((i+1)); echo $i >>old; echo $i >>log; echo $i >new; mv new n$i; echo $i; done";

/// The tool is killed when the command has said so many lines.
fn killed(mount: &str, real: &Path, after: usize) -> Outcome {
    let mut run = Command::new(tracefd())
        .args(["run", "-b", &format!("/tracefd-m={mount}"), "--", "sh", "-c", WRITES])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(run.stdout.take().ok_or("no pipe")?).lines();
    let mut last = 0;
    for line in said.by_ref().take(after) {
        last = line?.parse::<u32>().map_err(|error| error.to_string())?;
    }
    run.kill()?;
    // The pipe ends when nobody is left who could write.
    for line in said {
        last = line?.parse::<u32>().map_err(|error| error.to_string())?;
    }
    run.wait()?;
    ensure(last as usize >= after, || format!("{mount}: only {last} lines"))?;
    let told: String = (1..=last).map(|i| format!("{i}\n")).collect();
    for (name, begin) in [("old", "0\n"), ("log", "")] {
        let text = fs::read_to_string(real.join(name))?;
        ensure(text.starts_with(&format!("{begin}{told}")), || {
            format!("{mount}: {name} after {last}: {text}")
        })?;
    }
    for i in 1..=last {
        let text = fs::read_to_string(real.join(format!("n{i}")))?;
        ensure(text == format!("{i}\n"), || format!("{mount}: n{i} of {last}: {text:?}"))?;
    }
    Ok(())
}
