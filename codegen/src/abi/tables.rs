//! The tables that the interfaces of all guests are made of. Their entries name one another by place, not by address: a program
//! with ten guests has some 70 000 such references, and those that are addresses are relocated whenever it starts.

use std::cell::RefCell;
use std::collections::HashMap;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// A table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Sets,
    Constants,
    Structs,
    Fields,
    Moves,
    Pointees,
    Types,
    Selects,
    Cases,
    Values,
    Calls,
    Args,
    Registers,
    Variants,
    Words,
    Functions,
}

impl Table {
    /// Each with the name of its `static` and the type of its entries.
    const ALL: [(Table, &'static str, &'static str); 16] = [
        (Table::Sets, "SETS", "Set"),
        (Table::Constants, "CONSTANTS", "Constant"),
        (Table::Structs, "STRUCTS", "Struct"),
        (Table::Fields, "FIELDS", "Field"),
        (Table::Moves, "MOVES", "Move"),
        (Table::Pointees, "POINTEES", "Pointee"),
        (Table::Types, "TYPES", "Ty"),
        (Table::Selects, "SELECTS", "Select"),
        (Table::Cases, "CASES", "Case"),
        (Table::Values, "VALUES", "u64"),
        (Table::Calls, "CALLS", "Call"),
        (Table::Args, "ARGS", "Arg"),
        (Table::Registers, "REGISTERS", "Register"),
        (Table::Variants, "VARIANTS", "OneOf"),
        (Table::Words, "WORDS", "Word"),
        (Table::Functions, "FUNCTIONS", "Function"),
    ];
}

/// Entries of one table, and where runs of them are, by their text.
#[derive(Default)]
struct Entries {
    tokens: Vec<TokenStream>,
    places: HashMap<String, u32>,
}

/// All tables, and every name in them, each once, in one string.
#[derive(Default)]
pub(crate) struct Tables {
    entries: [RefCell<Entries>; Table::ALL.len()],
    names: RefCell<(String, HashMap<String, u32>)>,
}

impl Tables {
    /// Number of entries so far.
    pub(crate) fn len(&self, table: Table) -> u32 {
        self.entries[table as usize].borrow().tokens.len() as u32
    }

    /// The place of `name` in the string of names.
    pub(crate) fn name(&self, name: &str) -> TokenStream {
        let (text, places) = &mut *self.names.borrow_mut();
        let at = *places.entry(name.to_owned()).or_insert_with(|| {
            text.push_str(name);
            (text.len() - name.len()) as u32
        });
        let len = name.len() as u32;
        quote!(Name::new(#at, #len))
    }

    /// The place of an entry, which is added unless there is an equal one.
    pub(crate) fn place(&self, table: Table, entry: TokenStream) -> TokenStream {
        let at = self.add(table, &[entry]);
        quote!(Place::new(#at))
    }

    /// The places of adjacent entries, which are added unless the same ones are there.
    pub(crate) fn span(&self, table: Table, entries: &[TokenStream]) -> TokenStream {
        let (at, len) = (self.add(table, entries), entries.len() as u32);
        quote!(Span::new(#at, #len))
    }

    /// The places of entries that are added in any case: others count on where they are before they are there.
    pub(crate) fn own(&self, table: Table, entries: &[TokenStream]) -> TokenStream {
        let (at, len) = (self.len(table), entries.len() as u32);
        self.entries[table as usize].borrow_mut().tokens.extend_from_slice(entries);
        quote!(Span::new(#at, #len))
    }

    fn add(&self, table: Table, new: &[TokenStream]) -> u32 {
        let Entries { tokens, places } = &mut *self.entries[table as usize].borrow_mut();
        let text: Vec<String> = new.iter().map(TokenStream::to_string).collect();
        *places.entry(text.join(";")).or_insert_with(|| {
            tokens.extend_from_slice(new);
            (tokens.len() - new.len()) as u32
        })
    }

    /// The `static`s, and the one that leads to them.
    pub(crate) fn items(&self) -> TokenStream {
        let names = &self.names.borrow().0;
        let idents = Table::ALL.map(|(_, name, _)| format_ident!("{name}"));
        let fields = Table::ALL.map(|(_, name, _)| format_ident!("{}", name.to_lowercase()));
        let tables = Table::ALL.iter().map(|(table, name, ty)| {
            let (name, ty) = (format_ident!("{name}"), format_ident!("{ty}"));
            let entries = self.entries[*table as usize].borrow();
            let (tokens, len) = (&entries.tokens, entries.tokens.len());
            quote!(static #name: [#ty; #len] = [#(#tokens),*];)
        });
        quote! {
            #(#tables)*
            #[doc = "The interfaces of all guests."]
            pub(crate) static TABLES: Tables = Tables { all: ALL, names: #names, #(#fields: &#idents),* };
        }
    }
}
