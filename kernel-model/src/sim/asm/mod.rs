//! Text in, images out: [`assemble`] parses every line (`parse.rs`), places it, and encodes it (`encode.rs`).
//!
//! Two passes over the same lines. The first gives every line its size, with all symbols read as 0; the second knows
//! the labels. Both must agree on sizes, so a size depends only on how an operand is *written* (a plain number, or an
//! expression with a name in it), never on a name's value: the same text has the same addresses on every machine.

mod encode;
mod parse;

use std::collections::BTreeMap;

use parse::{Expr, Item, Line};

/// Where `.text` begins.
pub const TEXT_BASE: u64 = 0x40_0000;
/// Where `.data` begins.
pub const DATA_BASE: u64 = 0x60_0000;
/// The bytes that `.path` takes, whatever the path: it differs between machines, the labels after it must not.
pub const PATH_FIELD: usize = 256;

/// One piece of an image's memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Of its first byte; page-aligned.
    pub address: u64,
    /// What is there.
    pub bytes: Vec<u8>,
    /// Whether the program may write it.
    pub writable: bool,
    /// Whether it may run it.
    pub executable: bool,
}

/// A program, ready to be run by the simulator, or to be wrapped into an executable file for a real machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Image {
    /// From its `program` line.
    pub name: String,
    /// Its memory, text first. An empty section has no segment.
    pub segments: Vec<Segment>,
    /// The label `start`, or else the first instruction.
    pub entry: u64,
    /// Every label's address.
    pub labels: BTreeMap<String, u64>,
}

/// What a text means on one machine: its call numbers, constants and paths.
pub trait Names {
    /// The number of a call (`sys.getpid`, without the prefix).
    fn call(&self, name: &str) -> Option<u64>;
    /// The value of a constant (`sig.usr1`, `sa.restorer`, `wnohang`).
    fn constant(&self, name: &str) -> Option<u64>;
    /// What to exec in order to run another program of the file, without the NUL.
    fn path(&self, program: &str) -> Option<Vec<u8>>;
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct AsmError {
    /// Counted from 1.
    pub line: usize,
    /// A sentence without a full stop.
    pub text: String,
}

type Result<T> = std::result::Result<T, AsmError>;

fn error<T>(line: usize, text: impl Into<String>) -> Result<T> {
    Err(AsmError { line, text: text.into() })
}

/// Assembles every program of a text, in order. The first is the main one.
///
/// Errors: the first line that is wrong.
pub fn assemble(text: &str, names: &dyn Names) -> Result<Vec<Image>> {
    let mut programs: Vec<(String, usize, Vec<Line>)> = Vec::new();
    let mut last = 1;
    for (index, source) in text.lines().enumerate() {
        last = index + 1;
        for line in parse::line(source, last)? {
            match (line.item, programs.last_mut()) {
                (Item::Program(name), _) => {
                    if programs.iter().any(|(other, ..)| *other == name) {
                        return error(last, format!("program '{name}' is defined twice"));
                    }
                    programs.push((name, last, Vec::new()));
                }
                (_, None) => return error(last, "expected 'program NAME' first"),
                (item, Some((.., lines))) => lines.push(Line { number: line.number, item }),
            }
        }
    }
    if programs.is_empty() {
        return error(last, "there is no program");
    }
    let known: Vec<String> = programs.iter().map(|(name, ..)| name.clone()).collect();
    programs.into_iter().map(|(name, begin, lines)| program(name, begin, &lines, names, &known)).collect()
}

/// Resolves the names in expressions. In the first pass every name is 0.
struct Scope<'a> {
    names: &'a dyn Names,
    labels: Option<&'a BTreeMap<String, u64>>,
    line: usize,
}

