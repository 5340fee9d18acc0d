//! [`Index`]: where each number's row begins in a table that is built in.
//!
//! The compiler makes it. Reading two tables of a thousand rows was a tenth of what a tool takes to start.

/// A table of lines: `number<TAB>…`, or `abi<TAB>number<TAB>…`. Lines that begin with `#` are none of it.
#[derive(Debug)]
pub struct Index {
    text: &'static str,
    /// By number: where what follows it begins; 0: there is no such row.
    rows: [u32; Index::SIZE],
}

impl Index {
    /// More numbers than a table has.
    pub const SIZE: usize = 512;

    /// Of all rows.
    pub const fn new(text: &'static str) -> Index {
        Index { text, rows: places(text.as_bytes(), None) }
    }

    /// Of the rows of one ABI, which is their first column.
    pub const fn of_abi(text: &'static str, abi: usize) -> Index {
        Index { text, rows: places(text.as_bytes(), Some(abi)) }
    }

    /// What follows the number in its row.
    pub fn get(&self, number: usize) -> Option<&'static str> {
        let at = *self.rows.get(number).filter(|at| **at != 0)? as usize;
        let rest = self.text.get(at..)?;
        Some(rest.split_once('\n').map_or(rest, |(row, _)| row))
    }

    /// Whether a number has a row.
    pub fn has(&self, number: usize) -> bool {
        self.rows.get(number).is_some_and(|at| *at != 0)
    }

    /// Which numbers have rows, ascending.
    pub fn numbers(&self) -> impl DoubleEndedIterator<Item = usize> {
        (0..Index::SIZE).filter(|number| self.has(*number))
    }

    /// By number: whether there is a row, and its column of this number, counted from after the number, is this.
    pub const fn where_column(&self, column: usize, word: &str) -> [bool; Index::SIZE] {
        let (text, word) = (self.text.as_bytes(), word.as_bytes());
        let mut found = [false; Index::SIZE];
        let mut number = 0;
        while number < Index::SIZE {
            let (mut at, mut left) = (self.rows[number] as usize, column);
            while left > 0 {
                at = after(text, at, b'\t');
                left -= 1;
            }
            let mut same = 0;
            while same < word.len() && at + same < text.len() && text[at + same] == word[same] {
                same += 1;
            }
            let ends = at + same == text.len() || matches!(text[at + same], b'\t' | b'\n');
            found[number] = self.rows[number] != 0 && same == word.len() && ends;
            number += 1;
        }
        found
    }
}

const fn places(text: &[u8], abi: Option<usize>) -> [u32; Index::SIZE] {
    let mut rows = [0; Index::SIZE];
    let mut line = 0;
    while line < text.len() {
        if text[line] != b'#' && text[line] != b'\n' {
            let (first, mut at) = number(text, line);
            let (mut row, mut wanted) = (first, true);
            if let Some(abi) = abi {
                (row, at) = number(text, at);
                wanted = first == abi;
            }
            if wanted {
                rows[row] = at as u32;
            }
        }
        line = after(text, line, b'\n');
    }
    rows
}

/// A number and where what follows the tab after it begins.
const fn number(text: &[u8], mut at: usize) -> (usize, usize) {
    let mut number = 0;
    while text[at] != b'\t' {
        assert!(text[at].is_ascii_digit(), "a row of a table begins with a number");
        number = number * 10 + (text[at] - b'0') as usize;
        at += 1;
    }
    (number, at + 1)
}

/// Where what follows the next such byte begins.
const fn after(text: &[u8], mut at: usize, byte: u8) -> usize {
    while at < text.len() && text[at] != byte {
        at += 1;
    }
    if at < text.len() { at + 1 } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_number() {
        const TEXT: &str = "# a\tb\n3\tread\td\n\n1\twrite\td\n511\tlast\t";
        static INDEX: Index = Index::new(TEXT);
        assert_eq!(INDEX.numbers().collect::<Vec<_>>(), [1, 3, 511]);
        assert_eq!((INDEX.get(3), INDEX.get(1)), (Some("read\td"), Some("write\td")));
        assert_eq!((INDEX.get(511), INDEX.get(0), INDEX.get(512)), (Some("last\t"), None, None));
    }

    #[test]
    fn each_abi_has_its_own() {
        const TEXT: &str = "0\t3\tread\tdo\n1\t3\treads\tdone\n1\t4\twrite\tdo";
        const FIRST: Index = Index::of_abi(TEXT, 0);
        const SECOND: Index = Index::of_abi(TEXT, 1);
        assert_eq!(
            (FIRST.get(3), SECOND.get(3), FIRST.get(4)),
            (Some("read\tdo"), Some("reads\tdone"), None)
        );
        let done = |index: &Index| {
            let done = index.where_column(1, "do");
            (0..Index::SIZE).filter(|number| done[*number]).collect::<Vec<_>>()
        };
        assert_eq!((done(&FIRST), done(&SECOND)), (vec![3], vec![4]));
    }
}
