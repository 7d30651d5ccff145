//! Decoding of x86 against a disassembler of another making: validity, length, mnemonic and operands of bytes made from
//! the specification's `test` lines by random prefixes and flipped bits, and of random ones in every map of opcodes. What the other
//! takes for an instruction and we do not is in `x86_missing.txt`, each with the reason.
//!
//! `ICED_ROUNDS` and `ICED_SHOW` set how many instructions are tried and how many differences are shown.

#[path = "../../../codegen/tests/llvm/reasons.rs"]
mod reasons;

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter, MemorySizeOptions};
use ir::Guest;
use reasons::{Reason, reasons};

/// What begins so is not compared, and why.
const ALLOWED: [(&str, &str); 14] = [
    ("native", "UD0 with an address relative to RIP is the call of a host function"),
    ("sal", "another name of SHL"),
    ("nop", "reserved hints have no operand there"),
    ("endbr", "a NOP with an operand here"),
    ("prefetch", "a NOP with an operand here"),
    ("reservednop", "a NOP with an operand here"),
    ("call far", "far branches are not described"),
    ("jmp far", "far branches are not described"),
    ("pclmulqdq", "the other names the halves"),
    ("f", "undocumented aliases of the x87 are not described; operands of the x87 are named in another way"),
    ("wait", "the other calls it FWAIT"),
    ("vgather", "one register in two places is refused when it is executed"),
    ("vpgather", "the same"),
    ("xchg", "order of operands, which are alike"),
];

/// Instructions of which only mnemonic and length are compared, for operands are written in another way: those of strings are
/// implied here; numbers of 8 bits have a sign there; what a number multiplies is named once there, and
/// XMM0 not at all where it is implied.
const MNEMONIC_ONLY: [&str; 54] = [
    "aam",
    "aad",
    "int80",
    "movs",
    "stos",
    "lods",
    "cmps",
    "scas",
    "enter",
    "bit_test",
    "imul",
    "shift",
    "shift_double",
    "test",
    "mov",
    "ret",
    "sse_cmp",
    "packed_shift",
    "mmx_shift",
    "pshufw",
    "mmx_pinsrw",
    "mmx_pextrw",
    "pshuf",
    "shufp",
    "pinsrw",
    "pextrw",
    "mov_segment",
    "fxsave",
    "fxrstor",
    "aeskeygenassist",
    "blend",
    "blend_by_mask",
    "compare_texts",
    "dot_product",
    "insertps",
    "mmx_palignr",
    "mpsadbw",
    "palignr",
    "pextr",
    "pinsr",
    "rorx",
    "round",
    "sha",
    "sha1rnds4",
    "xsave",
    "xrstor",
    "vinsert128",
    "vextract128",
    "vperm2_128",
    "vpermil_by_immediate",
    "vpermq",
    "vpblendd",
    "vcvtps2ph",
    "vgather",
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

const PC: u64 = 0x1_0000;

/// The other disassembler's text in our notation; `None` if the bytes are no instruction.
fn judge(code: &[u8], bits: u32) -> Option<(String, usize)> {
    let mut decoder = Decoder::with_ip(bits, code, PC, DecoderOptions::NONE);
    let insn = decoder.decode();
    if insn.is_invalid() {
        return None;
    }
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    options.set_rip_relative_addresses(true);
    options.set_signed_immediate_operands(true);
    options.set_signed_memory_displacements(true);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_show_branch_size(false);
    options.set_memory_size_options(MemorySizeOptions::Always);
    options.set_always_show_scale(true);
    options.set_show_zero_displacements(true);
    options.set_branch_leading_zeros(false);
    options.set_add_leading_zero_to_hex_numbers(false);
    options.set_use_pseudo_ops(true);
    let mut text = String::new();
    formatter.format(&insn, &mut text);
    Some((text, insn.len()))
}

/// Both texts without what is only notation.
fn normal(text: &str) -> String {
    let mut text = text.to_lowercase();
    for noise in ["ds:", "es:", "cs:", "ss:"] {
        text = text.replace(noise, "");
    }
    let hints = [
        "xacquire ",
        "xrelease ",
        "hint-taken ",
        "hint-not-taken ",
        "addr16 ",
        "addr32 ",
        "data16 ",
        "bnd ",
        "notrack ",
    ];
    for noise in hints.iter().chain(&["repne ", "repe ", "rep "]) {
        text = text.replace(noise, "");
    }
    let text = text.replace("pcmpestri64", "pcmpestri").replace("pcmpestrm64", "pcmpestrm");
    text.replace("oword ptr ", "xmmword ptr ").replace("xmmxmmword", "xmmword").replace("[eip", "[rip")
}

/// Mnemonics that the specification prints.
fn mnemonics(guest: &Guest) -> BTreeSet<String> {
    let word = |text: &str| text.trim_start_matches("lock ").split(' ').next().unwrap_or_default().to_owned();
    guests::tests(guest).iter().map(|test| word(&normal(test.text))).collect()
}

/// What selects a map of opcodes: the escapes and, with a random payload, VEX, EVEX and XOP.
const MAPS: [&[u8]; 8] = [&[], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a], &[0xc4], &[0xc5], &[0x62], &[0x8f]];

