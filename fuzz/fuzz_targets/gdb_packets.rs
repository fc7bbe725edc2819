//! Bytes in place of gdb's: `cargo xtask fuzz [SECONDS]`.
//!
//! Each input is a connection of its own to a server whose history is a stretch of the embedded guest. After it, the
//! server must answer the next connection. `crates/debug/tests/hostile.rs` is the bounded run in CI.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session::session;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use timebase_debug::gdb::{packets, serve};

#[path = "../../crates/debug/tests/session/mod.rs"]
mod session;

/// The port of a server that lives as long as the fuzzer. A panic of its thread ends the process.
fn port() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        std::thread::spawn(move || {
            loop {
                // After `kill`, the next one.
                let listener = listener.try_clone().expect("a listener");
                serve(listener, &mut session(), Arc::new(|_| {}), &|| false);
            }
        });
        port
    })
}

fn connect() -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port())).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
    stream
}

fuzz_target!(|bytes: &[u8]| {
    // Half of the inputs are packets with right checksums, cut at line ends.
    let stream = match bytes.split_first() {
        Some((first, rest)) if first & 1 != 0 => rest.split(|&b| b == b'\n').flat_map(packets::packet).collect(),
        _ => bytes.to_vec(),
    };
    let mut gdb = connect();
    let _ = gdb.write_all(&stream);
    let _ = gdb.write_all(b"\x03");
    drop(gdb);
    for _ in 0..20 {
        let mut next = connect();
        let _ = next.write_all(&packets::packet(b"?"));
        let mut answer = [0; 256];
        let read = next.read(&mut answer).unwrap_or(0);
        if answer[..read].contains(&b'T') {
            return;
        }
    }
    panic!("the server answers no more");
});
