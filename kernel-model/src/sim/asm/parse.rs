//! One line of text to its items: labels first, then at most one directive or instruction.
//!
//! `sys NAME, …` is the only line that becomes several instructions; it is taken apart here, so that everything after
//! sees exactly one machine instruction per item.

use super::{Result, error};

/// An item and where it was written.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) item: Item,
}

#[derive(Debug)]
pub(super) enum Item {
    Program(String),
    Label(String),
    /// 0 `.text`, 1 `.data`
    Section(usize),
    Words(Vec<Expr>),
    Bytes(Vec<Expr>),
    Text(Vec<u8>),
    Space(usize),
    Path(String),
    Instruction(Instruction),
}

#[derive(Debug)]
pub(super) struct Instruction {
    pub(super) mnemonic: String,
    pub(super) operands: Vec<Operand>,
}

#[derive(Debug)]
pub(super) enum Operand {
    Register(u8),
    Value(Expr),
    /// Without a base, relative to the program counter.
    Memory {
        base: Option<u8>,
        offset: Expr,
    },
}

/// A sum of numbers and names.
#[derive(Clone, Debug, Default)]
pub(super) struct Expr {
    pub(super) terms: Vec<Term>,
}

impl Expr {
    /// Whether no name is in it: only then may its value decide its size.
    pub(super) fn is_number(&self) -> bool {
        self.terms.iter().all(|term| matches!(term.value, Value::Number(_)))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) minus: bool,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Number(i64),
    Name(String),
}

/// The general registers in the order of their numbers in machine code.
const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
/// Where the arguments of a call go.
const ARGUMENTS: [&str; 6] = ["rdi", "rsi", "rdx", "r10", "r8", "r9"];

fn register(name: &str) -> Option<u8> {
    REGISTERS.iter().position(|register| *register == name).map(|index| index as u8)
}

/// Takes one line apart.
pub(super) fn line(source: &str, number: usize) -> Result<Vec<Line>> {
    let mut items = Vec::new();
    let mut rest = uncommented(source).trim();
    while let Some((label, after)) = rest.split_once(':') {
        // A colon can also be inside a string.
        if !is_name(label.trim()) {
            break;
        }
        let label = label.trim();
        if register(label).is_some() || label.contains('.') {
            return error(number, format!("'{label}' cannot be a label"));
        }
        items.push(Item::Label(label.to_owned()));
        rest = after.trim();
    }
    if !rest.is_empty() {
        let (word, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        statement(word, arguments.trim(), number, &mut items)?;
    }
    Ok(items.into_iter().map(|item| Line { number, item }).collect())
}

fn statement(word: &str, arguments: &str, number: usize, items: &mut Vec<Item>) -> Result<()> {
    items.push(match word {
        "program" => Item::Program(name(arguments, number)?),
        ".text" | ".data" if !arguments.is_empty() => return error(number, format!("{word} takes nothing")),
        ".text" => Item::Section(0),
        ".data" => Item::Section(1),
        ".word" => Item::Words(expressions(arguments, number)?),
        ".byte" => Item::Bytes(expressions(arguments, number)?),
        ".asciz" => Item::Text(string(arguments, number)?),
        ".space" => match literal(arguments).and_then(|size| usize::try_from(size).ok()) {
            Some(size) => Item::Space(size),
            None => return error(number, ".space takes a number of bytes"),
        },
        ".path" => Item::Path(name(arguments, number)?),
        "sys" => return call(arguments, number, items),
        _ if word.starts_with('.') => return error(number, format!("unknown directive '{word}'")),
        _ => Item::Instruction(Instruction {
            mnemonic: word.to_owned(),
            operands: operands(arguments, number)?,
        }),
    });
    Ok(())
}

/// `sys NAME, a, b, …`: arguments into their registers, from the first on; then the number; then the call.
fn call(arguments: &str, number: usize, items: &mut Vec<Item>) -> Result<()> {
    let (called, arguments) = arguments.split_once(',').unwrap_or((arguments, ""));
    let called = name(called.trim(), number)?;
    let operands = operands(arguments.trim(), number)?;
    if operands.len() > ARGUMENTS.len() {
        return error(number, "a call has at most 6 arguments");
    }
    let mut push = |mnemonic: &str, operands| {
        items.push(Item::Instruction(Instruction { mnemonic: mnemonic.to_owned(), operands }));
    };
    for (target, operand) in ARGUMENTS.iter().zip(operands) {
        let target = register(target).expect("the argument registers are registers");
        push("mov", vec![Operand::Register(target), operand]);
    }
    let value = Value::Name(format!("sys.{called}"));
    let number_of_call = Expr { terms: vec![Term { minus: false, value }] };
    push("mov", vec![Operand::Register(0), Operand::Value(number_of_call)]);
    push("syscall", Vec::new());
    Ok(())
}

/// Up to the first `#` that is not in quotes.
fn uncommented(source: &str) -> &str {
    let (mut quote, mut escaped) = (None, false);
    for (index, byte) in source.bytes().enumerate() {
        match (byte, quote) {
            _ if escaped => escaped = false,
            (b'\\', Some(_)) => escaped = true,
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            (b'#', None) => return &source[..index],
            _ => {}
        }
    }
    source
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

fn name(text: &str, number: usize) -> Result<String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        error(number, format!("expected a name, found '{text}'"))
    }
}

