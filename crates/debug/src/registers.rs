//! The registers that gdb is told of: the target description, and their bytes.
//!
//! The features and names up to VSX are gdb's own (gdb manual, appendix G.5.11 "PowerPC Features"); the order gives
//! the numbers. The SPRs behind them are a feature of ours, which gdb shows with `info registers system`.

use timebase_machine::{Register, Vcpu};

/// What a number of the target description stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Whole(Register),
    /// Doubleword 1 of VSR n, which gdb puts beside FPR n.
    SecondHalf(u8),
}

/// A row of the target description.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    bits: u32,
    kind: &'static str,
    feature: &'static str,
    what: What,
}

/// SPRs that are shown, if the CPU has them.
const SPRS: &[&str] = &[
    "cfar", "srr0", "srr1", "dar", "dsisr", "dec", "tb", "vtb", "purr", "sprg0", "sprg1", "sprg2", "sprg3",
    "pidr", "lpidr", "lpcr", "ptcr", "amr", "iamr", "uamor", "amor", "fscr", "hfscr", "pcr", "ctrl", "pvr",
    "pir", "tir", "tar", "dscr", "ppr", "hsrr0", "hsrr1", "hdar", "hdsisr", "hdec", "hsprg0", "hsprg1",
    "hrmor", "heir", "hmer", "hmeer", "asdr", "psscr", "dpdes", "dawr0", "dawrx0", "dawr1", "dawrx1",
    "ciabr", "bescr", "ebbhr", "ebbrr", "mmcr0", "mmcr1", "mmcr2", "mmcra", "pmc1", "pmc2", "pmc3", "pmc4",
    "pmc5", "pmc6", "siar", "sdar", "sier",
];

const CORE: &str = "org.gnu.gdb.power.core";
const FPU: &str = "org.gnu.gdb.power.fpu";
const ALTIVEC: &str = "org.gnu.gdb.power.altivec";
const VSX: &str = "org.gnu.gdb.power.vsx";
const SYSTEM: &str = "org.timebase.power.system";

/// The registers of a kind of CPU, by gdb's numbers.
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// The registers that `vcpu` has.
    pub fn of(vcpu: &Vcpu) -> Table {
        let mut rows = Vec::new();
        let mut add =
            |name: String, bits, kind, feature, what| rows.push(Row { name, bits, kind, feature, what });
        for n in 0..32 {
            add(format!("r{n}"), 64, "uint64", CORE, What::Whole(Register::Gpr(n)));
        }
        let core = [
            ("pc", 64, "code_ptr", Register::Nia),
            ("msr", 64, "uint64", Register::Msr),
            ("cr", 32, "uint32", Register::Cr),
            ("lr", 64, "code_ptr", Register::Lr),
            ("ctr", 64, "uint64", Register::Ctr),
            ("xer", 32, "uint32", Register::Xer),
        ];
        for (name, bits, kind, register) in core {
            add(name.into(), bits, kind, CORE, What::Whole(register));
        }
        for n in 0..32 {
            add(format!("f{n}"), 64, "ieee_double", FPU, What::Whole(Register::Fpr(n)));
        }
        add("fpscr".into(), 64, "uint64", FPU, What::Whole(Register::Fpscr));
        for n in 0..32 {
            add(format!("vr{n}"), 128, "vec128", ALTIVEC, What::Whole(Register::Vr(n)));
        }
        add("vscr".into(), 32, "uint32", ALTIVEC, What::Whole(Register::Vscr));
        add("vrsave".into(), 32, "uint32", ALTIVEC, What::Whole(Register::Vrsave));
        for n in 0..32 {
            add(format!("vs{n}h"), 64, "uint64", VSX, What::SecondHalf(n));
        }
        for name in SPRS {
            if let Some(register) = Register::named(name).filter(|&register| vcpu.stored(register).is_some())
            {
                add((*name).into(), 64, "uint64", SYSTEM, What::Whole(register));
            }
        }
        Table { rows }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The register of a number, if it is a whole one of ours.
    pub fn register(&self, number: usize) -> Option<Register> {
        match self.rows.get(number)?.what {
            What::Whole(register) => Some(register),
            What::SecondHalf(_) => None,
        }
    }

    /// Bytes of the register of a number.
    pub fn bytes(&self, number: usize) -> Option<usize> {
        Some(self.rows.get(number)?.bits as usize / 8)
    }

    /// Its value, by `read`, which tells that of a whole register.
    pub fn value(&self, number: usize, read: impl FnOnce(Register) -> Option<u128>) -> Option<u128> {
        match self.rows.get(number)?.what {
            What::Whole(register) => read(register),
            What::SecondHalf(n) => read(Register::Vsr(n)).map(|value| value & u64::MAX as u128),
        }
    }

    /// Which whole register to write, and with what, to give the register of a number the value `new`.
    pub fn change(
        &self,
        number: usize,
        new: u128,
        read: impl FnOnce(Register) -> Option<u128>,
    ) -> Option<(Register, u128)> {
        match self.rows.get(number)?.what {
            What::Whole(register) => Some((register, new)),
            What::SecondHalf(n) => {
                let old = read(Register::Vsr(n))?;
                Some((Register::Vsr(n), old >> 64 << 64 | new & u64::MAX as u128))
            }
        }
    }

    /// The target description.
    pub fn xml(&self) -> String {
        let mut xml = String::from(
            "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n\
             <architecture>powerpc:common64</architecture>\n",
        );
        let mut open = "";
        for row in &self.rows {
            if row.feature != open {
                if !open.is_empty() {
                    xml.push_str("</feature>\n");
                }
                open = row.feature;
                xml.push_str(&format!("<feature name=\"{open}\">\n"));
                if open == ALTIVEC {
                    xml.push_str(VECTOR_TYPES);
                }
            }
            let group = if row.feature == SYSTEM { " group=\"system\"" } else { "" };
            let Row { name, bits, kind, .. } = row;
            xml.push_str(&format!("<reg name=\"{name}\" bitsize=\"{bits}\" type=\"{kind}\"{group}/>\n"));
        }
        xml.push_str("</feature>\n</target>\n");
        xml
    }
}

const VECTOR_TYPES: &str = "\
<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>
<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>
<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>
<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>
<union id=\"vec128\">
<field name=\"uint128\" type=\"uint128\"/>
<field name=\"v4_float\" type=\"v4f\"/>
<field name=\"v4_int32\" type=\"v4i32\"/>
<field name=\"v8_int16\" type=\"v8i16\"/>
<field name=\"v16_int8\" type=\"v16i8\"/>
</union>
";

/// The low `bytes` bytes of `value` in gdb's byte order.
pub fn to_bytes(value: u128, bytes: usize, little_endian: bool) -> Vec<u8> {
    if little_endian {
        value.to_le_bytes()[..bytes].to_vec()
    } else {
        value.to_be_bytes()[16 - bytes..].to_vec()
    }
}

/// The number that bytes in gdb's byte order are.
pub fn from_bytes(bytes: &[u8], little_endian: bool) -> u128 {
    let fold = |number: u128, byte: &u8| number << 8 | *byte as u128;
    if little_endian { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) }
}
