//! `proc:` as a mount: its files opened, read and written by unmodified programs.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::needs::Need;
use conformance::tracer::tracefd;
use nix::sys::stat::Mode;

/// Tests of the rules.
pub(crate) fn add(suite: &mut Suite) {
    let python = [Need::Tracefd, Need::Program("python3")];
    suite.test("R214", &[Need::Tracefd], texts);
    suite.test("R215", &python, session);
    suite.test("R216", &python, waiting);
    suite.test("R217", &python, own_tree);
    suite.test("proc_has_the_files_of_features", &[Need::Tracefd], listed);
    suite.test("proc_descriptors_are_what_dup_and_exec_make_of_them", &python, passed_on);
}

fn run(words: &[&str]) -> std::io::Result<Output> {
    Command::new(tracefd()).args(["run", "-b", "/scheme/proc=proc:", "--"]).args(words).output()
}

/// What a line of the shell says, on both outputs.
fn sh(line: &str) -> std::io::Result<String> {
    let output = run(&["sh", "-c", line])?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// A program outside of the run that copies a named pipe to its output, ended with its value.
struct Outside {
    cat: Child,
    pipe: String,
}

impl Outside {
    fn start(dir: &Path) -> Result<Outside, Box<dyn std::error::Error>> {
        let pipe = dir.join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let cat = Command::new("cat").arg(&pipe).stdout(Stdio::piped()).spawn()?;
        Ok(Outside { cat, pipe: pipe.to_str().expect("UTF-8").to_owned() })
    }

    /// A script that has the process's files in `base` and the pipe's name in `pipe`.
    fn python(&self, script: &str) -> std::io::Result<String> {
        let begin = format!(
            "import os, select, signal, struct\nbase, pipe = '/scheme/proc/{}', '{}'\n",
            self.cat.id(),
            self.pipe
        );
        let output = run(&["python3", "-c", &(begin + script)])?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }

    /// All that it has copied, and how it ended.
    fn copied(mut self) -> std::io::Result<String> {
        let mut text = String::new();
        self.cat.stdout.take().expect("a pipe").read_to_string(&mut text)?;
        Ok(format!("{text}{}", self.cat.wait()?))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.cat.kill();
        let _ = self.cat.wait();
    }
}

/// id: "R214"
fn texts() -> Outcome {
    let told = sh(
        "cat /scheme/proc/features; cd /scheme/proc/$$ && cat status exe && cat threads && ls /scheme/proc/$$",
    )?;
    for line in ["op trace\n", "\nstate ", "\nuser 1\n", "file:/", "\nregs\n", "\ntrace.x\n"] {
        ensure(told.contains(line), || format!("no {line:?} in {told}"))?;
    }
    let said = sh(
        "head -n 1 /scheme/proc/$$/status | sed \"s/$$/self/\"; cp /scheme/proc/$$/exe /dev/null; \
                   cat /scheme/proc/none /scheme/proc/1/none /scheme/proc/4194305/trace 2>&1 | sed 's/.*: //'; \
                   (echo > /scheme/proc/$$/status) 2>&1 | sed 's/.*: //'; \
                   rm /scheme/proc/features 2>&1 | sed 's/.*: //'",
    )?;
    let none = "No such file or directory\n".repeat(3);
    same("texts", &format!("process self\n{none}Permission denied\nRead-only file system\n"), &said)?;
    let output = Command::new(tracefd())
        .args(["run", "-b", "/scheme/proc,ro=proc:", "--", "sh", "-c"])
        .arg("cat /scheme/proc/$$/status >/dev/null && echo > /scheme/proc/1/mem")
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure(told.contains("Read-only file system"), || told.to_string())
}

fn listed() -> Outcome {
    let told = sh("for name in $(sed -n 's/^op //p' /scheme/proc/features); do \
                   test -e /scheme/proc/$$/${name%/<n>} && echo $name; done; \
                   echo; sed -n 's/^op //p' /scheme/proc/features; ls /scheme/proc/$$/fd | tr '\\n' ' '")?;
    let (found, rest) = told.split_once("\n\n").ok_or_else(|| told.clone())?;
    let (named, descriptors) = rest.rsplit_once('\n').ok_or_else(|| told.clone())?;
    ensure(named.lines().count() > 15, || told.clone())?;
    let named: Vec<&str> = named.lines().filter(|name| *name != "features").collect();
    same("files of a process", &named.join("\n"), found)?;
    let has = |fd| descriptors.split(" ").any(|found| found == fd);
    ensure(["0", "1", "2"].into_iter().all(has), || descriptors.to_owned())
}

/// The whole of a tracer: stop, resume, records, registers, memory; on descriptors that say what they are.
const SESSION: &str = r#"
mask = struct.pack("Q", 1 | 2)
trace = os.open(base + "/trace", os.O_RDWR | os.O_TRUNC)
regs = os.open(base + "/regs/int", os.O_RDONLY)
mem = os.open(base + "/mem", os.O_RDWR)
print([os.readlink(f"/proc/self/fd/{fd}").removeprefix(base) for fd in (trace, regs, mem)])
for file, act in (("g2", lambda: os.open(base + "/trace.g2", os.O_RDWR)), ("trace", lambda: os.open(base + "/trace", os.O_RDWR)), ("seek", lambda: os.lseek(trace, 0, 0)),
                  ("short", lambda: os.read(trace, 55)), ("mask", lambda: os.write(trace, b"\xff" * 8)),
                  ("splice", lambda: os.splice(trace, 1, 1)), ("mem", lambda: os.pread(mem, 1, 0))):
    try: print(file, act())
    except OSError as error: print(file, error.strerror)
print(os.write(trace, mask))
out = os.open(pipe, os.O_RDWR)
os.write(out, b"hello\n")
poll = select.poll()
poll.register(trace, select.POLLIN)
calls, pairs = [], set()
while True:
    poll.poll()
    try: record = os.read(trace, 1000)
    except ProcessLookupError: break
    cause, _, _, _, number, serial, abi = struct.unpack("7Q", record)
    if cause == 1:
        calls.append(number)
        pairs.add(serial)
        if number == 1:
            buffer = struct.unpack("21Q", os.read(regs, 168))[13]
            print(os.pread(mem, 6, buffer), os.pwrite(mem, b"HELLO", buffer), os.lseek(mem, buffer, 0) == buffer)
            print(os.readv(mem, [bytearray(2), bytearray(4)]), os.lseek(mem, 0, 1) - buffer)
            os.close(out)
    elif cause == 2: pairs.remove(serial)
    os.write(trace, mask)
print(calls.count(1), calls[-1], len(pairs))
"#;

/// id: "R215"
fn session() -> Outcome {
    let dir = tempfile::tempdir()?;
    let outside = Outside::start(dir.path())?;
    let said = outside.python(SESSION)?;
    let expected = "['/trace', '/regs/int', '/mem']\ng2 Operation not supported\ntrace Device or resource busy\nseek Illegal seek\nshort Invalid argument\n\
                    mask Invalid argument\nsplice Invalid argument\nmem Bad address\n8\nb'hello\\n' 5 True\n6 6\n1 231 1\n";
    same("what the tracer sees", expected, &said)?;
    same("what the process does", "HELLO\nexit status: 0", &outside.copied()?)
}

/// A read that waits: not with O_NONBLOCK, ended by a signal, ended by a record; and close lets the process go on.
const WAITING: &str = r#"
trace = os.open(base + "/trace", os.O_RDWR | os.O_NONBLOCK)
os.write(trace, struct.pack("Q", 0))
try: os.read(trace, 56)
except BlockingIOError: print("would wait")
print(select.select([trace], [], [], 0)[0])
os.set_blocking(trace, True)
class Rung(Exception): pass
def rung(*_): raise Rung
signal.signal(signal.SIGALRM, rung)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try: os.read(trace, 56)
except Rung: print("a signal ended it")
os.write(trace, struct.pack("Q", 1))
out = os.open(pipe, os.O_WRONLY)
os.write(out, b"hello\n")
print(struct.unpack("7Q", os.read(trace, 56))[0])
again = os.dup(trace)
os.close(trace)
print(os.write(again, struct.pack("Q", 1)), len(os.read(again, 56)))
"#;

/// id: "R216"
fn waiting() -> Outcome {
    let dir = tempfile::tempdir()?;
    let outside = Outside::start(dir.path())?;
    // The pipe does not end with the tracer, so the process has to go on to come to its end.
    let mut pipe = File::options().read(true).write(true).open(&outside.pipe)?;
    let said = outside.python(WAITING)?;
    pipe.write_all(b"alone\n")?;
    drop(pipe);
    same("what the tracer sees", "would wait\n[]\na signal ended it\n1\n8 56\n", &said)?;
    same("what the process does", "hello\nalone\nexit status: 0", &outside.copied()?)
}

/// What the run itself traces: no second session, but observers, memory and what there is to look at.
const OWN_TREE: &str = r#"
import os
base = f"/scheme/proc/{os.getppid()}"
for name, flags in (("trace", os.O_RDWR), ("trace.x", os.O_RDWR), ("sets/entry", os.O_RDWR), ("mem", os.O_RDONLY), ("call", 0)):
    try: print(name, os.close(os.open(f"{base}/{name}", flags)))
    except OSError as error: print(name, error.strerror)
regs = os.open(f"{base}/regs/int", os.O_RDWR)
words = os.read(regs, 168)
try: print(os.write(regs, words))
except OSError as error: print(len(words), error.strerror)
log = os.open(f"/scheme/proc/{os.getpid()}/log", os.O_RDWR)
print(os.write(log, b"openat 1 string") > 0)
os.close(os.open("/dev/null", 0))
print(b"/dev/null" in os.read(log, 65536))
"#;

/// id: "R217"
fn own_tree() -> Outcome {
    let output = run(&["sh", "-c", "python3 -c \"$0\"; true", OWN_TREE])?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let busy = "Device or resource busy";
    let expected = format!(
        "trace {busy}\ntrace.x {busy}\nsets/entry {busy}\nmem None\ncall None\n168 {busy}\nTrue\nTrue\n"
    );
    same("what may be had of the own tree", &expected, &said)
}

/// A child, and what it executes, has the handle as well; only the last close is the end of the session.
const PASSED_ON: &str = r#"
trace = os.open(base + "/trace", os.O_RDWR | os.O_TRUNC)
os.set_inheritable(trace, True)
child = os.fork()
if child == 0:
    os.execvp("python3", ["python3", "-c", f"import os; os.close(os.open(os.readlink('/proc/self/fd/{trace}').replace('trace', 'status'), 0)); print(os.write({trace}, bytes(8)), flush=True)"])
print(os.waitpid(child, 0)[1])
try: print(os.close(os.open(base + "/trace", os.O_RDWR)))
except OSError as error: print(error.strerror)
os.close(trace)
"#;

fn passed_on() -> Outcome {
    let dir = tempfile::tempdir()?;
    let outside = Outside::start(dir.path())?;
    same("what the two see", "8\n0\nDevice or resource busy\n", &outside.python(PASSED_ON)?)?;
    std::fs::write(&outside.pipe, "text\n")?;
    same("what the process does", "text\nexit status: 0", &outside.copied()?)
}
