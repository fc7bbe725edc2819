//! What can be loaded and how it is entered: ELF of both widths and byte orders, by each kind of firmware.

use crate::harness::{config, elf, run_to};
use timebase_machine::{BoxedMachine, Config, ConfigError, Firmware, Images, Stop, build};

const BASE: u64 = 0x10_0000;

/// An ELF32 big-endian image, as boot wrappers (zImage.pseries) are.
fn elf32(address: u32, words: &[u32]) -> Vec<u8> {
    let code: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([0, 2, 0, 20, 0, 0, 0, 1]);
    for value in [address, 52, 0, 0] {
        file.extend(value.to_be_bytes());
    }
    file.extend([0, 52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0]);
    for value in [1, 84, address, address, code.len() as u32, code.len() as u32, 7, 16] {
        file.extend(value.to_be_bytes());
    }
    file.extend(code);
    file
}

/// An ELF64 little-endian image, from the big-endian one by turning each field around.
fn elf64_le(address: u64, words: &[u32]) -> Vec<u8> {
    let mut file = elf(address, words);
    file[5] = 1;
    let fields = [2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2, 4, 4, 8, 8, 8, 8, 8, 8];
    let mut at = 16;
    for bytes in fields.into_iter().chain(words.iter().map(|_| 4)) {
        file[at..at + bytes].reverse();
        at += bytes;
    }
    file
}

fn with_firmware(kernel: Vec<u8>, config: &Config) -> Result<BoxedMachine, ConfigError> {
    build(config, &Images { kernel: Some(kernel[..].into()), ..Images::default() })
}

/// Prints the low byte of what this program leaves in r7 (r5 and r6 are used), then waits for ever.
fn print_r7(program: &[u32]) -> Vec<u32> {
    let mut words = program.to_vec();
    words.extend([
        0x7ce6_3b78, // mr r6,r7
        0x78c6_c1c6, // sldi r6,r6,56
        0x3860_0058, // li r3,0x58: H_PUT_TERM_CHAR
        0x3880_0000, // li r4,0
        0x38a0_0001, // li r5,1
        0x4400_0022, // sc 1
        0x4800_0000, // b .
    ]);
    words
}

fn printed(machine: &mut BoxedMachine) -> Vec<u8> {
    let (stop, console) = run_to(machine, 1000);
    assert_eq!(stop, Stop::Limit);
    console
}

#[test]
fn an_image_is_entered_in_its_own_width_and_byte_order() {
    // mfmsr r7; srdi r8,r7,63; sldi r8,r8,1; rldicl r7,r7,0,63; or r7,r7,r8; addi r7,r7,'0'
    let mode = print_r7(&[0x7ce0_00a6, 0x78e8_0fe0, 0x7908_0fa4, 0x78e7_07e0, 0x7ce7_4378, 0x38e7_0030]);
    for firmware in [Firmware::BuiltIn, Firmware::None] {
        let config = Config { firmware, ..config() };
        for (kernel, expected) in
            [(elf32(BASE as u32, &mode), b"0"), (elf(BASE, &mode), b"2"), (elf64_le(BASE, &mode), b"3")]
        {
            let mut machine = with_firmware(kernel, &config).map_err(|e| e.0).unwrap();
            assert_eq!(printed(&mut machine), expected, "{firmware:?}");
        }
    }
}

/// Puts words at an address behind the code: a service's name and its cells.
fn client_call(name: &[u8; 8], cells: &[u32]) -> Vec<u8> {
    // The block begins 12 words behind the start: name, then service cell and the others.
    let block = BASE as u32 + 48;
    let mut words = vec![
        0x7ca9_03a6,                        // mtctr r5
        0x3c60_0000 | (block + 8) >> 16,    // lis r3
        0x6063_0000 | (block + 8) & 0xffff, // ori r3
        0x4e80_0421,                        // bctrl
        0x4800_0000,                        // b .
    ];
    words.resize(12, 0x6000_0000);
    words.extend(name.chunks(4).map(|chunk| u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]])));
    words.push(block);
    words.extend(cells);
    elf32(BASE as u32, &words)
}

#[test]
fn a_32_bit_client_reaches_the_client_interface() {
    let mut machine =
        with_firmware(client_call(b"exit\0\0\0\0", &[0, 0]), &config()).map_err(|e| e.0).unwrap();
    assert_eq!(run_to(&mut machine, 1000).0, Stop::PowerOff);
    let mut machine =
        with_firmware(client_call(b"boot\0\0\0\0", &[1, 0, 0]), &config()).map_err(|e| e.0).unwrap();
    assert_eq!(run_to(&mut machine, 1000).0, Stop::Reset);
}

/// The registers that a guest begins with: r3 holds the tree's address, its first word is the magic number.
#[test]
fn the_flattened_tree_is_where_r3_says() {
    // lwz r7,0(r3); srdi r7,r7,24 gives 0xd0.
    let words = print_r7(&[0x80e3_0000, 0x78e7_4602]);
    let config = Config { firmware: Firmware::None, ..config() };
    let mut machine = with_firmware(elf(BASE, &words), &config).map_err(|e| e.0).unwrap();
    assert_eq!(printed(&mut machine), [0xd0]);
}

#[test]
fn a_boot_rom_is_entered_at_0x100() {
    // Its first 0x100 bytes are no instructions. mfmsr would differ; the tree's magic number must be at r3.
    let mut rom: Vec<u8> = vec![0; 0x100];
    rom.extend(print_r7(&[0x80e3_0000, 0x78e7_4602]).iter().flat_map(|word| word.to_be_bytes()));
    let config = Config { firmware: Firmware::Image, ..config() };
    let images = Images { firmware: Some(rom[..].into()), ..Images::default() };
    let mut machine = build(&config, &images).map_err(|e| e.0).unwrap();
    assert_eq!(printed(&mut machine), [0xd0]);
}

fn refused(kernel: Vec<u8>, config: &Config) -> String {
    with_firmware(kernel, config).map(|_| ()).expect_err("it must be refused").0
}

#[test]
fn what_cannot_be_loaded_is_refused_in_one_line() {
    let words = [0x4800_0000];
    let large = Config { memory_bytes: 64 << 20, ..config() };
    for (kernel, part) in [
        (b"not an ELF file".to_vec(), "not an ELF file"),
        (Vec::new(), "not an ELF file"),
        (elf(BASE, &words)[..100].to_vec(), "damaged"),
        (elf(64 << 20, &words), "larger --memory"),
        (elf(u64::MAX - 2, &words), "larger --memory"),
        (elf((64 << 20) - 4, &words), "larger --memory"),
        (include_bytes!("images.rs").to_vec(), "not an ELF file"),
    ] {
        let line = refused(kernel, &large);
        assert!(line.contains(part) && !line.contains('\n'), "{line}");
    }
    let mut x86 = elf(BASE, &words);
    x86[18..20].copy_from_slice(&[0, 62]);
    assert!(refused(x86, &large).contains("not for Power"));
}

#[test]
fn an_image_at_0_runs_with_and_without_firmware() {
    for firmware in [Firmware::None, Firmware::BuiltIn] {
        let config = Config { firmware, ..config() };
        let words = print_r7(&[0x38e0_0041]);
        let mut machine = with_firmware(elf(0, &words), &config).map_err(|e| e.0).unwrap();
        assert_eq!(printed(&mut machine), b"A");
    }
}
