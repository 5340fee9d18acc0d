//! [`Output`]: where trace text goes. The tool's thread adds pieces of lines; two others may flush or end it.
//!
//! One buffer behind one lock. It is written out at once if it goes to standard error, else when it is large, when the tool is about to wait and a person is watching,
//! `LATEST` after text came in, and at the end. After a failure (a closed pipe, a full disk) text is thrown away and
//! the traced command goes on; the failure is told once.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use slab::Slab;

use crate::piped::Piped;

/// How long text may stay in the buffer while the tool waits: who reads a pipe or a file wants to see it.
const LATEST: Duration = Duration::from_millis(200);
/// Writing less at a time costs more than it helps.
const LARGE: usize = 32 * 1024;

/// Where text goes. Clones are the same.
#[derive(Clone)]
pub struct Output {
    shared: Arc<Shared>,
    /// Which of the sinks.
    key: usize,
    watched: bool,
    file: bool,
    /// The command writes there as well: text goes out at once, so that each of its lines stands where it was written.
    shared_with_command: bool,
}

/// What is added at the end, whenever that is: it may run in another thread, and must not print.
type AtEnd = Box<dyn FnOnce() -> Vec<u8> + Send>;

struct Shared {
    all: Mutex<All>,
    /// Signalled when there is text to write.
    filled: Condvar,
}

struct All {
    sinks: Slab<Sink>,
    /// Some buffer is not empty.
    filled: bool,
    /// The tool has ended.
    over: bool,
}

struct Sink {
    to: Box<dyn Target>,
    name: String,
    buffer: Vec<u8>,
    at_end: Option<AtEnd>,
    /// Makes what was written whole.
    closing: &'static [u8],
    /// What ends a part that says something by itself.
    part_end: &'static [u8],
    /// Bytes written up to the last end of a part.
    whole: u64,
    /// Bytes written.
    written: u64,
    /// Whether all text so far is whole lines.
    line_start: bool,
    /// It is not lines: nothing is marked, nothing is cut.
    raw: bool,
    /// What ends so many bytes, if their writer cannot any more.
    tail: Option<fn(u64) -> Vec<u8>>,
    /// No more text is wanted, or can be written.
    closed: bool,
}

/// Something to write to. `cut` takes back what was written after `length` bytes, where that is possible.
pub trait Target: Write + Send {
    /// Best effort: what a pipe has taken is gone.
    fn cut(&mut self, length: u64);
}

impl Target for io::Stderr {
    fn cut(&mut self, _: u64) {}
}

/// A file, and how long it was before.
struct Kept(File, u64);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Target for Kept {
    fn cut(&mut self, length: u64) {
        // A device or a pipe has no length; then what is there has to do.
        let end = self.1 + length;
        let _ = self.0.set_len(end).and_then(|()| self.0.seek(SeekFrom::Start(end)));
    }
}

/// Takes everything and keeps nothing.
struct Nothing;

impl Write for Nothing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Nothing {
    fn cut(&mut self, _: u64) {}
}

impl Output {
    /// To standard error.
    pub fn stderr() -> Output {
        let watched = io::stderr().is_terminal();
        let output = Output::new(Box::new(io::stderr()), "standard error".to_owned(), watched);
        Output { shared_with_command: true, ..output }
    }

    /// To a file, made or emptied; or made longer.
    pub fn file(path: &Path, append: bool) -> io::Result<Output> {
        let (file, watched) = open(path, append)?;
        let output = Output::new(Box::new(file), path.display().to_string(), watched);
        Ok(Output { file: true, ..output })
    }

    /// To a command of the shell.
    pub fn command(command: &str) -> io::Result<Output> {
        let output = Output::new(Box::new(Piped::start(command)?), format!("`{command}`"), false);
        Ok(Output { file: true, ..output })
    }

    /// To nothing, beside which there will be files.
    pub fn none() -> Output {
        Output::new(Box::new(Nothing), String::new(), false)
    }

    /// To anything; `watched` if a person looks at it now.
    pub fn new(to: Box<dyn Target>, name: String, watched: bool) -> Output {
        let all = All { sinks: Slab::new(), filled: false, over: false };
        let shared = Arc::new(Shared { all: Mutex::new(all), filled: Condvar::new() });
        let key = shared.lock().sinks.insert(Sink::new(to, name));
        Output { shared, key, watched, file: false, shared_with_command: false }
    }

    /// Another file, which the same thread flushes and the same end ends.
    pub fn beside(&self, path: &Path) -> io::Result<Output> {
        let (file, watched) = open(path, false)?;
        let key = self.shared.lock().sinks.insert(Sink::new(Box::new(file), path.display().to_string()));
        Ok(self.other(key, watched))
    }

