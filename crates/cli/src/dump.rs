//! `timebase dump`: the guest as an ELF core file, laid out like Linux's vmcore: all memory by physical address and in
//! the kernel's linear mapping, registers of each vCPU, and the kernel's own VMCOREINFO if it has one.

use crate::args;
use crate::commands::{Answer, catch_signals};
use crate::complaint::{Complaint, Status};
use crate::debugger;
use crate::see::spare;
use object::Endianness;
use object::elf::{
    ELFOSABI_NONE, EM_PPC64, ET_CORE, FileFlags, NT_FPREGSET, NT_PPC_VMX, NT_PPC_VSX, NT_PRSTATUS, NoteType,
    PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE, ProgramFlags,
};
use object::write::StreamingBuffer;
use object::write::elf::{FileHeader, ProgramHeader, Writer};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use timebase_machine::{Machine, Register, Vcpu};
use timebase_state::{Instant, PAGE, Paged};

/// Where the kernel maps all memory (Linux's `PAGE_OFFSET` on 64-bit Book3S).
const LINEAR: u64 = 0xc000_0000_0000_0000;
/// Program headers at most: beyond, a file needs other fields.
const MOST_RUNS: usize = 60_000;
/// Begins the text that the kernel keeps for crash tools.
const VMCOREINFO: &[u8] = b"OSRELEASE=";

/// Writes a core file.
pub fn dump(arguments: args::Dump) -> Answer {
    let args::Dump { file, at, output } = arguments;
    spare(&file, &output)?;
    let signals = catch_signals()?;
    let mut opened = debugger::open(&file)?;
    opened.go_to(&at, &signals)?;
    let endian = if opened.little_endian { Endianness::Little } else { Endianness::Big };
    let place = opened.timeline.position();
    let failed = |error: &dyn std::fmt::Display| {
        Status::Environment.because(format!("cannot write {}: {error}", output.display()))
    };
    write_core(opened.timeline.machine(), endian, &output).map_err(|error| failed(&error))?;
    let size = std::fs::metadata(&output).map_or(0, |metadata| metadata.len());
    eprintln!(
        "timebase: {}: the guest at instruction {}, {} MiB: gdb-multiarch vmlinux {0}",
        output.display(),
        place.count,
        size.div_ceil(1 << 20)
    );
    Ok(Status::Done)
}

/// Memory from `start` on: pages with content, and then zeros.
struct Run {
    start: u64,
    content: u64,
    bytes: u64,
}

/// All of `memory` as runs, not more than a file can hold.
fn runs(memory: &Paged) -> Vec<Run> {
    let present = memory.present_pages();
    let page = PAGE as u64;
    let mut gap = 1;
    loop {
        let mut runs: Vec<Run> = vec![Run { start: 0, content: 0, bytes: memory.len() }];
        for &index in &present {
            let at = index * page;
            match runs.last_mut() {
                Some(last) if at <= last.start + last.content + gap * page - page => {
                    last.content = at + page - last.start;
                }
                _ => runs.push(Run { start: at, content: page, bytes: 0 }),
            }
        }
        for n in 0..runs.len() {
            let end = runs.get(n + 1).map_or(memory.len(), |next| next.start);
            runs[n].bytes = end - runs[n].start;
            runs[n].content = runs[n].content.min(runs[n].bytes);
        }
        runs.retain(|run| run.bytes != 0);
        if runs.len() <= MOST_RUNS {
            return runs;
        }
        gap *= 4;
    }
}

fn write_core(machine: &mut dyn Machine, endian: Endianness, output: &Path) -> Result<(), Complaint> {
    let io = |error: std::io::Error| Status::Environment.because(error);
    let elf = |error: object::write::Error| Status::Environment.because(error);
    let [memory, _] = machine.memory().storage();
    let runs = runs(&memory);
    let notes = notes(machine, &memory, endian);
    let mut buffer = StreamingBuffer::new(BufWriter::new(File::create(output).map_err(io)?));
    let mut writer = Writer::new(endian, true, &mut buffer);
    writer.reserve_file_header();
    writer.reserve_program_headers(1 + runs.len() as u32);
    let notes_at = writer.reserve(notes.len() as u64, 4);
    let places: Vec<u64> = runs.iter().map(|run| writer.reserve(run.content, PAGE as u64)).collect();
    writer
        .write_file_header(&FileHeader {
            os_abi: ELFOSABI_NONE,
            abi_version: 0,
            e_type: ET_CORE,
            e_machine: EM_PPC64,
            e_entry: 0,
            // ELFv2 where little-endian.
            e_flags: FileFlags(if endian == Endianness::Little { 2 } else { 1 }),
        })
        .map_err(elf)?;
    writer.write_align_program_headers();
    let length = notes.len() as u64;
    writer.write_program_header(&ProgramHeader {
        p_type: PT_NOTE,
        p_flags: ProgramFlags(0),
        p_offset: notes_at,
        p_vaddr: 0,
        p_paddr: 0,
        p_filesz: length,
        p_memsz: length,
        p_align: 4,
    });
    for (Run { start, content, bytes }, &place) in runs.iter().zip(&places) {
        writer.write_program_header(&ProgramHeader {
            p_type: PT_LOAD,
            p_flags: PF_R | PF_W | PF_X,
            p_offset: place,
            p_vaddr: LINEAR + start,
            p_paddr: *start,
            p_filesz: *content,
            p_memsz: *bytes,
            p_align: PAGE as u64,
        });
    }
    writer.write_align(4);
    writer.write(&notes);
    for run in &runs {
        writer.write_align(PAGE as u64);
        for page in 0..run.content / PAGE as u64 {
            let content = memory.page(run.start / PAGE as u64 + page);
            writer.write(content.map_or(&[0; PAGE], |page| &page.0));
        }
    }
    buffer.result().map_err(io)?;
    buffer.into_inner().flush().map_err(io)
}

