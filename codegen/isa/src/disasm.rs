//! `isa disasm`.

use super::code::Translator;
use super::{check, elf};
use anyhow::{Context as _, Result, bail, ensure};
use codegen::diag::{Diagnostics, SourceMap, did_you_mean};
use codegen::model::Model;
use codegen::pattern::{Decoding, Rejection, Space, Step};
use codegen::text;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// What is shown of each instruction besides its text.
#[derive(clap::Args)]
pub(crate) struct Show {
    /// Show which encodings were tried for each word, and why each was rejected.
    #[arg(long)]
    why: bool,
    /// Show its intermediate representation. This and --host compile the emulator first, from the specifications of this repository.
    #[arg(long)]
    ir: bool,
    /// Show its code for this host.
    #[arg(long)]
    host: bool,
    /// Value of a context: `thumb=1`.
    #[arg(long, value_name = "NAME=VALUE")]
    mode: Vec<String>,
}

/// Disassemble words, or a file.
pub(crate) fn run(specs: &Path, arch: &str, code: &[String], pc: u64, show: &Show) -> Result<bool> {
    let loaded = check::load_guest(specs, arch)?;
    let model = &loaded.model;
    let decoding = Decoding::of(model, &mut Diagnostics::default());
    let translator = match show.ir || show.host {
        true => Some(Translator::start(&model.name, show.ir, show.host)?),
        false => None,
    };
    let mode = mode(model, &show.mode)?;
    let mut view = View { decoding: &decoding, sources: &loaded.sources, mode, why: show.why, translator };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let file = match code {
        [path] if Path::new(path).is_file() => {
            Some(std::fs::read(path).with_context(|| format!("cannot read {path}"))?)
        }
        _ => None,
    };
    let done = match file {
        Some(bytes) if bytes.starts_with(b"\x7fELF") => {
            let segments = elf::executable_segments(&bytes).context("the ELF file is damaged")?;
            segments.into_iter().try_for_each(|(address, code)| view.print(&mut out, address, code))
        }
        Some(bytes) => view.print(&mut out, pc, &bytes),
        None => view.print(&mut out, pc, &words(code, model, mode)?),
    };
    match done.and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(true), // the reader has seen enough
        Err(e) => Err(e.into()),
        Ok(()) => Ok(true),
    }
}

/// The mode word at process start with these contexts changed.
fn mode(model: &Model, changes: &[String]) -> Result<u32> {
    let mut mode = model.modes().fold(0, |mode, c| mode | c.reset << c.lo);
    for change in changes {
        let (name, value) = change.split_once('=').with_context(|| format!("`{change}` is not NAME=VALUE"))?;
        let Some(c) = model.modes().find(|c| c.name == name) else {
            match did_you_mean(name, model.modes().map(|c| c.name.as_str())) {
                Some(near) => bail!("there is no context `{name}`; did you mean `{near}`?"),
                None => bail!("there is no context `{name}`"),
            }
        };
        let value = super::address(value).ok().with_context(|| format!("`{value}` is no number"))?;
        let mask = (1_u64 << c.width) - 1;
        ensure!(value <= mask, "`{name}` has {} bits", c.width);
        mode = mode & !((mask as u32) << c.lo) | (value as u32) << c.lo;
    }
    Ok(mode)
}

/// Words as the manual writes them, as bytes in memory order.
fn words(words: &[String], model: &Model, mode: u32) -> Result<Vec<u8>> {
    let unit = if model.bytewise() { 1 } else { model.smallest_unit() as usize / 8 };
    let mut code = Vec::new();
    for word in words {
        let word = word.strip_prefix("0x").unwrap_or(word);
        if !word.chars().all(|c| c.is_ascii_hexdigit()) {
            bail!("`{word}` is neither hexadecimal nor a file");
        }
        ensure!(word.len().is_multiple_of(2 * unit), "`{word}` is not a number of whole units, of {unit} bytes each");
        let bytes: Result<Vec<u8>, _> =
            (0..word.len()).step_by(2).map(|i| u8::from_str_radix(&word[i..i + 2], 16)).collect();
        let bytes = bytes?;
        // A word of several units has the first of them in its highest bits.
        let size = unit_of(model, mode, &bytes, unit);
        for unit in bytes.chunks(size) {
            match model.sections.big_code {
                true => code.extend(unit),
                false => code.extend(unit.iter().rev()),
            }
        }
    }
    Ok(code)
}

