//! Blocks that the peer confirmed give the same results on both engines, here without the peer.

use timebase_cpu::Model;
use timebase_differential::corpus::{digest, read};
use timebase_differential::here::{Engine, run};
use timebase_differential::layout::Record;

const CORPUS: &str = include_str!("corpus.txt");

fn confirmed(model: Model, engine: Engine) {
    let blocks = read(CORPUS, model).expect("a good file");
    assert!(blocks.len() > 200, "{}", blocks.len());
    let records: Vec<Record> = blocks.iter().map(|block| block.record.clone()).collect();
    let results = run(model, engine, &records).expect("a machine");
    for (n, (block, result)) in blocks.iter().zip(results).enumerate() {
        let result = result.map(|result| digest(&result));
        assert_eq!(
            result,
            Some(block.digest),
            "block {n} of {model:?}: `cargo xtask diff` says what differs"
        );
    }
}

#[test]
fn power9_interpreted() {
    confirmed(Model::Power9, Engine::Interpreter);
}

#[test]
fn power10_interpreted() {
    confirmed(Model::Power10, Engine::Interpreter);
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn power9_compiled() {
    confirmed(Model::Power9, Engine::Compiler);
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn power10_compiled() {
    confirmed(Model::Power10, Engine::Compiler);
}