/// Bytes of a note in the making.
struct Notes {
    bytes: Vec<u8>,
    endian: Endianness,
}

impl Notes {
    fn u32(&mut self, value: u32) {
        let bytes = if self.endian == Endianness::Little { value.to_le_bytes() } else { value.to_be_bytes() };
        self.bytes.extend_from_slice(&bytes);
    }

    fn note(&mut self, name: &str, kind: NoteType, content: &[u8]) {
        self.u32(name.len() as u32 + 1);
        self.u32(content.len() as u32);
        self.u32(kind.0);
        for part in [[name.as_bytes(), b"\0"].concat(), content.to_vec()] {
            self.bytes.extend_from_slice(&part);
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        }
    }

    /// Numbers as registers stand in notes.
    fn words(&self, values: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let little = self.endian == Endianness::Little;
        values.into_iter().flat_map(|v| if little { v.to_le_bytes() } else { v.to_be_bytes() }).collect()
    }

    fn quadwords(&self, values: impl IntoIterator<Item = u128>) -> Vec<u8> {
        let little = self.endian == Endianness::Little;
        values.into_iter().flat_map(|v| if little { v.to_le_bytes() } else { v.to_be_bytes() }).collect()
    }
}

fn notes(machine: &dyn Machine, memory: &Paged, endian: Endianness) -> Vec<u8> {
    let mut notes = Notes { bytes: Vec::new(), endian };
    let now = machine.now();
    for cpu in 0..machine.cpus() {
        let vcpu = machine.vcpu(cpu);
        let status = status(&notes, cpu, vcpu, now);
        notes.note("CORE", NT_PRSTATUS, &status);
        let get = |register| vcpu.register(register, now).unwrap_or_default();
        let floating = (0..32).map(|n| get(Register::Fpr(n)) as u64).chain([get(Register::Fpscr) as u64]);
        let floating = notes.words(floating);
        notes.note("CORE", NT_FPREGSET, &floating);
        let vector = (0..32).map(|n| get(Register::Vr(n)));
        let vector = notes.quadwords(vector.chain([get(Register::Vscr), get(Register::Vrsave) << 96]));
        notes.note("LINUX", NT_PPC_VMX, &vector);
        let lower = notes.words((0..32).map(|n| get(Register::Vsr(n)) as u64));
        notes.note("LINUX", NT_PPC_VSX, &lower);
    }
    if let Some(text) = vmcoreinfo(memory) {
        notes.note("VMCOREINFO", NoteType(0), &text);
    }
    notes.bytes
}

/// `struct elf_prstatus` of 64-bit Power Linux: 112 bytes, 48 registers, and whether there is floating point.
fn status(notes: &Notes, cpu: u32, vcpu: &Vcpu, now: Instant) -> Vec<u8> {
    let get = |register| vcpu.register(register, now).unwrap_or_default() as u64;
    let mut bytes = vec![0; 112];
    let pid = cpu + 1;
    let pid = if notes.endian == Endianness::Little { pid.to_le_bytes() } else { pid.to_be_bytes() };
    bytes[32..36].copy_from_slice(&pid);
    let special = [
        Register::Nia,
        Register::Msr,
        Register::Gpr(3),
        Register::Ctr,
        Register::Lr,
        Register::Xer,
        Register::Cr,
    ];
    // Then SOFTE and TRAP, which only the kernel knows.
    let faults = [0, 0, get(Register::Spr(19)), get(Register::Spr(18)), 0];
    let registers = (0..32).map(Register::Gpr).chain(special).map(get).chain(faults);
    bytes.extend(notes.words(registers));
    bytes.resize(112 + 48 * 8, 0);
    bytes.extend([0; 8]);
    bytes
}

/// The kernel keeps this text at the beginning of a page.
fn vmcoreinfo(memory: &Paged) -> Option<Vec<u8>> {
    let page = memory.present_pages().into_iter().find(|&index| {
        memory.page(index).is_some_and(|page| page.0.starts_with(VMCOREINFO) && page.0.contains(&b'\n'))
    })?;
    let mut text = vec![0; 2 * PAGE];
    memory.read(page * PAGE as u64, &mut text);
    let end = text.iter().position(|&byte| byte == 0)?;
    text.truncate(end);
    Some(text)
}
