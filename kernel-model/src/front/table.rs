//! The table of a log as text, a line each: `openat 1 string`, `read 1 buffer len=result max=256 at=exit`, `inherit`.

use super::words;
use crate::core::{Capture, Table, Value, What, When};
use crate::machine::CallName;

/// No text is longer.
const LONGEST: usize = 1 << 16;
/// Bytes of a capture, if its line does not say, and at most.
const USUAL: usize = 4096;
const MOST: u64 = 1 << 15;
/// Room of a queue.
const ROOM: std::ops::RangeInclusive<u64> = 1 << 12..=1 << 30;

/// Reads a table. `None`: a line means nothing.
pub(super) fn parse(text: &str, names: &[CallName]) -> Option<Table> {
    if text.len() > LONGEST {
        return None;
    }
    let mut table = Table::default();
    for line in text.lines() {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        match words.next() {
            None => {}
            Some(comment) if comment.starts_with('#') => {}
            Some("inherit") => table.inherit = words.next().is_none().then_some(true)?,
            Some("room") => {
                let room = words::number(words.next()?).filter(|room| ROOM.contains(room))?;
                words.next().is_none().then_some(())?;
                table.room = room as usize;
            }
            Some("calls") => table.calls = Some(words::calls(words, names)?),
            Some(call) => {
                let calls = words::calls(std::iter::once(call), names)?;
                let capture = capture(words)?;
                (!calls.has_others()).then_some(())?;
                for call in calls.listed() {
                    let lines = table.captures.entry(call).or_default();
                    (lines.len() < Table::MOST_LINES).then_some(())?;
                    lines.push(capture);
                }
            }
        }
    }
    Some(table)
}

/// `PLACE KIND`, and options: a number or `max=` bytes, `len=VALUE`, `size=` of one, `at=` when.
fn capture<'t>(mut words: impl Iterator<Item = &'t str>) -> Option<Capture> {
    let place =
        value(words.next()?).filter(|place| matches!(place, Value::Argument(_) | Value::At { .. }))?;
    let kind = words.next()?;
    let (mut count, mut size, mut most, mut when) = (None, None, USUAL, When::Entry);
    for word in words {
        match word.split_once('=').unwrap_or(("max", word)) {
            ("len", text) => count = Some(value(text)?),
            ("size", text) => size = Some(words::number(text)?),
            ("max", text) => most = words::number(text).filter(|most| (1..=MOST).contains(most))? as usize,
            ("at", "entry") => when = When::Entry,
            ("at", "exit") => when = When::Exit,
            ("at", "return") => when = When::Return,
            _ => return None,
        }
    }
    let what = match (kind, count, size) {
        ("string", None, None) => What::String,
        ("strings", None, None) => What::Strings,
        ("buffer", Some(count), size) => What::Buffer(count, size.unwrap_or(1)),
        ("iovecs", Some(count), None) => What::Iovecs(count),
        _ => return None,
    };
    Some(Capture { place, what, most, when })
}

/// `2` an argument, `2>16` an address after where it points, `2>16:4` a number of 4 bytes there, `#144` itself, `result`.
fn value(text: &str) -> Option<Value> {
    if text == "result" {
        return Some(Value::Result);
    }
    if let Some(number) = text.strip_prefix('#') {
        return words::number(number).map(Value::Number);
    }
    let argument = |text| words::number(text).filter(|n| *n < 6).map(|n| n as u8);
    let Some((base, rest)) = text.split_once('>') else { return argument(text).map(Value::Argument) };
    let (offset, size) = rest.split_once(':').unwrap_or((rest, "0"));
    let size = words::number(size).filter(|size| matches!(size, 0 | 1 | 2 | 4 | 8))? as u8;
    Some(Value::At { argument: argument(base)?, offset: words::number(offset)?, size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::CallSet;

    const NAMES: [CallName; 3] = [
        CallName { abi: 0, number: 0, name: "read", groups: "d" },
        CallName { abi: 0, number: 2, name: "open", groups: "fd" },
        CallName { abi: 1, number: 3, name: "read", groups: "d" },
    ];

    #[test]
    fn lines_and_what_they_mean() {
        let text = "# all\n\n inherit\nroom 4096\ncalls @desc !1:3\nopen 0 string 9\n\
                    read 1>16 buffer len=2>8:4 size=12 at=exit\n1:3 1 iovecs len=#7 max=5 at=return\n7 5 strings";
        let table = parse(text, &NAMES).expect("every line is right");
        let line = |abi, number, n: usize| table.captures.get(&(abi, number)).map(|lines| lines[n]);
        let at = |offset, size| Value::At { argument: 1, offset, size };
        let buffer = What::Buffer(Value::At { argument: 2, offset: 8, size: 4 }, 12);
        let argument = Value::Argument;
        let read = Capture { place: at(16, 0), what: buffer, most: 4096, when: When::Exit };
        assert!(table.inherit && table.room == 4096);
        assert_eq!(table.calls, Some(CallSet::only([(0, 0), (0, 2)])));
        let open = Capture { place: argument(0), what: What::String, most: 9, when: When::Entry };
        assert_eq!(line(0, 2, 0), Some(open));
        assert_eq!((line(0, 0, 0), line(1, 3, 0)), (Some(read), Some(read)));
        let iovecs = What::Iovecs(Value::Number(7));
        let second = Capture { place: argument(1), what: iovecs, most: 5, when: When::Return };
        assert_eq!(line(1, 3, 1), Some(second));
        let strings = Capture { place: argument(5), what: What::Strings, most: 4096, when: When::Entry };
        assert_eq!(line(0, 7, 0), Some(strings));
        assert_eq!(parse("", &NAMES), Some(Table::default()));
    }

    #[test]
    fn lines_without_a_meaning() {
        for line in [
            "inherit now",
            "room",
            "room 4095",
            "room 4096 5",
            "room 1073741825",
            "calls nosuch",
            "nosuch 0 string",
            "all 0 string",
            "!read 0 string",
            "read",
            "read 0",
            "read 6 string",
            "read #5 string",
            "read result string",
            "read 0 text",
            "read 0 string len=1",
            "read 0 string max=0",
            "read 0 string 32769",
            "read 0 string at=dusk",
            "read 0 string colour=red",
            "read 1 buffer",
            "read 1 buffer len=6",
            "read 1 buffer len=1>2:3",
            "read 1 iovecs len=2 size=3",
            "read 1> string",
        ] {
            assert_eq!(parse(line, &NAMES), None, "{line}");
        }
        assert!(parse(&"0 0 string\n".repeat(Table::MOST_LINES), &NAMES).is_some());
        assert!(parse(&"0 0 string\n".repeat(Table::MOST_LINES + 1), &NAMES).is_none());
        assert!(parse(&"#".repeat(LONGEST + 1), &NAMES).is_none());
    }
}
