//! Each subject in a directory that is a mount: it must do what it does in the real one. Then many tasks at once, and a mount
//! that takes its time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use backend_linux::Linux;
use conformance::cell::{Cell, Ended};
use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::needs::Need;
use conformance::subjects::{GUESTS, Subject, TOOLS};
use conformance::tracer::tracefd;
use kernel_model::abi::{Errno, Result as Answer};
use kernel_model::core::Policy;
use kernel_model::kernel::Kernel;
use kernel_model::local::Local;
use userland::run::backing::{Backing, Intent, Manner};
use userland::run::mounts::{Mount, Rights};
use userland::run::{Options, run};

/// One test per subject, and two more.
pub(crate) fn add(suite: &mut Suite) {
    for subject in GUESTS.iter().chain(TOOLS) {
        let needs: Vec<Need> = subject.needs.iter().copied().chain([Need::Tracefd]).collect();
        suite.test(&format!("in_a_mount_{}", subject.name), &needs, move || in_a_mount(subject));
    }
    suite.test("many_tasks", &[Need::Tracefd, Need::Program("python3")], many_tasks);
    suite.test("R213", &[], slow_mount);
}

/// All that it says, but for what RFC 0005 says that it can tell: that there is a filter.
fn shown(ended: &Ended) -> String {
    ended.text().lines().filter(|line| !line.starts_with("Seccomp")).map(|line| format!("{line}\n")).collect()
}

fn through(dir: &Path, cmd: &[String]) -> Vec<String> {
    let mount = format!("/tracefd-x=dir:{}", dir.display());
    let tracefd = tracefd().display().to_string();
    let before = [&tracefd, "run", "-b", &mount, "-w", "/tracefd-x", "--"].map(str::to_owned);
    before.into_iter().chain(cmd.iter().cloned()).collect()
}

fn in_a_mount(subject: &Subject) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let dir = scratch.path().canonicalize()?.join("run");
    let cmd = subject.prepare(&dir)?;
    let real = Cell::at(&dir).run(&cmd)?;
    let cmd = subject.prepare(&dir)?;
    let mounted = Cell::at(&dir).run(&through(&dir, &cmd))?;
    // The one place where a subject says where it is.
    let names = |text: String| text.replace(dir.to_str().expect("UTF-8"), "/tracefd-x");
    same("what it shows", &names(shown(&real)), &names(shown(&mounted)))?;
    ensure(mounted.said("left").is_empty(), || format!("left behind: {:?}", mounted.said("left")))
}

/// Four threads in each of four processes, none of which may see another's file in place of its own.
const MANY: &str = r#"
import os, threading
bad = []
def work(k):
    for i in range(60):
        p = f"d/{os.getpid()}-{k}-{i % 7}"
        with open(p, "w") as f: f.write(p)
        if open(p).read() != p: bad.append(p)
        os.rename(p, p + "x")
        if os.path.exists(p): bad.append(p)
        os.unlink(p + "x")
pids = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        os._exit(len(bad))
    pids.append(pid)
print([os.waitpid(pid, 0)[1] for pid in pids], os.listdir("d"))
"#;

fn many_tasks() -> Outcome {
    let dir = tempfile::tempdir()?;
    let dir = dir.path().canonicalize()?;
    std::fs::create_dir(dir.join("d"))?;
    let cmd = ["python3", "-c", MANY].map(str::to_owned);
    let ended = Cell::at(&dir).run(&through(&dir, &cmd))?;
    same("what it shows", "exited 0\n--- stdout\n[0, 0, 0, 0] []\n--- stderr\n", &ended.text())
}

/// Opens for the slow mount when the fast one is asked for `go`.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

struct Slow(Arc<Gate>, PathBuf);
struct Fast(Arc<Gate>, PathBuf);

impl Backing for Slow {
    fn is_ready(&self, _: &Path, _: Intent) -> bool {
        false
    }

    fn locate(&self, below: &Path, _: Intent) -> Answer<PathBuf> {
        let open = self.0.open.lock().expect("nobody panics");
        // Only a failing test waits so long.
        let (open, _) = self
            .0
            .opened
            .wait_timeout_while(open, Duration::from_secs(20), |open| !*open)
            .expect("nobody panics");
        if *open { Ok(self.1.join(below)) } else { Err(Errno(libc::ETIMEDOUT)) }
    }

    fn finished(&self, _: &Path, _: Intent, _: bool) {}

    fn name_of(&self, _: &Path) -> Option<PathBuf> {
        None
    }

    fn manner(&self) -> Manner {
        Manner::Native
    }
}

impl Backing for Fast {
    fn is_ready(&self, _: &Path, _: Intent) -> bool {
        true
    }

    fn locate(&self, below: &Path, _: Intent) -> Answer<PathBuf> {
        if below == Path::new("go") {
            *self.0.open.lock().expect("nobody panics") = true;
            self.0.opened.notify_all();
        }
        Ok(self.1.join(below))
    }

    fn finished(&self, _: &Path, _: Intent, _: bool) {}

    fn name_of(&self, _: &Path) -> Option<PathBuf> {
        None
    }

    fn manner(&self) -> Manner {
        Manner::Native
    }
}

/// id: "R213"
fn slow_mount() -> Outcome {
    let dir = tempfile::tempdir()?;
    let dir = dir.path().canonicalize()?;
    std::fs::write(dir.join("f"), "hello\n")?;
    std::fs::write(dir.join("go"), "go\n")?;
    let gate = Arc::new(Gate::default());
    let mount = |at: &str, backing: Arc<dyn Backing>| Mount {
        at: at.as_bytes().to_vec(),
        backing,
        rights: Rights::all(),
    };
    let mounts = vec![
        mount("/tracefd-slow", Arc::new(Slow(Arc::clone(&gate), dir.clone()))),
        mount("/tracefd-fast", Arc::new(Fast(gate, dir.clone()))),
    ];
    let line = format!(
        "cat /tracefd-slow/f >{0}/out & cat /tracefd-fast/f /tracefd-fast/go >{0}/all; wait",
        dir.display()
    );
    let options = Options {
        mounts,
        dir: None,
        words: ["sh", "-c", &line].map(Into::into).to_vec(),
        warn_unknown: false,
        restrictions: Default::default(),
    };
    let local = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
    let client = local.client(backend_linux::caller());
    let ringer = || {
        let waker = local.ringer().ok()?;
        Some(Box::new(move || waker.wake()) as Box<dyn Fn() + Send>)
    };
    let status = run(&client, options, &ringer, None).map_err(|failure| failure.to_string())?;
    ensure(status.code() == Some(0), || format!("{status:?}"))?;
    let read = |name: &str| std::fs::read_to_string(dir.join(name));
    same("what the fast mount gave", "hello\ngo\n", &read("all")?)?;
    same("what the slow mount gave", "hello\n", &read("out")?)
}
