//! The guests of a build.

use std::ops::Deref;

use crate::Guest;

/// The guests that a program was built with. What runs them is handed this list and depends on no guest itself, so that a
/// changed specification rebuilds the guests alone.
#[derive(Clone, Copy)]
pub struct Guests(&'static [&'static Guest]);

impl Guests {
    /// A list of guests that differ in name and in the ELF files they execute.
    #[must_use]
    pub const fn new(guests: &'static [&'static Guest]) -> Self {
        Guests(guests)
    }

    /// The guest that executes ELF files with this `e_machine`, class (32 or 64) and data encoding.
    #[must_use]
    pub fn for_elf(self, machine: u16, class: u8, big_endian: bool) -> Option<&'static Guest> {
        let matches = |g: &Guest| (g.elf.machine, g.elf.class, g.elf.big_endian) == (machine, class, big_endian);
        self.0.iter().copied().find(|g| matches(g))
    }

    /// The guest of a name, e.g. `riscv64`.
    #[must_use]
    pub fn by_name(self, name: &str) -> Option<&'static Guest> {
        self.0.iter().copied().find(|g| g.name == name)
    }

    /// Their names, for a message.
    #[must_use]
    pub fn names(self) -> String {
        self.0.iter().map(|guest| guest.name).collect::<Vec<_>>().join(", ")
    }
}

impl Deref for Guests {
    type Target = [&'static Guest];

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl IntoIterator for Guests {
    type Item = &'static Guest;
    type IntoIter = std::iter::Copied<std::slice::Iter<'static, &'static Guest>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().copied()
    }
}