fn operands(text: &str, number: usize) -> Result<Vec<Operand>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|operand| self::operand(operand.trim(), number)).collect()
}

fn operand(text: &str, number: usize) -> Result<Operand> {
    if let Some(index) = register(text) {
        return Ok(Operand::Register(index));
    }
    // Only the size that there is: `fld qword [rax]`.
    let memory = text.strip_prefix("qword").map_or(text, str::trim_start);
    let Some(inner) = memory.strip_prefix('[') else {
        return Ok(Operand::Value(expression(text, number)?));
    };
    let Some(inner) = inner.strip_suffix(']') else {
        return error(number, "expected ']'");
    };
    let inner = inner.trim();
    let end = inner.find(['+', '-', ' ']).unwrap_or(inner.len());
    match register(&inner[..end]) {
        Some(base) => {
            let offset = inner[end..].trim();
            let offset = if offset.is_empty() { Expr::default() } else { expression(offset, number)? };
            Ok(Operand::Memory { base: Some(base), offset })
        }
        None => Ok(Operand::Memory { base: None, offset: expression(inner, number)? }),
    }
}

fn expressions(text: &str, number: usize) -> Result<Vec<Expr>> {
    text.split(',').map(|part| expression(part.trim(), number)).collect()
}

fn expression(text: &str, number: usize) -> Result<Expr> {
    let mut expr = Expr::default();
    let mut rest = text;
    loop {
        let minus = rest.starts_with('-');
        if minus || rest.starts_with('+') {
            rest = rest[1..].trim_start();
        }
        // A character may itself be a sign.
        let quoted = rest.strip_prefix('\'').and_then(|rest| rest.chars().next());
        let from = quoted.map_or(0, |character| 1 + character.len_utf8());
        let end = rest[from..].find(['+', '-']).map_or(rest.len(), |at| from + at);
        let word = rest[..end].trim();
        let value = match literal(word) {
            Some(value) => Value::Number(value),
            None if is_name(word) && register(word).is_none() => Value::Name(word.to_owned()),
            None => return error(number, format!("expected a number or a name, found '{word}'")),
        };
        expr.terms.push(Term { minus, value });
        rest = &rest[end..];
        if rest.is_empty() {
            return Ok(expr);
        }
    }
}

/// A number without its sign: decimal, `0x…`, or a character in single quotes.
fn literal(word: &str) -> Option<i64> {
    if let Some(character) = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')) {
        let mut bytes = character.bytes();
        return match (bytes.next(), bytes.next()) {
            (Some(byte), None) => Some(i64::from(byte)),
            _ => None,
        };
    }
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let word = word.replace('_', "");
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
    .map(|value| value as i64)
}

/// The bytes of a quoted string, and a NUL.
fn string(text: &str, number: usize) -> Result<Vec<u8>> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let Some(inner) = inner else { return error(number, "expected a string in double quotes") };
    let mut out = Vec::new();
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'"' => return error(number, "a double quote inside a string is written \\\""),
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'0') => 0,
                Some(escaped @ (b'\\' | b'"')) => escaped,
                _ => return error(number, "unknown escape in a string"),
            },
            byte => byte,
        });
    }
    out.push(0);
    Ok(out)
}
