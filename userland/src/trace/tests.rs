//! The whole tool against scripts of events (see `testing`): which lines it prints, and in which order it acts.

use kernel_model::abi::{Errno, IntRegisters, Pid, PtraceFlags, Signal, Status};
use kernel_model::scheme::Program;

use super::print::{Prefix, Style};
use super::testing::{Captured, Fake, Step, event};
use super::{End, Options, Target, run};
use crate::failure::Failure;
use crate::format::text::Text;
use crate::launch;
use crate::qualify::Qualifiers;
use crate::qualify::Quiet;
use crate::tables::Calls;

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;

pub(crate) fn step(pid: u32, cause: PtraceFlags, a: u64) -> Step {
    Step { pid, event: event(cause, a, [0; 3]), regs: IntRegisters::default() }
}

pub(crate) fn pre(pid: u32, number: u64, id: u64, [rdi, rsi, rdx]: [u64; 3]) -> Step {
    let regs = IntRegisters { rdi, rsi, rdx, rax: number, ..Default::default() };
    Step { pid, event: event(PRE, 0, [number, id, 0]), regs }
}

pub(crate) fn post(pid: u32, number: u64, id: u64, result: i64) -> Step {
    let regs = IntRegisters { rax: result as u64, ..Default::default() };
    Step { pid, event: event(POST, 0, [number, id, 0]), regs }
}

pub(crate) fn death(pid: u32, status: Status) -> Step {
    step(pid, PtraceFlags::EVENT_DEATH, u64::from(status.0))
}

pub(crate) fn options(follow: bool, expression: &str) -> Options {
    let calls = Calls::linux();
    let all = Qualifiers::parse(&expression.split(' ').collect::<Vec<_>>(), &calls).unwrap();
    Options {
        follow,
        show: super::Show::DEFAULT,
        select: all.trace,
        signals: all.signals,
        endings: all.endings,
        abbreviated: all.abbreviated,
        raw: all.raw,
        read: all.read,
        written: all.written,
        paths: Vec::new(),
        rules: all.rules,
        stop_at: None,
        calls,
        kill_on_exit: false,
        leaves_at_exec: false,
        whole: false,
        clock: super::whole::Source::Own,
    }
}

fn program() -> Target {
    Target::Program(Program::new("a program"))
}

/// What was printed, what was done, how it ended.
fn traced(fake: &Fake, target: &Target, options: &Options) -> (String, Vec<String>, Result<End, Failure>) {
    let captured = Captured::default();
    let prefix = if options.follow { Prefix::Always } else { Prefix::Never };
    let style = Style { prefix, ..Style::default() };
    let mut view = Text::new(captured.output(), style, Quiet::default(), false);
    let end = run(fake, target, options, &mut view, None, None);
    assert_eq!(fake.left_open(), 0, "every handle is closed");
    (captured.text(), fake.log(), end)
}

/// Spaces before `= ` are alignment.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn one_process_from_its_first_call_to_its_exit() {
    let exited = Status::exited(3);
    let script = vec![
        pre(7, 1, 1, [1, 0x1000, 2]),
        post(7, 1, 1, 2),
        pre(7, 2, 2, [0x1000, 0x8_0000, 0]),
        post(7, 2, 2, -2),
        step(7, PtraceFlags::STOP_SIGNAL, 10),
        pre(7, 15, 3, [0; 3]),
        pre(7, 231, 4, [3, 0, 0]),
        death(7, exited),
    ];
    let (text, log, end) =
        traced(&Fake::new(7, exited, script).memory(b"hi"), &program(), &options(false, "all"));
    assert_eq!(
        lines(&text),
        [
            r#"write(1, "hi", 2) = 2"#,
            r#"open("hi", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)"#,
            "--- SIGUSR1 {SIG_DFL} ---",
            "rt_sigreturn() = ?",
            "exit_group(3) = ?",
            "+++ exited with 3 +++",
        ]
    );
    assert!(matches!(end, Ok(End::Command(status)) if status == exited));
    assert_eq!(log.first().map(String::as_str), Some("spawn a program"));
    assert_eq!(
        log.iter().filter(|line| *line == "write 7 post").count(),
        8,
        "one write per stop, and the first"
    );
    assert_eq!(log.last().map(String::as_str), Some("wait 7"));
}

#[test]
fn a_child_is_opened_before_the_next_write_on_its_parent() {
    let script = vec![
        pre(7, 57, 1, [0; 3]),
        step(7, PtraceFlags::EVENT_CLONE, 8),
        pre(8, 39, 1, [0; 3]),
        post(7, 57, 1, 8),
        post(8, 39, 1, 8),
        death(8, Status::killed(Signal::KILL)),
        death(7, Status::exited(0)),
    ];
    let (text, log, _) = traced(&Fake::new(7, Status::exited(0), script), &program(), &options(true, "all"));
    assert_eq!(
        lines(&text),
        [
            "7 fork( <unfinished ...>",
            "tracefd: process 8 attached",
            "8 getpid( <unfinished ...>",
            "7 <... fork resumed>) = 8",
            "8 <... getpid resumed>) = 8",
            "8 +++ killed by SIGKILL +++",
            "7 +++ exited with 0 +++",
        ]
    );
    let expected = [
        "spawn a program",
        "open 7",
        "write 7 clone post",
        "write 7 clone post",
        "open 8",
        "write 8 clone post",
    ];
    assert_eq!(log[..6], expected);
}

