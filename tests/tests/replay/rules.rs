//! The rules of RFC 0007, one function for each sentence.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use conformance::harness::{Outcome, ensure, same};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::runs::{Lab, On, Ran, names, tracefd_trace};

/// One sentence of the RFC, and how to find out whether it holds.
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) holds: fn(On) -> Outcome,
}

/// In the order of the RFC.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        id: "R120",
        sentence: "When a machine is recorded, it reports and answers as it would without.",
        holds: transparent,
    },
    Rule {
        id: "R121",
        sentence: "When a recording is replayed with the options it was made with, all that is printed is the same, byte for byte, times included, and so is the end.",
        holds: identical,
    },
    Rule {
        id: "R122",
        sentence: "When a replay is asked for less than was recorded, it shows of that run what it would have shown live.",
        holds: narrower,
    },
    Rule {
        id: "R123",
        sentence: "When a replay is asked for what was not recorded, the answer is ENODATA, and the tool says so.",
        holds: unrecorded,
    },
    Rule {
        id: "R124",
        sentence: "When a recording is cut, its whole stops are replayed; then the offset of what is not whole is told.",
        holds: cut,
    },
    Rule {
        id: "R125",
        sentence: "When a byte of a recording was changed, what came before it is replayed; then its record's offset is told.",
        holds: changed,
    },
    Rule {
        id: "R126",
        sentence: "When a recording cannot be written, that is said once, and everything else goes on.",
        holds: full,
    },
    Rule {
        id: "R127",
        sentence: "When the recorder is killed, what it had written is a recording that was cut.",
        holds: killed,
    },
    Rule {
        id: "R128",
        sentence: "When a recording is made, every call is recorded whole, whatever is shown.",
        holds: whole,
    },
    Rule {
        id: "R129",
        sentence: "When a file is no recording, or one of another version, nothing is replayed, and the error says which.",
        holds: others,
    },
];

fn transparent(on: On) -> Outcome {
    let lab = Lab::new()?;
    let command = on.one(&lab);
    let bare = lab.live(&[], &command)?;
    let recorded = lab.record("a", &[], &command)?;
    ensure(names(&bare.trace).lines().count() > 5, || format!("few calls: {}", bare.trace))?;
    match on {
        On::Sim => same("the trace", &bare.trace, &recorded.trace)?,
        On::Linux => same("the calls", &names(&bare.trace), &names(&recorded.trace))?,
    }
    ensure(bare.code == Some(0) && recorded.code == Some(0), || format!("ended {:?}", recorded.code))
}

fn identical(on: On) -> Outcome {
    const OPTIONS: &[&[&str]] = &[
        &["-f"],
        &["-f", "-tt", "-T", "-r", "-i", "-n"],
        &["-f", "--format", "json"],
        &["-f", "--format", "chrome"],
        &["-f", "--format", "mermaid"],
        &["-f", "--format", "mermaid-state"],
        &["-f", "--format", "xv6"],
        &["-f", "-c"],
        &["-C", "-z", "-e", "trace=write,wait4"],
        &["-f", "-s", "2000", "-e", "inject=write:error=EIO:when=2"],
    ];
    let lab = Lab::new()?;
    for command in on.many(&lab) {
        for options in OPTIONS {
            let recorded = lab.record("a", options, &command)?;
            let replayed = lab.replay("a", options)?;
            let what = format!("{options:?} {command:?}");
            ensure(!recorded.trace.is_empty(), || format!("{what}: nothing"))?;
            same(&what, &recorded.trace, &replayed.trace)?;
            ensure(recorded.code == replayed.code, || format!("{what}: ended {:?}", replayed.code))?;
        }
    }
    Ok(())
}

/// Lines of one call, and no others.
fn only(call: &str, trace: &str) -> String {
    let call = format!("{call}(");
    trace.lines().filter(|line| line.starts_with(&call)).map(|line| format!("{line}\n")).collect()
}

