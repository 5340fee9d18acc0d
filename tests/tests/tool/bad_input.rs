//! What cannot be traced is refused in one line that says why and what to do, with the right exit status.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use conformance::cell::{Cell, Ended};
use conformance::elf::write_program;
use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;
use conformance::{procfs, tracer};

/// tracefd's own failure.
const OWN: i32 = 125;
/// A user who may do nothing.
const NOBODY: u32 = 65534;

/// One test per cause.
pub(crate) fn add(suite: &mut Suite) {
    let own = &[Need::Tracefd][..];
    suite.test("bad_unknown_pid", own, unknown_pid);
    suite.test("bad_own_pid", own, own_pid);
    suite.test("bad_kernel_thread", &[Need::Tracefd, Need::KernelThread, Need::Root], || {
        refused(&run(&["-p", "2"])?, OWN, &["process 2:", "kernel"])
    });
    suite.test("bad_zombie", own, zombie);
    suite.test("bad_already_traced", own, already_traced);
    suite.test("bad_no_permission", &[Need::Tracefd, Need::Root], no_permission);
    suite.test("bad_yama", &[Need::Tracefd, Need::Root, Need::Yama], yama);
    suite.test("bad_missing_program", own, || {
        refused(&run(&["--", "./no-such-program"])?, 127, &["./no-such-program", "no such file"])?;
        refused(&run(&["--", "no-such-program-in-path"])?, 127, &["no-such-program-in-path", "PATH"])
    });
    suite.test("bad_not_executable", own, not_executable);
    suite.test("bad_directory", own, || refused(&run(&["--", "/usr"])?, 126, &["/usr", "directory"]));
    suite.test("bad_usage", own, bad_usage);
    suite.test("bad_output", own, || {
        refused(&run(&["-o", "/nonexistent/trace", "--", "true"])?, OWN, &["/nonexistent/trace"])
    });
}

fn command(options: &[&str]) -> Vec<String> {
    let mut words = tracer::words();
    words.extend(options.iter().map(|&option| option.to_owned()));
    words
}

fn run(options: &[&str]) -> std::io::Result<Ended> {
    Cell::default().run(&command(options))
}

/// One line on stderr with all of `words`; nothing on stdout; this status; nothing left behind.
fn refused(ended: &Ended, status: i32, words: &[&str]) -> Outcome {
    ensure(ended.status == format!("exited {status}"), || format!("not status {status}: {}", ended.text()))?;
    one_line(ended, words)
}

fn one_line(ended: &Ended, words: &[&str]) -> Outcome {
    let all = |line: &str| words.iter().all(|word| line.to_lowercase().contains(&word.to_lowercase()));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    ensure(matches!(lines[..], [line] if all(line)), || {
        format!("not one line with {words:?}: {}", ended.text())
    })?;
    ensure(ended.stderr.starts_with("tracefd: "), || format!("who says so? {}", ended.stderr))?;
    ensure(ended.stdout.is_empty(), || format!("on stdout: {}", ended.stdout))?;
    ensure(ended.said("left").is_empty() && ended.said("adopted").is_empty(), || {
        format!("{:?}", ended.report)
    })
}

fn unknown_pid() -> Outcome {
    // Above /proc/sys/kernel/pid_max, which is at most 2^22.
    refused(&run(&["-p", "4194305"])?, OWN, &["4194305", "no such process"])?;
    // One that has been there: reaped, hence gone.
    let mut child = Command::new("true").spawn()?;
    child.wait()?;
    let pid = child.id().to_string();
    refused(&run(&["-p", &pid])?, OWN, &[&pid, "no such process"])
}

fn own_pid() -> Outcome {
    let script = format!("exec {} -p $$", command(&[]).join(" "));
    refused(&Cell::default().run(&["sh".into(), "-c".into(), script])?, OWN, &["itself"])
}

/// A child that this process has not waited for; ended on drop.
struct Victim(Child);

