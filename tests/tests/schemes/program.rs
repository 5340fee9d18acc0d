//! `cmd:`: the example in Python behind a mount; programs that die, lie, or never end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;
use kernel_model::abi::{Errno, OpenFlags};
use kernel_model::scheme::Scheme;
use userland::run::backing::Intent;
use userland::schemes::cmd::Cmd;
use userland::schemes::shadow::{Silent, Watch};
use userland::schemes::spec::Spec;
use userland::schemes::table::table;

/// Adds the tests.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("page_for_authors_shows_the_examples", &[], page);
    suite.test("rules_of_the_rfc_name_tests_that_exist", &[], rules);
    suite.test("cmd_example_in_python", &[Need::Program("python3")], example);
    suite.test("cmd_that_fails_is_eio_for_everybody", &[], failing);
    suite.test("cmd_that_does_not_end_is_ended", &[], endless);
}

fn userland(file: &str) -> std::io::Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../userland").join(file).canonicalize()
}

/// The scheme that the page shows is a doc test; it is also the example that can be run.
fn page() -> Outcome {
    let page = fs::read_to_string(userland("src/schemes/README.md")?)?;
    let rust = fs::read_to_string(userland("examples/scheme.rs")?)?;
    ensure(page.contains(&format!("```rust\n{rust}```")), || "the page shows another scheme.rs".into())?;
    for (file, text) in
        [("scheme.rs", rust), ("scheme.py", fs::read_to_string(userland("examples/scheme.py")?)?)]
    {
        ensure(text.lines().count() <= 60, || format!("{file} is longer than 60 lines"))?;
    }
    Ok(())
}

/// The last column of section 5 of RFC 0010; a name that ends in an ellipsis is the beginning of several.
fn rules() -> Outcome {
    let rfc = fs::read_to_string(userland("../rfcs/0010-schemes-as-paths.md")?)?;
    let mut sources = String::new();
    let mut left = vec![userland("src/schemes")?, userland("../tests/tests/schemes")?];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?,
            );
        } else {
            sources += &fs::read_to_string(path)?;
        }
    }
    let rows = rfc.split("## 6").next().unwrap_or("").lines().filter(|line| line.starts_with("| M"));
    let names: Vec<&str> =
        rows.flat_map(|row| row.rsplit(" | ").next().unwrap_or("").split('`').skip(1).step_by(2)).collect();
    ensure(names.len() > 15, || format!("only {names:?}"))?;
    for name in names {
        let begin = name.split('…').next().unwrap_or(name);
        let exists = [format!("fn {begin}"), format!("\"{begin}")].iter().any(|text| sources.contains(text));
        ensure(exists, || format!("no such test: {name}"))?;
    }
    Ok(())
}

fn example() -> Outcome {
    let script = userland("examples/scheme.py")?;
    let watch: Arc<dyn Watch> = Arc::new(Silent);
    let spec = Spec::parse(&format!("/planets=cmd:python3 '{}'", script.display()))?;
    let mounted = table(&[spec], &watch)?.remove(0);
    let at = |below: &str, intent| mounted.backing.locate(Path::new(below), intent);
    let names = |dir: PathBuf| -> std::io::Result<Vec<_>> {
        let mut names =
            fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    ensure(names(at("", Intent::List)?)? == ["inner", "now", "outer"], || "wrong names in the root".into())?;
    ensure(names(at("inner", Intent::List)?)? == ["mars", "venus"], || "wrong names in inner".into())?;
    let mars = at("inner/mars", Intent::Look)?;
    ensure(fs::metadata(&mars)?.len() == 8, || "fstat is not what stat says".into())?;
    ensure(fs::read_to_string(at("inner/mars", Intent::Read)?)? == "6779 km\n", || "another content".into())?;
    ensure(fs::read_link(at("outer", Intent::Look)?)? == Path::new("inner"), || "another target".into())?;
    ensure(at("inner/pluto", Intent::Look) == Err(Errno::ENOENT), || "there is a pluto".into())?;
    ensure(at("inner/mars", Intent::Change) == Err(Errno::EROFS), || "it can be changed".into())
}

fn failing() -> Outcome {
    for command in [
        "true",
        "no-such-program-anywhere 2>/dev/null",
        "read x; echo nonsense",
        "read x; echo '{\"id\":77,\"ok\":1}'",
    ] {
        let cmd = Cmd::start(command)?;
        for _ in 0..2 {
            let answer = cmd.open("cmd:x", OpenFlags::O_RDONLY);
            ensure(answer == Err(Errno::EIO), || format!("{command}: {answer:?}"))?;
        }
    }
    let liar = Cmd::start("read x; echo '{\"id\":1,\"data\":4}'; printf four; cat >/dev/null")?;
    let answer = liar.read(kernel_model::scheme::Fd(0), &mut [0; 2]);
    ensure(answer == Err(Errno::EPROTO), || format!("more than was asked for: {answer:?}"))
}

/// Neither a program that ignores the end of its stdin nor what it has started is left behind: the pipe that both hold open
/// comes to its end.
fn endless() -> Outcome {
    let dir = tempfile::tempdir()?;
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU)?;
    let begin =
        format!("exec 9>'{}'; sleep 300 & read x; echo '{{\"id\":1,\"ok\":5}}'; wait", pipe.display());
    let cmd = Cmd::start(&begin)?;
    let mut pipe = fs::File::open(pipe)?;
    let answer = cmd.open("cmd:", OpenFlags::O_RDONLY);
    ensure(answer == Ok(kernel_model::scheme::Fd(5)), || format!("{answer:?}"))?;
    drop(cmd);
    let began = std::time::Instant::now();
    std::io::copy(&mut pipe, &mut std::io::sink())?;
    // Left alone, it would be there for 300 seconds.
    ensure(began.elapsed().as_secs() < 200, || "it was left to end by itself".into())
}
