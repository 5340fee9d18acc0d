//! The commands that are traced: guests of our own and real tools, each prepared in a fresh directory.

use std::fs;
use std::io::Result;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::needs::Need;
use crate::tracer::own_program;

/// One of them.
#[derive(Clone, Copy)]
pub struct Subject {
    /// What tests call it.
    pub name: &'static str,
    /// What it takes.
    pub needs: &'static [Need],
    /// What must lie in its directory.
    prepare: fn(&Path) -> Result<()>,
    /// Words; `%guest` stands for the guest program.
    cmd: &'static [&'static str],
    /// Processes and threads it makes, itself included, where that is certain.
    pub tasks: Option<usize>,
}

impl Subject {
    /// Empties `dir`, prepares it, and says what to run there. Two runs in one directory see the same.
    pub fn prepare(&self, dir: &Path) -> Result<Vec<String>> {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
        (self.prepare)(dir)?;
        Ok(self
            .cmd
            .iter()
            .map(|word| if *word == "%guest" { own_program("guest") } else { (*word).to_owned() })
            .collect())
    }
}

fn nothing(_dir: &Path) -> Result<()> {
    Ok(())
}

const fn guest(name: &'static str, cmd: &'static [&'static str], tasks: Option<usize>) -> Subject {
    Subject { name, needs: &[], prepare: nothing, cmd, tasks }
}

const fn tool(
    name: &'static str,
    needs: &'static [Need],
    prepare: fn(&Path) -> Result<()>,
    cmd: &'static [&'static str],
) -> Subject {
    Subject { name, needs, prepare, cmd, tasks: None }
}

/// Guests that end by themselves. Those of one task come last in no particular order.
pub const GUESTS: &[Subject] = &[
    guest("threads", &["%guest", "threads", "200"], Some(201)),
    guest("storm", &["%guest", "storm", "2000", "8"], Some(2001)),
    guest("exec_from_thread", &["%guest", "exec-thread"], Some(21)),
    guest("vfork_exec", &["%guest", "vfork-exec"], Some(22)),
    guest("tree", &["%guest", "tree", "5"], Some(63)),
    guest("orphans", &["%guest", "orphans"], Some(5)),
    guest("signals", &["%guest", "signals"], Some(1)),
    guest("queued", &["%guest", "queued"], Some(1)),
    guest("child_signals", &["%guest", "child-signals"], Some(3)),
    guest("stops", &["%guest", "stops"], Some(3)),
    guest("orphaned_group", &["%guest", "orphaned-group"], Some(3)),
    guest("interrupts", &["%guest", "interrupts"], Some(3)),
    guest("altstack", &["%guest", "altstack"], Some(2)),
    guest("deaths", &["%guest", "deaths"], Some(59)),
    guest("faults", &["%guest", "faults"], Some(11)),
    guest("timers", &["%guest", "timers"], Some(1)),
    guest("pipes", &["%guest", "pipes"], Some(5)),
    guest("groups", &["%guest", "groups"], Some(5)),
    guest("dump", &["%guest", "dump", "an argument", ""], Some(1)),
    guest("exit_0", &["%guest", "exit", "0"], Some(1)),
    guest("exit_125", &["%guest", "exit", "125"], Some(1)),
    guest("exit_255", &["%guest", "exit", "255"], Some(1)),
    guest("die_of_sigterm", &["%guest", "die", "15"], Some(1)),
    guest("die_of_sigkill", &["%guest", "die", "9"], Some(1)),
    guest("die_of_sigsegv", &["%guest", "die", "11"], Some(1)),
    guest("die_of_sigrtmin", &["%guest", "die", "34"], Some(1)),
    Subject { needs: &[Need::Tracefd], ..guest("ignored", &["%guest", "ignored"], Some(9)) },
    Subject {
        name: "i386",
        needs: &[Need::I386],
        prepare: |dir| crate::i386::write_program(&dir.join("i386")),
        cmd: &["./i386"],
        tasks: Some(2),
    },
    Subject {
        name: "gcc_m32",
        needs: &[Need::Program("gcc"), Need::GccM32, Need::I386],
        prepare: |dir| {
            fs::write(dir.join("m32.c"), M32_C)?;
            crate::i386::compile(dir, "m32.c", "m32")
        },
        cmd: &["./m32"],
        tasks: Some(6),
    },
];