fn candidate(guest: &Guest, random: &mut Random) -> Vec<u8> {
    let mut code = guests::tests(guest)[random.below(guests::tests(guest).len())].code.to_vec();
    if random.below(4) == 0 {
        code = [MAPS[random.below(MAPS.len())], &random.next().to_le_bytes()].concat();
    }
    for _ in 0..random.below(6) {
        let bit = random.below(8 * code.len());
        code[bit / 8] ^= 1 << (bit % 8);
    }
    for _ in 0..random.below(3) {
        let prefixes = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0x65, 0x48, 0x41, 0x44, 0x4f];
        code.insert(0, prefixes[random.below(prefixes.len())]);
    }
    code.extend(random.next().to_le_bytes());
    code.truncate(15);
    code
}

#[test]
fn decodes_as_another_disassembler_does() {
    let mut failures: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut agreed = 0;
    for (name, bits) in [("x86_64", 64), ("x86", 32)] {
        let Some(guest) = guests::ALL.by_name(name) else { continue };
        let (known, missing) = (mnemonics(guest), reasons(include_str!("x86_missing.txt"), name, |_, _| true));
        let mut random = Random(0x1234_5678_9abc_def1);
        for _ in 0..number("ICED_ROUNDS", 200_000) {
            let code = candidate(guest, &mut random);
            let ours = (guest.identify)(guest.reset_mode(), &code);
            let theirs = judge(&code, bits);
            let (text, len) = (guest.disassemble)(PC, guest.reset_mode(), &code);
            let allowed = |start: &str| ALLOWED.iter().any(|a| start.starts_with(a.0));
            let difference = match (ours, &theirs) {
                (None, None) => continue,
                (Some(insn), _) if allowed(insn) => continue,
                (Some(insn), None) => Some((insn.to_owned(), format!("{text}: no instruction there"))),
                (None, Some((other, _))) => rejected(&known, &missing, other, behind_prefixes(&code, bits)),
                (Some(insn), Some((other, length))) => {
                    let first = |t: &str| {
                        normal(t).trim_start_matches("lock ").split(' ').next().unwrap_or_default().to_owned()
                    };
                    let alike = MNEMONIC_ONLY.contains(&insn) && first(&text) == first(other);
                    let same = normal(&text) == normal(other) || alike || allowed(&normal(other));
                    // SSE ignores the high bits of a predicate.
                    let same = same || insn == "sse_cmp" && first(other).trim_start_matches('v').starts_with("cmp");
                    let same_length = len as usize == *length;
                    (!same || !same_length)
                        .then(|| (insn.to_owned(), format!("{text} ({len} bytes) there is {other} ({length} bytes)")))
                }
            };
            match difference {
                None => agreed += 1,
                Some((what, message)) => {
                    failures.entry(format!("{name} {what}")).or_default().push(format!("{code:02x?} {message}"))
                }
            }
        }
    }
    let shown = number("ICED_SHOW", 3);
    let text: Vec<String> = failures
        .iter()
        .map(|(what, all)| format!("{what}: {}\n  {}", all.len(), all[..all.len().min(shown)].join("\n  ")))
        .collect();
    assert!(failures.is_empty(), "{} kinds of difference, {agreed} agree\n{}", failures.len(), text.join("\n"));
    assert!(agreed > 50_000, "only {agreed} instructions were compared");
}

/// The four bytes behind legacy prefixes and REX, the first of them highest.
fn behind_prefixes(code: &[u8], bits: u32) -> u32 {
    let legacy = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];
    let is_prefix = |byte: &&u8| legacy.contains(*byte) || bits == 64 && **byte >> 4 == 4;
    let rest = code.iter().skip_while(is_prefix).chain(&[0; 4]).take(4);
    rest.fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// What is wrong with rejecting what is an instruction there: nothing, if there is a reason.
fn rejected(known: &BTreeSet<String>, missing: &[Reason], theirs: &str, word: u32) -> Option<(String, String)> {
    let text = normal(theirs);
    let text = text.trim_start_matches("lock ");
    let name = text.split(' ').next().unwrap_or_default();
    // In full: some reasons are for prefixes and names of two words.
    let full = theirs.to_lowercase().replace(' ', "_");
    let have = known.contains(name);
    let covered =
        missing.iter().any(|r| r.ours == have && (r.covers(name, text, word, 32) || r.covers(&full, text, word, 32)));
    let kind = if have { format!("{name}, which the specification has") } else { name.to_owned() };
    (!covered && !within_64k(theirs)).then(|| (kind, format!("{theirs}: no instruction here")))
}

/// Branches that keep 16 bits of the program counter, which only 32-bit mode has.
fn within_64k(theirs: &str) -> bool {
    let branch = |text: &str| ["j", "call", "ret", "loop"].iter().any(|start| text.starts_with(start));
    let narrow = |text: &str| text.contains(" word ptr") || text.split(' ').nth(1).is_some_and(|r| r.len() == 2);
    branch(&normal(theirs)) && (theirs.contains("data16 ") || narrow(&normal(theirs)))
}
