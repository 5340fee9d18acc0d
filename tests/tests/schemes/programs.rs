//! Real programs among mounts of schemes: each prints what it prints in a directory of the host.

use std::fs;
use std::path::Path;
use std::process::Command;

use conformance::harness::{Outcome, Suite, same};
use conformance::needs::Need;
use conformance::tracer;

use super::server::Python;

/// Adds the tests.
pub(crate) fn add(suite: &mut Suite) {
    let needs =
        ["python3", "sqlite3", "gcc", "make", "git", "tar", "find", "diff", "sha256sum"].map(Need::Program);
    suite.test("programs_read_http", &needs, || read_only("http"));
    suite.test("programs_read_tar", &needs, || read_only("tar"));
    suite.test("programs_change_an_overlay_of_tar", &needs, || changes("tar"));
    suite.test("programs_change_an_overlay_of_http", &needs, || changes("http"));
    suite.test("programs_do_not_wait_for_each_others_transfers", &[Need::Program("python3")], held_back);
    suite.test("programs_use_mem_and_cmd", &needs, mem_and_cmd);
}

/// Both kinds of scripts begin so. `$OUT` is a directory of the host.
const BEGIN: &str = "export HOME=$OUT PYTHONDONTWRITEBYTECODE=1 GIT_CONFIG_GLOBAL=$OUT/gitconfig LC_ALL=C
r() { echo \"== $*\"; \"$@\" 2>&1; echo \"rc $?\"; }
";

const READING: &str = r#"
r cat text/a
r sh -c 'ls text data src | sort'
r sh -c 'find . -path ./repo -prune -o -print | sort'
r sh -c 'grep -rc line text | sort'
r sh -c 'wc -c text/*'
r sha256sum data/big text/a text/b
r head -c 100 data/big
r tail -n 2 text/b
r cmp data/big data/same
r diff -r text repo/text
r cp -r text $OUT/copy
r diff -r text $OUT/copy
r sh -c 'stat -c "%n %s %F %Y" text/* src/m.c'
r sqlite3 'file:data/db?immutable=1' 'select sum(x) from a'
r python3 -c 'import sys; sys.path.insert(0, "."); import pkg.m; print(pkg.m.__file__.endswith("pkg/m.py"))'
r gcc -Isrc -o $OUT/m src/m.c
r $OUT/m
r sh -c 'tar cf - --sort=name --mtime=@0 --owner=0 --group=0 --mode=644 text data | sha256sum'
r git -C repo log --format=%s
r git -C repo --no-optional-locks status --short
r git clone -q repo $OUT/clone
r sh -c 'cat $OUT/clone/text/*'
r cat text/missing
r cat text/a/b
r sh -c 'cd text; basename $(pwd); cd ..; ls -d data'
"#;

const CHANGING: &str = r#"
r sqlite3 data/db 'insert into a values(4); select sum(x) from a'
r sh -c 'echo more >> text/a; cat text/a'
r sh -c 'rm -r pkg; ls | sort'
r sh -c 'mkdir new; mv text new/moved; ls new/moved; cat new/moved/b; mv new/moved text; rmdir new; ls text'
r sh -c 'rmdir data; mkdir data; ls data | sort'
r git -C repo -c user.name=a -c user.email=a@b commit -q --allow-empty -m two
r git -C repo log --format=%s
r sh -c 'cd repo; rm text/a; git status --short; git checkout -q .; git status --short; cat text/a'
r sh -c 'printf "a: b\n\tcp b a\nb:\n\techo hi > b\n" > Makefile; make; make; cat a'
r gcc -Isrc -o program src/m.c
r ./program
r sh -c 'sed -i s/42/43/ src/inc/x.h; gcc -Isrc -o program src/m.c; ./program'
r sh -c 'cp -a src src2; diff -r src src2; rm -r src; mv src2 src; ls src'
r sh -c 'ln -s ../text/b data/link; ln text/b text/hard; cat data/link text/hard; rm text/b; cat text/hard'
r sh -c 'head -c 2000 data/big > data/short; cat data/short > data/big; wc -c < data/big'
r sh -c 'find . -path ./repo -prune -o -type f -print | sort'
"#;

/// What the scripts expect.
fn fill(dir: &Path) -> std::io::Result<()> {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        fs::write(path, text)
    };
    let mut random = fastrand::Rng::with_seed(6);
    write("text/a", "first line\n")?;
    write("text/b", &"a line\n".repeat(9000))?;
    write(
        "src/m.c",
        "#include \"inc/x.h\"\n#include <stdio.h>\nint main(void) { printf(\"%d\\n\", X); return 0; }\n",
    )?;
    write("src/inc/x.h", "#define X 42\n")?;
    write("pkg/__init__.py", "V = 7\n")?;
    write("pkg/m.py", "from . import V\nprint('module', V)\n")?;
    write("data/big", "")?;
    let big: Vec<u8> = (0..3_000_000).map(|_| random.u8(..)).collect();
    fs::write(dir.join("data/big"), &big)?;
    fs::write(dir.join("data/same"), &big)?;
    let mut shell = Command::new("sh");
    let made = shell.current_dir(dir).arg("-ec").arg(
        "sqlite3 data/db 'create table a(x); insert into a values(1),(2),(3);'
        git init -q repo; cp -r text repo; cd repo; git add -A
        git -c user.name=a -c user.email=a@b commit -q -m one",
    );
    if made.status()?.success() { Ok(()) } else { Err(std::io::Error::other("the tree could not be made")) }
}

