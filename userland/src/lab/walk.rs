//! `lab replay` and `lab step`: a schedule, move by move.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use kernel_model::explore::schedule::{Made, Schedule};

use super::{ScheduleArgs, red, say, text_of, wrong};
use crate::failure::Failure;

fn load(args: &ScheduleArgs) -> Result<(Schedule, Vec<Made>), Failure> {
    let path = &args.schedule;
    let schedule = Schedule::parse(&text_of(path)?).map_err(|error| wrong(path, &error))?;
    let made = schedule.replay().map_err(|error| wrong(path, &error))?;
    Ok((schedule, made))
}

/// Whether a schedule still shows what it was kept for, said and as an exit status.
fn verdict(schedule: &Schedule, made: &[Made]) -> (String, ExitCode) {
    let shows = made.last().and_then(|last| last.violation.as_ref()).map(ToString::to_string);
    match shows {
        Some(shows) if shows == schedule.finds => ("as the schedule says\n".into(), ExitCode::SUCCESS),
        None if schedule.finds.is_empty() => ("every rule holds\n".into(), ExitCode::SUCCESS),
        None => (
            format!("the schedule was kept for this, and it no longer shows:\n{}\n", schedule.finds),
            1.into(),
        ),
        Some(_) => (format!("the schedule was kept for something else:\n{}\n", schedule.finds), 1.into()),
    }
}

fn text(n: usize, made: &Made) -> String {
    let mut text = format!("{:4} {}\n", n + 1, made.text);
    for line in &made.told {
        let _ = writeln!(text, "       {line}");
    }
    if let Some(violation) = &made.violation {
        let _ = writeln!(text, "       {}", red(&violation.to_string()));
    }
    text
}

fn state(made: &Made) -> String {
    made.after.iter().fold(String::new(), |text, line| text + "         | " + line + "\n")
}

/// Plays all of it.
pub fn replay(args: &ScheduleArgs) -> Result<ExitCode, Failure> {
    let (schedule, made) = load(args)?;
    let mut all: String = made.iter().enumerate().map(|(n, made)| text(n, made)).collect();
    all += &made.last().map(state).unwrap_or_default();
    let (said, code) = verdict(&schedule, &made);
    say(&(all + &said))?;
    Ok(code)
}

/// Walks through it as standard input says.
pub fn step(args: &ScheduleArgs) -> Result<ExitCode, Failure> {
    let (schedule, made) = load(args)?;
    let prompt = std::io::stdin().is_terminal();
    // Moves made.
    let mut at = 0;
    say(&format!(
        "{} moves; Enter or n: forward, b: back, a number: that move, l: list, q: end\n",
        made.len()
    ))?;
    let mut lines = std::io::stdin().lock().lines();
    loop {
        if prompt {
            say("> ")?;
        }
        let Some(Ok(line)) = lines.next() else { break };
        match line.trim() {
            "" | "n" if at == made.len() => say("that was the last move\n")?,
            "" | "n" => {
                at += 1;
                say(&(text(at - 1, &made[at - 1]) + &state(&made[at - 1])))?;
            }
            "b" if at == 0 => say("this is the beginning\n")?,
            "b" => {
                let undone = format!("back: {} {}\n", at, made[at - 1].text);
                at -= 1;
                let before =
                    at.checked_sub(1).map_or("         | nothing has happened\n".into(), |n| state(&made[n]));
                say(&(undone + &before))?;
            }
            "l" => {
                let mark = |n: usize| if n < at { '*' } else { ' ' };
                let list: String = made
                    .iter()
                    .enumerate()
                    .map(|(n, made)| format!("{}{:4} {}\n", mark(n), n + 1, made.text))
                    .collect();
                say(&list)?;
            }
            "q" => break,
            other => match other.parse::<usize>() {
                Ok(n) if (1..=made.len()).contains(&n) => {
                    at = n;
                    say(&(text(at - 1, &made[at - 1]) + &state(&made[at - 1])))?;
                }
                _ => say("Enter or n: forward, b: back, a number: that move, l: list, q: end\n")?,
            },
        }
    }
    let (said, code) = verdict(&schedule, &made);
    say(&said)?;
    Ok(code)
}