#[test]
fn without_f_births_are_not_asked_for() {
    let script = vec![death(7, Status::exited(0))];
    let (_, log, _) = traced(&Fake::new(7, Status::exited(0), script), &program(), &options(false, "all"));
    assert_eq!(log, ["spawn a program", "open 7", "write 7 post", "wait 7"]);
}

#[test]
fn a_filter_hides_calls_and_asks_for_no_end_of_hidden_ones() {
    let script =
        vec![pre(7, 39, 1, [0; 3]), pre(7, 3, 2, [5, 0, 0]), post(7, 3, 2, -9), death(7, Status::exited(0))];
    let (text, log, _) =
        traced(&Fake::new(7, Status::exited(0), script), &program(), &options(false, "trace=close"));
    assert_eq!(lines(&text), ["close(5) = -1 EBADF (Bad file descriptor)", "+++ exited with 0 +++",]);
    assert_eq!(log[2..], ["write 7", "write 7", "write 7 post", "write 7", "wait 7"]);
}

#[test]
fn an_exec_by_a_thread_takes_over_the_pid_of_its_process() {
    let clone = PtraceFlags::EVENT_CLONE;
    let script = vec![
        pre(7, 56, 1, [0x1_0f00, 0, 0]), // CLONE_THREAD
        step(7, clone, 8),
        post(7, 56, 1, 8),
        pre(7, 34, 2, [0; 3]),
        pre(8, 59, 1, [0x1000, 0, 0]),
        step(8, PtraceFlags::EVENT_IMAGE, 8),
    ];
    // From here on the session of 8 speaks for 7; the fake finds it by the pid it was opened with.
    let script =
        script.into_iter().chain([pre(8, 39, 2, [0; 3]), post(8, 39, 2, 7), death(8, Status::exited(0))]);
    let fake = Fake::new(7, Status::exited(0), script.collect()).memory(b"x");
    let (text, _, end) = traced(&fake, &program(), &options(true, "all"));
    assert_eq!(
        lines(&text)[4..],
        [
            r#"8 execve("x", NULL, NULL <unfinished ...>"#,
            "7 +++ superseded by execve in pid 8 +++",
            "7 <... execve resumed>) = 0",
            "7 getpid() = 7",
            "7 +++ exited with 0 +++",
        ]
    );
    assert!(end.is_ok());
}

#[test]
fn the_end_of_a_replaced_first_thread_may_come_before_the_exec() {
    let script = vec![
        pre(7, 56, 1, [0x1_0f00, 0, 0]),
        step(7, PtraceFlags::EVENT_CLONE, 8),
        step(7, PtraceFlags::EVENT_CLONE, 9),
        post(7, 56, 1, 8),
        pre(8, 59, 1, [0x1000, 0, 0]),
        step(9, PtraceFlags::EVENT_DEATH, u64::MAX),
        step(7, PtraceFlags::EVENT_DEATH, u64::MAX),
        step(8, PtraceFlags::EVENT_IMAGE, 8),
        death(8, Status::exited(5)),
    ];
    let fake = Fake::new(7, Status::exited(5), script).memory(b"x");
    let (text, _, end) = traced(&fake, &program(), &options(true, "all"));
    assert_eq!(
        lines(&text)[4..],
        [
            r#"8 execve("x", NULL, NULL <unfinished ...>"#,
            "9 +++ ended by an execve of its process +++",
            "7 +++ superseded by execve in pid 8 +++",
            "7 <... execve resumed>) = 0",
            "7 +++ exited with 5 +++",
        ]
    );
    assert!(matches!(end, Ok(End::Command(status)) if status == Status::exited(5)));
}

#[test]
fn nested_calls_pair_up_by_their_id() {
    let script = vec![
        pre(7, 0, 1, [0; 3]),
        step(7, PtraceFlags::STOP_SIGNAL, 10),
        pre(7, 39, 2, [0; 3]),
        post(7, 39, 2, 7),
        pre(7, 15, 3, [0; 3]),
        post(7, 0, 1, -4),
        death(7, Status::killed(Signal::TERM)),
    ];
    let (text, ..) = traced(&Fake::new(7, Status::exited(0), script), &program(), &options(false, "all"));
    assert_eq!(
        lines(&text)[..5],
        [
            "read(0, <unfinished ...>",
            "--- SIGUSR1 {SIG_DFL} ---",
            "getpid() = 7",
            "rt_sigreturn() = ?",
            "<... read resumed>NULL, 0) = -1 EINTR (Interrupted system call)",
        ]
    );
}

