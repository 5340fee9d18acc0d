//! The rules of RFC 0009, each on real programs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use conformance::elf::write_program;
use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;
use conformance::tracer::{own_program, tracefd};

/// One sentence of the RFC.
struct Rule {
    id: &'static str,
    holds: fn(&Place) -> Outcome,
}

const RULES: &[Rule] = &[
    Rule { id: "R200", holds: longest_prefix },
    Rule { id: "R201", holds: untouched },
    Rule { id: "R202", holds: links },
    Rule { id: "R203", holds: missing_points },
    Rule { id: "R204", holds: names },
    Rule { id: "R205", holds: between_mounts },
    Rule { id: "R206", holds: rights },
    Rule { id: "R207", holds: scripts },
    Rule { id: "R208", holds: loader },
    Rule { id: "R209", holds: unknown_is_reported },
    Rule { id: "R210", holds: ends },
    Rule { id: "R211", holds: tracers },
    Rule { id: "R212", holds: landlock },
    Rule { id: "R220", holds: own_memory },
];

/// One test for each.
pub(crate) fn add(suite: &mut Suite) {
    for rule in RULES {
        suite.test(rule.id, &[Need::Tracefd], || {
            let scratch = tempfile::tempdir()?;
            (rule.holds)(&Place::new(scratch.path())?)
        });
    }
    let needs = [Need::Tracefd, Need::Program("gdb"), Need::Program("strace")];
    suite.test("R211_gdb_and_strace", &needs, || {
        let scratch = tempfile::tempdir()?;
        foreign_tracers(&Place::new(scratch.path())?)
    });
}

/// Tracers of others are told the reason, by the call and by the tool.
fn foreign_tracers(place: &Place) -> Outcome {
    for words in [
        &["gdb", "-batch", "-nx", "-ex", "run", "--args", "/bin/true"][..],
        &["strace", "/bin/true"],
        &["strace", "-p", "1"],
    ] {
        let output = place.run(&[], words)?;
        let told = String::from_utf8_lossy(&output.stderr);
        let name = format!("{}[", words[0]);
        ensure(told.contains("ptrace refused: what runs under `run` has its tracer already"), || {
            told.to_string()
        })?;
        ensure(told.contains(&name), || format!("not who asked: {told}"))?;
        ensure(told.to_lowercase().contains("operation not permitted"), || format!("not EPERM: {told}"))?;
    }
    Ok(())
}

/// Two trees, at `/tracefd-x` and `/tracefd-x/deep/y`.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
}

impl Place {
    pub(crate) fn new(dir: &Path) -> std::io::Result<Place> {
        let dir = dir.canonicalize()?;
        fs::create_dir_all(dir.join("x/d"))?;
        fs::create_dir_all(dir.join("y"))?;
        fs::write(dir.join("x/f"), "of x\n")?;
        fs::write(dir.join("x/d/g"), "deep\n")?;
        fs::write(dir.join("y/f"), "of y\n")?;
        fs::write(dir.join("f"), "of the host\n")?;
        symlink("/tracefd-x/d", dir.join("in"))?;
        symlink(dir.join("f"), dir.join("x/out"))?;
        symlink("../f", dir.join("x/d/up"))?;
        Ok(Place { dir })
    }

