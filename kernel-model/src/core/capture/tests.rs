//! Captures of a memory made for them: what is there, what is cut, what is nobody's, and contents that mean harm.

use zerocopy::FromBytes;

use super::*;

/// Where the memory below begins; one page, nothing before or after it.
const BASE: u64 = 0x10000;

/// What one line gives of this memory: flags and bytes.
fn one(memory: &[u8], args: [u64; 6], result: Option<i64>, capture: Capture) -> (u8, Vec<u8>) {
    let mut out = Vec::new();
    let mut read = |at: u64, buf: &mut [u8]| {
        let range =
            at.checked_sub(BASE).and_then(|at| Some(at as usize..(at as usize).checked_add(buf.len())?));
        range.and_then(|range| memory.get(range)).map(|bytes| buf.copy_from_slice(bytes)).is_some()
    };
    let values = CallValues { args, result, returns: true, word: 8 };
    Scene { values, memory: &mut read }.capture(&[capture], &mut out, 1 << 16);
    let (head, data) = LogCapture::read_from_prefix(&out).expect("there is a capture");
    assert_eq!(data.len(), (head.length as usize).next_multiple_of(8));
    (head.flags, data[..head.length as usize].to_vec())
}

fn line(what: What, most: usize) -> Capture {
    let when = When::Entry;
    Capture { place: Value::Argument(0), what, most, when }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A page that ends with these bytes.
fn ending(bytes: &[u8]) -> Vec<u8> {
    let mut page = vec![b'x'; PAGE as usize - bytes.len()];
    page.extend_from_slice(bytes);
    page
}

fn pieces(data: &[u8]) -> Vec<(u64, Vec<u8>)> {
    LogPiece::all(data).map(|(piece, bytes)| (piece.size, bytes.to_vec())).collect()
}

#[test]
fn a_string_at_the_end_of_memory_is_whole() {
    let page = ending(b"path\0");
    let at = BASE + PAGE - 5;
    assert_eq!(one(&page, [at; 6], None, line(What::String, 99)), (0, b"path".to_vec()));
    assert_eq!(one(&page, [at; 6], None, line(What::String, 4)), (LogCapture::CUT, b"path".to_vec()));
    let unended = one(&page[..page.len() - 1], [at; 6], None, line(What::String, 99));
    assert_eq!(unended.0, LogCapture::FAULT);
}

#[test]
fn a_buffer_is_as_long_as_an_argument_a_result_or_memory_says() {
    let page = [words(&[3]), b"abcdefgh".to_vec()].concat();
    let place = Value::Argument(1);
    let buffer = |count, size| Capture { place, ..line(What::Buffer(count, size), 6) };
    let args = [BASE, BASE + 8, 2, 0, 0, 0];
    let entry = |count, size| one(&page, args, None, buffer(count, size));
    assert_eq!(entry(Value::Argument(2), 1), (0, b"ab".to_vec()));
    assert_eq!(entry(Value::Argument(2), 2), (0, b"abcd".to_vec()));
    assert_eq!(entry(Value::At { argument: 0, offset: 0, size: 4 }, 1), (0, b"abc".to_vec()));
    assert_eq!(entry(Value::Number(8), 1), (LogCapture::CUT, b"abcdef".to_vec()));
    assert_eq!(entry(Value::Number(u64::MAX), u64::MAX), (LogCapture::CUT, b"abcdef".to_vec()));
    let exit = Capture { when: When::Return, ..buffer(Value::Result, 1) };
    assert_eq!(one(&page, args, Some(4), exit), (LogCapture::EXIT, b"abcd".to_vec()));
    assert_eq!(one(&page, args, Some(-14), exit), (LogCapture::EXIT, Vec::new()));
}

#[test]
fn a_fault_keeps_what_was_before_it() {
    let two_pages = vec![b'y'; 2 * PAGE as usize];
    let buffer = line(What::Buffer(Value::Number(3 * PAGE), 1), 1 << 15);
    let (flags, data) = one(&two_pages, [BASE + 1; 6], None, buffer);
    assert_eq!((flags, data.len()), (LogCapture::FAULT, 2 * PAGE as usize - 1));
    for address in [0, BASE - 1, u64::MAX, u64::MAX - 7] {
        for what in [What::String, What::Strings, What::Iovecs(Value::Number(u64::MAX))] {
            assert_eq!(one(&two_pages, [address; 6], None, line(what, 99)).0, LogCapture::FAULT, "{what:?}");
        }
    }
}

#[test]
fn iovecs_have_no_more_than_the_result_says() {
    let at = BASE + 32;
    let page = [words(&[at, 4, at + 4, 4]), b"abcdefgh".to_vec()].concat();
    let iovecs = line(What::Iovecs(Value::Number(2)), 99);
    let full = [(4, b"abcd".to_vec()), (4, b"efgh".to_vec())];
    assert_eq!(pieces(&one(&page, [BASE; 6], None, iovecs).1), full);
    let exit = Capture { when: When::Exit, ..iovecs };
    let (flags, data) = one(&page, [BASE; 6], Some(5), exit);
    assert_eq!((flags, pieces(&data)), (LogCapture::EXIT, vec![(4, b"abcd".to_vec()), (4, b"e".to_vec())]));
}

/// An array of addresses that never ends, of pieces as small, as many or as large as can be.
#[test]
fn arrays_that_mean_harm_are_cut() {
    let empty = BASE + PAGE - 8;
    let mut page = words(&vec![empty; PAGE as usize / 8 - 1]);
    page.extend([0; 8]);
    let (flags, data) = one(&page, [BASE; 6], None, line(What::Strings, 1024));
    assert_eq!(flags, LogCapture::CUT);
    assert!(data.len() <= 1024 && pieces(&data).iter().all(|(_, bytes)| bytes.is_empty()));
    let huge = words(&vec![u64::MAX; 64]);
    let huge = [words(&[BASE, u64::MAX, BASE, u64::MAX]), huge].concat();
    let (flags, data) = one(&huge, [BASE; 6], None, line(What::Iovecs(Value::Number(u64::MAX)), 64));
    assert_eq!((flags & LogCapture::CUT, data.len()), (LogCapture::CUT, 64));
}

#[test]
fn a_record_has_an_end_whatever_its_lines_ask_for() {
    let page = vec![b'z'; PAGE as usize];
    let mut read = |_: u64, buf: &mut [u8]| {
        buf.fill(page[0]);
        true
    };
    let values = CallValues { args: [BASE; 6], result: None, returns: true, word: 8 };
    let mut out = Vec::new();
    let lines = [line(What::String, 1 << 15); Table::MOST_LINES];
    Scene { values, memory: &mut read }.capture(&lines, &mut out, 1 << 16);
    assert!(out.len() <= 1 << 16 && out.len() > (1 << 16) - 64, "{}", out.len());
}
