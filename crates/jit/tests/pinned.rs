//! What hot code becomes, as text: a change of the compiler shows as a change of these files.
//!
//! After a change that is meant, `cargo nextest run -p timebase-jit --run-ignored only write_the_texts` writes them anew.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use iced_x86::{Decoder as HostDecoder, DecoderOptions, Formatter, IntelFormatter};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use timebase_cpu::bits::msr;
use timebase_cpu::compiled::{Compiler, Entry, Leave, Source};
use timebase_cpu::{Clock, Engine, Interpreter, Model, NoDevices, Vcpu, World};
use timebase_isa::Decoder;
use timebase_jit::ir::Ir;
use timebase_jit::lift::{Bodies, lift};
use timebase_jit::live::Lives;
use timebase_jit::x86::{Scratch, Shared, emit};
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;

const PROGRAM: u64 = 0x1_0000;
const BASE: usize = 0x1000_0000;
/// Where what is apart from the straight way stands.
const APART: usize = 0x1_0000;

/// Programs, as an assembler would print them.
const PROGRAMS: &[(&str, bool, &[u32])] = &[
    // lbzu r5,1(r3); cmpwi r5,0; bne -8
    ("string", true, &[0x8ca3_0001, 0x2c05_0000, 0x4082_fff8]),
    // mflr r0; std r31,-8(r1); std r0,16(r1); stdu r1,-64(r1); mr r31,r1; addi r1,r31,64; ld r0,16(r1); mtlr r0;
    // ld r31,-8(r1); blr
    (
        "function",
        true,
        &[
            0x7c08_02a6,
            0xfbe1_fff8,
            0xf801_0010,
            0xf821_ffc1,
            0x7c3f_0b78,
            0x383f_0040,
            0xe801_0010,
            0x7c08_03a6,
            0xebe1_fff8,
            0x4e80_0020,
        ],
    ),
    // addc r3,r3,r4; adde r5,r5,r6; add. r7,r3,r5; beq +8; addi r8,r8,1; bdnz -20
    ("carries", true, &[0x7c63_2014, 0x7ca5_3114, 0x7ce3_2a15, 0x4182_0008, 0x3908_0001, 0x4200_ffec]),
    // rlwinm r3,r4,5,20,26; rldicl r5,r6,12,40; mulld r7,r3,r5; divd r8,r7,r9; isel r10,r3,r5,eq; b -20
    ("arithmetic", true, &[0x5483_2d34, 0x78c5_6200, 0x7ce3_29d2, 0x7d07_4bd2, 0x7d43_289e, 0x4bff_ffec]),
    // lwz r3,0(r4); lhbrx r5,0,r4; stw r3,8(r4); std r5,16(r4); b -16
    ("big_endian", false, &[0x8064_0000, 0x7ca0_262c, 0x9064_0008, 0xf8a4_0010, 0x4bff_fff0]),
    // lxv vs0,0(r3); lxv vs1,0(r4); xvmaddadp vs0,vs1,vs2; stxv vs0,0(r3); addi r3,r3,16; bdnz -20
    ("vector", true, &[0xf403_0001, 0xf424_0001, 0xf001_1308, 0xf403_0005, 0x3863_0010, 0x4200_ffec]),
    // lwarx r5,0,r3; addi r5,r5,1; stwcx. r5,0,r3; bne -12; dcbz 0,r4; b -20
    ("operations", true, &[0x7ca0_1828, 0x38a5_0001, 0x7ca0_192d, 0x4082_fff4, 0x7c00_27ec, 0x4bff_ffec]),
    // cmpwi r3,0; beq +8; bl +8192; b -8192
    ("ways", true, &[0x2c03_0000, 0x4182_0008, 0x4800_2001, 0x4bff_e000]),
    // fadd f1,f2,f3; mfcr r3; b -8
    ("calls", true, &[0xfc22_182a, 0x7c60_0026, 0x4bff_fff8]),
];

