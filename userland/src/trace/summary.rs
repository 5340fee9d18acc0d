//! `-c` and `-C`: how often each call was made, how often it failed, and how long it took.
//!
//! [`Counting`] is a view that may have another one behind it. It asks for no arguments, so that `-c` alone reads neither
//! registers at PRE nor memory. Times are from event to event: what strace counts with `-w`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::view::{Ended, Happened, Joined, Needs, Outcome, View, What};

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "strace's names say it")]
pub enum Column {
    TimePercent,
    TotalTime,
    MinTime,
    MaxTime,
    AvgTime,
    Median,
    P99,
    Calls,
    Errors,
    Name,
}

/// What can be named, first by the name that help shows.
const COLUMNS: &[(&str, Column)] = &[
    ("time-percent", Column::TimePercent),
    ("time_percent", Column::TimePercent),
    ("time", Column::TimePercent),
    ("total-time", Column::TotalTime),
    ("total_time", Column::TotalTime),
    ("min-time", Column::MinTime),
    ("min_time", Column::MinTime),
    ("shortest", Column::MinTime),
    ("max-time", Column::MaxTime),
    ("max_time", Column::MaxTime),
    ("longest", Column::MaxTime),
    ("avg-time", Column::AvgTime),
    ("avg_time", Column::AvgTime),
    ("p50", Column::Median),
    ("p99", Column::P99),
    ("calls", Column::Calls),
    ("count", Column::Calls),
    ("errors", Column::Errors),
    ("error", Column::Errors),
    ("name", Column::Name),
    ("syscall", Column::Name),
    ("syscall-name", Column::Name),
    ("syscall_name", Column::Name),
];

/// strace's.
pub const DEFAULT: [Column; 6] =
    [Column::TimePercent, Column::TotalTime, Column::AvgTime, Column::Calls, Column::Errors, Column::Name];

impl Column {
    fn width(self) -> usize {
        match self {
            Column::TimePercent => 6,
            Column::TotalTime | Column::AvgTime => 11,
            Column::MinTime | Column::MaxTime => 8,
            Column::Median | Column::P99 | Column::Calls | Column::Errors => 9,
            Column::Name => 16,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Column::TimePercent => "% time",
            Column::TotalTime => "seconds",
            Column::AvgTime => "usecs/call",
            Column::MinTime => "shortest",
            Column::MaxTime => "longest",
            Column::Median => "p50 usecs",
            Column::P99 => "p99 usecs",
            Column::Calls => "calls",
            Column::Errors => "errors",
            Column::Name => "syscall",
        }
    }
}

/// One column's name.
pub fn column(word: &str) -> Result<Column, String> {
    let found = COLUMNS.iter().find(|(name, _)| *name == word).map(|(_, column)| *column);
    found.ok_or_else(|| {
        "there are time-percent, total-time, min-time, max-time, avg-time, p50, p99, calls, errors, name"
            .to_owned()
    })
}

/// What rows are sorted by; `None`: not at all, which is by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order(pub Option<Column>);

/// An order's name.
pub fn order(word: &str) -> Result<Order, String> {
    match word {
        "none" | "nothing" => Ok(Order(None)),
        word => column(word).map(|by| Order(Some(by))).map_err(|columns| format!("{columns}, none")),
    }
}

/// How the table looks.
#[derive(Clone, Debug)]
pub struct Layout {
    /// From left to right.
    pub columns: Vec<Column>,
    /// By what rows are sorted.
    pub order: Order,
}

/// Longer calls count as this long.
const LONGEST: Duration = Duration::from_secs(3600);

struct Row {
    name: Cow<'static, str>,
    calls: u64,
    errors: u64,
    total: Duration,
    min: Duration,
    max: Duration,
    /// Nanoseconds, with two significant digits.
    times: Histogram<u64>,
}

impl Row {
    fn new(name: Cow<'static, str>) -> Row {
        // A constant that the constructor accepts. It grows with the longest time: most calls are short.
        let times = Histogram::new(2).expect("a valid number of digits");
        let (total, min, max) = (Duration::ZERO, Duration::MAX, Duration::ZERO);
        Row { name, calls: 0, errors: 0, total, min, max, times }
    }

