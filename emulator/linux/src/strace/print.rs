//! Arguments of one call as text.

use std::fmt::Write;

use super::value;
use crate::abi::{Abi, Bytes, Call, Dir, Len, Struct, Terminated, Ty};
use crate::errno::SysResult;
use crate::guest_memory;

/// Characters of a string, and elements of an array, that are shown.
const SHOWN: u64 = 32;

/// Prints the arguments of a call, before (`result` is `None`) or after it.
pub(super) struct Printer<'a> {
    abi: &'a Abi,
    call: &'a Call,
    args: &'a [u64; 6],
    result: Option<SysResult>,
}

/// What lengths refer to: the call's arguments, or the fields of the structure at hand.
#[derive(Clone, Copy)]
enum Scope<'a> {
    Arguments(&'a [u64; 6]),
    Fields(&'a Struct, &'a [u8]),
}

impl<'a> Printer<'a> {
    pub(super) fn new(abi: &'a Abi, call: &'a Call, args: &'a [u64; 6], result: Option<SysResult>) -> Printer<'a> {
        Printer { abi, call, args, result }
    }

    pub(super) fn abi(&self) -> &Abi {
        self.abi
    }

    /// Argument `i` with the comma before it; nothing if this form of the call does not have it.
    pub(super) fn argument(&self, out: &mut String, i: usize) {
        let ty = self.ty(i);
        if matches!(ty, Ty::None) {
            return;
        }
        out.push_str(if i > 0 { ", " } else { "" });
        self.value(out, ty, self.args.get(i).copied().unwrap_or(0), Scope::Arguments(self.args), None);
    }

    /// The result of a call that succeeded.
    pub(super) fn result(&self, value: u64) -> String {
        let mut out = String::new();
        match self.call.ret.given(self.args) {
            Ty::Set(set) if set.flags => {
                let _ = write!(out, "{value:#x} (flags {})", value::set(set, value));
            }
            Ty::Set(set) => {
                let _ = write!(out, "{value} ({})", value::set(set, value));
            }
            Ty::Int(int) => out = value::int(*int, value),
            _ => out = (value as i64).to_string(),
        }
        out
    }

    /// The guest's integer in up to eight bytes.
    fn word(&self, bytes: &[u8]) -> u64 {
        crate::abi::integer(bytes, self.abi.big_endian)
    }

    /// The guest's integer at an address.
    fn read(&self, addr: u64, size: u64) -> Result<u64, crate::Errno> {
        self.abi.words().read_sized(addr, size.min(8))
    }

    fn ty(&self, i: usize) -> &'a Ty {
        self.call.args[i].ty.given(self.args)
    }

    /// A value in a register or a field.
    fn value(&self, out: &mut String, ty: &Ty, value: u64, scope: Scope<'_>, dir: Option<Dir>) {
        match ty {
            Ty::None => {}
            Ty::Int(int) => out.push_str(&value::int(*int, value)),
            Ty::Set(set) => out.push_str(&value::set(set, value)),
            Ty::Ptr(_, _) if value == 0 => out.push_str("NULL"),
            Ty::Ptr(own, to) => {
                let dir = if *own == Dir::Field { dir.unwrap_or(Dir::In) } else { *own };
                let failed = matches!(self.result, Some(Err(_)));
                if dir == Dir::Out && failed || self.pointee(out, to, value, scope, dir).is_err() {
                    let _ = write!(out, "{value:#x}");
                }
            }
            _ => {
                let _ = write!(out, "{value:#x}");
            }
        }
    }

    /// What a pointer points to. On an error `out` may hold nothing.
    fn pointee(&self, out: &mut String, ty: &Ty, addr: u64, scope: Scope<'_>, dir: Dir) -> Result<(), crate::Errno> {
        let mark = out.len();
        let done = self.pointee_inner(out, ty, addr, scope, dir);
        if done.is_err() {
            out.truncate(mark);
        }
        done
    }

