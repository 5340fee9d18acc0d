//! Real programs over schemes: each line of the shell says the same in a mount as in the real directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::needs::Need;
use conformance::tracer::tracefd;

/// Programs, and lines that only read; the current directory is the tree.
const READING: &[(&str, &str)] = &[
    ("cat", "cat f sub/g deep/er/h"),
    ("cp", "cp -r . $OUT/copy && diff -r . $OUT/copy && ls -R $OUT/copy"),
    ("ls", "ls -R . && ls sub"),
    // Sizes, times and names of files; modes are not for every scheme to tell.
    ("sed", "ls -lR --time-style=+%s . | sed -n 's/^-[^ ]* *[0-9]* *[^ ]* *[^ ]* *//p' | sort"),
    ("rsync", "rsync -aO ./ $OUT/synced/ && diff -r . $OUT/synced && rsync -aOin ./ $OUT/synced/"),
    ("find", "find . -type f | sort && find . -name '*.py' -size +0"),
    ("grep", "grep -rn needle . | sort"),
    ("diff", "diff -r sub sub2; diff f sub/g"),
    ("tar", "tar cf - sub deep | tar tf - | sort"),
    ("wc", "wc f sub/g"),
    ("sha256sum", "find . -type f | sort | xargs sha256sum"),
    ("head", "head -n 2 large && tail -n 1 large && head -c 100 large | wc -c"),
    ("dd", "dd if=large bs=7 skip=1000 count=3 2>/dev/null"),
    ("sqlite3", "sqlite3 -readonly t.db 'select sum(b) from a'"),
    (
        "python3",
        "PYTHONPATH=$PWD/sub python3 -B -c 'import module; print(module.answer, module.__file__.count(\"sub\"))'",
    ),
    ("gcc", "gcc -I$PWD/sub -o $OUT/c c.c && $OUT/c"),
    // One without a loader.
    ("gcc", "sub/static a b; $PWD/sub/static"),
    ("gcc", "gcc -static -I$PWD/sub -o $OUT/c c.c && $OUT/c"),
    ("make", "make -s -f Makefile OUT=$OUT && cat $OUT/made"),
    (
        "git",
        "git clone -q repo $OUT/clone && git -C $OUT/clone log --format=%s && git -C $OUT/clone status -s",
    ),
    ("node", "node -e 'console.log(require(\"fs\").readFileSync(\"f\", \"utf8\"), require(\"./sub/m.js\"))'"),
    ("sh", "sh sub/script.sh a b"),
];

/// Lines that change things.
const WRITING: &[(&str, &str)] = &[
    ("sh", "echo new > n && mkdir -p x/y && mv n x/y/z && ln -s z x/y/l && cat x/y/l && rm -r x && ls"),
    ("sqlite3", "sqlite3 t.db 'insert into a values (5); select sum(b) from a'"),
    (
        "git",
        "git -C repo -c user.name=a -c user.email=a@example.invalid commit -q --allow-empty -m two && git -C repo log --format=%s",
    ),
    ("gcc", "gcc -Isub -o c c.c && ./c"),
    (
        "python3",
        "python3 -c 'import os; os.rename(\"f\", \"g\"); os.truncate(\"g\", 2); print(os.listdir(\".\") == sorted(os.listdir(\".\")) or 1, open(\"g\").read())'",
    ),
];

/// One test for each scheme.
pub(crate) fn add(suite: &mut Suite) {
    let programs = READING.iter().chain(WRITING).map(|&(program, _)| Need::Program(program));
    let needs: Vec<Need> = std::iter::once(Need::Tracefd).chain(programs).collect();
    suite.test("programs_over_dir", &needs, || {
        reading(|tree| Ok((format!("=dir:{}:ro", tree.display()), None)))
    });
    suite.test("programs_over_tar", &needs, || {
        reading(|tree| {
            let archive = tree.with_extension("tar.gz");
            let made = Command::new("tar").arg("czf").arg(&archive).arg("-C").arg(tree).arg(".").status()?;
            ensure_io(made.success(), "tar")?;
            Ok((format!("=tar:{}", archive.display()), None))
        })
    });
    suite.test("programs_over_overlay", &needs, || {
        reading(|tree| Ok((format!("=overlay:{}:", tree.display()), None)))
    });
    suite.test("programs_over_http", &needs, || {
        reading(|tree| {
            let (server, port) = Server::start(tree)?;
            // Programs are executed from it, too.
            Ok((format!(",rx=http://127.0.0.1:{port}/"), Some(server)))
        })
    });
    suite.test("programs_over_lazy_http", &needs, || {
        reading(|tree| {
            let (server, port) = Server::start(tree)?;
            // By name, which a program without shared libraries has to look up itself.
            Ok((format!(",rx,lazy=http://localhost:{port}/"), Some(server)))
        })
    });
    suite.test("programs_write_dir", &needs, || writing(|tree| format!("=dir:{}", tree.display())));
    suite.test("programs_write_overlay", &needs, || writing(|tree| format!("=overlay:{}:", tree.display())));
}

