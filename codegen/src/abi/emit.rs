//! The interface of each guest as entries of tables, in terms of the types of `linux::abi`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::convert::{Move, Pair};
use super::model::{
    Abi, Body, Bytes, Control, Dir, Format, Len, Page, Part, Save, SetKind, SignalFrame, Struct, Syscall, Terminated,
    ThreadAreas, Ty,
};
use super::report::{FileId, Report};
use super::tables::{Table, Tables};

/// What the modules of all guests have in common.
pub(crate) struct Common<'a> {
    /// The interface of the host.
    pub(crate) host: &'a Abi,
    /// The name of the file that a call is described in, its subsystem.
    pub(crate) file_of: &'a dyn Fn(FileId) -> String,
    /// The tables that their entries are in.
    pub(crate) tables: Tables,
}

/// What is written for one guest.
struct Emitter<'a> {
    pair: Pair<'a>,
    common: &'a Common<'a>,
    /// Where the guest's sets and structures begin.
    sets: u32,
    structs: u32,
}

impl Emitter<'_> {
    fn tables(&self) -> &Tables {
        &self.common.tables
    }

    fn name(&self, name: &str) -> TokenStream {
        self.tables().name(name)
    }

    fn set(&self, name: &str) -> TokenStream {
        place(self.sets, self.pair.guest.sets.keys().position(|set| set == name))
    }

    fn structure(&self, name: &str) -> TokenStream {
        place(self.structs, self.pair.guest.structs.keys().position(|s| s == name))
    }
}

