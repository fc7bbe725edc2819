//! The binary `timebase`.
use std::io::Write;
use timebase_machine::{Config, Firmware, Images, Stop};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let config = Config {
        machine: "pseries".into(),
        cpu: "power9".into(),
        memory_bytes: 1 << 30,
        cpus: 1,
        append: a[2].clone(),
        firmware: Firmware::BuiltIn,
        seed: 0,
        schedule_seed: 0,
        rtc_seconds: 1767225600,
        rate_numerator: 2,
        rate_denominator: 1,
    };
    let images = Images {
        kernel: Some(std::fs::read(&a[1]).unwrap()),
        initrd: a.get(4).map(|p| std::fs::read(p).unwrap()),
        firmware: None,
    };
    let mut m = timebase_machine::build(&config, images).map_err(|e| e.0).unwrap();
    let limit: u64 = a[3].parse().unwrap();
    let t = std::time::Instant::now();
    loop {
        let s = m.run(limit);
        for o in m.take_output() {
            std::io::stdout().write_all(&o.bytes).unwrap();
            std::io::stdout().flush().unwrap();
        }
        match s {
            Stop::Output => {}
            Stop::Idle { deadline: Some(_) } => m.end_idle(),
            s => {
                eprintln!("\n{s:?} at {:?} {:?}", m.position(), t.elapsed());
                break;
            }
        }
    }
    let d = m.digest();
    eprintln!(
        "{:#?}\n{d} {} MIPS",
        m.statistics(),
        m.position().count as f64 / t.elapsed().as_secs_f64() / 1e6
    );
}