/// Bytes of the units of a word: of the space that has instructions of this length in this mode, or the shortest.
fn unit_of(model: &Model, mode: u32, word: &[u8], shortest: usize) -> usize {
    let active = |s: &Space| {
        let (mask, value) = model.active_bits(s);
        mode & mask == value
    };
    let mut spaces = model.spaces.iter().filter(|s| !model.bytewise() && active(s));
    spaces.find(|s| s.bytes() as usize == word.len()).map_or(shortest, |s| s.unit as usize / 8)
}

struct View<'a> {
    decoding: &'a Decoding<'a>,
    sources: &'a SourceMap,
    mode: u32,
    why: bool,
    translator: Option<Translator>,
}

impl View<'_> {
    fn print(&mut self, out: &mut impl Write, base: u64, code: &[u8]) -> std::io::Result<()> {
        let model = self.decoding.model();
        let mut at = 0;
        while at < code.len() {
            let here = base.wrapping_add(at as u64);
            let Some(line) = text::disassemble(model, self.decoding, here, self.mode, &code[at..]) else {
                let rest: Vec<String> = code[at..].iter().map(|b| format!("{b:02x}")).collect();
                return writeln!(out, "{here:#x}: {}    // incomplete", rest.join(" "));
            };
            writeln!(out, "{here:#x}: {}    // {}", line.text, line.insn.as_deref().unwrap_or("unallocated"))?;
            let bytes = &code[at..at + line.len as usize];
            if self.why && model.bytewise() {
                self.explain_sequence(out, &code[at..])?;
            } else if self.why {
                self.explain_word(out, bytes)?;
            }
            if let Some(translator) = &mut self.translator {
                out.write_all(translator.translate(here, self.mode, bytes)?.as_bytes())?;
            }
            at += bytes.len();
        }
        Ok(())
    }

    /// The way through the decoder: space, bucket, candidates in order until one is taken.
    fn explain_word(&self, out: &mut impl Write, code: &[u8]) -> std::io::Result<()> {
        let model = self.decoding.model();
        let spaces = &model.spaces;
        let found = |s: &codegen::pattern::Space| {
            let (mask, value) = model.active_bits(s);
            let word = s.word(code, model.sections.big_code)?;
            let first = word >> (s.unit * (s.units - 1));
            let selected = model.space_of(first, self.mode).is_some_and(|i| spaces[i].name == s.name);
            (self.mode & mask == value && s.bytes() as usize == code.len() && selected).then_some(word)
        };
        let hit = spaces.iter().enumerate().find_map(|(i, s)| Some((i, found(s)?)));
        let Some((space, word)) = hit else {
            return writeln!(out, "    no space has this word");
        };
        let bucket = self.decoding.tables[space].bucket(word);
        let width = spaces[space].width() as usize;
        writeln!(out, "    {word:0width$b} in space {}, bucket {bucket}", spaces[space].name)?;
        self.candidates(out, space, word.into(), width)
    }

    /// The same for each byte that a table was asked about.
    fn explain_sequence(&self, out: &mut impl Write, code: &[u8]) -> std::io::Result<()> {
        let mut steps = Vec::new();
        self.decoding.sequence(code, self.mode, &mut steps);
        for Step { at, space, word } in steps {
            writeln!(out, "    byte {at}, {:02x}, in space {}", code[at], self.decoding.model().spaces[space].name)?;
            self.candidates(out, space, word, 24)?;
        }
        Ok(())
    }

    fn candidates(&self, out: &mut impl Write, space: usize, word: u128, width: usize) -> std::io::Result<()> {
        let tried = self.decoding.why(space, word, self.mode);
        for (number, rejection) in &tried {
            let entry = &self.decoding.entries[*number];
            let verdict = match rejection {
                None => "taken".to_owned(),
                Some(Rejection::Bits(differ)) if *differ >> width == 0 => {
                    format!("no: these fixed bits differ: {differ:0width$b}")
                }
                Some(Rejection::Bits(_)) => "no: a decode variable has another value".to_owned(),
                Some(Rejection::Constraint(span)) => format!("no: {} does not hold", self.sources.text(*span).trim()),
                Some(Rejection::Guard(span)) => format!("no: not when {}", self.sources.text(*span).trim()),
            };
            writeln!(out, "    {} ({}): {verdict}", entry.label, self.sources.at(entry.span))?;
        }
        if tried.is_empty() {
            writeln!(out, "    no encoding is in this bucket")?;
        }
        Ok(())
    }
}
