//! [`Output`]: where trace text goes. The tool's thread adds pieces of lines; two others may flush or end it.
//!
//! One buffer behind one lock. It is written out when it is large, when the tool is about to wait and a person is watching,
//! `LATEST` after text came in, and at the end. After a failure (a closed pipe, a full disk) text is thrown away and
//! the traced command goes on; the failure is told once.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long text may stay in the buffer while the tool waits: who reads a pipe or a file wants to see it.
const LATEST: Duration = Duration::from_millis(200);
/// Writing less at a time costs more than it helps.
const LARGE: usize = 32 * 1024;

/// Where text goes. Clones are the same.
#[derive(Clone)]
pub struct Output {
    shared: Arc<Shared>,
    watched: bool,
}

struct Shared {
    sink: Mutex<Sink>,
    /// Signalled when the buffer stops being empty.
    filled: Condvar,
}

struct Sink {
    to: Box<dyn Write + Send>,
    name: String,
    buffer: Vec<u8>,
    /// Whether all text so far is whole lines.
    line_start: bool,
    /// No more text is wanted, or can be written.
    closed: bool,
}

impl Output {
    /// To standard error.
    pub fn stderr() -> Output {
        let watched = io::stderr().is_terminal();
        Output::new(Box::new(io::stderr()), "standard error".to_owned(), watched)
    }

    /// To a file, made or emptied.
    pub fn file(path: &Path) -> io::Result<Output> {
        let file = File::create(path)?;
        let watched = file.is_terminal();
        Ok(Output::new(Box::new(file), path.display().to_string(), watched))
    }

    /// To anything; `watched` if a person looks at it now.
    pub fn new(to: Box<dyn Write + Send>, name: String, watched: bool) -> Output {
        let sink = Sink { to, name, buffer: Vec::with_capacity(2 * LARGE), line_start: true, closed: false };
        Output { shared: Arc::new(Shared { sink: Mutex::new(sink), filled: Condvar::new() }), watched }
    }

    /// Starts the thread that writes text which has waited `LATEST`. It ends with the process; it inherits this
    /// thread's signal mask. Without it text is written all the same, later.
    pub fn keep_flushed(&self) {
        let shared = Arc::clone(&self.shared);
        // No thread, no harm: see above.
        let _ = thread::Builder::new().name("flush".to_owned()).spawn(move || {
            loop {
                let empty = |sink: &mut Sink| sink.buffer.is_empty() && !sink.closed;
                let sink =
                    shared.filled.wait_while(shared.lock(), empty).unwrap_or_else(PoisonError::into_inner);
                if sink.closed {
                    return;
                }
                let waited = shared.filled.wait_timeout_while(sink, LATEST, |sink| !sink.closed);
                waited.unwrap_or_else(PoisonError::into_inner).0.flush();
            }
        });
    }

    /// Adds text; it may be part of a line.
    pub fn put(&self, text: &[u8]) {
        let mut sink = self.shared.lock();
        if text.is_empty() || sink.closed {
            return;
        }
        let was_empty = sink.buffer.is_empty();
        sink.buffer.extend_from_slice(text);
        sink.line_start = text.ends_with(b"\n");
        if sink.buffer.len() >= LARGE {
            sink.flush();
        } else if was_empty && !self.watched {
            self.shared.filled.notify_all();
        }
    }

    /// The tool is about to wait.
    pub fn idle(&self) {
        if self.watched {
            self.shared.lock().flush();
        }
    }

    /// The end: what there is is written; an open line is closed by `mark`. Nothing is printed any more.
    pub fn finish(&self, mark: &str) {
        let mut sink = self.shared.lock();
        if !sink.closed && !sink.line_start {
            sink.buffer.extend_from_slice(mark.as_bytes());
            sink.buffer.push(b'\n');
            sink.line_start = true;
        }
        sink.flush();
        sink.closed = true;
        self.shared.filled.notify_all();
    }
}

impl Shared {
    /// A thread that panicked while it held the lock left a buffer that is still good text.
    fn lock(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    fn flush(&mut self) {
        if !self.closed
            && !self.buffer.is_empty()
            && let Err(error) = self.to.write_all(&self.buffer).and_then(|()| self.to.flush())
        {
            self.closed = true;
            // Where even this cannot be written, nobody is left to tell.
            let _ = writeln!(
                io::stderr(),
                "tracefd: cannot write to {}: {error}; nothing more is printed, the command goes on",
                self.name
            );
        }
        self.buffer.clear();
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
        assert!(output.shared.lock().closed);
        output.put(&[b'x'; 2 * LARGE]);
        assert!(output.shared.lock().buffer.is_empty());
    }
}