fn narrower(on: On) -> Outcome {
    let lab = Lab::new()?;
    let command = on.one(&lab);
    let call = on.call();
    let shown = format!("trace={call}");
    let narrow = lab.record("a", &["-e", &shown], &command)?;
    let all = lab.replay("a", &[])?;
    same("what was shown, in all", &only(call, &narrow.trace), &only(call, &all.trace))?;
    same(
        "what is shown of all",
        &only(call, &all.trace),
        &only(call, &lab.replay("a", &["-e", &shown])?.trace),
    )?;
    ensure(only(call, &all.trace).lines().count() > 0, || format!("no {call}: {}", all.trace))?;
    // With children, in a recording; without, in its replay.
    let followed = lab.record("b", &["-f"], &command)?;
    let alone = lab.replay("b", &[])?;
    ensure(alone.code == followed.code, || format!("ended {:?}: {}", alone.code, alone.errors))?;
    ensure(names(&alone.trace).lines().count() < names(&followed.trace).lines().count(), || {
        alone.trace.clone()
    })?;
    if on == On::Sim {
        same("without children", &lab.live(&[], &command)?.trace, &alone.trace)?;
    }
    Ok(())
}

fn unrecorded(on: On) -> Outcome {
    let lab = Lab::new()?;
    lab.record("a", &[], &on.one(&lab))?;
    let more = lab.replay("a", &["-f"])?;
    ensure(more.code == Some(125) && more.errors.contains("does not have"), || more.errors.clone())
}

/// All that a part of a recording tells is in what the whole tells; the last call may be cut.
fn part(of: &Ran, part: &Ran, offset: usize) -> Outcome {
    let told = |ran: &Ran| {
        ran.errors
            .rsplit_once("at offset ")
            .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok())
    };
    ensure(part.code == Some(125), || format!("ended {:?}", part.code))?;
    ensure(part.errors.lines().count() == 1, || part.errors.clone())?;
    let found = told(part);
    ensure(found.is_some_and(|found| found <= offset && found + 5000 > offset), || {
        format!("{offset}: {}", part.errors)
    })?;
    let lines = |ran: &Ran| -> Vec<String> {
        let whole = ran.trace.lines().filter(|line| !line.ends_with("<unfinished ...>"));
        whole.map(str::to_owned).collect()
    };
    let (lines, all) = (lines(part), lines(of));
    ensure(lines.len() > 1, || format!("{} lines", lines.len()))?;
    match lines.iter().zip(&all).find(|(part, whole)| part != whole) {
        None => Ok(()),
        Some((part, whole)) => Err(format!("{part}\nis not\n{whole}").into()),
    }
}

fn damaged(on: On, damage: impl Fn(&[u8], usize) -> Vec<u8>) -> Outcome {
    let lab = Lab::new()?;
    let whole = lab.record("a", &[], &on.one(&lab))?;
    let bytes = fs::read(lab.path("a"))?;
    for tenth in 5..10 {
        let at = bytes.len() * tenth / 10;
        fs::write(lab.path("b"), damage(&bytes, at))?;
        part(&whole, &lab.replay("b", &[])?, at)?;
    }
    Ok(())
}

fn cut(on: On) -> Outcome {
    damaged(on, |bytes, at| bytes[..at].to_vec())
}

fn changed(on: On) -> Outcome {
    damaged(on, |bytes, at| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    })
}

fn full(on: On) -> Outcome {
    let lab = Lab::new()?;
    let command = on.one(&lab);
    let bare = lab.live(&[], &command)?;
    let full = lab.live(&["--record", "/dev/full"], &command)?;
    ensure(full.code == Some(0), || format!("ended {:?}", full.code))?;
    same("the calls", &names(&bare.trace), &names(&full.trace))?;
    ensure(full.errors.matches("/dev/full").count() == 1, || full.errors.clone())
}

