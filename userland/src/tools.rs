//! [`Tool`]: one subcommand per tool. What a tool's options are is only said to clap when they are needed.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

use crate::cli::TraceArgs;
use crate::lab::LabTool;
use crate::run::args::RunArgs;

/// The tools.
#[derive(Debug)]
pub enum Tool {
    /// `trace`
    Trace(Box<TraceArgs>),
    /// `lab`
    Lab(LabTool),
    /// `run`
    Run(Box<RunArgs>),
    /// `completions`
    Completions(Completions),
    /// `man`
    Man(Manual),
}

/// Options of `completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// For which one
    pub shell: clap_complete::Shell,
}

/// Options of `man`.
#[derive(Args, Debug)]
pub struct Manual {
    /// The tool, such as `trace`
    pub tool: Option<String>,
}

const TRACE: &str = "Print every system call, signal, birth and end of processes";
const LAB: &str = "Explore scenarios on the simulator, in every order, and walk through what was found";
const RUN: &str =
    "Run a command that sees other trees at paths of its own: directories, archives, web servers";
const COMPLETIONS: &str = "Print a completion script for a shell";
const MAN: &str = "Print the manual page, or that of a tool";

/// By hand, since what clap derives describes all options of all tools whenever one is started: as long as all else that a
/// command line takes. (The options of a tool bring the text about themselves along, so it is said again after them.)
impl Subcommand for Tool {
    fn augment_subcommands(command: Command) -> Command {
        let tool = |name: &'static str, about: &'static str| Command::new(name).about(about);
        // Not later: completions after `help` name its tools.
        let lab = LabTool::augment_subcommands(tool("lab", LAB)).about(LAB);
        let lab = lab.subcommand_required(true).arg_required_else_help(true);
        command
            .subcommand(tool("trace", TRACE).defer(|tool| TraceArgs::augment_args(tool).about(TRACE)))
            .subcommand(lab)
            .subcommand(tool("run", RUN).defer(|tool| RunArgs::augment_args(tool).about(RUN)))
            .subcommand(
                tool("completions", COMPLETIONS)
                    .defer(|tool| Completions::augment_args(tool).about(COMPLETIONS)),
            )
            .subcommand(tool("man", MAN).defer(|tool| Manual::augment_args(tool).about(MAN)))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Tool::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Tool::augment_subcommands(Command::new("")).get_subcommands().any(|tool| tool.get_name() == name)
    }
}

impl FromArgMatches for Tool {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Tool, Error> {
        Ok(match matches.subcommand() {
            Some(("trace", own)) => Tool::Trace(Box::new(TraceArgs::from_arg_matches(own)?)),
            Some(("lab", own)) => Tool::Lab(LabTool::from_arg_matches(own)?),
            Some(("run", own)) => Tool::Run(Box::new(RunArgs::from_arg_matches(own)?)),
            Some(("completions", own)) => Tool::Completions(Completions::from_arg_matches(own)?),
            Some(("man", own)) => Tool::Man(Manual::from_arg_matches(own)?),
            // clap lets no other pass, and none at all only if that is allowed.
            _ => return Err(Error::new(clap::error::ErrorKind::MissingSubcommand)),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Tool::from_arg_matches(matches)?;
        Ok(())
    }
}