/// The place of an entry of the guest's own; names are resolved by now.
fn place(first: u32, position: Option<usize>) -> TokenStream {
    let at = first + position.unwrap_or_default() as u32;
    quote!(Place::new(#at))
}

/// The interface of `guest`: an entry of the list of all.
pub(crate) fn interface(guest: &Abi, common: &Common<'_>, report: &mut Report) -> TokenStream {
    let Common { host, tables, .. } = common;
    let (sets, structs) = (tables.len(Table::Sets), tables.len(Table::Structs));
    let on = &Emitter { pair: Pair { guest, host }, common, sets, structs };
    let sets: Vec<_> = guest.sets.iter().map(|(name, set)| set_item(on, name, set)).collect();
    let sets = tables.own(Table::Sets, &sets);
    let structs: Vec<_> = guest.structs.iter().map(|(name, s)| struct_item(on, name, s, report)).collect();
    let structs = tables.own(Table::Structs, &structs);
    let calls: Vec<_> = guest.numbers.iter().map(|(number, name)| call(on, *number, name)).collect();
    let calls = tables.span(Table::Calls, &calls);
    let [frame, plain_frame] =
        [&guest.frame, &guest.plain_frame].map(|f| option(f.as_ref().map(|frame| signal_frame(&guest.name, frame))));
    let thread_areas = option(guest.thread_areas.as_ref().map(|areas| thread_areas(on, areas)));
    let control = option(guest.control.as_ref().map(|Control { header, data }| {
        let (header, data, same) = (on.structure(header), ty(on, data), on.pair.control_same());
        quote!(Control { header: #header, data: #data, same: #same })
    }));
    let known = known(on);
    let cpuinfo = guest.cpuinfo.iter().map(|(key, value)| quote!((#key, #value)));
    let pages = guest.pages.iter().map(|Page { at, bytes }| quote!(Page { at: #at, bytes: &[#(#bytes),*] }));
    let Abi { name, machine, debian, word, big_endian, even_pairs, .. } = guest;
    quote! {
        Abi {
            name: #name,
            machine: #machine,
            debian: #debian,
            word: #word,
            big_endian: #big_endian,
            even_pairs: #even_pairs,
            calls: #calls,
            sets: #sets,
            structs: #structs,
            known: #known,
            cpuinfo: &[#(#cpuinfo),*],
            frame: #frame,
            pages: &[#(#pages),*],
            plain_frame: #plain_frame,
            thread_areas: #thread_areas,
            control: #control,
        }
    }
}

/// Sets and structures that the emulator finds without their names.
const KNOWN_SETS: [&str; 8] =
    ["errno", "signal", "sa_flags", "sigill_code", "sigfpe_code", "sigsegv_code", "sigbus_code", "sigtrap_code"];
const KNOWN_STRUCTS: [&str; 8] = [
    "sigaction",
    "stack_t",
    "siginfo",
    "siginfo_sent",
    "siginfo_timer",
    "siginfo_fault",
    "siginfo_child",
    "siginfo_poll",
];

fn known(on: &Emitter<'_>) -> TokenStream {
    let Abi { sets, structs, .. } = on.pair.guest;
    let sets = KNOWN_SETS.map(|name| (name, option(sets.contains_key(name).then(|| on.set(name)))));
    let structs = KNOWN_STRUCTS.map(|name| (name, option(structs.contains_key(name).then(|| on.structure(name)))));
    let fields = sets.into_iter().chain(structs).map(|(name, place)| {
        let name = ident(name);
        quote!(#name: #place)
    });
    quote!(Known { #(#fields),* })
}

fn set_item(on: &Emitter<'_>, name: &str, set: &super::model::Set) -> TokenStream {
    let pair = &on.pair;
    let flags = set.kind == SetKind::Flags;
    let same = pair.set_same(name, set);
    let (size, signed) = (set.size as u8, set.signed);
    let host_size = if set.word { pair.host.word as u8 } else { size };
    let (mut changes, mut host_changes) = if flags { (0, 0) } else { (u64::MAX, u64::MAX) };
    let entries = set.entries.iter().map(|(entry, value, mask)| {
        let (host_value, host_mask) = pair.host_value(name, entry).unwrap_or((*value, *mask));
        if (host_value, host_mask) != (*value, *mask) {
            // What is present where no bit is set is in every value.
            changes |= if *value == 0 { u64::MAX } else { *mask };
            host_changes |= if host_value == 0 { u64::MAX } else { host_mask };
        }
        let entry = on.name(entry);
        quote!(Constant { name: #entry, value: #value, mask: #mask, host_value: #host_value, host_mask: #host_mask })
    });
    let entries = on.tables().span(Table::Constants, &entries.collect::<Vec<_>>());
    let name = on.name(name);
    quote!(Set {
        name: #name, flags: #flags, same: #same, size: #size, host_size: #host_size, signed: #signed, entries: #entries,
        changes: (#changes, #host_changes),
    })
}

fn struct_item(on: &Emitter<'_>, name: &str, s: &Struct, report: &mut Report) -> TokenStream {
    let pair = &on.pair;
    let same = pair.same(&Ty::Struct(name.to_owned()));
    let host_size = pair.host.structs.get(name).map_or(s.size, |h| h.size) as u32;
    let found = if same { Vec::new() } else { pair.moves(name, report) };
    let moves: Vec<_> = found.iter().map(|m| one_move(on, m)).collect();
    let moves = on.tables().span(Table::Moves, &moves);
    let size = s.size as u32;
    let converts_pointee = |m: &Move| m.pointee.is_some();
    let pointers = found.iter().any(converts_pointee) || s.fields.iter().any(|f| matches!(f.ty, Ty::Ptr(..)));
    let fields = s.fields.iter().map(|f| {
        let (field, at, len, shown) = (on.name(&f.name), f.offset as u32, f.size as u32, f.shown);
        let ty = ty(on, &f.ty);
        quote!(Field { name: #field, at: #at, size: #len, ty: #ty, shown: #shown })
    });
    let fields = on.tables().span(Table::Fields, &fields.collect::<Vec<_>>());
    let (name, big_endian) = (on.name(name), pair.guest.big_endian);
    quote!(Struct {
        name: #name, big_endian: #big_endian, size: #size, host_size: #host_size, same: #same, fields: #fields,
        moves: #moves, pointers: #pointers,
    })
}

fn one_move(on: &Emitter<'_>, m: &Move) -> TokenStream {
    let Move { guest, host, signed, set, units, pointee } = m;
    let units = *units as u8;
    let (ga, gs, ha, hs) = (guest.0 as u32, guest.1 as u32, host.0 as u32, host.1 as u32);
    let pointee = option(pointee.as_ref().map(|p| {
        let count = p.count.map(|(at, size)| (at as u32, size as u32)).map(|(at, size)| quote!((#at, #size)));
        let (ty, count, dir) = (ty(on, &p.ty), option(count), direction(p.dir));
        on.tables().place(Table::Pointees, quote!(Pointee { ty: #ty, count: #count, dir: #dir }))
    }));
    let set = option(set.as_ref().map(|s| on.set(s)));
    quote!(Move { guest: (#ga, #gs), host: (#ha, #hs), signed: #signed, units: #units, set: #set, pointee: #pointee })
}

fn call(on: &Emitter<'_>, number: u64, name: &str) -> TokenStream {
    let pair = &on.pair;
    let (number, place) = (number as u32, on.name(name));
    let Some(call) = pair.guest.syscalls.get(name) else {
        let (group, args) = (on.name(""), on.tables().span(Table::Args, &[]));
        return quote!(Call {
            number: #number, name: #place, group: #group, args: #args,
            ret: Ty::Int(Int { size: 8, host_size: 8, signed: true, format: Format::Dec }),
            handler: Handler::Undescribed, order: None, plain: false, convert_ret: false, blocks: false, quiet: false,
        });
    };
    let Syscall { args, ret, blocks, quiet, span, .. } = call;
    let group = on.name(&(on.common.file_of)(span.file));
    let handler = handler(on, number.into(), name, call);
    let plain = args.iter().all(|a| pair.argument_same(&a.ty) && !needs_work(&a.ty));
    let convert_ret = !pair.result_same(ret);
    let args = args.iter().map(|a| {
        let (arg, ty) = (on.name(&a.name), ty(on, &a.ty));
        quote!(Arg { name: #arg, ty: #ty })
    });
    let args = on.tables().span(Table::Args, &args.collect::<Vec<_>>());
    let ret = ty(on, ret);
    let order = option(order(call).map(|order| quote!([#(#order),*])));
    quote!(Call {
        number: #number, name: #place, group: #group, args: #args, ret: #ret, handler: #handler, order: #order,
        plain: #plain, convert_ret: #convert_ret, blocks: #blocks, quiet: #quiet,
    })
}

/// Which argument is which of the call's that performs it, if they do not stand in its order.
fn order(call: &Syscall) -> Option<[u8; 6]> {
    let moved = call.order.iter().enumerate().any(|(i, from)| i != *from);
    moved.then(|| std::array::from_fn(|i| call.order.get(i).copied().unwrap_or(i) as u8))
}

/// Who performs a call.
fn handler(on: &Emitter<'_>, number: u64, name: &str, call: &Syscall) -> TokenStream {
    match &call.body {
        Body::Absent => quote!(Handler::Absent),
        Body::Registers(rows) => {
            let rows = rows.iter().map(|(code, set, slot)| {
                let slot = on.name(slot);
                quote!(Register { code: #code, set: #set, slot: #slot })
            });
            let rows = on.tables().span(Table::Registers, &rows.collect::<Vec<_>>());
            quote!(Handler::Registers(#rows))
        }
        Body::ThreadArea(set) => quote!(Handler::ThreadArea(#set)),
        Body::Calls(rows) => {
            let rows = rows.iter().map(|row| {
                let (code, inner) = (row.code, self::call(on, number, &row.call));
                let args = row.args.iter().map(|(arg, word)| {
                    let (arg, word) = (*arg as u8, option(word.map(|word| quote!(#word))));
                    quote!((#arg, #word))
                });
                let args = on.tables().span(Table::Words, &args.collect::<Vec<_>>());
                let result = option(row.result.map(|arg| arg as u8).map(|arg| quote!(#arg)));
                quote!(OneOf { code: #code, call: #inner, args: #args, result: #result })
            });
            let rows = on.tables().span(Table::Variants, &rows.collect::<Vec<_>>());
            quote!(Handler::Calls(#rows))
        }
        Body::Special(function) => {
            let function = ident(function);
            let function = on.tables().place(Table::Functions, quote!(special::#function));
            quote!(Handler::Special(#function))
        }
        Body::Plain | Body::As(_) => {
            match on.pair.host.number(if let Body::As(other) = &call.body { other } else { name }) {
                Some(host) => {
                    let host = host as u32;
                    quote!(Handler::Host(#host))
                }
                None => quote!(Handler::NotOnHost),
            }
        }
    }
}

/// Whether the argument is not passed on as it is even where layouts agree: paths are looked up under the sysroot, new names
/// end what is remembered of it, and signal masks are not the host's business alone.
fn needs_work(ty: &Ty) -> bool {
    match ty {
        Ty::Terminated(kind) => matches!(kind, Terminated::Path | Terminated::Link | Terminated::Entry),
        Ty::Bytes(kind, _) => *kind == Bytes::Sigmask,
        Ty::Ptr(_, to) => needs_work(to),
        Ty::Select { cases, default, .. } => needs_work(default) || cases.iter().any(|(_, ty)| needs_work(ty)),
        _ => false,
    }
}

fn ty(on: &Emitter<'_>, t: &Ty) -> TokenStream {
    let ty = |t: &Ty| ty(on, t);
    let placed = |t: &Ty| on.tables().place(Table::Types, ty(t));
    match t {
        Ty::None => quote!(Ty::None),
        Ty::Int { size, signed, format, word } => {
            let (size, format) = (*size as u8, rust_name(&Format::ALL, *format));
            let host_size = if *word { on.pair.host.word as u8 } else { size };
            quote!(Ty::Int(Int { size: #size, host_size: #host_size, signed: #signed, format: Format::#format }))
        }
        Ty::Set(name) => {
            let set = on.set(name);
            quote!(Ty::Set(#set))
        }
        Ty::Struct(name) => {
            let item = on.structure(name);
            quote!(Ty::Struct(#item))
        }
        Ty::Ptr(dir, to) => {
            let (dir, to) = (direction(*dir), placed(to));
            quote!(Ty::Ptr(#dir, #to))
        }
        Ty::Array(elem, len) => {
            let (elem, len) = (placed(elem), length(*len));
            quote!(Ty::Array(#elem, #len))
        }
        Ty::Bytes(kind, len) => {
            let (kind, len) = (rust_name(&Bytes::ALL, *kind), length(*len));
            quote!(Ty::Bytes(Bytes::#kind, #len))
        }
        Ty::Terminated(kind) => {
            let kind = rust_name(&Terminated::ALL, *kind);
            quote!(Ty::Terminated(Terminated::#kind))
        }
        Ty::Select { on: argument, mask, cases, default } => {
            let argument = *argument as u8;
            let default = placed(default);
            let cases = cases.iter().map(|(values, t)| {
                let values: Vec<_> = values.iter().map(|value| quote!(#value)).collect();
                let (values, t) = (on.tables().span(Table::Values, &values), ty(t));
                quote!((#values, #t))
            });
            let cases = on.tables().span(Table::Cases, &cases.collect::<Vec<_>>());
            let select = quote!(Select { on: #argument, mask: #mask, cases: #cases, default: #default });
            let select = on.tables().place(Table::Selects, select);
            quote!(Ty::Select(#select))
        }
    }
}

fn direction(dir: Dir) -> TokenStream {
    match dir {
        Dir::In => quote!(Dir::In),
        Dir::Out => quote!(Dir::Out),
        Dir::InOut => quote!(Dir::InOut),
        Dir::Field => quote!(Dir::Field),
    }
}

fn length(len: Len) -> TokenStream {
    match len {
        Len::Fixed(n) => quote!(Len::Fixed(#n)),
        Len::Member(i) => {
            let i = i as u8;
            quote!(Len::Member(#i))
        }
        Len::Behind(i) => {
            let i = i as u8;
            quote!(Len::Behind(#i))
        }
    }
}

fn signal_frame(guest: &str, frame: &SignalFrame) -> TokenStream {
    let SignalFrame { red_zone, popped, syscall_len_while, .. } = frame;
    let while_context = syscall_len_while.iter().map(|(context, len)| quote!((#context, #len)));
    let plain = option(frame.plain.as_ref().map(|plain| {
        let (at, code) = (plain.at, &plain.sigreturn);
        quote!(layout::PlainFrame { at: #at, sigreturn: &[#(#code),*] })
    }));
    let [siginfo, ucontext, stack] =
        [frame.siginfo, frame.ucontext, frame.stack].map(|at| option(at.map(|at| quote!(#at))));
    let mask = frame.mask.iter().map(|(at, size)| quote!((#at, #size)));
    let SignalFrame { size, align, has_restorer, min_stack, syscall_len, sigreturn, .. } = frame;
    let zero_without = frame.zero_without.iter().map(|(slot, context)| quote!((#slot, #context)));
    let record = option(frame.record.as_ref().map(|(frame_pointer, back)| quote!((#frame_pointer, #back))));
    let fields = frame.save.iter().map(|(at, size, save)| {
        let (size, source) = (*size as u32, source(save, *size));
        quote!(layout::Field { at: #at, size: #size, source: #source })
    });
    quote!(&layout::FrameLayout {
        guest: #guest, size: #size, align: #align, siginfo: #siginfo, ucontext: #ucontext, stack: #stack, mask: &[#(#mask),*], popped: #popped, red_zone: #red_zone, fields: &[#(#fields),*], record: #record,
        has_restorer: #has_restorer, min_stack: #min_stack, syscall_len: #syscall_len, syscall_len_while: &[#(#while_context),*],
        zero_without: &[#(#zero_without),*],
        sigreturn: &[#(#sigreturn),*], plain: #plain,
    })
}

fn thread_areas(on: &Emitter<'_>, areas: &ThreadAreas) -> TokenStream {
    let ThreadAreas { number, base, first, slots: (bank, from, count), .. } = areas;
    let of = on.structure(&areas.of);
    let constants = areas.constants.iter().map(|(name, value)| quote!((#name, #value)));
    let slots = (*from..*from + *count).map(|i| format!("{bank}[{i}]"));
    let loaded = areas.loaded.iter().map(|(selector, base)| quote!((#selector, #base)));
    quote!(&ThreadAreas {
        of: #of, number: #number, base: #base, constants: &[#(#constants),*], first: #first, slots: &[#(#slots),*],
        loaded: &[#(#loaded),*],
    })
}

fn source(save: &Save, stride: u64) -> TokenStream {
    match save {
        Save::Slot(slot) => quote!(layout::Source::Slot(#slot)),
        Save::Slots(bank, first, count) => {
            let (first, count) = (*first as u32, *count as u32);
            quote!(layout::Source::Slots(#bank, #first, #count, #stride))
        }
        Save::Pc => quote!(layout::Source::Pc),
        Save::FaultAddress => quote!(layout::Source::FaultAddress),
        Save::Const(value) => quote!(layout::Source::Word(#value)),
        Save::Signal => quote!(layout::Source::Signal),
        Save::Rotated(bank, count, context) => {
            let count = *count as u32;
            quote!(layout::Source::Rotated(#bank, #count, #stride, #context))
        }
        Save::Address(offset) => quote!(layout::Source::Address(#offset)),
        Save::Packed(parts) => {
            let parts = parts.iter().map(part);
            quote!(layout::Source::Packed(&[#(#parts),*]))
        }
    }
}

fn part(part: &Part) -> TokenStream {
    match part {
        Part::Slot(slot, bit, width) => {
            let (bit, width) = (*bit as u32, *width as u32);
            quote!(layout::Part::Slot(#slot, #bit, #width))
        }
        Part::Context(name, bits, bit) => {
            let bit = *bit as u32;
            let bits = option(bits.map(|(first, count)| (first as u32, count as u32)).map(|(f, n)| quote!((#f, #n))));
            quote!(layout::Part::Context(#name, #bits, #bit))
        }
        Part::Const(value, bit) => {
            let (value, bit) = (*value as u32, *bit as u32);
            quote!(layout::Part::Const(#value, #bit))
        }
        Part::Inverted(slot, bit, width) => {
            let (bit, width) = (*bit as u32, *width as u32);
            quote!(layout::Part::Inverted(#slot, #bit, #width))
        }
        Part::Parity(slot, bit) => {
            let bit = *bit as u32;
            quote!(layout::Part::Parity(#slot, #bit))
        }
        Part::Flag(number, bit) => {
            let (number, bit) = (*number as u32, *bit as u32);
            quote!(layout::Part::Flag(#number, #bit))
        }
    }
}

fn option(tokens: Option<TokenStream>) -> TokenStream {
    tokens.map_or_else(|| quote!(None), |t| quote!(Some(#t)))
}

fn rust_name<T: PartialEq + Copy>(all: &[(&str, &str, T)], value: T) -> Ident {
    let name = all.iter().find(|(_, _, v)| *v == value).map_or("", |(_, rust, _)| rust);
    ident(name)
}

fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}
