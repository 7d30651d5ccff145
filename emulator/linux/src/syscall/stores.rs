//! What the kernel stores into guest memory, for exclusive accesses that have to know ([`jit::Jit::notices_stores`]).

use crate::abi::{Arg, Call, Dir, Format, Int, Len, Ty};
use crate::thread::ThreadCtx;

/// Where an argument has the kernel store.
enum Stores {
    Nowhere,
    At(u64, u64),
    Anywhere,
}

/// Says what a call that has just been performed may have stored.
#[cold]
pub(super) fn report(ctx: &ThreadCtx, call: &Call, args: &[u64; 6]) {
    let jit = ctx.process.jit();
    for (arg, &value) in call.args.into_iter().zip(args) {
        match stores(arg, value, args, ctx.process.abi.word) {
            Stores::Nowhere => {}
            Stores::At(addr, len) => jit.stored_at(addr, len),
            Stores::Anywhere => jit.stored(),
        }
    }
}

fn stores(arg: &Arg, value: u64, args: &[u64; 6], word: u64) -> Stores {
    match arg.ty.given(args) {
        // What is behind an address that is not described further is anybody's guess.
        Ty::Int(Int { format: Format::Addr, .. }) if value != 0 => Stores::Anywhere,
        Ty::Ptr(Dir::Out | Dir::InOut, to) if value != 0 => {
            extent(to.entry(), args, word).map_or(Stores::Anywhere, |len| Stores::At(value, len))
        }
        _ => Stores::Nowhere,
    }
}

/// Bytes behind a pointer, if all that is stored is there.
fn extent(ty: &Ty, args: &[u64; 6], word: u64) -> Option<u64> {
    let count = |len: &Len| match *len {
        Len::Fixed(n) => Some(n),
        Len::Member(i) => args.get(usize::from(i)).copied(),
        Len::Behind(_) => None,
    };
    match ty.given(args) {
        ty if has_pointer(ty) => None,
        Ty::Array(elem, len) => count(len)?.checked_mul(extent(elem.entry(), args, word)?),
        Ty::Bytes(_, len) => count(len),
        ty @ (Ty::Int(_) | Ty::Set(_) | Ty::Struct(_)) => Some(ty.size(word)),
        Ty::None => Some(0),
        Ty::Ptr(..) | Ty::Terminated(_) | Ty::Select(_) => None,
    }
}

fn has_pointer(ty: &Ty) -> bool {
    match ty {
        Ty::Ptr(..) => true,
        Ty::Struct(s) => s.fields.iter().any(|field| has_pointer(&field.ty)),
        _ => false,
    }
}
