//! What an instruction becomes: asked of `isa-code`, which is made from the generated guests. This tool is not, so that it can be built,
//! and tell what is wrong, while a specification does not compile.

use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running `isa-code`.
pub(crate) struct Translator {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Translator {
    /// Started for a guest.
    pub(crate) fn start(guest: &str, ir: bool, host: bool) -> Result<Translator> {
        let mut command = command()?;
        command.arg(guest).args(ir.then_some("--ir")).args(host.then_some("--host"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start isa-code")?;
        let requests = child.stdin.take().context("isa-code has no input")?;
        let answers = BufReader::new(child.stdout.take().context("isa-code has no output")?);
        Ok(Translator { child, requests, answers })
    }

    /// What becomes of an instruction: lines of text.
    pub(crate) fn translate(&mut self, pc: u64, mode: u32, code: &[u8]) -> std::io::Result<String> {
        let mut request = format!("{pc:x} {mode:x} ");
        for byte in code {
            let _ = write!(request, "{byte:02x}");
        }
        request.push('\n');
        self.requests.write_all(request.as_bytes())?;
        let mut answer = String::new();
        loop {
            let start = answer.len();
            if self.answers.read_line(&mut answer)? == 0 {
                return Err(std::io::Error::other("isa-code ended; its message is above"));
            }
            if answer[start..].trim_end().is_empty() {
                answer.truncate(start);
                return Ok(answer);
            }
        }
    }
}

impl Drop for Translator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Under cargo, cargo: it brings the guests up to date. Else the executable beside this one.
fn command() -> Result<Command> {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut command = Command::new(cargo);
        command.args(["run", "--quiet", "--release", "--package", "isa-code", "--manifest-path"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).arg("--");
        return Ok(command);
    }
    let own = std::env::current_exe().context("cannot tell where this executable is")?;
    Ok(Command::new(own.with_file_name("isa-code")))
}
