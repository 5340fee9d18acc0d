//! Every kept input of every fuzz target, and seeded mutations of them. `TRACEFD_FUZZ="SEED CASES"` makes a longer run.
//!
//! A failing input is written below cargo's directory for tests; once the bug is fixed it belongs into
//! `tests/fuzz/corpus/`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use conformance::fuzz::mutate::mutate;
use conformance::fuzz::{TARGETS, Target};
use conformance::harness::{Outcome, Suite, ensure};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
const SEED: u64 = 20_261_121;
/// So that all targets together take a few seconds without optimisation.
const CASES: usize = 1000;

fn effort() -> (u64, usize) {
    let words = std::env::var("TRACEFD_FUZZ").unwrap_or_default();
    let mut words = words.split_whitespace();
    let seed = words.next().and_then(|word| word.parse().ok()).unwrap_or(SEED);
    (seed, words.next().and_then(|word| word.parse().ok()).unwrap_or(CASES))
}

fn kept(target: &Target) -> Result<Vec<(PathBuf, Vec<u8>)>, std::io::Error> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(Path::new(CORPUS).join(target.name))? {
        files.push(entry?.path());
    }
    files.sort();
    files.into_iter().map(|file| fs::read(&file).map(|input| (file, input))).collect()
}

/// What the panic says, or nothing.
fn failure(target: &Target, input: &[u8]) -> Option<String> {
    let caught = catch_unwind(AssertUnwindSafe(|| (target.run)(input))).err()?;
    let text = caught.downcast_ref::<String>().cloned();
    Some(text.or_else(|| caught.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

fn try_all(target: &'static Target) -> Outcome {
    let kept = kept(target)?;
    ensure(!kept.is_empty(), || format!("nothing is kept in {CORPUS}/{}", target.name))?;
    for (file, input) in &kept {
        if let Some(why) = failure(target, input) {
            return Err(format!("{}: {why}", file.display()).into());
        }
    }
    let (seed, cases) = effort();
    let mut rng = fastrand::Rng::with_seed(seed);
    let inputs: Vec<Vec<u8>> = kept.into_iter().map(|(_, input)| input).collect();
    let cases = cases.div_ceil(target.cost);
    for case in 0..cases {
        let input = mutate(&mut rng, &inputs, target.words);
        if let Some(why) = failure(target, &input) {
            let file =
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}-{seed}-{case}", target.name));
            fs::write(&file, &input)?;
            return Err(format!("case {case} of seed {seed}, kept as {}: {why}", file.display()).into());
        }
    }
    eprintln!("fuzz: {}: {} kept inputs, {cases} mutations", target.name, inputs.len());
    Ok(())
}

/// cargo-fuzz has a target for each function, and each has a corpus: otherwise one of them is never run.
fn both_engines_have_all() -> Outcome {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml"))?;
    let mut bins: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    bins.sort_unstable();
    targets.sort_unstable();
    ensure(bins == targets, || format!("cargo-fuzz has {bins:?}, the library {targets:?}"))?;
    let mut corpora: Vec<String> = Vec::new();
    for entry in fs::read_dir(CORPUS)? {
        corpora.push(entry?.file_name().to_string_lossy().into_owned());
    }
    corpora.sort_unstable();
    ensure(corpora == targets, || format!("inputs are kept for {corpora:?}"))
}

fn main() -> ExitCode {
    let mut suite = Suite::new("fuzz");
    for target in TARGETS {
        suite.test(target.name, &[], || try_all(target));
    }
    suite.test("both_engines_have_all", &[], both_engines_have_all);
    suite.run()
}