impl Scope<'_> {
    fn value(&self, expr: &Expr) -> Result<i64> {
        let mut sum = 0_i64;
        for term in &expr.terms {
            let value = match &term.value {
                parse::Value::Number(number) => *number,
                parse::Value::Name(name) => self.name(name)?,
            };
            sum = if term.minus { sum.wrapping_sub(value) } else { sum.wrapping_add(value) };
        }
        Ok(sum)
    }

    fn name(&self, name: &str) -> Result<i64> {
        let Some(labels) = self.labels else { return Ok(0) };
        let found = match name.strip_prefix("sys.") {
            Some(call) => self.names.call(call),
            None => labels.get(name).copied().or_else(|| self.names.constant(name)),
        };
        match found {
            Some(value) => Ok(value as i64),
            None if name.starts_with("sys.") => error(self.line, format!("unknown call '{name}'")),
            None => error(self.line, format!("unknown name '{name}'")),
        }
    }
}

fn program(name: String, begin: usize, lines: &[Line], names: &dyn Names, known: &[String]) -> Result<Image> {
    let mut labels = BTreeMap::new();
    let mut sections = Sections::new();
    for line in lines {
        if let Item::Label(label) = &line.item
            && labels.insert(label.clone(), sections.here()).is_some()
        {
            return error(line.number, format!("label '{label}' is defined twice"));
        }
        sections.add(line, &Scope { names, labels: None, line: line.number }, known)?;
    }
    let mut sections = Sections::new();
    for line in lines {
        sections.add(line, &Scope { names, labels: Some(&labels), line: line.number }, known)?;
    }
    if sections.bytes[0].is_empty() {
        return error(begin, format!("program '{name}' has no instructions"));
    }
    let entry = labels.get("start").copied().unwrap_or(TEXT_BASE);
    let [text, data] = sections.bytes;
    let mut segments = vec![Segment { address: TEXT_BASE, bytes: text, writable: false, executable: true }];
    if !data.is_empty() {
        segments.push(Segment { address: DATA_BASE, bytes: data, writable: true, executable: false });
    }
    Ok(Image { name, segments, entry, labels })
}

/// The two sections as they grow.
struct Sections {
    bytes: [Vec<u8>; 2],
    current: usize,
}

impl Sections {
    const BASES: [u64; 2] = [TEXT_BASE, DATA_BASE];
    /// Text must end before data begins; data gets as much.
    const LIMIT: usize = (DATA_BASE - TEXT_BASE) as usize;

    fn new() -> Sections {
        Sections { bytes: [Vec::new(), Vec::new()], current: 0 }
    }

    fn here(&self) -> u64 {
        Self::BASES[self.current] + self.bytes[self.current].len() as u64
    }

    fn add(&mut self, line: &Line, scope: &Scope<'_>, known: &[String]) -> Result<()> {
        let here = self.here();
        let out = &mut self.bytes[self.current];
        match &line.item {
            Item::Program(_) | Item::Label(_) => {}
            Item::Section(section) => self.current = *section,
            Item::Words(words) => {
                for word in words {
                    out.extend(scope.value(word)?.to_le_bytes());
                }
            }
            Item::Bytes(bytes) => {
                for byte in bytes {
                    let value = scope.value(byte)?;
                    if !(-128..256).contains(&value) {
                        return error(line.number, format!("{value} does not fit a byte"));
                    }
                    out.push(value as u8);
                }
            }
            Item::Text(text) => out.extend(text),
            Item::Space(size) => {
                if *size > Self::LIMIT {
                    return error(line.number, "the section is too large");
                }
                out.resize(out.len() + size, 0);
            }
            Item::Path(program) => {
                if !known.contains(program) {
                    return error(line.number, format!("there is no program '{program}' in this file"));
                }
                let Some(mut path) = scope.names.path(program) else {
                    return error(line.number, format!("program '{program}' has no path"));
                };
                if path.len() >= PATH_FIELD {
                    return error(line.number, format!("the path of '{program}' is too long"));
                }
                path.resize(PATH_FIELD, 0);
                out.extend(path);
            }
            Item::Instruction(instruction) => {
                if self.current != 0 {
                    return error(line.number, "instructions belong into .text");
                }
                out.extend(encode::instruction(instruction, here, scope)?);
            }
        }
        if self.bytes.iter().any(|bytes| bytes.len() > Self::LIMIT) {
            return error(line.number, "the section is too large");
        }
        Ok(())
    }
}
