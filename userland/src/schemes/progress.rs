//! [`Progress`]: bars for transfers that take long, where there is a person to see them.
//!
//! Nothing is drawn unless stderr is a terminal; there are no colours at all. A transfer gets its bar after half a second, and the bar goes with it:
//! what the traced program writes stays as it would be without.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kernel_model::abi::Result;

use super::shadow::Watch;
use super::tree::lock;

/// What is faster is not worth a bar.
const LONG: Duration = Duration::from_millis(500);

/// Bars on stderr.
pub struct Progress {
    bars: MultiProgress,
    transfers: Mutex<HashMap<String, Transfer>>,
}

struct Transfer {
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// On stderr, if that is a terminal that can be drawn on.
    pub fn new() -> Progress {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let seen = std::io::stderr().is_terminal() && !dumb;
        let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress { bars: MultiProgress::with_draw_target(target), transfers: Mutex::default() }
    }

    fn bar(&self, name: &str, total: Option<u64>) -> ProgressBar {
        let template = match total {
            Some(_) => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            None => "{msg} {bytes} {bytes_per_sec}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new).with_style(style);
        self.bars.add(bar.with_message(name.escape_default().to_string()))
    }
}

impl Default for Progress {
    fn default() -> Self {
        Progress::new()
    }
}

impl Watch for Progress {
    fn fetched(&self, name: &str, done: u64, total: Option<u64>) {
        if self.bars.is_hidden() {
            return;
        }
        let mut transfers = lock(&self.transfers);
        let new = || Transfer { began: Instant::now(), bar: None };
        let transfer = transfers.entry(name.to_owned()).or_insert_with(new);
        if transfer.bar.is_none() && transfer.began.elapsed() >= LONG {
            transfer.bar = Some(self.bar(name, total).with_elapsed(transfer.began.elapsed()));
        }
        if let Some(bar) = &transfer.bar {
            bar.set_position(done);
        }
    }

    fn ended(&self, name: &str, _result: Result<()>) {
        let transfer = lock(&self.transfers).remove(name);
        if let Some(bar) = transfer.and_then(|transfer| transfer.bar) {
            bar.finish_and_clear();
        }
    }
}