    fn add(&mut self, outcome: Outcome, spent: Duration) {
        self.calls += 1;
        self.errors += u64::from(matches!(outcome, Outcome::Error(_)));
        self.total += spent;
        self.min = self.min.min(spent);
        self.max = self.max.max(spent);
        let _ = self.times.record(spent.min(LONGEST).as_nanos() as u64);
    }

    fn merge(&mut self, other: &Row) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.total += other.total;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        let _ = self.times.add(&other.times); // it grows likewise
    }

    fn average(&self) -> Duration {
        self.total.checked_div(u32::try_from(self.calls).unwrap_or(u32::MAX)).unwrap_or_default()
    }

    /// What this row is sorted by; larger comes first.
    fn rank(&self, order: Column) -> u128 {
        match order {
            Column::TimePercent | Column::TotalTime => self.total.as_nanos(),
            Column::MinTime => self.min.as_nanos(),
            Column::MaxTime => self.max.as_nanos(),
            Column::AvgTime => self.average().as_nanos(),
            Column::Median => u128::from(self.times.value_at_quantile(0.5)),
            Column::P99 => u128::from(self.times.value_at_quantile(0.99)),
            Column::Calls => u128::from(self.calls),
            Column::Errors => u128::from(self.errors),
            Column::Name => 0,
        }
    }

    fn put(&self, out: &mut Vec<u8>, columns: &[Column], all: Duration) {
        let share = if all.is_zero() { 0.0 } else { 100.0 * self.total.as_secs_f64() / all.as_secs_f64() };
        for (at, column) in columns.iter().enumerate() {
            let seconds = |time: Duration| format!("{:.6}", time.as_secs_f64());
            let micros = |quantile| format!("{:.1}", self.times.value_at_quantile(quantile) as f64 / 1000.0);
            let text = match column {
                Column::TimePercent => format!("{share:.2}"),
                Column::TotalTime => seconds(self.total),
                Column::MinTime => seconds(self.min),
                Column::MaxTime => seconds(self.max),
                Column::AvgTime => self.average().as_micros().to_string(),
                Column::Median => micros(0.5),
                Column::P99 => micros(0.99),
                Column::Calls => self.calls.to_string(),
                Column::Errors if self.errors == 0 => String::new(),
                Column::Errors => self.errors.to_string(),
                Column::Name => self.name.clone().into_owned(),
            };
            put_cell(out, *column, &text, at + 1 == columns.len());
        }
    }
}

fn put_cell(out: &mut Vec<u8>, column: Column, text: &str, last: bool) {
    match (column, last) {
        (Column::Name, true) => put!(out, "{text}\n"),
        (Column::Name, false) => put!(out, "{text:<16} "),
        (column, last) => {
            let (width, end) = (column.width(), if last { '\n' } else { ' ' });
            put!(out, "{text:>width$}{end}");
        }
    }
}

/// The counts, shared with whoever prints them at the end.
#[derive(Default)]
pub struct Table {
    /// By ABI and number.
    rows: BTreeMap<(u64, u64), Row>,
}

impl Table {
    fn add(&mut self, ended: &Ended<'_>) {
        let call = &ended.call;
        let row = self.rows.entry((call.abi, call.number)).or_insert_with(|| Row::new(call.name.clone()));
        row.add(ended.outcome, ended.spent.unwrap_or_default());
    }

    /// One table per ABI that was used.
    pub fn text(&self, layout: &Layout) -> Vec<u8> {
        let mut out = Vec::new();
        let abis: std::collections::BTreeSet<_> = self.rows.keys().map(|(abi, _)| *abi).collect();
        for abi in abis {
            if abi != 0 {
                put!(&mut out, "Of the 32-bit ABI:\n");
            }
            let rows = self.rows.iter().filter(|((of, _), _)| *of == abi).map(|(_, row)| row).collect();
            put_table(&mut out, rows, layout);
        }
        out
    }
}

