//! `isa disasm`.

use super::{check, elf};
use anyhow::{Context as _, Result, bail, ensure};
use codegen::diag::{Diagnostics, SourceMap};
use codegen::pattern::{Decoding, Rejection};
use codegen::text;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Disassemble words, or a file.
pub(crate) fn run(dir: &Path, code: &[String], pc: u64, why: bool) -> Result<bool> {
    let loaded = check::load(dir)?;
    let decoding = Decoding::of(&loaded.model, &mut Diagnostics::default());
    let view = View { decoding: &decoding, sources: &loaded.sources, why };
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
        None => view.print(&mut out, pc, &words(code, loaded.model.sections.big_code)?),
    };
    match done.and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(true), // the reader has seen enough
        Err(e) => Err(e.into()),
        Ok(()) => Ok(true),
    }
}

/// Words as the manual writes them, as bytes in memory order.
fn words(words: &[String], big_endian: bool) -> Result<Vec<u8>> {
    let mut code = Vec::new();
    for word in words {
        let word = word.strip_prefix("0x").unwrap_or(word);
        if !word.chars().all(|c| c.is_ascii_hexdigit()) {
            bail!("`{word}` is neither hexadecimal nor a file");
        }
        ensure!(word.len().is_multiple_of(2), "`{word}` is not a number of whole bytes");
        let bytes: Result<Vec<u8>, _> =
            (0..word.len()).step_by(2).map(|i| u8::from_str_radix(&word[i..i + 2], 16)).collect();
        let mut bytes = bytes?;
        if !big_endian {
            bytes.reverse();
        }
        code.extend(bytes);
    }
    Ok(code)
}

struct View<'a> {
    decoding: &'a Decoding<'a>,
    sources: &'a SourceMap,
    why: bool,
}

impl View<'_> {
    fn print(&self, out: &mut impl Write, base: u64, code: &[u8]) -> std::io::Result<()> {
        let model = self.decoding.model();
        let mode = model.contexts.iter().fold(0, |mode, c| mode | c.reset << c.lo);
        if model.bytewise() {
            return writeln!(
                out,
                "only the generated decoder takes instructions of {} apart, not this tool",
                model.name
            );
        }
        let mut at = 0;
        while at < code.len() {
            let here = base.wrapping_add(at as u64);
            let Some(line) = text::disassemble(model, self.decoding, here, mode, &code[at..]) else {
                let rest: Vec<String> = code[at..].iter().map(|b| format!("{b:02x}")).collect();
                return writeln!(out, "{here:#x}: {}    // incomplete", rest.join(" "));
            };
            writeln!(out, "{here:#x}: {}    // {}", line.text, line.insn.as_deref().unwrap_or("unallocated"))?;
            let bytes = &code[at..at + line.len as usize];
            if self.why {
                self.explain(out, bytes, mode)?;
            }
            at += bytes.len();
        }
        Ok(())
    }

    /// The way through the decoder: space, bucket, candidates in order until one is taken.
    fn explain(&self, out: &mut impl Write, code: &[u8], mode: u32) -> std::io::Result<()> {
        let model = self.decoding.model();
        let spaces = &model.spaces;
        let found = |s: &codegen::pattern::Space| {
            let (mask, value) = model.active_bits(s);
            let word = s.word(code, model.sections.big_code)?;
            (mode & mask == value && s.bytes() as usize == code.len() && s.selects(word.into())).then_some(word)
        };
        let hit = spaces.iter().enumerate().find_map(|(i, s)| Some((i, found(s)?)));
        let Some((space, word)) = hit else {
            return writeln!(out, "    no space has this word");
        };
        let bits = spaces[space].width();
        let bucket = self.decoding.tables[space].bucket(word);
        let width = bits as usize;
        writeln!(out, "    {word:0width$b} in space {}, bucket {bucket}", spaces[space].name)?;
        let tried = self.decoding.why(space, word, mode);
        for (number, rejection) in &tried {
            let entry = &self.decoding.entries[*number];
            let verdict = match rejection {
                None => "taken".to_owned(),
                Some(Rejection::Bits(differ)) => format!("no: these fixed bits differ: {differ:0width$b}"),
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
