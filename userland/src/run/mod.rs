//! `tracefd run`: schemes as paths for unmodified programs.
//!
//! Only calls that take a path stop (`calls`, from a generated table). [`mounts`] says where virtual names are; `walk` follows
//! a path among them; `entry` and its siblings `open`, `exec` and `socket` plan what to do with a call; `rewrite` changes
//! arguments and undoes it; `follow` is the loop. The kernel then does the call itself, on the host's file: nothing that is
//! read or written passes through the tracer. What is behind a mount is a [`backing::Backing`].
//! Two are exceptions, by `streams`: calls on handles of a `proc:` mount, which are `live`, are served; and reads of a lazy mount
//! wait for what they are about to read.

pub mod args;
pub mod backing;
pub mod calls;
mod entry;
mod exec;
mod follow;
mod live;
mod look;
pub mod mounts;
mod open;
mod procfs;
mod report;
pub mod restrict;
mod rewrite;
mod scratch;
mod socket;
mod streams;
mod strings;
mod task;
mod walk;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use kernel_model::abi::{Errno, Pid, Signal, Status};
use kernel_model::scheme::{Host, Program};
use kernel_model::sets::{CallSet, Filter, SignalSet};

use crate::diagnose::{self, Asker as Debugger};
use crate::failure::Failure;
use crate::signals::Signals;
use crate::trace::delay::Ringer;
use backing::Manner;
use calls::Calls;
use follow::Follow;
use mounts::{Mount, Table, path_of, shown};
use report::Reporter;
use restrict::Restrictions;
use task::Cwd;
use walk::{Answers, Asker, Found, Scope, Start, Stop, World};

/// PATH where it is not set (confstr(3), _CS_PATH).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What to run, and in what.
pub struct Options {
    /// The mounts; a later one hides an earlier one of the same point.
    pub mounts: Vec<Mount>,
    /// The current directory, a virtual one; `None`: the tool's own.
    pub dir: Option<PathBuf>,
    /// The command.
    pub words: Vec<OsString>,
    /// Tell of each kind of call that is refused.
    pub warn_unknown: bool,
    /// What the kernel is to hold, even where a call slips through.
    pub restrictions: Restrictions,
}

/// Runs the command to the end of all its processes.
pub fn run(
    host: &dyn Host,
    options: Options,
    ringer: &Ringer<'_>,
    signals: Option<&Signals>,
) -> Result<Status, Failure> {
    let world = World { table: Table::new(options.mounts), ..World::default() };
    let calls = Calls::new().with_reads(world.table.has(Manner::Live), world.table.has(Manner::Parts));
    let beginning = Beginning { world: &world, answers: Answers::new() };
    let (program, cwd) = beginning.program(&options.words, options.dir)?;
    let stopping = calls.that_stop();
    let none_of_signals = SignalSet::NONE;
    let pushed = Filter { entry: stopping.clone(), exit: stopping, signal: none_of_signals };
    debug_assert!(pushed.entry != CallSet::ALL);
    let program = Program { pushed: Some(pushed), ..program };
    let report = Reporter::new(options.warn_unknown);
    if !options.restrictions.is_empty() {
        match options.restrictions.enforce() {
            Ok(true) => {}
            Ok(false) => report.note(
                "this kernel's Landlock is missing or too old: --ro and --deny are not a security boundary",
            ),
            Err(error) => {
                return Err(Failure::Machine(format!("--ro and --deny cannot be enforced: {error}")));
            }
        }
    }
    let root = host.spawn(&program).map_err(|errno| cannot_run(&options.words[0], errno))?;
    let mut follow = Follow::new(host, &world, &calls, ringer, report, signals)?;
    // What can fail from here on must not leave the command behind, held for ever.
    follow.begin(root, cwd).map_err(|errno| {
        let failure = diagnose::attach(host, root, errno, Debugger::this());
        let _ = host.kill(root, Signal::KILL);
        let _ = wait(host, root);
        failure
    })?;
    if let Some(signals) = signals {
        signals.root_is(root.0);
    }
    follow.serve()?;
    let last = follow.root_status();
    drop(follow);
    wait(host, root).map(|status| status.or(last).unwrap_or(Status(0)))
}

/// How the command ended; the tool is its parent.
fn wait(host: &dyn Host, root: Pid) -> Result<Option<Status>, Failure> {
    loop {
        match host.wait(root, true) {
            Ok(status) => return Ok(status),
            Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(None),
            Err(Errno::EDEADLK) => return Err(Failure::Deadlock),
            Err(errno) => return Err(Failure::Kernel { doing: "waiting for the command", errno }),
        }
    }
}

fn cannot_run(name: &OsStr, errno: Errno) -> Failure {
    let command = name.to_string_lossy().into_owned();
    match errno {
        Errno::ENOENT => {
            let remedy = "neither the host nor a mount has it, or the interpreter or loader that it names".to_owned();
            Failure::NotFound { command, remedy }
        }
        // PTRACE_SEIZE of the tool's own child: only a tracer's tracee is refused that.
        Errno::EPERM => Failure::Machine(
            "the command cannot be traced: this tracefd is itself run under a tracer (`tracefd run`, strace, gdb), and a \
             process can have one only"
                .to_owned(),
        ),
        errno => Failure::CannotRun { command, cause: errno.to_string() },
    }
}

