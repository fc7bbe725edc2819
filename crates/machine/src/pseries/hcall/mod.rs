//! Hypervisor calls (LoPAR chapter "Hypervisor Call Functions"), a file per family.
//!
//! r3 names the call, r4 to r12 are its arguments; r3 returns a status, r4 to r12 values. Nothing else of the vCPU
//! changes but what the call's definition says.

mod console;
mod interrupt;
mod memory;
mod mode;
mod page_table;
mod processor;
mod xive;

use super::Pseries;
use crate::observe::Observation;
use alloc::format;
use timebase_cpu::Model;
use timebase_cpu::bits::msr;

macro_rules! statuses {
    ($($name:ident = $value:literal,)*) => {
        /// Statuses (LoPAR "Hcall Status Codes").
        pub(super) mod status {
            $(pub const $name: i64 = $value;)*
        }

        /// The name of a status (LoPAR "Hcall Status Codes"), of those that calls here return.
        pub fn status_name(status: i64) -> Option<&'static str> {
            match status {
                $($value => Some(concat!("H_", stringify!($name))),)*
                _ => None,
            }
        }
    };
}

statuses! {
    SUCCESS = 0,
    CONTINUE = 18,
    HARDWARE = -1,
    FUNCTION = -2,
    PRIVILEGE = -3,
    PARAMETER = -4,
    PTEG_FULL = -6,
    NOT_FOUND = -7,
    RESOURCE = -16,
    P2 = -55,
    P3 = -56,
    P4 = -57,
    BAD_MODE = -69,
    UNSUPPORTED_FLAG = -256,
}

/// One call: the machine, the calling vCPU, its arguments.
pub(super) struct Call<'a> {
    pub machine: &'a mut Pseries,
    /// Index of the caller.
    pub n: usize,
    /// r4 to r12.
    pub args: [u64; 9],
}

impl Call<'_> {
    /// The CPU model.
    pub fn model(&self) -> Model {
        self.machine.model
    }

    /// Returns a value in r4 + `k`.
    pub fn give(&mut self, k: usize, value: u64) {
        self.machine.board.cpu[self.n].vcpu.regs.gpr[4 + k] = value;
    }
}

/// What a call does; gives its status.
type Function = fn(&mut Call) -> i64;

/// How many arguments (r4 and up) and values (r4 and up) a call's definition gives it.
type Arity = [usize; 2];
/// The same of calls that are not known: what is shown of them.
const UNKNOWN: Arity = [4, 0];

