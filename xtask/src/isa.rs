//! What is defined of the instruction set.

use crate::Outcome;
use std::collections::BTreeMap;
use timebase_isa::decode::Decoder;

/// Lists all definitions by section, and counts them.
pub fn list() -> Outcome {
    let decoder = Decoder::new(310);
    let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for entry in decoder.entries() {
        let level = match (entry.encoding.since, entry.encoding.until) {
            (310, _) => " (3.1)",
            (_, 300) => " (until 3.0)",
            _ => "",
        };
        sections.entry(entry.section).or_default().push(format!("{}{level}", entry.syntax));
    }
    for (section, entries) in &sections {
        println!("{section}: {} instructions", entries.len());
        for entry in entries {
            println!("    {entry}");
        }
    }
    println!("{} instructions are defined", decoder.entries().len());
    Ok(())
}
