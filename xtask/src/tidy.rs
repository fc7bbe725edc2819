//! The project's own rules, as a check. Each message says the file, the line and the rule.

use crate::Outcome;
use std::fs;
use std::path::{Path, PathBuf};

/// Crates that must not be able to name a clock, a thread or a file.
const WALLED: &[&str] = &["state", "softfloat", "isa", "memory", "cpu", "devices", "machine"];

const LONGEST_LINE: usize = 125;

/// Words that name what a machine must not depend on, put together so that this file does not contain them.
fn forbidden() -> Vec<(String, &'static str)> {
    let word = |parts: &[&str]| parts.concat();
    vec![
        (word(&["Hash", "Map"]), "its order is random"),
        (word(&["Hash", "Set"]), "its order is random"),
        (word(&["std::", "time"]), "only the host crate may know a clock"),
        (word(&["std::", "thread"]), "only the host crate may know a thread"),
    ]
}

/// Checks every source file below `crates`, `xtask` and `guests`.
pub fn tidy() -> Outcome {
    let mut files = Vec::new();
    for root in ["crates", "xtask"] {
        gather(Path::new(root), &mut files)?;
    }
    let mut complaints = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        check_file(file, &text, &mut complaints);
    }
    for name in WALLED {
        let path = format!("crates/{name}/src/lib.rs");
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        if !text.contains("#![no_std]") {
            complaints.push(format!("{path}: the crate must be no_std: it is below the wall"));
        }
    }
    if complaints.is_empty() {
        println!("tidy: {} files are in order", files.len());
        return Ok(());
    }
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    Err(format!("tidy: {} complaints", complaints.len()))
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn check_file(file: &Path, text: &str, complaints: &mut Vec<String>) {
    let walled = WALLED.iter().any(|name| file.starts_with(format!("crates/{name}/src")));
    let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
    if !text.starts_with("//!") && !is_test {
        complaints.push(format!("{}:1: a file opens with what it is (//!)", file.display()));
    }
    for (n, line) in text.lines().enumerate() {
        let mut complain = |rule: &str| complaints.push(format!("{}:{}: {rule}", file.display(), n + 1));
        if line.chars().count() > LONGEST_LINE && !line.contains('"') {
            complain("the line is too long");
        }
        if line.trim_start().starts_with("#[allow(") && !line.contains("reason") {
            complain("say why: #[expect(..., reason = \"...\")]");
        }
        if walled {
            for (word, why) in forbidden() {
                if line.contains(&word) {
                    complain(&format!("no {word} here: {why}"));
                }
            }
        }
    }
}
