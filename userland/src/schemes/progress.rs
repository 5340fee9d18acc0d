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
    /// Hidden at first: it learns the speed from the start.
    bar: ProgressBar,
    is_shown: bool,
}

impl Progress {
    /// On stderr, if that is a terminal that can be drawn on.
    pub fn new() -> Progress {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let seen = std::io::stderr().is_terminal() && !dumb;
        let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress { bars: MultiProgress::with_draw_target(target), transfers: Mutex::default() }
    }
}

fn bar(name: &str, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{msg} {bytes} {bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_style(style);
    bar.with_message(name.escape_default().to_string())
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
        let new = || Transfer { began: Instant::now(), bar: bar(name, total), is_shown: false };
        let transfer = transfers.entry(name.to_owned()).or_insert_with(new);
        if !transfer.is_shown && transfer.began.elapsed() >= LONG {
            transfer.bar = self.bars.add(transfer.bar.clone());
            transfer.is_shown = true;
        }
        transfer.bar.set_position(done);
    }

    fn ended(&self, name: &str, _result: Result<()>) {
        let transfer = lock(&self.transfers).remove(name);
        if let Some(transfer) = transfer {
            transfer.bar.finish_and_clear();
        }
    }
}
