//! Who may name whom: userland -> {backend-linux, kernel-model}; backend-linux -> kernel-model's contract only.

use conformance::harness::{Outcome, Suite, ensure};

use super::source::{Source, files, modules_used, names, self_check};

/// One test per arrow.
pub(crate) fn add(suite: &mut Suite) {
    suite.test("the_reader_of_source_works", &[], || Ok(self_check()?));
    suite.test("kernel_model_names_no_system", &[], kernel_model);
    suite.test("backend_linux_uses_the_contract_only", &[], backend_linux);
    suite.test("userland_names_machines_in_one_file", &[], userland);
    suite.test("tools_use_the_contract_only", &[], tools);
}

/// What of kernel-model stands behind the contract.
const BEHIND: [&str; 7] = ["core", "front", "kernel", "sim", "local", "shared", "client"];
/// The one file that makes machines and kernels.
const MACHINES: &str = "userland/src/machines.rs";

/// Every name in `sources` for which `forbidden` holds, with its file.
fn offenders<'s>(
    sources: impl IntoIterator<Item = &'s Source>,
    found: impl Fn(&str) -> Vec<String>,
    forbidden: impl Fn(&str) -> bool,
) -> Vec<String> {
    let in_source = |source: &Source| {
        let names = found(&source.code()).into_iter().filter(|name| forbidden(name));
        names.map(|name| format!("{}: {name}", source.path)).collect::<Vec<_>>()
    };
    sources.into_iter().flat_map(in_source).collect()
}

fn none(what: &str, offenders: &[String]) -> Outcome {
    ensure(offenders.is_empty(), || format!("{what}:\n{}", offenders.join("\n")))
}

/// Packages that the manifest depends on, for whatever purpose.
fn dependencies(manifest: &str) -> Vec<String> {
    let manifest = files(manifest, "Cargo.toml").remove(0).text;
    let mut in_table = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_table = line.contains("dependencies");
        } else if in_table && !line.starts_with('#') {
            found.extend(
                line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()).map(str::to_owned),
            );
        }
    }
    found
}

fn kernel_model() -> Outcome {
    let sources = files("kernel-model/src", ".rs");
    ensure(sources.len() > 20, || "too few files seen".into())?;
    let words = |code: &str| names(code).map(str::to_owned).collect();
    let system = |name: &str| ["libc", "nix", "rustix", "linux", "unix", "target_os"].contains(&name);
    none("kernel-model names a system", &offenders(&sources, words, system))?;
    let depends = dependencies("kernel-model");
    ensure(depends.iter().any(|name| name == "slab"), || format!("unreadable manifest: {depends:?}"))?;
    let system: Vec<String> =
        depends.into_iter().filter(|name| system(name) || name == "backend-linux").collect();
    none("kernel-model depends on a system", &system)
}

fn backend_linux() -> Outcome {
    let modules = |code: &str| modules_used(code, "kernel_model");
    let sources = files("backend-linux/src", ".rs");
    ensure(sources.iter().any(|source| !modules(&source.code()).is_empty()), || {
        "no use of kernel_model seen".into()
    })?;
    none(
        "backend-linux reaches behind the contract",
        &offenders(&sources, modules, |name| BEHIND.contains(&name)),
    )?;
    let depends = dependencies("backend-linux");
    none(
        "backend-linux depends on",
        &depends.into_iter().filter(|name| name == "userland").collect::<Vec<_>>(),
    )
}

fn userland() -> Outcome {
    let naming = |source: &&Source| {
        let code = source.code();
        names(&code).any(|name| name == "backend_linux")
            || modules_used(&code, "kernel_model").iter().any(|module| module == "sim")
    };
    let sources = files("userland/src", ".rs");
    let found: Vec<&str> = sources.iter().filter(naming).map(|source| source.path.as_str()).collect();
    ensure(found == [MACHINES], || format!("machines are named in {found:?}, not in {MACHINES} alone"))
}

fn tools() -> Outcome {
    let modules = |code: &str| modules_used(code, "kernel_model");
    let sources = files("userland/src", ".rs");
    let tools = sources.iter().filter(|source| source.path != MACHINES);
    let behind = |name: &str| name != "client" && (BEHIND.contains(&name) || name == "machine");
    none("a tool reaches behind files", &offenders(tools, modules, behind))
}