    fn pointee_inner(
        &self,
        out: &mut String,
        ty: &Ty,
        addr: u64,
        scope: Scope<'_>,
        dir: Dir,
    ) -> Result<(), crate::Errno> {
        match ty {
            Ty::Terminated(kind) => self.terminated(out, *kind, addr),
            Ty::Bytes(kind, len) => {
                let count = self.length(*len, scope)?;
                self.bytes(out, *kind, addr, self.filled(*kind, *len, count, dir))
            }
            Ty::Array(elem, len) => {
                let count = self.length(*len, scope)?;
                // An array that the call fills is as long as the call says.
                let count = match (dir, len, self.result) {
                    (Dir::Out, Len::Member(_), Some(Ok(n))) if !has_pointer(elem) => n.min(count),
                    _ => count,
                };
                self.array(out, elem, addr, count, dir)
            }
            Ty::Struct(s) => self.structure(out, s, addr, dir),
            Ty::Int(_) | Ty::Set(_) => {
                let value = self.read(addr, ty.size(self.abi.word))?;
                out.push('[');
                self.value(out, ty, value, scope, Some(dir));
                out.push(']');
                Ok(())
            }
            Ty::None | Ty::Ptr(..) | Ty::Select(_) => {
                let _ = write!(out, "{addr:#x}");
                Ok(())
            }
        }
    }

    /// Bytes of a buffer that mean something: a call that returns a count filled as many.
    fn filled(&self, kind: Bytes, len: Len, size: u64, dir: Dir) -> u64 {
        match (dir, kind, len, self.result) {
            (Dir::Out, Bytes::Bytes, Len::Member(_), Some(Ok(n))) => n.min(size),
            _ => size,
        }
    }

    fn length(&self, len: Len, scope: Scope<'_>) -> Result<u64, crate::Errno> {
        match (len, scope) {
            (Len::Fixed(n), _) => Ok(n),
            (Len::Member(i), Scope::Arguments(args)) => {
                let i = usize::from(i);
                // A descriptor count or an `int` length has 32 bits that count.
                let narrow = matches!(&self.call.args[i].ty, Ty::Int(int) if int.size == 4);
                let value = args.get(i).copied().unwrap_or(0);
                Ok(if narrow { (value as i32).max(0) as u64 } else { value })
            }
            (Len::Member(i), Scope::Fields(s, bytes)) => {
                let field = &s.fields[usize::from(i)];
                Ok(self.word(&bytes[field.at as usize..][..field.size as usize]))
            }
            (Len::Behind(i), Scope::Arguments(args)) => self.read(args.get(usize::from(i)).copied().unwrap_or(0), 4),
            (Len::Behind(_), Scope::Fields(..)) => Ok(0),
        }
    }

    fn terminated(&self, out: &mut String, kind: Terminated, addr: u64) -> Result<(), crate::Errno> {
        match kind {
            Terminated::Cstr | Terminated::Path | Terminated::Link | Terminated::Entry => {
                let text = guest_memory::read_cstr(addr)?;
                value::quoted(out, &text, text.len());
            }
            Terminated::Strings => {
                let strings = self.abi.words().read_cstr_array(addr)?;
                out.push('[');
                for (i, text) in strings.iter().enumerate().take(SHOWN as usize) {
                    out.push_str(if i > 0 { ", " } else { "" });
                    value::quoted(out, text, SHOWN as usize);
                }
                out.push_str(if strings.len() > SHOWN as usize { ", ...]" } else { "]" });
            }
            Terminated::Environment => {
                let count = self.abi.words().read_cstr_array(addr)?.len();
                let _ = write!(out, "{addr:#x} /* {count} vars */");
            }
        }
        Ok(())
    }