#[test]
fn attaching_takes_every_thread_and_the_rest_of_a_call() {
    let script = vec![
        post(21, 0, 9, 5),
        step(20, PtraceFlags::EVENT_JOBSTOP, 19),
        death(21, Status::exited(0)),
        death(20, Status::exited(0)),
    ];
    let fake = Fake::new(0, Status::exited(0), script).text("proc:20/threads", "20\n21\n");
    let (text, log, end) = traced(&fake, &Target::Attach(vec![Pid(20)]), &options(true, "all"));
    assert_eq!(
        lines(&text),
        [
            "tracefd: process 20 attached",
            "tracefd: process 21 attached",
            "21 <... read resumed>) = 5",
            "20 --- stopped by SIGSTOP ---",
            "21 +++ exited with 0 +++",
            "20 +++ exited with 0 +++",
        ]
    );
    assert_eq!(log[..4], ["open 20", "write 20 clone post", "open 21", "write 21 clone post"]);
    assert_eq!(log[4..], ["write 21 clone post"], "only a stop needs a write");
    assert!(matches!(end, Ok(End::Attached)));
}

#[test]
fn refusals_say_who_why_and_what_to_do() {
    let refused = |errno, status: &str, exe: Option<&str>| {
        let mut fake =
            Fake::new(0, Status::exited(0), vec![]).text("proc:20/threads", "20\n").refuse(20, errno);
        if !status.is_empty() {
            fake = fake.text("proc:20/status", status).text("proc:9/exe", "file:/usr/bin/gdb");
        }
        if let Some(exe) = exe {
            fake = fake.text("proc:20/exe", exe);
        }
        let (text, _, end) = traced(&fake, &Target::Attach(vec![Pid(20)]), &options(true, "all"));
        assert_eq!(text, "");
        let failure = end.unwrap_err();
        assert_eq!(failure.exit_code(), 125);
        failure.to_string()
    };
    assert_eq!(
        refused(Errno::ESRCH, "", None),
        "cannot attach to process 20: no such process; `ps -e` lists those there are"
    );
    assert_eq!(
        refused(Errno::EBUSY, "uid 0\ntracer 9\nuser true\n", Some("file:/usr/sbin/sshd")),
        "cannot attach to process 20 (sshd): already traced by process 9 (gdb); a process has one tracer: end that one first"
    );
    assert!(
        refused(Errno::ESRCH, "state zombie\nparent 3\n", None)
            .contains("waits for its parent, process 3, to notice")
    );
    assert!(refused(Errno::EPERM, "state running\nuser false\n", None).contains("kernel thread"));
    assert!(refused(Errno::EPERM, "uid 4294967294\nuser true\n", None).contains("operation not permitted"));
}

#[test]
fn a_program_that_cannot_be_traced_is_not_left_behind() {
    let fake = Fake::new(7, Status::exited(0), vec![]).refuse(7, Errno::EPERM);
    let (_, log, end) = traced(&fake, &program(), &options(false, "all"));
    assert!(matches!(end, Err(Failure::Attach { pid: Pid(7), .. })));
    assert_eq!(log[1..], ["kill 7 SIGKILL", "wait 7"]);
}

#[test]
fn commands_that_cannot_be_run_have_their_exit_status() {
    let folder = std::env::temp_dir();
    let failed = |word: &str, errno| {
        let command = launch::Command {
            words: vec![word.into()],
            search: Some(folder.clone().into()),
            ..launch::Command::default()
        };
        let target = Target::Command(command);
        traced(&Fake::new(7, Status::exited(0), vec![]).refuse_spawn(errno), &target, &options(false, "all"))
            .2
            .unwrap_err()
    };
    let missing = failed("no-such-command-anywhere", Errno::ENOENT);
    assert_eq!((missing.exit_code(), missing.to_string().contains("PATH")), (127, true));
    assert_eq!(failed("/no/such/file", Errno::ENOENT).exit_code(), 127);
    assert_eq!(failed("", Errno::ENOENT).exit_code(), 127);
    let directory = failed(folder.to_str().unwrap(), Errno::EACCES);
    assert_eq!((directory.exit_code(), directory.to_string().contains("is a directory")), (126, true));
    let file = std::env::current_exe().unwrap();
    let denied = failed(file.to_str().unwrap(), Errno::EACCES);
    assert_eq!((denied.exit_code(), denied.to_string().contains("chmod +x")), (126, true));
    assert_eq!(failed(file.to_str().unwrap(), Errno::ENOEXEC).exit_code(), 126);
    let loader = failed(file.to_str().unwrap(), Errno::ENOENT);
    assert_eq!((loader.exit_code(), loader.to_string().contains("interpreter")), (127, true));
}

#[test]
fn a_deadlock_is_an_error_of_its_own() {
    let (text, _, end) = traced(
        &Fake::new(7, Status::exited(0), vec![pre(7, 34, 1, [0; 3])]),
        &program(),
        &options(false, "all"),
    );
    assert!(matches!(end, Err(Failure::Deadlock)));
    assert_eq!(text, "pause(");
}