fn put_table(out: &mut Vec<u8>, mut rows: Vec<&Row>, layout: &Layout) {
    match layout.order.0 {
        Some(Column::Name) => rows.sort_by(|a, b| a.name.cmp(&b.name)),
        Some(order) => rows.sort_by_key(|row| std::cmp::Reverse(row.rank(order))),
        None => {}
    }
    let columns = &layout.columns;
    let line = |out: &mut Vec<u8>| {
        for (at, column) in columns.iter().enumerate() {
            let dashes = "-".repeat(column.width());
            put_cell(out, *column, &dashes, at + 1 == columns.len());
        }
    };
    for (at, column) in columns.iter().enumerate() {
        put_cell(out, *column, column.title(), at + 1 == columns.len());
    }
    line(out);
    let mut sum = Row::new("total".into());
    rows.iter().for_each(|row| sum.merge(row));
    rows.iter().for_each(|row| row.put(out, columns, sum.total));
    line(out);
    sum.put(out, columns, sum.total);
}

/// The view.
pub struct Counting<'v> {
    table: Arc<Mutex<Table>>,
    behind: Option<Box<dyn View + 'v>>,
    quiet: bool,
}

impl<'v> Counting<'v> {
    /// Counts; what happens is told to the view behind, too.
    pub fn new(behind: Option<Box<dyn View + 'v>>) -> Counting<'v> {
        Counting { table: Arc::default(), behind, quiet: false }
    }

    /// Without a word when a process joins.
    #[must_use]
    pub fn quiet(mut self, quiet: bool) -> Counting<'v> {
        self.quiet = quiet;
        self
    }

    /// What is printed at the end.
    pub fn at_end(&self, layout: Layout) -> impl FnOnce() -> Vec<u8> + Send + 'static {
        let table = Arc::clone(&self.table);
        move || table.lock().unwrap_or_else(PoisonError::into_inner).text(&layout)
    }
}

impl View for Counting<'_> {
    fn needs(&self) -> Needs {
        let behind = self.behind.as_ref().map_or(Needs::default(), |view| view.needs());
        Needs { times: true, ..behind }
    }

    fn tell(&mut self, happened: &Happened<'_>) {
        if let What::Ends(ended) = &happened.what {
            // What began before the session has no time, and what never returns no end.
            if ended.outcome != Outcome::Never && ended.began.is_some() {
                self.table.lock().unwrap_or_else(PoisonError::into_inner).add(ended);
            }
        }
        match (&mut self.behind, &happened.what) {
            (Some(view), _) => view.tell(happened),
            (None, What::Joins(Joined::Attached | Joined::Born)) if !self.quiet => {
                self.note(&format!("process {} attached", happened.who.pid));
            }
            _ => {}
        }
    }

    fn note(&mut self, text: &str) {
        match &mut self.behind {
            Some(view) => view.note(text),
            None => put!(&mut std::io::stderr(), "tracefd: {text}\n"),
        }
    }

    fn idle(&mut self, tasks: usize) {
        if let Some(view) = &mut self.behind {
            view.idle(tasks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::default();
        let mut add = |number, name: &'static str, outcome, micros| {
            let row = table.rows.entry((0, number)).or_insert_with(|| Row::new(name.into()));
            row.add(outcome, Duration::from_micros(micros));
        };
        for micros in 1..=100 {
            add(3, "close", Outcome::Value(0), micros);
        }
        add(0, "read", Outcome::Error(9), 4950);
        table
    }

    fn text(columns: &[Column], order: Option<Column>) -> String {
        String::from_utf8(table().text(&Layout { columns: columns.to_vec(), order: Order(order) })).unwrap()
    }

    #[test]
    fn the_table_has_straces_form() {
        assert_eq!(
            text(&DEFAULT, Some(Column::TotalTime)),
            "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 50.50    0.005050          50       100           close
 49.50    0.004950        4950         1         1 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.010000          99       101         1 total
"
        );
    }

    #[test]
    fn columns_orders_and_percentiles() {
        let columns = [Column::Name, Column::Median, Column::P99, Column::MaxTime];
        let text = text(&columns, Some(Column::Errors));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "syscall          p50 usecs p99 usecs  longest");
        assert!(lines[2].starts_with("read "), "by errors");
        let close: Vec<f64> = lines[3].split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect();
        assert!((close[0] - 50.0).abs() < 1.0 && (close[1] - 99.0).abs() < 1.0, "two digits: {close:?}");
        assert!(column("p51").is_err() && order("none").unwrap() == Order(None));
    }
}
