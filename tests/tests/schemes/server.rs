//! Web servers: python3's, and one that does what its paths say, which is mostly wrong.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// `python3 -m http.server` on a port of the system's choice.
pub(crate) struct Python {
    child: Child,
    pub(crate) url: String,
}

impl Python {
    pub(crate) fn serve(dir: &Path) -> io::Result<Python> {
        let mut python = Command::new("python3");
        python.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(dir);
        let mut child = python.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line)?;
        // Serving HTTP on 127.0.0.1 port 34567 (http://127.0.0.1:34567/) ...
        let url = line.split(['(', ')']).nth(1).unwrap_or_default().to_owned();
        Ok(Python { child, url })
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other one. Its threads end with the connections, and these with the test.
pub(crate) struct Bad {
    address: SocketAddr,
    asked: Arc<Asked>,
    kept: Arc<Mutex<Vec<TcpStream>>>,
}

/// Every request, and who waits for one.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>, Condvar);

impl Asked {
    fn add(&self, request: String) {
        self.0.lock().unwrap().push(request);
        self.1.notify_all();
    }

    /// Waits until this has been asked. Only a failing test waits so long.
    fn wait_for(&self, request: &str) {
        let missing = |all: &mut Vec<String>| !all.iter().any(|asked| asked == request);
        drop(self.1.wait_timeout_while(self.0.lock().unwrap(), Duration::from_secs(20), missing).unwrap());
    }
}

/// 64 KiB of the big file, never zero, so that nothing can be a hole. Number and pattern.
pub(crate) fn big_piece(number: u64, piece: &mut Vec<u8>) {
    piece.resize(1 << 16, 0xA5);
    piece[..8].copy_from_slice(&(number | 1 << 63).to_le_bytes());
}

impl Bad {
    pub(crate) fn serve() -> io::Result<Bad> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (asked, kept) = (Arc::<Asked>::default(), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (log, keep) = (asked.clone(), kept.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, keep) = (log.clone(), keep.clone());
                // A client that has heard enough goes away; that is no failure of the server's.
                std::thread::spawn(move || drop(answer(stream, &log, &keep)));
            }
        });
        Ok(Bad { address, asked, kept })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often it was asked this, such as `GET /x` or `GET /x bytes=5-`.
    pub(crate) fn count(&self, request: &str) -> usize {
        self.asked.0.lock().unwrap().iter().filter(|asked| *asked == request).count()
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        self.kept.lock().unwrap().clear();
    }
}

/// The head of a request, left where it is: a connection that is closed before it was read is reset.
fn peek(stream: &TcpStream) -> io::Result<String> {
    let mut buf = [0; 4096];
    loop {
        let n = stream.peek(&mut buf)?;
        let text = String::from_utf8_lossy(&buf[..n]);
        if n == 0 || text.contains("\r\n\r\n") {
            return Ok(text.into_owned());
        }
        std::thread::yield_now();
    }
}

fn answer(mut stream: TcpStream, log: &Asked, keep: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let head = peek(&stream)?;
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let range = header("range");
    log.add(
        [Some(format!("{method} {path}")), range.clone()].into_iter().flatten().collect::<Vec<_>>().join(" "),
    );
    let is_head = method == "HEAD";
    if path != "/reset" && !(path == "/resume" && range.is_none() && !is_head) {
        // Only what shall not be reset is read.
        stream.read_exact(&mut vec![0; head.len()])?;
    }
    let hundred = "0123456789".repeat(10);
    let mut say = |status: &str, headers: &str, body: &str| {
        let body = if is_head { "" } else { body };
        write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n{body}")
    };
    let length = "Content-Length: 100\r\n";
    let tagged = "Content-Length: 100\r\nETag: \"one\"\r\nAccept-Ranges: bytes\r\n";
    match path {
        "/" => say("200 OK", "", "<a href=a>a</a>"),
        "/short" => say("200 OK", length, &hundred[..50]),
        "/lies" if is_head => say("200 OK", "Content-Length: 10\r\n", ""),
        "/lies" => say("200 OK", length, &hundred),
        "/reset" if is_head => say("200 OK", length, ""),
        "/reset" => say("200 OK", length, &hundred[..50]),
        "/resume" => match range.as_deref() {
            Some("bytes=50-") => {
                let headers = "Content-Length: 50\r\nETag: \"one\"\r\nContent-Range: bytes 50-99/100\r\n";
                say("206 Partial Content", headers, &hundred[50..])
            }
            _ => say("200 OK", tagged, &hundred[..50]),
        },
        "/stall" => {
            say("200 OK", length, &hundred[..50])?;
            if !is_head {
                keep.lock().unwrap().push(stream);
            }
            Ok(())
        }
        // Half of it, and the rest when `/go` has been asked for.
        "/gate" => {
            say("200 OK", length, &hundred[..50])?;
            if !is_head {
                log.wait_for("GET /go");
                stream.write_all(&hundred.as_bytes()[50..])?;
            }
            Ok(())
        }
        "/begun" => {
            if !is_head {
                log.wait_for("GET /gate");
            }
            say("200 OK", length, &hundred)
        }
        "/go" => say("200 OK", length, &hundred),
        "/circle" => say("302 Found", "Location: /circle2\r\nContent-Length: 0\r\n", ""),
        "/circle2" => say("302 Found", "Location: /circle\r\nContent-Length: 0\r\n", ""),
        "/moved" => say("301 Moved", "Location: /plain\r\nContent-Length: 0\r\n", ""),
        "/plain" => say("200 OK", tagged, &hundred),
        "/tls" => say("302 Found", "Location: https://127.0.0.1:1/\r\nContent-Length: 0\r\n", ""),
        "/nohead" if is_head => say("405 Method Not Allowed", "Content-Length: 0\r\n", ""),
        "/nohead" if range.as_deref() == Some("bytes=0-0") => {
            say("206 Partial Content", "Content-Length: 1\r\nContent-Range: bytes 0-0/100\r\n", "0")
        }
        "/nohead" => say("200 OK", length, &hundred),
        "/unsized" => {
            say("200 OK", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        }
        "/cut" => say("200 OK", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6\r\n wo"),
        "/etag" if header("if-none-match").as_deref() == Some("\"one\"") => say("304 Not Modified", "", ""),
        "/etag" => say("200 OK", tagged, &hundred),
        "/nothing" => Ok(()),
        "/nonsense" => stream.write_all(b"\x16\x03\x01 no server at all\r\n\r\n"),
        path if path.starts_with("/big/") => {
            let pieces: u64 = path[5..].parse().unwrap_or(0);
            say("200 OK", &format!("Content-Length: {}\r\n", pieces << 16), "")?;
            let mut piece = Vec::new();
            (0..if is_head { 0 } else { pieces }).try_for_each(|number| {
                big_piece(number, &mut piece);
                stream.write_all(&piece)
            })
        }
        path => {
            let status = path[1..].parse::<u16>().unwrap_or(404);
            say(&format!("{status} As you like"), "Content-Length: 0\r\n", "")
        }
    }
}