    fn at(&self, name: &str) -> String {
        self.dir.join(name).to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn run(&self, options: &[&str], words: &[&str]) -> std::io::Result<Output> {
        let mut command = Command::new(tracefd());
        command.args(["run", "-b", &format!("/tracefd-x=dir:{}", self.at("x"))]);
        command.args(["-b", &format!("/tracefd-x/deep/y=dir:{}", self.at("y"))]);
        command.args(options).arg("--").args(words).current_dir(&self.dir).output()
    }

    /// What a line of the shell says, on both outputs.
    fn sh(&self, options: &[&str], line: &str) -> std::io::Result<String> {
        let output = self.run(options, &["sh", "-c", line])?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }

    fn says(&self, line: &str, expected: &str) -> Outcome {
        let found = self.sh(&[], line)?;
        ensure(found == expected, || format!("`{line}` says {found:?}, not {expected:?}"))
    }
}

fn longest_prefix(place: &Place) -> Outcome {
    place.says("cat /tracefd-x/f /tracefd-x/deep/y/f /tracefd-x/d/g", "of x\nof y\ndeep\n")?;
    place.says("cat /tracefd-xf 2>&1 | sed 's/.*: //'", "No such file or directory\n")?;
    place.says("cat f", "of the host\n")
}

fn untouched(place: &Place) -> Outcome {
    fs::create_dir(place.dir.join("x/probe"))?;
    let output = place.run(&[], &[&own_program("probe"), "/tracefd-x/probe", "untouched"])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let good = text.lines().filter(|line| line.ends_with(" untouched")).count();
    ensure(good == 24 && text.lines().count() == 24, || format!("{text}{:?}", output.status))?;
    ensure(text.contains("mkdirat 0 ") && text.contains("newfstatat 0 "), || text.to_string())
}

fn own_memory(place: &Place) -> Outcome {
    let guest = own_program("guest");
    // Sealed, it stays what it is; a thread that comes later gets that of one that has ended.
    for (count, how, mappings) in [
        ("10", &[][..], "0\n"),
        ("40", &[], "1\n"),
        ("40", &["filtered"], "0\n"),
        ("40", &["taken"], "EPERM EPERM\n1\n"),
        ("40", &["threads"], "1\n"),
        ("40", &["filled"], "1\n"),
    ] {
        let words = [&[&*guest, "given-memory", count, "/tracefd-x/f"], how].concat();
        let output = place.run(&[], &words)?;
        ensure(output.status.success() && output.stdout == mappings.as_bytes(), || {
            format!("{words:?}: {output:?}")
        })?;
    }
    place.says(
        "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo >/tracefd-x/n$i; done; ls /tracefd-x/n* | wc -l",
        "40\n",
    )?;
    // What is known of a path there is forgotten with the rest when a link comes to be in its place.
    place.says(
        "cd /tracefd-x; echo one >p; echo two >q; x=/tracefd-x/p
         i=0; while [ $i -lt 40 ]; do i=$((i+1)); read y <$x; test -f $x || exit 1; done; echo $y
         mv p o; ln -s /tracefd-x/q p; read y <$x; test -L $x && echo $y
         rm p; { read y <$x; } 2>/dev/null || echo none; test -e $x || echo none",
        "one\ntwo\nnone\nnone\n",
    )
}

fn links(place: &Place) -> Outcome {
    place.says("cat in/g in/up /tracefd-x/out /tracefd-x/d/up", "deep\nof x\nof the host\nof x\n")?;
    place.says(
        "cat /tracefd-x/deep/y/../../f; cd /tracefd-x/d && cat ../../../../../../tracefd-x/f",
        "of x\nof x\n",
    )?;
    place.says("cd /tracefd-x/deep/y && cd .. && pwd -P && cd ../.. && pwd -P", "/tracefd-x/deep\n/\n")?;
    place.says("cat /tracefd-x/../etc/passwd | cmp - /etc/passwd", "")
}

fn missing_points(place: &Place) -> Outcome {
    // `deep` is in no tree: it is there because the mount point is below it.
    place.says("test -d /tracefd-x/deep && ls /tracefd-x/deep", "y\n")?;
    place.says("cd /tracefd-x/deep && cat y/f && cd y && cat f", "of y\nof y\n")?;
    ensure(!place.dir.join("x/deep").exists(), || "it was made in the real tree".into())
}

fn names(place: &Place) -> Outcome {
    place.says("cd /tracefd-x/d && pwd -P && readlink /proc/self/cwd", "/tracefd-x/d\n/tracefd-x/d\n")?;
    place.says(
        "exec 7</tracefd-x/f; readlink /proc/self/fd/7 /proc/$$/fd/7",
        "/tracefd-x/f\n/tracefd-x/f\n",
    )?;
    copy("/bin/cat", &place.dir.join("x/cat"))?;
    place.says(
        "/tracefd-x/cat /proc/self/maps | grep -c ' /tracefd-x/cat$' | sed 's/[1-9]/some/'",
        "some\n",
    )?;
    copy("/bin/readlink", &place.dir.join("x/rl"))?;
    place.says("/tracefd-x/rl /proc/self/exe", "/tracefd-x/rl\n")
}

fn between_mounts(place: &Place) -> Outcome {
    fs::write(place.dir.join("x/m"), "moved\n")?;
    let text = place.sh(&[], "ln /tracefd-x/m /tracefd-x/deep/y/m 2>&1 | sed 's/.*: //'")?;
    ensure(text == "Invalid cross-device link\n", || text.clone())?;
    place.says("mv /tracefd-x/m /tracefd-x/deep/y/ && cat /tracefd-x/deep/y/m", "moved\n")?;
    ensure(place.dir.join("y/m").exists() && !place.dir.join("x/m").exists(), || "it was not moved".into())
}

fn rights(place: &Place) -> Outcome {
    let ro = format!("/tracefd-ro=dir:{}:ro", place.at("x"));
    let line = "cat /tracefd-ro/f; for what in '>/tracefd-ro/new' '>/tracefd-ro/f' 'rm /tracefd-ro/f' 'chmod 700 /tracefd-ro/f' \
                'mkdir /tracefd-ro/n' 'test -w /tracefd-ro/f'; do (eval $what) 2>&1 | sed 's/.*: //'; done";
    let text = place.sh(&["-b", &ro], line)?;
    ensure(text == format!("of x\n{}", "Read-only file system\n".repeat(5)), || text.clone())?;
    let text = place.sh(&["--deny", &place.at("y")], "cat y/f; ls y; cat f; cat /tracefd-x/deep/y/f")?;
    ensure(text.matches("Permission denied").count() == 3 && text.contains("of the host"), || text.clone())?;
    let text = place.sh(&["--ro", &place.at("y")], "cat y/f; touch y/n; touch y/f")?;
    ensure(text.starts_with("of y\n") && text.matches("Read-only").count() == 2, || text.clone())
}

fn program(path: &Path, text: &str) -> std::io::Result<()> {
    write_program(path, text.as_bytes())
}

fn copy(from: &str, to: &Path) -> std::io::Result<()> {
    write_program(to, &fs::read(from)?)
}

fn scripts(place: &Place) -> Outcome {
    program(&place.dir.join("x/s"), "#!/bin/sh\necho \"$0 $*\"\n")?;
    copy("/bin/echo", &place.dir.join("x/echo"))?;
    program(&place.dir.join("by-mount"), "#!/tracefd-x/echo -n  two words\n")?;
    place.says("/tracefd-x/s a; cd /tracefd-x && ./s b", "/tracefd-x/s a\n./s b\n")?;
    place.says("./by-mount c", "-n  two words ./by-mount c\n")?;
    let output = place.run(&[], &["/tracefd-x/s", "first"])?;
    ensure(output.stdout == b"/tracefd-x/s first\n", || format!("{output:?}"))
}

fn loader(place: &Place) -> Outcome {
    // A root directory with a program, its loader and its library, under names that only it has.
    let root = place.dir.join("root");
    let listed = Command::new("ldd").arg("/bin/echo").output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let files = listed.split_whitespace().filter(|word| word.starts_with('/'));
    for file in files.chain(["/bin/echo", "/bin/readlink"]) {
        let to = root.join(&file[1..]);
        fs::create_dir_all(to.parent().expect("not the root"))?;
        copy(file, &to)?;
    }
    // `ldd readlink` may name more than `ldd echo` does.
    let more = Command::new("ldd").arg("/bin/readlink").output()?;
    for file in String::from_utf8_lossy(&more.stdout).split_whitespace().filter(|word| word.starts_with('/'))
    {
        let to = root.join(&file[1..]);
        fs::create_dir_all(to.parent().expect("not the root"))?;
        copy(file, &to)?;
    }
    let root = root.to_str().expect("UTF-8");
    let output = place.run(&["-r", root, "-w", "/"], &["/bin/echo", "it", "runs"])?;
    ensure(output.stdout == b"it runs\n", || format!("{output:?}"))?;
    let output = place.run(
        &["-r", root, "-b", "/proc=dir:/proc", "-w", "/"],
        &["/bin/readlink", "/proc/self/exe", "/proc/self/cwd"],
    )?;
    ensure(output.stdout == b"/bin/readlink\n/\n", || format!("{output:?}"))?;
    let output = place.run(&["-r", root, "-w", "/"], &["/bin/cat", "/etc/passwd"])?;
    ensure(output.status.code() == Some(127), || format!("the host's programs are there: {output:?}"))
}

fn unknown_is_reported(place: &Place) -> Outcome {
    fs::create_dir(place.dir.join("x/probe"))?;
    let words = [&own_program("probe"), "/tracefd-x/probe", "refused"];
    let quiet = place.run(&[], &words)?;
    ensure(quiet.stderr.is_empty(), || format!("{quiet:?}"))?;
    let told = String::from_utf8_lossy(&place.run(&["--warn-unknown"], &words)?.stderr).into_owned();
    for what in ["io_uring_setup refused: a ring", "call 5000 refused", "mount (32-bit) refused"] {
        ensure(told.contains(what), || format!("nothing about `{what}` in {told}"))?;
    }
    Ok(())
}

fn ends(place: &Place) -> Outcome {
    for (line, code) in [("exit 7", Some(7)), ("kill -KILL $$", None), ("true", Some(0))] {
        let status = place.run(&[], &["sh", "-c", line])?.status;
        ensure(status.code() == code, || format!("`{line}`: {status}"))?;
    }
    let killed = place.run(&[], &["sh", "-c", "kill -SEGV $$"])?.status;
    let signal = std::os::unix::process::ExitStatusExt::signal(&killed);
    ensure(signal == Some(libc::SIGSEGV), || killed.to_string())?;
    let missing = place.run(&[], &["/tracefd-x/none"])?.status;
    ensure(missing.code() == Some(127), || missing.to_string())?;
    let nowhere = place.run(&["-w", "/tracefd-x/none"], &["true"])?;
    let told = String::from_utf8_lossy(&nowhere.stderr);
    ensure(nowhere.status.code() == Some(125) && told.contains("No such file"), || told.to_string())?;
    let refused = place.run(&[], &["/tracefd-x/f"])?.status;
    ensure(refused.code() == Some(126), || refused.to_string())
}

fn tracers(place: &Place) -> Outcome {
    let tracefd = tracefd().to_str().expect("UTF-8").to_owned();
    let asking = "has its tracer already";
    let attaching = format!("{tracefd} trace -p $$");
    for (words, reason) in [
        (vec![&tracefd[..], "run", "true"], asking),
        (vec![&tracefd[..], "trace", "true"], asking),
        // One of the tree is taken; one outside cannot be had either.
        (vec!["sh", "-c", &attaching], "a process has one tracer"),
        (vec![&tracefd[..], "trace", "-p", "1"], asking),
    ] {
        let output = place.run(&[], &words)?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure(!output.status.success(), || format!("{words:?} ran"))?;
        ensure(told.contains(reason), || format!("{words:?}: {told}"))?;
    }
    Ok(())
}

/// Whether this kernel has Landlock: landlock_create_ruleset asked for its version (LANDLOCK_CREATE_RULESET_VERSION).
fn has_landlock() -> bool {
    let arena = conformance::sys::Arena::new().expect("memory");
    arena.call(0, libc::SYS_landlock_create_ruleset, [0, 0, 1, 0, 0, 0]) >= 3
}

fn landlock(place: &Place) -> Outcome {
    let output = place.run(&["--ro", &place.at("y")], &["sh", "-c", "echo n >> y/f; echo o >> x/f"])?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure(told.contains("not a security boundary") != has_landlock(), || told.clone())?;
    ensure(fs::read(place.dir.join("y/f"))? == b"of y\n", || "it was changed".into())?;
    ensure(fs::read(place.dir.join("x/f"))? == b"of x\no\n", || format!("x cannot be changed: {told}"))?;
    if !has_landlock() {
        return Ok(());
    }
    // By a name that the interposer knows nothing of: another mount of the same tree, with all rights.
    let other = format!("/tracefd-z=dir:{}", place.at("y"));
    for option in ["--ro", "--deny"] {
        let text =
            place.sh(&[option, &place.at("y"), "-b", &other], "echo n >> /tracefd-z/f; cat /tracefd-z/f")?;
        ensure(text.contains("Permission denied"), || format!("{option}: {text}"))?;
        ensure(text.contains("of y") == (option == "--ro"), || format!("{option}: {text}"))?;
    }
    Ok(())
}