/// All calls: number, PAPR name, arguments and values, function.
const CALLS: &[(u64, &str, Arity, Function)] = &[
    (0x04, "H_REMOVE", [3, 2], page_table::remove),
    (0x08, "H_ENTER", [4, 1], page_table::enter),
    (0x0c, "H_READ", [2, 2], page_table::read),
    (0x10, "H_CLEAR_MOD", [2, 1], page_table::clear_modified),
    (0x14, "H_CLEAR_REF", [2, 1], page_table::clear_referenced),
    (0x18, "H_PROTECT", [3, 0], page_table::protect),
    (0x24, "H_SET_SPRG0", [1, 0], mode::set_sprg0),
    (0x28, "H_SET_DABR", [1, 0], mode::set_dabr),
    (0x2c, "H_PAGE_INIT", [3, 0], memory::page_init),
    (0x3c, "H_LOGICAL_CI_LOAD", [2, 1], memory::logical_ci_load),
    (0x40, "H_LOGICAL_CI_STORE", [3, 0], memory::logical_ci_store),
    (0x44, "H_LOGICAL_CACHE_LOAD", [2, 1], memory::logical_ci_load),
    (0x48, "H_LOGICAL_CACHE_STORE", [3, 0], memory::logical_ci_store),
    (0x4c, "H_LOGICAL_ICBI", [2, 0], memory::nothing),
    (0x50, "H_LOGICAL_DCBF", [2, 0], memory::nothing),
    (0x54, "H_GET_TERM_CHAR", [1, 3], console::get_term_char),
    (0x58, "H_PUT_TERM_CHAR", [4, 0], console::put_term_char),
    (0x64, "H_EOI", [1, 0], interrupt::eoi),
    (0x68, "H_CPPR", [1, 0], interrupt::cppr),
    (0x6c, "H_IPI", [2, 0], interrupt::ipi),
    (0x70, "H_IPOLL", [1, 2], interrupt::ipoll),
    (0x74, "H_XIRR", [0, 1], interrupt::xirr),
    (0xdc, "H_REGISTER_VPA", [3, 0], mode::register_vpa),
    (0xe0, "H_CEDE", [0, 0], processor::cede),
    (0xe4, "H_CONFER", [2, 0], processor::confer),
    (0xe8, "H_PROD", [1, 0], processor::prod),
    (0x104, "H_VIO_SIGNAL", [2, 0], interrupt::vio_signal),
    (0x124, "H_BULK_REMOVE", [8, 8], page_table::bulk_remove),
    (0x134, "H_SET_XDABR", [2, 0], mode::set_xdabr),
    (0x298, "H_JOIN", [0, 0], processor::join),
    (0x2ec, "H_HOME_NODE_ASSOCIATIVITY", [2, 6], processor::home_node),
    (0x2fc, "H_XIRR_X", [0, 2], interrupt::xirr_x),
    (0x300, "H_RANDOM", [0, 1], processor::random),
    (0x31c, "H_SET_MODE", [4, 0], mode::set_mode),
    (0x374, "H_CLEAN_SLB", [0, 0], memory::nothing),
    (0x378, "H_INVALIDATE_PID", [1, 0], memory::nothing),
    (0x37c, "H_REGISTER_PROC_TBL", [4, 0], mode::register_process_table),
    (0x380, "H_SIGNAL_SYS_RESET", [1, 0], processor::signal_system_reset),
    (0x1c8, "H_GET_CPU_CHARACTERISTICS", [0, 2], processor::characteristics),
    (0x3a8, "H_INT_GET_SOURCE_INFO", [2, 4], xive::source_info),
    (0x3ac, "H_INT_SET_SOURCE_CONFIG", [5, 0], xive::set_source_config),
    (0x3b0, "H_INT_GET_SOURCE_CONFIG", [2, 3], xive::source_config),
    (0x3b4, "H_INT_GET_QUEUE_INFO", [3, 2], xive::queue_info),
    (0x3b8, "H_INT_SET_QUEUE_CONFIG", [5, 0], xive::set_queue_config),
    (0x3bc, "H_INT_GET_QUEUE_CONFIG", [3, 4], xive::queue_config),
    (0x3c0, "H_INT_SET_OS_REPORTING_LINE", [2, 0], xive::no_reporting_line),
    (0x3c4, "H_INT_GET_OS_REPORTING_LINE", [2, 1], xive::no_reporting_line),
    (0x3c8, "H_INT_ESB", [4, 1], xive::manage),
    (0x3cc, "H_INT_SYNC", [2, 0], xive::sync),
    (0x3d0, "H_INT_RESET", [1, 0], xive::reset),
    (0x448, "H_RPT_INVALIDATE", [6, 0], memory::nothing),
    (0xf000, "KVMPPC_H_RTAS", [1, 0], |call| call.machine.run_time_service(call.n) as i64),
    (0xf001, "KVMPPC_H_LOGICAL_MEMOP", [5, 0], memory::logical_memop),
    (0xf002, "KVMPPC_H_CAS", [3, 0], memory::client_architecture_support),
    (0xf003, "KVMPPC_H_UPDATE_DT", [1, 0], memory::update_device_tree),
    (0xf005, "KVMPPC_H_VOF_CLIENT", [1, 0], |call| call.machine.client_interface(call.n) as i64),
];

impl Pseries {
    /// `sc 1` of vCPU `n`.
    pub(super) fn hypercall(&mut self, n: usize) {
        let regs = &self.board.cpu[n].vcpu.regs;
        let number = regs.gpr[3];
        let mut args = [0; 9];
        args.copy_from_slice(&regs.gpr[4..13]);
        let problem = regs.msr & msr::PR != 0;
        let found = CALLS.iter().find(|call| call.0 == number);
        match found {
            Some((_, name, ..)) => match self.hcalls.get_mut(*name) {
                Some(count) => *count += 1,
                None => {
                    self.hcalls.insert((*name).into(), 1);
                }
            },
            None => *self.hcalls.entry(format!("{number:#x}")).or_default() += 1,
        }
        let mark = self.observer.mark();
        let status = match found {
            _ if problem => status::PRIVILEGE,
            Some((.., function)) => function(&mut Call { machine: self, n, args }),
            None => status::FUNCTION,
        };
        self.board.cpu[n].vcpu.regs.gpr[3] = status as u64;
        if self.observer.is_on() {
            let [takes, gives] = found.map_or(UNKNOWN, |call| call.2);
            let gives = if status == status::SUCCESS { gives } else { 0 };
            let results = self.board.cpu[n].vcpu.regs.gpr[4..4 + gives].to_vec();
            let name = found.map_or_else(|| format!("{number:#x}"), |call| call.1.into());
            let arguments = args[..takes].to_vec();
            self.see_before(mark, n, Observation::Hypercall { name, arguments, status, results });
        }
    }
}