/// Programs of the system.
pub const TOOLS: &[Subject] = &[
    tool(
        "git_clone",
        &[Need::Program("git")],
        git_source,
        &["git", "clone", "--no-hardlinks", "source", "clone"],
    ),
    tool("git_status", &[Need::Program("git")], git_changed, &["git", "-C", "source", "status"]),
    tool(
        "gcc",
        &[Need::Program("gcc")],
        |dir| fs::write(dir.join("hello.c"), HELLO_C),
        &["sh", "-c", "gcc -O1 -Wall -o hello hello.c && ./hello a b"],
    ),
    tool("make", &[Need::Program("make")], makefile, &["make", "-s", "-j4"]),
    tool(
        "python3",
        &[Need::Program("python3")],
        |dir| fs::write(dir.join("run.py"), RUN_PY),
        &["python3", "run.py"],
    ),
    tool("shell_pipeline", &[], nothing, &["sh", "-c", "ls -l / | wc -l; (exit 3); echo $?; kill -TERM $$"]),
];

const HELLO_C: &str = r#"#include <stdio.h>
int main(int argc, char **argv) { for (int i = 1; i < argc; i++) puts(argv[i]); return 40 + argc; }
"#;

/// Threads, a handler, a sleep, an exec, and death by a signal, with the C library of 32 bits.
const M32_C: &str = r#"#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static volatile sig_atomic_t seen;
static void handle(int signal) { seen += signal == SIGUSR1; }
static void *work(void *n) { for (int i = 0; i < 20; i++) getppid(); return n; }
int main(int argc, char **argv) {
  if (argc > 1) { printf("again, %d\n", (int)sizeof(void *)); return 9; }
  pthread_t threads[4];
  long sum = 0;
  for (long n = 0; n < 4; n++) pthread_create(&threads[n], 0, work, (void *)n);
  for (int n = 0; n < 4; n++) { void *got; pthread_join(threads[n], &got); sum += (long)got; }
  signal(SIGUSR1, handle);
  raise(SIGUSR1);
  struct stat st;
  int found = stat("/", &st) == 0 && S_ISDIR(st.st_mode);
  struct timespec nap = {0, 1000000};
  int slept = nanosleep(&nap, 0);
  void *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  printf("threads %ld, signals %d, found %d, slept %d, mapped %d\n", sum, (int)seen, found, slept, page != MAP_FAILED);
  fflush(stdout);
  int status;
  pid_t child = fork();
  if (!child) { execl(argv[0], argv[0], "again", (char *)0); _exit(errno); }
  waitpid(child, &status, 0);
  printf("child %d\n", WEXITSTATUS(status));
  fflush(stdout);
  kill(getpid(), SIGTERM);
  return 1;
}
"#;

const RUN_PY: &str = r#"import subprocess, sys, threading
done = [None] * 16
def work(i):
    done[i] = subprocess.run(["sh", "-c", f"echo {i}; exit {i}"], capture_output=True).returncode
threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
for t in threads: t.start()
for t in threads: t.join()
print(done)
sys.exit(6)
"#;

/// Twenty targets, each made by a shell, and one that shows them in order.
fn makefile(dir: &Path) -> Result<()> {
    let parts: Vec<String> = (0..20).map(|i| format!("part{i}")).collect();
    let mut text = format!("all: {}\n\t@cat $^\n", parts.join(" "));
    for part in parts {
        text += &format!("{part}:\n\t@echo made $@ | tr a-z A-Z > $@\n");
    }
    fs::write(dir.join("Makefile"), text)
}

fn git_source(dir: &Path) -> Result<()> {
    let source = dir.join("source");
    fs::create_dir(&source)?;
    for i in 0..30 {
        fs::write(source.join(format!("file{i}")), format!("contents of file {i}\n").repeat(50))?;
    }
    git(&source, &["init", "-q", "-b", "main", "."])?;
    git(&source, &["add", "."])?;
    git(&source, &["-c", "user.name=a", "-c", "user.email=a@example.invalid", "commit", "-q", "-m", "files"])
}

fn git_changed(dir: &Path) -> Result<()> {
    git_source(dir)?;
    fs::write(dir.join("source/file3"), "changed\n")?;
    fs::write(dir.join("source/new"), "new\n")
}

fn git(dir: &Path, args: &[&str]) -> Result<()> {
    let status = Command::new("git").args(args).current_dir(dir).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("git {args:?}: {status}"))) }
}
