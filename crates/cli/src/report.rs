//! `--report`: what happened, as JSON. The field names are a stable contract.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use timebase_machine::Machine;
use timebase_replay::{Ended, Outcome};

/// What happened in a run.
#[derive(Serialize, Debug)]
pub struct Report {
    /// Instruction attempts by all vCPUs.
    pub instructions: u64,
    /// What happened after the last one.
    pub sequence: u32,
    /// Digest of the machine at the end.
    pub digest: String,
    /// SHA-256 of the console's output.
    pub console_sha256: String,
    /// How it ended.
    pub ended: &'static str,
    /// What the guest said when it died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panic: Option<String>,
    /// Virtual time since power-on.
    pub virtual_seconds: f64,
    /// Processor time of this process, user and system.
    pub host_cpu_seconds: f64,
    /// Memory of this process that was resident at most, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_memory_bytes: Option<u64>,
    /// Million instructions per second of processor time.
    pub mips: f64,
    /// What ran the guest's instructions.
    pub engine: &'static str,
    /// Digests compared with the recording's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digests_compared: Option<u64>,
    /// Synchronous interrupts by name.
    pub exceptions: BTreeMap<String, u64>,
    /// Asynchronous interrupts by name.
    pub interrupts: BTreeMap<String, u64>,
    /// Hypervisor calls by name, unknown ones by number.
    pub hcalls: BTreeMap<String, u64>,
    /// RTAS calls by name.
    pub rtas: BTreeMap<String, u64>,
    /// The engine's own counters.
    pub engine_counters: BTreeMap<String, u64>,
}

impl Report {
    /// The report of a run of `machine` that ended with `outcome` and took `cpu` of the host's processors.
    pub fn of(
        machine: &dyn Machine,
        outcome: &Outcome,
        cpu: Duration,
        digests_compared: Option<u64>,
    ) -> Report {
        let statistics = machine.statistics();
        let cpu = cpu.as_secs_f64();
        Report {
            instructions: outcome.at.count,
            sequence: outcome.at.sequence,
            digest: outcome.digest.to_string(),
            console_sha256: hex(&outcome.console_sha256),
            ended: outcome.ended.name(),
            panic: match &outcome.ended {
                Ended::Panic(text) => Some(text.clone()),
                _ => None,
            },
            virtual_seconds: outcome.now.ticks() as f64 / timebase_state::time::TICKS_PER_SECOND as f64,
            host_cpu_seconds: cpu,
            host_memory_bytes: timebase_host::memory::most_resident(),
            mips: outcome.at.count as f64 / cpu.max(1e-9) / 1e6,
            engine: machine.engine(),
            digests_compared,
            exceptions: statistics.exceptions,
            interrupts: statistics.interrupts,
            hcalls: statistics.hcalls,
            rtas: statistics.rtas,
            engine_counters: statistics.engine,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