    fn bytes(&self, out: &mut String, kind: Bytes, addr: u64, len: u64) -> Result<(), crate::Errno> {
        let read = |limit: u64| {
            let mut data = vec![0; len.min(limit) as usize];
            guest_memory::read(addr, &mut data).map(|()| data)
        };
        match kind {
            Bytes::Bytes => {
                // One more than is shown, so that the printer sees that there is more.
                let data = read(SHOWN + 1)?;
                value::quoted(out, &data, SHOWN as usize);
            }
            Bytes::Text => value::text(out, &read(256)?),
            Bytes::Raw if len == 4 => {
                let _ = write!(out, "[{}]", self.word(&read(4)?) as i32);
            }
            Bytes::Control => {
                let _ = write!(out, "{addr:#x}");
            }
            Bytes::Raw => {
                let _ = write!(out, "{addr:#x} /* {len} bytes */");
            }
            Bytes::Sockaddr => {
                let mut data = read(128)?;
                if self.abi.big_endian && data.len() >= 2 {
                    data.swap(0, 1);
                }
                value::sockaddr(out, self.abi, &data);
            }
            Bytes::Sigset | Bytes::Sigmask => value::sigset(out, self.abi, self.abi.read_sigset(addr)?),
            Bytes::Fdset => {
                let mut data = vec![0; len.min(1024).div_ceil(64) as usize * 8];
                guest_memory::read(addr, &mut data)?;
                if self.abi.big_endian {
                    data.chunks_exact_mut(self.abi.word as usize).for_each(<[u8]>::reverse);
                }
                value::fdset(out, &data, len);
            }
        }
        Ok(())
    }

    fn array(&self, out: &mut String, elem: &Ty, addr: u64, count: u64, dir: Dir) -> Result<(), crate::Errno> {
        let size = elem.size(self.abi.word);
        out.push('[');
        for i in 0..count.min(SHOWN) {
            out.push_str(if i > 0 { ", " } else { "" });
            let at = addr.wrapping_add(i * size);
            match elem {
                Ty::Struct(s) => self.structure(out, s, at, dir)?,
                _ => self.value(out, elem, self.read(at, size)?, Scope::Arguments(self.args), Some(dir)),
            }
        }
        out.push_str(if count > SHOWN { ", ...]" } else { "]" });
        Ok(())
    }

    fn structure(&self, out: &mut String, s: &Struct, addr: u64, dir: Dir) -> Result<(), crate::Errno> {
        let mut bytes = vec![0; s.size as usize];
        guest_memory::read(addr, &mut bytes)?;
        self.fields(out, s, &bytes, addr, dir)
    }

    fn fields(&self, out: &mut String, s: &Struct, bytes: &[u8], addr: u64, dir: Dir) -> Result<(), crate::Errno> {
        out.push('{');
        let mut first = true;
        for field in s.fields.iter().filter(|f| f.shown) {
            out.push_str(if first { "" } else { ", " });
            first = false;
            let _ = write!(out, "{}=", field.name);
            let data = &bytes[field.at as usize..][..field.size as usize];
            let at = addr.wrapping_add(u64::from(field.at));
            match &field.ty {
                Ty::Struct(inner) => self.fields(out, inner, data, at, dir)?,
                Ty::Array(..) | Ty::Bytes(..) => self.pointee(out, &field.ty, at, Scope::Fields(s, bytes), dir)?,
                ty => self.value(out, ty, self.word(data), Scope::Fields(s, bytes), Some(dir)),
            }
        }
        let hidden = s.fields.iter().any(|f| !f.shown && !f.name.starts_with("__"));
        out.push_str(if hidden { ", ...}" } else { "}" });
        Ok(())
    }
}

/// Whether an element is printed by what it points to: then the call's result does not count elements but bytes.
fn has_pointer(ty: &Ty) -> bool {
    match ty {
        Ty::Ptr(..) => true,
        Ty::Struct(s) => s.fields.iter().any(|f| has_pointer(&f.ty)),
        _ => false,
    }
}