fn ensure_io(good: bool, what: &str) -> std::io::Result<()> {
    if good { Ok(()) } else { Err(std::io::Error::other(what.to_owned())) }
}

/// python3's server, ended with its value.
struct Server(Child);

impl Server {
    fn start(tree: &Path) -> std::io::Result<(Server, u16)> {
        let mut child = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(tree)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let server = Server(child);
        let port = line.split_whitespace().skip_while(|word| *word != "port").nth(1);
        let port =
            port.and_then(|port| port.parse().ok()).ok_or_else(|| std::io::Error::other(line.clone()))?;
        Ok((server, port))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tree(dir: &Path) -> std::io::Result<PathBuf> {
    let tree = dir.canonicalize()?.join("tree");
    for folder in ["sub", "sub2", "deep/er"] {
        fs::create_dir_all(tree.join(folder))?;
    }
    let large: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    for (name, text) in [
        ("f", "a file\nwith a needle\n"),
        ("sub/g", "another\n"),
        ("sub2/g", "other\n"),
        ("deep/er/h", "needle\n"),
        ("sub/module.py", "answer = 42\n"),
        ("sub/m.js", "module.exports = 7\n"),
        ("sub/script.sh", "echo \"$0\" \"$@\"\n"),
        ("sub/number.h", "#define NUMBER 6\n"),
        ("c.c", "#include <stdio.h>\n#include <number.h>\nint main(void) { printf(\"%d\\n\", NUMBER); }\n"),
        ("Makefile", "$(OUT)/made: f sub/g\n\tcat $^ > $@\n"),
        ("large", &large),
    ] {
        fs::write(tree.join(name), text)?;
    }
    let shell = "gcc -static -o sub/static -x c - <<'END'
#include <stdio.h>
int main(int n, char **words) { while (n--) puts(*words++); return 0; }
END
sqlite3 t.db 'create table a(b); insert into a values (1), (2)' && git init -q -b main repo && \
                 echo x > repo/x && git -C repo add x && \
                 git -C repo -c user.name=a -c user.email=a@example.invalid commit -q -m one";
    ensure_io(Command::new("sh").args(["-c", shell]).current_dir(&tree).status()?.success(), "preparing")?;
    Ok(tree)
}

/// What a line says, and how it ends.
fn said(mut command: Command) -> std::io::Result<String> {
    let output = command.env_remove("PWD").stdin(Stdio::null()).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(format!("{}{}{}\n", text(&output.stdout), text(&output.stderr), output.status))
}

fn native(tree: &Path, out: &Path, line: &str) -> std::io::Result<String> {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(tree).env("OUT", out);
    Ok(said(command)?
        .replace(tree.to_str().unwrap_or_default(), "@")
        .replace(out.to_str().unwrap_or_default(), "OUT"))
}

fn mounted(mount: &str, out: &str, line: &str) -> std::io::Result<String> {
    let mut command = Command::new(tracefd());
    command.args([
        "run",
        "-b",
        &format!("/tracefd-v{mount}"),
        "-b",
        "/tracefd-out=mem:",
        "-w",
        "/tracefd-v",
        "--",
    ]);
    command.args(["sh", "-c", line]).env("OUT", out);
    Ok(said(command)?.replace("/tracefd-v", "@").replace(out, "OUT"))
}

fn reading(mount: impl FnOnce(&Path) -> std::io::Result<(String, Option<Server>)>) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let tree = tree(scratch.path())?;
    let (mount, _server) = mount(&tree)?;
    for (_, line) in READING {
        let out = tempfile::tempdir()?;
        let real = native(&tree, out.path(), line)?;
        same(line, &real, &mounted(&mount, "/tracefd-out", line)?)?;
        ensure(real.ends_with("exit status: 0\n") || line.starts_with("diff"), || format!("{line}: {real}"))?;
    }
    Ok(())
}

fn writing(mount: impl Fn(&Path) -> String) -> Outcome {
    for (_, line) in WRITING {
        let (real, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let (real, other) = (tree(real.path())?, tree(other.path())?);
        let expected = native(&real, Path::new("/nowhere"), line)?;
        same(line, &expected, &mounted(&mount(&other), "/tracefd-out", line)?)?;
    }
    Ok(())
}