/// Programs whose loops are compiled with more care.
const LOOPS: &[(&str, bool, &[u32])] = &[
    // lwzx r5,r3,r4; add r6,r6,r5; andi. r7,r5,1; beq +8; xor r6,r6,r4; addi r4,r4,4; cmpd r4,r8; bne -28
    (
        "loop",
        true,
        &[
            0x7ca3_202e,
            0x7cc6_2a14,
            0x70a7_0001,
            0x4182_0008,
            0x7cc6_2278,
            0x3884_0004,
            0x7c24_4000,
            0x4082_ffe4,
        ],
    ),
    // The loop that multiplies long numbers in the kernel (mpihelp_addmul_1).
    (
        "multiply",
        true,
        &[
            0x7cde_e050,
            0x38a5_0001,
            0x78c6_1f24,
            0x7cbc_07b4,
            0x7d24_302a,
            0x7927_0022,
            0x792a_0020,
            0x7c07_61d2,
            0x7d2a_61d2,
            0x7d5f_51d2,
            0x7cff_39d2,
            0x792b_0022,
            0x7d4a_0214,
            0x7d4b_5214,
            0x7949_000e,
            0x7c2a_0040,
            0x795b_0022,
            0x7d29_4214,
            0x7d08_4810,
            0x4080_0008,
            0x7ce7_ea14,
            0x7d43_302a,
            0x7d6b_5910,
            0x7d6b_d850,
            0x7d2a_4a14,
            0x7d4a_4810,
            0x7d23_312a,
            0x7d08_4110,
            0x7d08_5850,
            0x7d08_3a14,
            0x4200_ff88,
        ],
    ),
];

/// A compiler that only notes what it would have made.
struct Noting {
    bodies: Bodies,
    /// What it compiles is a loop where much time is spent.
    hot: bool,
    texts: Arc<Mutex<Vec<String>>>,
}

fn shared() -> Shared {
    let at = |n: usize| BASE - 0x1_0000 + 0x1000 * n;
    let look_ups = |n: usize, group: usize| {
        [0, 1].map(|store| {
            [0, 1].map(|again| {
                std::array::from_fn(|size| at(n) + 0x200 * store + 0x100 * again + 0x10 * size + group)
            })
        })
    };
    Shared {
        leave_at: [at(1), at(15)],
        interpret: at(16),
        link: at(17),
        done: at(18),
        order: [at(19), at(20)],
        outside: at(2),
        far: at(23),
        ways: at(25),
        over: at(30),
        fill_load: at(3),
        fill_store: at(4),
        refill_load: at(10),
        refill_store: at(11),
        look_up: look_ups(31, 0),
        anchor: std::array::from_fn(|group| look_ups(32, group)),
        find_load: std::array::from_fn(|group| at(12) + group),
        find_store: std::array::from_fn(|group| at(13) + group),
        recall: [0, 1].map(|store| {
            [0, 1].map(|again| std::array::from_fn(|number| at(26 + 2 * store + again) + number))
        }),
        clear: [at(33), at(34)],
        reserve: at(21),
        conditional: at(22),
        time_base: at(24),
        step: at(5),
        compute: at(6),
        compute_aside: at(7),
        limits: [at(8), at(9)],
        bytes: at(14),
    }
}

/// The code as text; places of this process are left out.
fn text(code: &[u8], at: usize) -> String {
    let mut decoder = HostDecoder::with_ip(64, code, (BASE + at) as u64, DecoderOptions::NONE);
    let mut formatter = IntelFormatter::new();
    let mut text = String::new();
    for instruction in &mut decoder {
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        let process = (0..instruction.op_count()).any(|n| instruction.immediate_is_an_address(n));
        let line = if process { line.split(',').next().unwrap_or("").to_string() + ",ADDRESS" } else { line };
        let _ = writeln!(text, "{:4x}  {line}", instruction.ip() - BASE as u64);
    }
    text
}

trait IsAnAddress {
    fn immediate_is_an_address(&self, operand: u32) -> bool;
}

impl IsAnAddress for iced_x86::Instruction {
    fn immediate_is_an_address(&self, operand: u32) -> bool {
        self.op_kind(operand) == iced_x86::OpKind::Immediate64 && self.immediate64() >> 40 != 0
    }
}