/// What a script prints in `dir`, run by itself or by `tracefd run`.
fn output(dir: &Path, script: &str, mounts: &[String]) -> std::io::Result<String> {
    let out = tempfile::tempdir()?;
    // Owned by nobody in particular, what is behind a mount is "dubious" to git.
    fs::write(out.path().join("gitconfig"), "[safe]\n\tdirectory = *\n")?;
    let script = format!("{BEGIN}cd {} || exit 1\n{script}", dir.display());
    let mut command = if mounts.is_empty() { Command::new("sh") } else { Command::new(tracer::tracefd()) };
    if !mounts.is_empty() {
        command.arg("run");
        for mount in mounts {
            command.args(["-b", mount]);
        }
        command.args(["--", "sh"]);
    }
    let output = command.arg("-c").arg(script).env("OUT", out.path()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).replace(&out.path().display().to_string(), "$OUT");
    Ok(format!("{text}{}{}", String::from_utf8_lossy(&output.stderr), output.status))
}

/// The tree, as it is and packed.
struct Tree {
    temp: tempfile::TempDir,
    server: Option<Python>,
}

impl Tree {
    fn new() -> std::io::Result<Tree> {
        let temp = tempfile::tempdir()?;
        fs::create_dir(temp.path().join("tree"))?;
        fill(&temp.path().join("tree"))?;
        Ok(Tree { temp, server: None })
    }

    /// A mount of it, by a scheme.
    fn spec(&mut self, scheme: &str) -> std::io::Result<String> {
        let dir = self.temp.path().join("tree");
        if scheme == "http" {
            let server = self.server.insert(Python::serve(&dir)?);
            return Ok(server.url.clone());
        }
        let archive = self.temp.path().join("tree.tar.gz");
        let tar = Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(&dir).arg(".").status()?;
        if tar.success() {
            Ok(format!("tar:{}", archive.display()))
        } else {
            Err(std::io::Error::other("tar failed"))
        }
    }
}

fn read_only(scheme: &str) -> Outcome {
    let mut tree = Tree::new()?;
    let mount = format!("/mounted/here={}", tree.spec(scheme)?);
    let real = output(&tree.temp.path().join("tree"), READING, &[])?;
    same("programs print", &real, &output(Path::new("/mounted/here"), READING, &[mount])?)
}

fn changes(scheme: &str) -> Outcome {
    let mut tree = Tree::new()?;
    let mount =
        format!("/mounted/here=overlay:[{}]:{}", tree.spec(scheme)?, tree.temp.path().join("up").display());
    let found = output(Path::new("/mounted/here"), CHANGING, &[mount])?;
    let dir = tree.temp.path().join("tree");
    let untouched = fs::read_to_string(dir.join("text/a"))?;
    same("what is below", "first line\n", &untouched)?;
    same("programs print", &output(&dir, CHANGING, &[])?, &found)
}

