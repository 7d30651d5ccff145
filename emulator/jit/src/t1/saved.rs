//! Translations that outlive the process: an *image* has those of an earlier one.
//!
//! An image is bytes: a header, an index ordered by key, and per translation an entry with its host code as it was generated
//! (no link made, no distance to a stub filled in) and everything to publish it again. It is read in place, an entry when its
//! key is first executed. An entry is used if the guest's code has the bytes it was made from: those are hashed, 128 bits.
//! The file may be damaged: every entry has a checksum, and nothing is read outside of the image.
//!
//! Only code in mappings of files that the guest cannot write to is saved: what the guest generates itself is another each
//! time, and could change between being translated and being hashed.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use ir::unit::UnitKey;
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::translation::{Retreats, Translation};
use super::{Runtime, Source, Writer};
use crate::interp::PLAIN;
use crate::jit::Jit;
use crate::options::Stats;
use crate::x64::{CALL, Compiler, EntryChecks, FaultTable, Interlock, Link, Reloc, interlocks::flip};

/// What the embedder has of an earlier process.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    /// The image; empty: there is none yet.
    pub image: &'static [u8],
    /// Stands for everything that decides about generated code but guest code: emulator, guest processor, host features. Another
    /// image is not used.
    pub identity: u128,
}

/// First bytes of an image; the last is the version of the format.
const MAGIC: [u8; 8] = *b"isamorp\x02";
const HEADER: usize = 32;
const RECORD: usize = 32;

/// Fewer new translations than this are not worth writing an image.
const FEW: usize = 8;
/// Nor is less than one in as many of those there are.
const SHARE: usize = 16;
/// Bytes of an image from which on translations that were not used are left out of the next.
const LARGE: usize = 64 << 20;

/// A translation as it is saved.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Entry<'a> {
    /// Its guest address and mode, which the index has, too.
    pub(super) pc: u64,
    pub(super) mode: u32,
    /// Bytes of guest code, and what [`hash`] says of them.
    pub(super) guest_len: u32,
    pub(super) guest_hash: u128,
    /// Its code depends on `exact`.
    pub(super) floats: bool,
    /// Made with [`crate::JitOptions::exact_underflow`].
    pub(super) exact: bool,
    /// Invalid operations are to trap.
    pub(super) traps: bool,
    /// Host code, unlinked.
    #[serde(borrow, with = "serde_bytes")]
    pub(super) code: Cow<'a, [u8]>,
    pub(super) relocs: Vec<Reloc>,
    pub(super) interlocks: Vec<Interlock>,
    pub(super) links: Vec<Link>,
    pub(super) checks: EntryChecks,
    pub(super) faults: FaultTable,
}

/// What a translation was made of, besides what is needed of it anyway: kept if it is to be saved.
pub(super) struct Origin {
    /// [`hash`] of the guest code.
    pub(super) guest_hash: u128,
    /// Made with [`crate::JitOptions::exact_underflow`].
    pub(super) exact: bool,
    /// Made with [`crate::JitOptions::trap_invalid`].
    pub(super) traps: bool,
}

/// Of guest code.
pub(super) fn hash(code: &[u8]) -> u128 {
    xxh3_128(code)
}

/// An image that has a sound header.
#[derive(Clone, Copy)]
pub(super) struct Image {
    bytes: &'static [u8],
    count: usize,
}

/// Where an entry is.
#[derive(Clone, Copy)]
struct Record {
    key: UnitKey,
    checksum: u64,
    offset: u32,
    len: u32,
}

impl Record {
    fn read(bytes: &[u8; RECORD]) -> Record {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
        let key = UnitKey { pc: word(0), mode: word(24) as u32 };
        Record { key, checksum: word(8), offset: word(16) as u32, len: (word(16) >> 32) as u32 }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let place = u64::from(self.offset) | u64::from(self.len) << 32;
        for word in [self.key.pc, self.checksum, place, self.key.mode.into()] {
            out.extend(word.to_le_bytes());
        }
    }
}