impl Compiler for Noting {
    fn name(&self) -> &'static str {
        "noting"
    }
    fn compile(&mut self, source: &mut Source, _: bool) -> Option<Entry> {
        let ir = Ir::default();
        let block = lift(&ir, &self.bodies, source, self.hot);
        let nodes = ir.into_nodes();
        let (mut lives, mut scratch) = (Lives::default(), Scratch::default());
        let (lives, places) = (lives.find(&nodes, &block), (BASE, BASE + APART));
        let code = emit(&nodes, lives, &block, &shared(), places, &mut scratch).expect("it can be compiled");
        let (count, bytes, apart) = (block.instructions(), code.straight.len(), code.aside.len());
        let (straight, aside) = (text(code.straight, 0), text(code.aside, APART));
        let whole = format!("{count} instructions, {bytes} bytes and {apart} apart\n{straight}\n{aside}");
        self.texts.lock().unwrap().push(whole);
        None
    }
    fn base(&self) -> Entry {
        std::ptr::null()
    }
    fn outside(&self) -> Entry {
        std::ptr::null()
    }
    fn link(&mut self, _: usize, _: Entry) {}
    fn bridge(&mut self, _: usize, _: Entry, _: u32) {}
    fn unbridge(&mut self, _: usize) {}
    fn replace(&mut self, _: Entry, _: Entry) {}
    unsafe fn enter(&mut self, _: Entry, _: &mut Vcpu, budget: u64) -> (Leave, u64) {
        (Leave::Interpret, budget)
    }
    fn full(&self) -> bool {
        false
    }
    fn flush(&mut self) {}
    fn counters(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}

/// The text of a program: its words disassembled, and what its first superblock becomes.
fn pinned(little: bool, words: &[u32], hot: bool) -> String {
    let decoder = Decoder::new(300);
    let mut listing = String::new();
    let mut memory = Memory::new(1 << 20, 1);
    for (n, &word) in words.iter().enumerate() {
        let at = PROGRAM + 4 * n as u64;
        let _ = writeln!(listing, "{at:x}  {}", timebase_isa::disassemble(&decoder, word.into(), at));
        let word = if little { word.swap_bytes() } else { word };
        memory.store_u32(at, word, Writer::Other).unwrap();
    }
    let texts = Arc::new(Mutex::new(Vec::new()));
    let noting = Noting { bodies: Bodies::gather(true), hot, texts: texts.clone() };
    let mut engine = Interpreter::with_compiler(Model::Power9, Box::new(noting));
    let mut cpu = Vcpu::cold(0, Model::Power9, false, 0, Instant::default());
    cpu.set_msr(msr::SF | msr::ME | msr::FP | msr::VEC | msr::VSX | if little { msr::LE } else { 0 });
    for n in 3..5 {
        cpu.regs.gpr[n] = 0x8000;
    }
    // Until it is hot.
    for count in 0..64 {
        cpu.regs.nia = PROGRAM;
        cpu.regs.gpr[1] = 0x9000;
        let mut world = World {
            observed: None,
            memory: &mut memory,
            bus: &mut NoDevices,
            clock: Clock::cold(2, 1, 0, Instant::default()),
            count,
            passed: None,
        };
        engine.run(&mut cpu, &mut world, 1);
    }
    let texts = texts.lock().unwrap();
    format!("{listing}\n{}", texts.first().expect("it became hot"))
}

/// The texts of all programs.
fn all() -> impl Iterator<Item = (&'static str, String)> {
    let of = |hot| move |&(name, little, words): &(_, _, &'static [u32])| (name, pinned(little, words, hot));
    PROGRAMS.iter().map(of(false)).chain(LOOPS.iter().map(of(true)))
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pinned/{name}.txt"))
}

#[test]
fn hot_code_becomes_what_is_written_down() {
    for (name, text) in all() {
        let expected = std::fs::read_to_string(path(name)).unwrap_or_default();
        assert_eq!(text, expected, "{name}: see the head of this test");
    }
}

#[test]
#[ignore = "writes what the test compares with"]
fn write_the_texts() {
    for (name, text) in all() {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        std::fs::write(path(name), text).unwrap();
    }
}