    /// A file of bytes that are no lines, beside it; for nobody but this user, since it may hold what others may not read.
    /// `tail` ends it if the process ends before [`Raw`] is dropped, short of being killed.
    pub fn raw_beside(&self, path: &Path, tail: fn(u64) -> Vec<u8>) -> io::Result<Raw> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let tail = Some(tail);
        let sink = Sink { raw: true, tail, ..Sink::new(Box::new(Kept(file, 0)), path.display().to_string()) };
        let key = self.shared.lock().sinks.insert(sink);
        Ok(Raw(self.other(key, false)))
    }

    /// What becomes of text whose file cannot be made.
    pub fn nowhere(&self) -> Output {
        let key = self.shared.lock().sinks.insert(Sink::new(Box::new(Nothing), String::new()));
        self.other(key, false)
    }

    fn other(&self, key: usize, watched: bool) -> Output {
        Output { shared: Arc::clone(&self.shared), key, watched, file: true, shared_with_command: false }
    }

    /// Whether it is a file, so that standard error is free for other words.
    pub fn is_file(&self) -> bool {
        self.file
    }

    /// Whether a person looks at it now.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// Starts the thread that writes text which has waited `LATEST`. It ends with the process; it inherits this
    /// thread's signal mask. Without it text is written all the same, later.
    pub fn keep_flushed(&self) {
        let shared = Arc::clone(&self.shared);
        // No thread, no harm: see above.
        let _ = thread::Builder::new().name("flush".to_owned()).spawn(move || {
            loop {
                let nothing = |all: &mut All| !all.filled && !all.over;
                let all =
                    shared.filled.wait_while(shared.lock(), nothing).unwrap_or_else(PoisonError::into_inner);
                if all.over {
                    return;
                }
                let waited = shared.filled.wait_timeout_while(all, LATEST, |all| !all.over);
                let mut all = waited.unwrap_or_else(PoisonError::into_inner).0;
                all.filled = false;
                for (_, sink) in &mut all.sinks {
                    sink.flush();
                }
            }
        });
    }

    /// Adds text; it may be part of a line.
    pub fn put(&self, text: &[u8]) {
        let mut all = self.shared.lock();
        let Some(sink) = all.sinks.get_mut(self.key) else { return };
        if text.is_empty() || sink.closed {
            return;
        }
        sink.buffer.extend_from_slice(text);
        sink.line_start = text.ends_with(b"\n");
        if sink.buffer.len() >= LARGE || self.shared_with_command {
            sink.flush();
        } else if !all.filled && !self.watched {
            all.filled = true;
            self.shared.filled.notify_all();
        }
    }

    /// The tool is about to wait.
    pub fn idle(&self) {
        if self.watched
            && let Some(sink) = self.shared.lock().sinks.get_mut(self.key)
        {
            sink.flush();
        }
    }

    /// What is to be added at the end, however the tool ends, short of being killed.
    pub fn at_end(&self, text: impl FnOnce() -> Vec<u8> + Send + 'static) {
        if let Some(sink) = self.shared.lock().sinks.get_mut(self.key) {
            sink.at_end = Some(Box::new(text));
        }
    }

    /// What makes the text whole, after everything else; after a failure as well, where there is room for it.
    pub fn closed_by(&self, text: &'static [u8]) {
        if let Some(sink) = self.shared.lock().sinks.get_mut(self.key) {
            sink.closing = text;
        }
    }

    /// What ends a part of the text: after a failure, no part is cut in two. A line, unless this says otherwise.
    pub fn in_parts(&self, end: &'static [u8]) {
        if let Some(sink) = self.shared.lock().sinks.get_mut(self.key) {
            sink.part_end = end;
        }
    }

    /// The end: what there is is written; an open line is closed by `mark`. Nothing is printed any more. The end of the
    /// first output is that of those beside it.
    pub fn finish(&self, mark: &str) {
        let mut all = self.shared.lock();
        if self.key > 0 {
            if let Some(mut sink) = all.sinks.try_remove(self.key) {
                sink.finish(mark);
            }
            return;
        }
        for (_, sink) in &mut all.sinks {
            sink.finish(mark);
        }
        all.over = true;
        self.shared.filled.notify_all();
    }
}

/// Bytes that are no lines. What cannot be written is told as everywhere here, once, and not to the writer.
pub struct Raw(Output);

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(sink) = self.0.shared.lock().sinks.get_mut(self.0.key) {
            sink.tail = None;
        }
    }
}

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path, append: bool) -> io::Result<(Kept, bool)> {
    let file =
        if append { OpenOptions::new().append(true).create(true).open(path)? } else { File::create(path)? };
    let length = file.metadata().map_or(0, |facts| facts.len());
    let watched = file.is_terminal();
    Ok((Kept(file, length), watched))
}

impl Shared {
    /// A thread that panicked while it held the lock left a buffer that is still good text.
    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    fn new(to: Box<dyn Target>, name: String) -> Sink {
        let buffer = Vec::with_capacity(4096);
        Sink {
            to,
            name,
            buffer,
            at_end: None,
            closing: b"",
            part_end: b"\n",
            whole: 0,
            written: 0,
            line_start: true,
            raw: false,
            tail: None,
            closed: false,
        }
    }

    fn finish(&mut self, mark: &str) {
        if self.closed {
            return;
        }
        if !self.line_start && !self.raw {
            self.buffer.extend_from_slice(mark.as_bytes());
            self.buffer.push(b'\n');
            self.line_start = true;
        }
        if let Some(tail) = self.tail.take() {
            let end = tail(self.written + self.buffer.len() as u64);
            self.buffer.extend_from_slice(&end);
        }
        if let Some(text) = self.at_end.take() {
            self.buffer.extend_from_slice(&text());
        }
        self.buffer.extend_from_slice(self.closing);
        self.flush();
        self.closed = true;
        self.to = Box::new(Nothing); // who reads a pipe sees its end
    }

