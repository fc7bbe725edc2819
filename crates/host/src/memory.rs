//! Memory of the host.

/// Bytes of memory that this process had resident at most so far, by the kernel's account (`VmHWM` of proc(5)). None where
/// there is no such account.
pub fn most_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kibibytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_counts() {
        let before = most_resident().expect("an account");
        let touched = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(most_resident() >= Some(before.max(touched.len() as u64)));
    }
}