/// The tool's own look at the virtual tree, before anything runs in it.
struct Beginning<'w> {
    world: &'w World,
    answers: Answers,
}

impl Beginning<'_> {
    /// Asks mounts as often as it takes; nobody else waits yet.
    fn patient<T>(
        &mut self,
        look: impl Fn(&World, Asker<'_>) -> std::result::Result<T, Stop>,
    ) -> std::result::Result<T, Errno> {
        loop {
            let asker = Asker { tid: std::process::id(), answers: &self.answers };
            match look(self.world, asker) {
                Ok(value) => return Ok(value),
                Err(Stop::Errno(errno)) => return Err(errno),
                Err(Stop::NotReady(ask)) => {
                    let backing = &self.world.table.get(ask.mount).backing;
                    let located = backing.locate(path_of(&ask.below), ask.intent);
                    self.answers.push((ask, located));
                }
            }
        }
    }

    fn program(
        mut self,
        words: &[OsString],
        dir: Option<PathBuf>,
    ) -> Result<(Program, Option<Cwd>), Failure> {
        let Some(name) = words.first() else { return Err(Failure::Usage("no command".to_owned())) };
        let cwd = self.enter(dir)?;
        let start = Start { virt: cwd.virt.clone(), native: cwd.native, host: None };
        let mut refused = Errno::ENOENT;
        for candidate in candidates(name.as_bytes()) {
            let found = self.patient(|world, asker| {
                let found = world.walk(asker, &start, &candidate, true, Scope::default())?;
                let image = world.image(asker, &start, found, &candidate)?;
                Ok(image)
            });
            let image = match found {
                Ok(image) if runnable(&image.host) => image,
                Ok(image) if look::exists(&image.host) => {
                    refused = Errno::EACCES;
                    continue;
                }
                Err(errno @ (Errno::EACCES | Errno(110))) => {
                    refused = errno;
                    continue;
                }
                _ => continue,
            };
            let mut args: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            // Natively the kernel makes the arguments of a script.
            let (path, front) =
                if image.native { (candidate, vec![]) } else { (image.host, image.arguments) };
            if !front.is_empty() {
                args.splice(..1, front);
            }
            return Ok((Program { path, args, ..Program::default() }, Some(cwd)));
        }
        Err(cannot_run(name, refused))
    }

    /// Goes to the directory in which the command begins.
    fn enter(&mut self, dir: Option<PathBuf>) -> Result<Cwd, Failure> {
        let cannot = |dir: &OsStr, errno: Errno| Failure::Input {
            path: dir.to_string_lossy().into_owned(),
            cause: std::io::Error::from_raw_os_error(errno.0),
        };
        let own = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let wanted = match dir {
            Some(dir) => own.join(dir),
            None => own.clone(),
        };
        let wanted = wanted.into_os_string();
        let root = Start { virt: Vec::new(), native: true, host: None };
        let entered = self.patient(|world, asker| {
            let found: Found = world.walk(asker, &root, wanted.as_bytes(), true, Scope::default())?;
            let host = world.host_of(asker, &found.virt, backing::Intent::Look)?;
            Ok((found, host))
        });
        let (found, host) = match entered {
            Ok((found, host)) if look::is_directory(&host) => (found, host),
            // The tool's own directory may not be in the tree that is shown: then it begins at the root.
            _ if wanted == own => return self.enter(Some(PathBuf::from("/"))),
            Ok((_, host)) if look::exists(&host) => return Err(cannot(&wanted, walk::ENOTDIR)),
            Ok(_) => return Err(cannot(&wanted, Errno::ENOENT)),
            Err(errno) => return Err(cannot(&wanted, errno)),
        };
        std::env::set_current_dir(path_of(&host))
            .map_err(|cause| Failure::Input { path: wanted.to_string_lossy().into_owned(), cause })?;
        let host = std::env::current_dir().map_or(host, |dir| dir.into_os_string().into_vec());
        Ok(Cwd { generation: 0, host, virt: found.virt, native: found.native })
    }
}

/// Where a command is looked for, as execvp(3) does.
fn candidates(name: &[u8]) -> Vec<Vec<u8>> {
    if name.is_empty() || name.contains(&b'/') {
        return vec![name.to_vec()];
    }
    let search = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH)).into_vec();
    let folder = |folder: &[u8]| [if folder.is_empty() { b"." } else { folder }, b"/", name].concat();
    search.split(|&byte| byte == b':').map(folder).collect()
}

/// A file that somebody may execute.
fn runnable(host: &[u8]) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let file = path_of(host).metadata();
    file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// What a mount point is called in messages.
pub fn name_of_point(point: &[u8]) -> String {
    String::from_utf8_lossy(shown(point)).into_owned()
}
