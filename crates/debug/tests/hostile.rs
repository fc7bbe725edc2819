//! Whatever comes in place of gdb: no panic, no hang, and the next one finds history where it was.

mod session;

use proptest::prelude::*;
use session::session;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use timebase_debug::gdb::{packets, serve};

/// A server with a session of its own, for as long as this lives.
struct Server {
    port: u16,
    quit: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let quit = Arc::new(AtomicBool::new(false));
        let seen = quit.clone();
        let thread = std::thread::spawn(move || {
            let mut session = session();
            serve(listener, &mut session, Arc::new(|_| {}), &|| seen.load(Ordering::Relaxed));
        });
        Server { port, quit, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends `bytes`, and sees that a packet sent afterwards, in this connection or the next, is answered.
    fn survives(&self, bytes: &[u8]) {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        let _ = stream.write_all(b"\x03");
        drop(stream);
        // One that is just leaving gets a moment; after that, one is sent away and tries again.
        for _ in 0..50 {
            let mut stream = self.connect();
            let _ = stream.write_all(&packets::packet(b"?"));
            let mut answer = [0; 256];
            let read = stream.read(&mut answer).unwrap_or(0);
            if answer[..read].windows(2).any(|two| two == b"$T") {
                return;
            }
        }
        panic!("no answer after {:?}", String::from_utf8_lossy(bytes));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.quit.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the server ended in order");
            }
        }
    }
}

/// Numbers as packets have them: small, at edges, and none at all.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u64..64).prop_map(|n| format!("{n:x}")),
        Just("200000".to_owned()),
        Just("ffffffffffffffff".to_owned()),
        Just("7fffffffffffffff".to_owned()),
        Just("10000000000000000".to_owned()),
        Just(String::new()),
        Just("-1".to_owned()),
        any::<u64>().prop_map(|n| format!("{n:x}")),
    ]
}

/// Packets that are nearly right.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let verb = prop::sample::select(vec![
        "m",
        "M",
        "X",
        "g",
        "G",
        "p",
        "P",
        "c",
        "s",
        "bc",
        "bs",
        "Z0,",
        "Z1,",
        "Z2,",
        "Z3,",
        "Z4,",
        "z0,",
        "z2,",
        "H",
        "Hg",
        "Hc",
        "T",
        "?",
        "D",
        "D;",
        "vCont;c:",
        "vCont;s:",
        "vCont;r",
        "vCont?",
        "vMustReplyEmpty",
        "qSupported:",
        "qXfer:features:read:target.xml:",
        "qXfer:threads:read::",
        "qfThreadInfo",
        "qsThreadInfo",
        "qThreadExtraInfo,",
        "qC",
        "qAttached",
        "qRcmd,",
        "qqemu.PhyMemMode",
        "Qqemu.PhyMemMode:",
        "QStartNoAckMode",
        "vFile:open:",
        "R",
        "!",
        "A",
        "C",
        "S",
        "t",
        "x",
    ]);
    let separator = prop::sample::select(vec![",", ":", ";", "=", ";X", "", ".", "#", "*", "}"]);
    (verb, prop::collection::vec((number(), separator), 0..4)).prop_map(|(verb, parts)| {
        let rest: String =
            parts.into_iter().map(|(number, separator)| format!("{number}{separator}")).collect();
        packets::packet(format!("{verb}{rest}").as_bytes())
    })
}

/// Words after `monitor`.
fn monitor() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "goto",
        "when",
        "watch",
        "unwatch",
        "last-write",
        "last-change",
        "events",
        "console",
        "branch",
        "bookmark",
        "physical",
        "endian",
        "inputs",
        "checkpoints",
        "help",
        "50%",
        "end-10",
        "0x206b00",
        "8",
        "read",
        "write",
        "if",
        "$r3",
        "==",
        "u64[",
        "]",
        "(",
        ")",
        "/",
        "0",
        "-",
        "r3",
        "msr",
        "99999999999999999999",
        "console:(",
        "interrupt,hcall",
        "phys",
        "on",
        "",
    ]);
    prop::collection::vec(word, 0..6).prop_map(|words| {
        let text: String = words.join(" ").bytes().map(|byte| format!("{byte:02x}")).collect();
        packets::packet(format!("qRcmd,{text}").as_bytes())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn hostile_streams_harm_nobody(
        streams in prop::collection::vec(
            prop::collection::vec(
                prop_oneof![4 => packet(), 2 => monitor(), 1 => prop::collection::vec(any::<u8>(), 0..40)],
                1..12,
            ),
            1..4,
        ),
    ) {
        let server = Server::start();
        for stream in streams {
            // A branch would write files; all else may come.
            server.survives(&stream.concat());
        }
    }
}