impl Victim {
    /// It waits for a signal, and is past its start.
    fn waiting() -> std::io::Result<Victim> {
        let guest = tracer::own_program("guest");
        let mut child = Command::new(guest).arg("napper").stdout(Stdio::piped()).spawn()?;
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut String::new())?;
        Ok(Victim(child))
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn zombie() -> Outcome {
    let mut victim = Victim(Command::new("true").stdin(Stdio::null()).spawn()?);
    let pid = victim.pid();
    let id = nix::sys::wait::Id::Pid(nix::unistd::Pid::from_raw(pid));
    let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
    nix::sys::wait::waitid(id, flags)?;
    refused(&run(&["-p", &pid.to_string()])?, OWN, &[&pid.to_string(), "zombie"])?;
    victim.0.wait()?;
    Ok(())
}

fn already_traced() -> Outcome {
    let victim = Victim::waiting()?;
    let pid = nix::unistd::Pid::from_raw(victim.pid());
    nix::sys::ptrace::seize(pid, nix::sys::ptrace::Options::empty())?;
    // The tracer is this thread; its process is what people know.
    let (word, tracer) = (victim.pid().to_string(), std::process::id().to_string());
    let ended = run(&["-p", &word])?;
    let tid = procfs::tracer(victim.pid()).ok_or("the victim has gone")?.to_string();
    refused(&ended, OWN, &[&word, "traced by"])?;
    ensure(ended.stderr.contains(&tracer) || ended.stderr.contains(&tid), || {
        format!("by whom? {}", ended.stderr)
    })
}

/// tracefd as another user, in a place where that user may run it.
fn as_nobody(options: &[&str]) -> std::io::Result<Ended> {
    let dir = tempfile::tempdir()?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    let binary = dir.path().join("tracefd");
    write_program(&binary, &std::fs::read(tracer::tracefd())?)?;
    let mut words = vec![binary.display().to_string(), "trace".to_owned()];
    words.extend(options.iter().map(|&option| option.to_owned()));
    Cell { user: Some(NOBODY), dir: Some("/".into()), ..Cell::default() }.run(&words)
}

fn no_permission() -> Outcome {
    let victim = Victim::waiting()?;
    let pid = victim.pid().to_string();
    refused(&as_nobody(&["-p", &pid])?, OWN, &[&pid, "permi"])
}

fn yama() -> Outcome {
    let victim = Victim::waiting()?;
    let pid = victim.pid().to_string();
    refused(&as_nobody(&["-p", &pid])?, OWN, &[&pid, "ptrace_scope"])
}

fn not_executable() -> Outcome {
    let dir = tempfile::tempdir()?;
    let file = |name: &str, text: &str, mode| -> std::io::Result<String> {
        let path = dir.path().join(name);
        write_program(&path, text.as_bytes())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        Ok(path.display().to_string())
    };
    let (plain, garbage) = (file("plain", "#!/bin/sh\n", 0o644)?, file("garbage", "\x01\x02\x03", 0o755)?);
    refused(&run(&["--", &plain])?, 126, &[&plain, "permission denied", "chmod"])?;
    refused(&run(&["--", &garbage])?, 126, &[&garbage])?;
    let orphan = file("orphan", "#!/no/such/interpreter\n", 0o755)?;
    let ended = run(&["--", &orphan])?;
    ensure(Path::new(&orphan).exists(), || "the script has gone".into())?;
    refused(&ended, 126, &[&orphan, "interpreter"]).or_else(|_| refused(&ended, 127, &[&orphan]))
}

/// The parser may print several lines; the status tells, and nothing is run.
fn bad_usage() -> Outcome {
    for options in [&[][..], &["--no-such-option"], &["-p", "word"], &["-p", "-5"], &["-p", "0"]] {
        let ended = run(options)?;
        ensure(ended.status == "exited 2", || format!("{options:?}: {}", ended.text()))?;
        ensure(!ended.stderr.is_empty() && ended.stdout.is_empty(), || {
            format!("{options:?}: {}", ended.text())
        })?;
    }
    Ok(())
}