impl Image {
    /// The image, if it is one and its translations are right for `saved.identity`.
    pub(super) fn open(saved: &Saved) -> Option<Image> {
        let (header, rest) = saved.image.split_first_chunk::<HEADER>()?;
        let count = u64::from_le_bytes(header[24..].try_into().ok()?);
        let count = usize::try_from(count).ok()?;
        let fits = header[..8] == MAGIC && header[8..24] == saved.identity.to_le_bytes();
        (fits && count <= rest.len() / RECORD).then_some(Image { bytes: saved.image, count })
    }

    /// How many translations it has.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn record(&self, index: usize) -> Option<Record> {
        self.bytes.get(HEADER + index * RECORD..)?.first_chunk().map(Record::read)
    }

    fn records(&self) -> impl Iterator<Item = Record> + '_ {
        (0..self.count).filter_map(|index| self.record(index))
    }

    /// The bytes of an entry, if they are there.
    fn raw(&self, record: &Record) -> Option<&'static [u8]> {
        let raw = self.bytes.get(record.offset as usize..)?.get(..record.len as usize)?;
        (xxh3_64(raw) == record.checksum).then_some(raw)
    }

    /// The index's record of a key.
    fn record_of(&self, key: UnitKey) -> Option<Record> {
        let (mut from, mut to) = (0, self.count);
        while from < to {
            let middle = from.midpoint(to);
            let record = self.record(middle)?;
            match record.key.cmp(&key) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
                std::cmp::Ordering::Equal => return Some(record),
            }
        }
        None
    }

    /// Whether there is a translation of a key.
    pub(super) fn contains(&self, key: UnitKey) -> bool {
        self.record_of(key).is_some()
    }

    /// The translation of a key.
    pub(super) fn find(&self, key: UnitKey) -> Option<Entry<'static>> {
        let entry: Entry<'static> = postcard::from_bytes(self.raw(&self.record_of(key)?)?).ok()?;
        ((entry.pc, entry.mode) == (key.pc, key.mode)).then_some(entry)
    }
}