fn mem_and_cmd() -> Outcome {
    let mut tree = Tree::new()?;
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../userland/examples/scheme.py").canonicalize()?;
    let mounts = [
        format!("/mounted/src={}", tree.spec("tar")?),
        "/mounted/mem=mem:".into(),
        format!("/mounted/planets=cmd:python3 '{}'", example.display()),
    ];
    let script = "r gcc -I../src/src -o program ../src/src/m.c
r ./program
r cat ../planets/inner/mars ../planets/outer/venus
r sh -c 'ls ../planets | sort; ls ../planets/outer | sort'
r cp -r ../planets/inner copy
r cat copy/venus copy/mars
r cat ../planets/pluto
";
    let expected = "== gcc -I../src/src -o program ../src/src/m.c
rc 0
== ./program
42
rc 0
== cat ../planets/inner/mars ../planets/outer/venus
6779 km
12104 km
rc 0
== sh -c ls ../planets | sort; ls ../planets/outer | sort
inner
now
outer
mars
venus
rc 0
== cp -r ../planets/inner copy
rc 0
== cat copy/venus copy/mars
12104 km
6779 km
rc 0
== cat ../planets/pluto
cat: ../planets/pluto: No such file or directory
rc 1
exit status: 0";
    same("programs print", expected, &output(Path::new("/mounted/mem"), script, &mounts)?)
}

/// A scheme that answers a read of `slow` only after `go` was read, and one of `begun` only when `slow` is waited for: if
/// a transfer held up others, nothing would go on.
const HOLDS_BACK: &str = r#"
import json, sys
files, slow, begun, gone = {}, [], [], False
def say(request, data=None, **reply):
    if data is not None:
        reply["data"] = len(data)
    line = json.dumps({"id": request["id"], **reply}).encode() + b"\n"
    sys.stdout.buffer.write(line + (data or b""))
    sys.stdout.buffer.flush()
def give(request):
    name, data = files[request["fd"]]
    files[request["fd"]] = name, b""
    say(request, data)
for line in sys.stdin.buffer:
    r = json.loads(line)
    op, name = r["op"], r.get("path", files.get(r.get("fd"), ("", b""))[0])
    if op == "open":
        files[r["id"]] = name, name.encode() + b"\n"
        say(r, **({"ok": r["id"]} if name in ("", "slow", "begun", "go") else {"errno": 2}))
    elif op == "fstat":
        say(r, stat={"mode": 0x8000 | 0o644 if name else 0x4000 | 0o755, "size": len(name) + 1, "mtime": 1})
    elif op == "read" and name == "slow" and not gone:
        slow.append(r)
        while begun:
            give(begun.pop())
    elif op == "read" and name == "begun" and not slow:
        begun.append(r)
    elif op == "read":
        give(r)
        if name == "go":
            gone = True
            while slow:
                give(slow.pop())
    else:
        say(r, ok=0)
"#;

/// Another process, and another thread of the same one, go on while a transfer hangs; placeholders can be looked at.
fn held_back() -> Outcome {
    let temp = tempfile::tempdir()?;
    let program = temp.path().join("scheme.py");
    fs::write(&program, HOLDS_BACK)?;
    let mounts =
        [format!("/mounted/held,kept=cmd:python3 '{}'", program.display()), "/mounted/mem=mem:".into()];
    let script = r#"r python3 -c '
import os, threading
texts = []
def read(name): texts.append(open("/mounted/held/" + name).read())
slow = [threading.Thread(target=read, args=["slow"]) for _ in range(4)]
for thread in slow: thread.start()
read("begun")
print(os.stat("/mounted/held/slow").st_size, os.listdir("/mounted/mem"), flush=True)
os.system("echo other process > /mounted/mem/x; cat /mounted/mem/x; ls -l /mounted/held/slow >/dev/null && echo seen")
read("go")
for thread in slow: thread.join()
print(texts[0], sorted(texts))'
"#;
    let expected = "5 []\nother process\nseen\nbegun\n ['begun\\n', 'go\\n', 'slow\\n', 'slow\\n', 'slow\\n', 'slow\\n']\nrc 0\nexit status: 0";
    let found = output(Path::new("/mounted/mem"), script, &mounts)?;
    let found = found.split_once("sorted(texts))\n").map_or("", |(_, found)| found);
    same("programs print", expected, found)
}
