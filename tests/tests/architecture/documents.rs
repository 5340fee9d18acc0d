//! README and RFCs say what the code does: rule ids, examples, commands.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use conformance::harness::{Outcome, Suite, ensure};
use conformance::scratch::commands as console;
use conformance::tracer;

use super::source::{Source, files, root};

/// One test per claim.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("rules_of_the_rfc_are_rules_of_the_list", &[], rules);
    suite.test("examples_are_compiled", &[], examples);
    suite.test("readme_shows_the_minimal_tool", &[], tool_of_readme);
    suite.test("commands_of_readme_and_rfcs_run", &[], commands);
    suite.test("readme_shows_the_pictures_that_its_commands_make", &[], pictures);
    suite.test("ci_runs_readme_tests", &[], ci);
}

/// `R12` or `F3`.
fn is_rule(word: &str) -> bool {
    let digits = word.strip_prefix(['R', 'F']).unwrap_or("");
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Ids in the first column of tables.
fn ids_of_tables(rfcs: &[Source]) -> BTreeSet<String> {
    let rows = rfcs.iter().flat_map(|rfc| rfc.text.lines()).filter(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(1).map(str::trim))
        .filter(|id| is_rule(id))
        .map(str::to_owned)
        .collect()
}

/// Ids of the list: `id: "R12"`.
fn ids_of_list(sources: &[Source]) -> BTreeSet<String> {
    let ids = sources.iter().flat_map(|source| source.text.split("id: \"").skip(1));
    ids.filter_map(|rest| rest.split('"').next()).filter(|id| is_rule(id)).map(str::to_owned).collect()
}

fn rules() -> Outcome {
    let mut lists = files("tests/src/rules", ".rs");
    // Rules of a machine, or of a tool, that are not for every machine.
    lists.extend(files("tests/tests/replay", ".rs"));
    lists.extend(files("tests/tests/run", ".rs"));
    let (told, tested) = (ids_of_tables(&files("rfcs", ".md")), ids_of_list(&lists));
    ensure(told.len() >= 60, || format!("the RFCs' tables have {} rules", told.len()))?;
    let untested: Vec<_> = told.difference(&tested).collect();
    let untold: Vec<_> = tested.difference(&told).collect();
    ensure(untested.is_empty() && untold.is_empty(), || {
        format!("untested: {untested:?}; in no table: {untold:?}")
    })
}

/// Documents with Rust blocks must be among the doc tests of this package (src/documents.rs).
fn examples() -> Outcome {
    let included = &files("tests/src", "documents.rs")[0].text;
    let documents = files("rfcs", ".md").into_iter().chain(files("", "README.md"));
    let missing: Vec<String> = documents
        .filter(|document| document.text.lines().any(|line| line.trim_end() == "```rust"))
        .map(|document| document.path)
        .filter(|path| !included.contains(&format!("../../{path}\"")))
        .collect();
    ensure(missing.is_empty(), || format!("not among the doc tests: {missing:?}"))
}

/// The tool that README shows is the one that is built.
fn tool_of_readme() -> Outcome {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let tool = std::fs::read_to_string(root().join("userland/examples/minimal.rs"))?;
    ensure(readme.contains(&format!("```rust\n{tool}```")), || "README shows another minimal.rs".into())?;
    ensure(tool.lines().count() <= 60, || "minimal.rs is over 60 lines".into())
}

fn readme_commands() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    console(&readme).into_iter().map(str::to_owned).collect()
}

/// Runs by its own test: what it does to a tree is done to a copy.
const GUIDE: &str = "rfcs/HOWTO-change.md";

/// cargo has built tracefd already, and these are its tests: what is left is to run the rest of the line.
fn commands() -> Outcome {
    let documents = files("rfcs", ".md").into_iter().filter(|document| document.path != GUIDE);
    for document in
        documents.chain(files("", "README.md").into_iter().filter(|file| file.path == "README.md"))
    {
        let blocks = document.text.matches("```console\n").count();
        let lines = console(&document.text);
        ensure(lines.len() >= blocks, || {
            format!("{}: a console block has no command: one begins with `$ `", document.path)
        })?;
        for line in lines.into_iter().filter(|line| !line.starts_with("cargo test")) {
            run(line).map_err(|why| format!("{}: {line}: {}", document.path, why.message().unwrap_or("")))?;
        }
    }
    Ok(())
}

/// As it stands, but with the programs that are built already.
fn run(line: &str) -> Outcome {
    let tracefd = tracer::tracefd().display().to_string();
    let run = match line.strip_prefix("tracefd ") {
        Some(rest) => format!("{tracefd} {rest}"),
        None => line.replace("cargo run --release --", &tracefd).replace(" --release", ""),
    };
    let output = Command::new("sh").arg("-c").arg(&run).current_dir(root()).stdin(Stdio::null()).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure(output.status.success(), || format!("{}: {words}", output.status))
}

/// A ```mermaid block is what the command before it prints on standard error.
/// Lines of a Chrome trace without times, which are this run's.
fn timeless(text: &str) -> Vec<String> {
    let plain = |line: &str| {
        let fields = line.split(',').map(|field| match field.split_once(':') {
            Some((name @ ("\"ts\"" | "\"dur\""), _)) => name,
            _ => field,
        });
        fields.collect::<Vec<_>>().join(",")
    };
    text.lines().map(plain).collect()
}

fn pictures() -> Outcome {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let blocks: Vec<&str> = readme.split("```").skip(1).step_by(2).collect();
    let mut shown = 0;
    for pair in blocks.windows(2) {
        let Some(command) = pair[0].strip_prefix("console\n$ ") else { continue };
        let (picture, whole) = match (pair[1].strip_prefix("mermaid\n"), pair[1].strip_prefix("json\n")) {
            (Some(picture), _) => (picture, true),
            (_, Some(lines)) => (lines, false),
            _ => continue,
        };
        let run = command.replace("cargo run --release --", &tracer::tracefd().display().to_string());
        let output =
            Command::new("sh").arg("-c").arg(&run).current_dir(root()).stdin(Stdio::null()).output()?;
        let drawn = String::from_utf8_lossy(&output.stderr);
        let (has, wants) = (timeless(&drawn), timeless(picture));
        let same = if whole { drawn == picture } else { wants.iter().all(|line| has.contains(line)) };
        ensure(same, || format!("{command} draws another picture: {drawn}"))?;
        shown += 1;
    }
    ensure(
        shown == readme.matches("```mermaid").count() + readme.matches("```json").count() && shown >= 3,
        || format!("{shown} pictures"),
    )
}

fn ci() -> Outcome {
    let script = std::fs::read_to_string(root().join(".ci/run"))?;
    let commands = readme_commands();
    let tests: Vec<&String> = commands.iter().filter(|line| line.starts_with("cargo test")).collect();
    ensure(!tests.is_empty(), || "README has no test command".into())?;
    for line in tests {
        ensure(script.contains(line.as_str()), || format!(".ci/run does not run: {line}"))?;
    }
    Ok(())
}