fn killed(on: On) -> Outcome {
    let lab = Lab::new()?;
    let file = lab.path("a");
    if on == On::Sim {
        // It never waits for anything that a test could wait for: what is killed has a part of the file, whichever.
        lab.record("a", &[], &on.one(&lab))?;
        let bytes = fs::read(&file)?;
        fs::write(&file, &bytes[..bytes.len() * 2 / 3])?;
    } else {
        let mut command = tracefd_trace(&lab.path("live"));
        command.arg("--record").arg(&file).args([
            "--",
            "sh",
            "-c",
            "/bin/true; echo ready; read line; echo over",
        ]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        let stdin = child.stdin.take();
        child.kill()?;
        child.wait()?;
        // The shell lives, reads the end of its input, and goes on.
        drop(stdin);
        line.clear();
        out.read_line(&mut line)?;
        same("what the shell says", "over\n", &line)?;
    }
    let replayed = lab.replay("a", &[])?;
    ensure(replayed.code == Some(125), || format!("ended {:?}", replayed.code))?;
    ensure(replayed.errors.contains("at offset"), || replayed.errors.clone())?;
    ensure(names(&replayed.trace).lines().count() > 3, || replayed.trace.clone())
}

fn whole(on: On) -> Outcome {
    let lab = Lab::new()?;
    let command = on.one(&lab);
    let bare = lab.live(&[], &command)?;
    let nothing = lab.record("a", &["-s", "0", "-e", "trace=none", "--format", "xv6"], &command)?;
    ensure(names(&nothing.trace).is_empty(), || nothing.trace.clone())?;
    let all = lab.replay("a", &[])?;
    match on {
        On::Sim => same("the trace", &bare.trace, &all.trace)?,
        On::Linux => same("the calls", &names(&bare.trace), &names(&all.trace))?,
    }
    ensure(all.trace.contains("write(1, \"text\\n\", 5)"), || all.trace.clone())
}

fn others(on: On) -> Outcome {
    let lab = Lab::new()?;
    lab.record("a", &[], &on.one(&lab))?;
    let bytes = fs::read(lab.path("a"))?;
    let later = String::from_utf8_lossy(&bytes[..20]).replace('1', "2").into_bytes();
    let cases: [(&[u8], &str); 4] = [
        (b"", "not a recording"),
        (b"#!/bin/sh\nexit 0\n# and more text\n", "not a recording"),
        (&later, "of version '2'"),
        (&bytes[..30], "inside a record"),
    ];
    for (text, says) in cases {
        fs::write(lab.path("b"), text)?;
        let replayed = lab.replay("b", &[])?;
        ensure(replayed.code == Some(125) && replayed.trace.is_empty(), || replayed.trace.clone())?;
        ensure(replayed.errors.contains(says), || replayed.errors.clone())?;
    }
    Ok(())
}

/// After `-p`, ^C is the usual end: no error, and what was shown by then.
pub(crate) fn leaves() -> Outcome {
    let lab = Lab::new()?;
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = cat.stdin.take().ok_or("no input")?;
    let mut command = tracefd_trace(Path::new("/dev/stdout"));
    command.arg("--record").arg(lab.path("a")).args(["-p", &cat.id().to_string()]);
    let mut tracer = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut out = tracer.stdout.take().ok_or("no output")?;
    let mut live = String::new();
    let mut until = |text: &str| -> Outcome {
        while !live.contains(text) {
            let mut some = [0; 512];
            let count = out.read(&mut some)?;
            ensure(count > 0, || format!("no {text}: {live}"))?;
            live.push_str(&String::from_utf8_lossy(&some[..count]));
        }
        Ok(())
    };
    until("read(0, ")?; // it was interrupted, and reads again
    stdin.write_all(b"one\n")?;
    until("write(1, \"one")?;
    kill(Pid::from_raw(i32::try_from(tracer.id())?), Signal::SIGINT)?;
    tracer.wait()?;
    drop(stdin);
    ensure(cat.wait()?.success(), || "cat did not go on".to_owned())?;
    out.read_to_string(&mut live)?;
    let replayed = lab.replay("a", &[])?;
    ensure(replayed.code == Some(0), || format!("ended {:?}: {}", replayed.code, replayed.errors))?;
    ensure(replayed.trace.contains("read(0, \"one\\n\""), || replayed.trace.clone())?;
    // The last stop may have been half written.
    let whole = replayed.trace.lines().filter(|line| !line.ends_with("<detached ...>"));
    match whole.zip(live.lines()).find(|(replayed, live)| replayed != live) {
        None => Ok(()),
        Some((replayed, live)) => Err(format!("{replayed}\nis not\n{live}").into()),
    }
}