/// An image of the translations of `old`, and of `new` instead of or besides them; `None` if that is not worth it. `used` says of
/// a key whether it was executed.
pub(super) fn image(
    identity: u128,
    old: Option<Image>,
    new: &[Entry<'_>],
    used: impl Fn(UnitKey) -> bool,
) -> Option<Vec<u8>> {
    let before = old.map_or(0, |old| old.len());
    if new.len() < FEW.max(before / SHARE) {
        return None;
    }
    let mut all: Vec<(UnitKey, Cow<'_, [u8]>)> = Vec::with_capacity(before + new.len());
    for entry in new {
        let key = UnitKey { pc: entry.pc, mode: entry.mode };
        all.push((key, Cow::Owned(postcard::to_allocvec(entry).ok()?)));
    }
    let large = old.is_some_and(|old| old.bytes.len() > LARGE);
    for (old, record) in old.iter().flat_map(|old| old.records().map(move |record| (old, record))) {
        if let Some(raw) = old.raw(&record)
            && (!large || used(record.key))
        {
            all.push((record.key, Cow::Borrowed(raw)));
        }
    }
    // Stable: of two with one key the new one comes first.
    all.sort_by_key(|(key, _)| *key);
    all.dedup_by_key(|(key, _)| *key);
    write(identity, &all)
}

fn write(identity: u128, entries: &[(UnitKey, Cow<'_, [u8]>)]) -> Option<Vec<u8>> {
    let index = HEADER + entries.len() * RECORD;
    let size = index + entries.iter().map(|(_, raw)| raw.len()).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    out.extend(MAGIC);
    out.extend(identity.to_le_bytes());
    out.extend((entries.len() as u64).to_le_bytes());
    let mut offset = index;
    for (key, raw) in entries {
        let (at, len) = (u32::try_from(offset).ok()?, u32::try_from(raw.len()).ok()?);
        Record { key: *key, checksum: xxh3_64(raw), offset: at, len }.write(&mut out);
        offset += raw.len();
    }
    for (_, raw) in entries {
        out.extend_from_slice(raw);
    }
    Some(out)
}

impl Runtime {
    /// The saved translation of a key, if the guest's code is still what it was made from.
    pub(super) fn find_saved<'c>(&self, jit: &Jit, key: UnitKey) -> Option<Source<'c>> {
        let image = self.image.as_ref().filter(|_| !self.notices_stores())?;
        let entry = image.find(key)?;
        let masked = || self.masks.load(Ordering::Acquire) && self.lock().masked.contains(&key);
        let exact = self.exact_underflow.load(Ordering::Acquire);
        if entry.floats && entry.exact != exact || entry.traps != self.traps_invalid() || masked() {
            return None;
        }
        if guest_hash(jit, key.pc, entry.guest_len)? != entry.guest_hash {
            return None;
        }
        Stats::add(&jit.stats.saved, 1);
        Some(Source::Host {
            code: entry.code,
            relocs: entry.relocs.into(),
            interlocks: entry.interlocks.into(),
            links: entry.links.into(),
            checks: entry.checks,
            faults: Cow::Owned(entry.faults),
            guest_len: entry.guest_len,
            checked: None,
            origin: None,
            retreats: Retreats::Never,
            floats: entry.floats,
        })
    }

    /// What is needed to save the translation that `compiler` has just made.
    pub(super) fn origin(&self, jit: &Jit, key: UnitKey, guest_len: u32, compiler: &Compiler) -> Option<Origin> {
        self.saves_as?;
        if key.mode & PLAIN != 0 || !jit.hooks.is_constant(key.pc, guest_len.into()) {
            return None;
        }
        let guest_hash = guest_hash(jit, key.pc, guest_len)?;
        let (exact, traps) = (compiler.exact_underflow, compiler.traps_invalid);
        Some(Origin { guest_hash, exact, traps })
    }

    /// An image for later processes, of what this one's image had and what has been translated.
    pub(crate) fn image(&self) -> Option<Vec<u8>> {
        let identity = self.saves_as?;
        let writer = self.lock();
        let new: Vec<Entry<'_>> = self.all(&writer).filter_map(|translation| writer.entry(translation)).collect();
        image(identity, self.image, &new, |key| self.by_key.find(key).is_some())
    }
}

impl Writer {
    /// A translation as it is saved, if it is to be.
    fn entry(&self, translation: Translation) -> Option<Entry<'static>> {
        let details = translation.details();
        let (origin, relocs, interlocks) = details.origin().filter(|_| translation.is_valid())?;
        let links: Vec<Link> = details.links().collect();
        let mut code = self.memory.code(translation.host(), details.host_len).to_vec();
        let fields = links.iter().map(|link| link.at).chain(relocs.iter().map(|reloc| reloc.at));
        fields.for_each(|at| code[at as usize..at as usize + 4].fill(0));
        links.iter().for_each(|link| code[link.at as usize - 1] = CALL);
        if self.alone.is_none() {
            flip(&mut code, &interlocks);
        }
        let key = translation.key();
        Some(Entry {
            pc: key.pc,
            mode: key.mode,
            guest_len: details.guest_len,
            guest_hash: origin.guest_hash,
            floats: translation.has_floats(),
            exact: origin.exact,
            traps: origin.traps,
            code: code.into(),
            relocs,
            interlocks,
            links,
            checks: details.checks,
            faults: details.fault_table(),
        })
    }
}

/// [`hash`] of `len` bytes of guest code at `pc`, if they are there.
pub(super) fn guest_hash(jit: &Jit, pc: u64, len: u32) -> Option<u128> {
    let mut code: SmallVec<[u8; 512]> = smallvec![0; len as usize];
    (jit.hooks.fetch(pc, &mut code) == code.len()).then(|| hash(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x64::{LinkKind, StubId};

    const IDENTITY: u128 = 0x1234_5678_9abc_def0_0fed_cba9_8765_4321;

    fn entry(pc: u64, code: &'static [u8]) -> Entry<'static> {
        Entry {
            pc,
            mode: 1,
            guest_len: 4,
            guest_hash: hash(&pc.to_le_bytes()),
            floats: true,
            exact: false,
            traps: false,
            code: code.into(),
            relocs: vec![Reloc { at: 3, stub: StubId::Leave }],
            interlocks: vec![Interlock { at: 1, flip: 9 }],
            links: vec![Link { at: 8, kind: LinkKind::Call, target: UnitKey { pc: pc + 4, mode: 1 }, boxes: 7 }],
            checks: EntryChecks { boxes: 1 << 60, behind: 9 },
            faults: FaultTable::default(),
        }
    }

    fn open(bytes: Vec<u8>, identity: u128) -> Option<Image> {
        Image::open(&Saved { image: bytes.leak(), identity })
    }

    fn many(first: u64) -> Vec<Entry<'static>> {
        (0..20).rev().map(|i| entry(first + 8 * i, b"some host code")).collect()
    }

    #[test]
    fn what_is_saved_is_found_again() {
        let image = open(image(IDENTITY, None, &many(0x1000), |_| true).unwrap(), IDENTITY).unwrap();
        assert_eq!(image.len(), 20);
        for saved in many(0x1000) {
            assert_eq!(image.find(UnitKey { pc: saved.pc, mode: 1 }).as_ref(), Some(&saved));
            assert_eq!(image.find(UnitKey { pc: saved.pc + 4, mode: 1 }), None);
            assert_eq!(image.find(UnitKey { pc: saved.pc, mode: 0 }), None);
        }
    }

    #[test]
    fn later_translations_join_earlier_ones_and_replace_them() {
        let first = open(image(IDENTITY, None, &many(0x1000), |_| true).unwrap(), IDENTITY);
        let mut new = many(0x2000);
        new.push(entry(0x1008, b"other host code"));
        let second = open(image(IDENTITY, first, &new, |_| true).unwrap(), IDENTITY).unwrap();
        assert_eq!(second.len(), 40);
        assert_eq!(&*second.find(UnitKey { pc: 0x1008, mode: 1 }).unwrap().code, b"other host code");
        assert!(image(IDENTITY, first, &many(0x3000)[..7], |_| true).is_none(), "seven are not worth it");
    }

    #[test]
    fn another_identity_or_format_is_no_image() {
        let bytes = image(IDENTITY, None, &many(0), |_| true).unwrap();
        assert!(open(bytes.clone(), IDENTITY + 1).is_none());
        for at in 0..8 {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(open(other, IDENTITY).is_none());
        }
        assert!(open(Vec::new(), IDENTITY).is_none());
        assert!(open(bytes[..HEADER + RECORD].to_vec(), IDENTITY).is_none());
    }

    #[test]
    fn damage_loses_translations_and_makes_no_others() {
        let bytes = image(IDENTITY, None, &many(0x1000), |_| true).unwrap();
        for at in HEADER..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            let image = open(damaged, IDENTITY).unwrap();
            let found = |saved: &Entry<'_>| match image.find(UnitKey { pc: saved.pc, mode: 1 }) {
                Some(entry) => {
                    assert_eq!(&entry, saved);
                    true
                }
                None => false,
            };
            let lost = 20 - many(0x1000).iter().filter(|saved| found(saved)).count();
            let padding = at < HEADER + 20 * RECORD && (at - HEADER) % RECORD >= 28;
            assert!(padding || lost > 0, "byte {at}");
        }
        for len in 0..bytes.len() {
            if let Some(image) = open(bytes[..len].to_vec(), IDENTITY) {
                many(0x1000).iter().for_each(|saved| {
                    image.find(UnitKey { pc: saved.pc, mode: 1 });
                });
            }
        }
    }
}