    fn flush(&mut self) {
        if !self.closed
            && !self.buffer.is_empty()
            && let Err(error) = self.write()
        {
            self.closed = true;
            self.at_end = None;
            // Half a line says something that did not happen, and half a record cannot be read.
            if self.written > self.whole && !self.raw {
                self.to.cut(self.whole);
            }
            if self.whole > 0 && self.to.write_all(self.closing).is_err() {
                self.to.cut(self.whole);
            }
            // Where even this cannot be written, nobody is left to tell.
            let _ = writeln!(
                io::stderr(),
                "tracefd: cannot write to {}: {error}; nothing more is {}, the command goes on",
                self.name,
                if self.raw { "recorded" } else { "printed" }
            );
        }
        self.buffer.clear();
    }

    /// All of the buffer, and counts.
    fn write(&mut self) -> io::Result<()> {
        let mut rest = &self.buffer[..];
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let end = self.part_end;
                    if let Some(at) = rest[..count].windows(end.len()).rposition(|part| part == end) {
                        self.whole = self.written + (at + end.len()) as u64;
                    }
                    self.written += count as u64;
                    rest = &rest[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    struct Report(Sender<Vec<u8>>);
    impl Write for Report {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Report {
        fn cut(&mut self, _: u64) {}
    }

    #[test]
    fn text_is_written_at_the_end_and_an_open_line_is_closed() {
        let (to, from) = channel();
        let output = Output::new(Box::new(Report(to)), "a test".to_owned(), false);
        output.put(b"one\ntwo");
        assert!(from.try_recv().is_err(), "buffered");
        output.finish(" <detached ...>");
        output.put(b"late");
        output.finish("!");
        assert_eq!(from.try_recv().unwrap(), b"one\ntwo <detached ...>\n");
        assert!(from.try_recv().is_err());
    }

    #[test]
    fn waiting_text_is_written_by_the_flusher() {
        let (to, from) = channel();
        let output = Output::new(Box::new(Report(to)), "a test".to_owned(), false);
        output.keep_flushed();
        output.put(b"read(0");
        assert_eq!(from.recv().unwrap(), b"read(0");
        output.finish("");
    }

    #[test]
    fn after_a_failure_text_is_dropped() {
        let (to, from) = channel();
        let output = Output::new(Box::new(Report(to)), "a closed pipe".to_owned(), true);
        drop(from);
        output.put(b"x\n");
        output.idle();
        assert!(output.shared.lock().sinks[0].closed);
        output.put(&[b'x'; 2 * LARGE]);
        assert!(output.shared.lock().sinks[0].buffer.is_empty());
    }

    /// A disk with room for 12 bytes.
    struct Small(Arc<Mutex<Vec<u8>>>);
    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let room = (12 - disk.len()).min(bytes.len());
            disk.extend_from_slice(&bytes[..room]);
            if room == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(room) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Target for Small {
        fn cut(&mut self, length: u64) {
            self.0.lock().unwrap().truncate(length as usize);
        }
    }

    #[test]
    fn a_full_disk_keeps_whole_lines_and_no_end() {
        let disk = Arc::default();
        let output = Output::new(Box::new(Small(Arc::clone(&disk))), "a full disk".to_owned(), true);
        output.at_end(|| b"end\n".to_vec());
        output.put(b"one\n");
        output.idle();
        output.put(b"two\nthree\n");
        output.finish("");
        assert_eq!(disk.lock().unwrap().as_slice(), b"one\ntwo\n");
    }

    #[test]
    fn a_full_disk_has_what_makes_the_text_whole() {
        let disk = Arc::default();
        let output = Output::new(Box::new(Small(Arc::clone(&disk))), "a full disk".to_owned(), true);
        output.closed_by(b"]\n");
        output.put(b"[\n");
        output.idle();
        output.put(b"1\n,2\n,3456789\n");
        output.finish("");
        assert_eq!(disk.lock().unwrap().as_slice(), b"[\n1\n,2\n]\n");
    }

    #[test]
    fn what_is_left_for_the_end_comes_last_and_once() {
        let (to, from) = channel();
        let output = Output::new(Box::new(Report(to)), "a test".to_owned(), false);
        output.at_end(|| b"sum\n".to_vec());
        output.put(b"a");
        output.finish("!");
        output.finish("!");
        assert_eq!(from.try_iter().collect::<Vec<_>>().concat(), b"a!\nsum\n");
    }

    #[test]
    fn the_first_output_ends_those_beside_it() {
        let path = std::env::temp_dir().join(format!("tracefd-beside-{}", std::process::id()));
        let output = Output::none();
        let beside = output.beside(&path).unwrap();
        beside.put(b"pause(");
        output.finish(" <detached ...>");
        let text = std::fs::read(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text.unwrap(), b"pause( <detached ...>\n");
    }
}
