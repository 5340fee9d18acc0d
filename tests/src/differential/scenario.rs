//! [`Scenario`]: programs and scripts as one text, which is what a failure shrinks to and what is kept.
//!
//! ```text
//! known: why the machines may differ, if they do
//! open: experimental exclusive
//! wait: queue
//! children: follow
//! script main
//! at write pre post
//! script child
//! at write exit
//! program main
//! …
//! ```

use std::fmt;

use super::script::{Line, Script};

/// What becomes of children that are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Children {
    /// Each is traced, with the second script.
    Follow,
    /// The next write lets them go.
    Release,
    /// They are opened and closed at once.
    Shut,
}

/// How the tracer opens and waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// `trace.x`.
    pub experimental: bool,
    /// O_EXCL.
    pub exclusive: bool,
    /// O_NONBLOCK and `event:`, or else reads that wait.
    pub queue: bool,
    /// Offered children.
    pub children: Children,
}

/// A case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Why the machines differ, if that is known and open.
    pub known: Option<String>,
    /// Of the tracer.
    pub manner: Manner,
    /// For the first task.
    pub main: Script,
    /// For each child.
    pub child: Script,
    /// In the simulator's language.
    pub programs: String,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.known {
            writeln!(f, "known: {reason}")?;
        }
        let Manner { experimental, exclusive, queue, children } = self.manner;
        f.write_str("open:")?;
        for (word, set) in [(" experimental", experimental), (" exclusive", exclusive)] {
            f.write_str(if set { word } else { "" })?;
        }
        writeln!(f, "\nwait: {}", if queue { "queue" } else { "read" })?;
        writeln!(f, "children: {}", format!("{children:?}").to_lowercase())?;
        for (name, script) in [("main", &self.main), ("child", &self.child)] {
            writeln!(f, "script {name}")?;
            for line in script {
                writeln!(f, "{line}")?;
            }
        }
        f.write_str(&self.programs)
    }
}

impl Scenario {
    /// The reverse of its text.
    pub fn parse(text: &str) -> Result<Scenario, String> {
        let start = text.find("program main").ok_or("no program")?;
        let (head, programs) = text.split_at(start);
        let manner =
            Manner { experimental: false, exclusive: false, queue: false, children: Children::Release };
        let mut scenario =
            Scenario { known: None, manner, main: Vec::new(), child: Vec::new(), programs: programs.into() };
        let mut of_child = false;
        for line in head.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            match line.split_once([':', ' ']).map_or((line, ""), |(word, rest)| (word, rest.trim())) {
                ("known", reason) => scenario.known = Some(reason.into()),
                ("open", flags) => {
                    scenario.manner.experimental = flags.contains("experimental");
                    scenario.manner.exclusive = flags.contains("exclusive");
                }
                ("wait", how) => scenario.manner.queue = how == "queue",
                ("children", "follow") => scenario.manner.children = Children::Follow,
                ("children", "release") => scenario.manner.children = Children::Release,
                ("children", "shut") => scenario.manner.children = Children::Shut,
                ("script", who) => of_child = who == "child",
                ("at", _) => {
                    let script = if of_child { &mut scenario.child } else { &mut scenario.main };
                    script.push(Line::parse(line)?);
                }
                _ => return Err(format!("not a line of a scenario: {line}")),
            }
        }
        Ok(scenario)
    }
}
