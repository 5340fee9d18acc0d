//! What a trace file must hold, whatever was traced: each line belongs to a task, each unfinished call is resumed before
//! the task's next one, each task ends. What a pid says after its end counts as another task.

use std::collections::BTreeMap;

/// One task's lines, in order, without the pid.
pub type Tasks<'t> = BTreeMap<u32, Vec<&'t str>>;

/// Splits a trace into tasks. Errors: a line without a pid.
pub fn tasks(trace: &str) -> Result<Tasks<'_>, String> {
    let mut tasks = Tasks::new();
    for line in trace.lines() {
        let (pid, rest) = line.split_once(' ').ok_or_else(|| format!("no pid: {line}"))?;
        let pid = pid.parse().map_err(|_| format!("no pid: {line}"))?;
        tasks.entry(pid).or_default().push(rest.trim_start());
    }
    Ok(tasks)
}

/// Checks every task of a complete trace, and answers how many there were.
pub fn check(trace: &str) -> Result<usize, String> {
    if !trace.ends_with('\n') {
        return Err(format!("the last line is cut: {:?}", trace.lines().last()));
    }
    let tasks = tasks(trace)?;
    let mut lives = 0;
    for (pid, lines) in &tasks {
        let whose = |what| format!("task {pid}: {what}");
        // exec by another thread than the leader: its tid ends without a word of its own, the leader's goes on.
        let became_leader = format!("superseded by execve in pid {pid} ");
        if trace.contains(&became_leader)
            && lines.last().is_some_and(|line| line.ends_with("<unfinished ...>"))
        {
            lives += 1;
            continue;
        }
        // A pid may be used again: what follows an end is another task's.
        for life in lines.split_inclusive(|line| line.starts_with("+++ ") && !line.contains("superseded")) {
            check_task(life).map_err(whose)?;
            lives += 1;
        }
    }
    Ok(lives)
}

fn check_task(lines: &[&str]) -> Result<(), String> {
    let mut open: Option<&str> = None;
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with("+++ ") {
            open = None;
        } else if line.starts_with("--- ") {
            // Signals are told where they come, within a call or outside.
        } else if let Some(rest) = line.strip_prefix("<... ") {
            let name = rest.split(' ').next().unwrap_or("");
            match open.take() {
                Some(unfinished) if unfinished == name => {}
                Some(unfinished) => return Err(format!("{unfinished} is open, {name} is resumed")),
                None if at == 0 || lines[at - 1].contains("superseded") => {}
                None => return Err(format!("{name} is resumed, nothing is open")),
            }
        } else if let Some(unfinished) = open {
            return Err(format!("{unfinished} is open at: {line}"));
        } else if line.ends_with("<unfinished ...>") {
            open = line.split('(').next();
        }
    }
    match lines.last() {
        Some(line) if line.starts_with("+++ ") => Ok(()),
        last => Err(format!("no end: {last:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_trace_passes() {
        let trace = "7 fork() = 8\n8  getpid() = 8\n7 wait4(-1, <unfinished ...>\n8  +++ exited with 0 +++\n\
                     7 <... wait4 resumed>) = 8\n7 --- SIGCHLD ---\n7 +++ killed by SIGKILL +++\n";
        assert_eq!(check(trace), Ok(2));
    }

    #[test]
    fn flaws_are_found() {
        for (flaw, trace) in [
            ("no end", "7 getpid() = 7\n"),
            ("no end", "7 +++ exited with 0 +++\n7 getpid() = 7\n"),
            ("is open at", "7 read(0, <unfinished ...>\n7 getpid() = 7\n7 +++ exited with 0 +++\n"),
            ("nothing is open", "7 getpid() = 7\n7 <... read resumed>) = 1\n7 +++ exited with 0 +++\n"),
            (
                "is resumed",
                "7 read(0, <unfinished ...>\n7 <... write resumed>) = 1\n7 +++ exited with 0 +++\n",
            ),
            ("is cut", "7 +++ exited with 0 +++"),
            ("no pid", "exited\n"),
        ] {
            let found = check(trace).expect_err(flaw);
            assert!(found.contains(flaw), "{flaw}: {found}");
        }
    }
}
