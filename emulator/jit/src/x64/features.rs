//! What the host processor offers, and how much of it is to be used.

use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

use iced_x86::CpuidFeature;

/// Extensions of x86-64 that generated code makes use of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::struct_excessive_bools)] // one per cpuid bit
pub struct Features {
    /// AVX (and with it SSE4.2).
    pub avx: bool,
    /// AVX2.
    pub avx2: bool,
    /// BMI1: `andn`, `tzcnt`.
    pub bmi1: bool,
    /// BMI2: `shlx`, `mulx`.
    pub bmi2: bool,
    /// `lzcnt`.
    pub lzcnt: bool,
    /// `popcnt`.
    pub popcnt: bool,
    /// `movbe`.
    pub movbe: bool,
    /// FMA3.
    pub fma: bool,
    /// F16C: conversions of half-precision numbers.
    pub f16c: bool,
    /// SSE4.1.
    pub sse41: bool,
    /// SSE4.2 (`crc32`).
    pub sse42: bool,
    /// Carry-less multiplication.
    pub pclmul: bool,
    /// Rounds of AES.
    pub aes: bool,
    /// SHA-1 and SHA-256.
    pub sha: bool,
}

/// A feature's name, as compilers spell it, and where it is.
type Named = (&'static str, fn(&mut Features) -> &mut bool);

const NAMES: [Named; 14] = [
    ("sse4.1", |f| &mut f.sse41),
    ("sse4.2", |f| &mut f.sse42),
    ("popcnt", |f| &mut f.popcnt),
    ("pclmul", |f| &mut f.pclmul),
    ("aes", |f| &mut f.aes),
    ("sha", |f| &mut f.sha),
    ("avx", |f| &mut f.avx),
    ("avx2", |f| &mut f.avx2),
    ("bmi1", |f| &mut f.bmi1),
    ("bmi2", |f| &mut f.bmi2),
    ("lzcnt", |f| &mut f.lzcnt),
    ("movbe", |f| &mut f.movbe),
    ("fma", |f| &mut f.fma),
    ("f16c", |f| &mut f.f16c),
];

impl Features {
    /// None: the first 64-bit processors.
    pub const V1: Features = Features {
        avx: false,
        avx2: false,
        bmi1: false,
        bmi2: false,
        lzcnt: false,
        popcnt: false,
        movbe: false,
        fma: false,
        f16c: false,
        sse41: false,
        sse42: false,
        pclmul: false,
        aes: false,
        sha: false,
    };

    /// Of the level x86-64-v2.
    pub const V2: Features = Features { popcnt: true, sse41: true, sse42: true, ..Features::V1 };

    /// Of the level x86-64-v3, which does not include carry-less multiplication, AES and SHA.
    pub const V3: Features = Features {
        avx: true,
        avx2: true,
        bmi1: true,
        bmi2: true,
        lzcnt: true,
        movbe: true,
        fma: true,
        f16c: true,
        ..Features::V2
    };

    /// Everything that generated code can make use of.
    pub const ALL: Features = Features { pclmul: true, aes: true, sha: true, ..Features::V3 };

    /// The levels, by their names; each includes those before it.
    pub const LEVELS: [(&str, Features); 3] =
        [("x86-64-v1", Features::V1), ("x86-64-v2", Features::V2), ("x86-64-v3", Features::V3)];

    /// Of the processor we run on.
    #[must_use]
    pub fn host() -> Features {
        // Not by `is_x86_feature_detected!`: it asks for more, and each question may cost a virtual machine ten microseconds.
        let most = __cpuid(0).eax;
        let one = __cpuid(1);
        let seven = if most >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
        // No processor with AVX is without this leaf.
        let extended = __cpuid(0x8000_0001).ecx;
        let bit = |word: u32, n: u32| word >> n & 1 != 0;
        // SAFETY: the processor says that the system has enabled the instruction.
        let saved = if bit(one.ecx, 27) { unsafe { _xgetbv(0) } } else { 0 };
        let avx = bit(one.ecx, 28) && saved & 6 == 6;
        Features {
            avx,
            avx2: avx && bit(seven, 5),
            bmi1: bit(seven, 3),
            bmi2: bit(seven, 8),
            lzcnt: bit(extended, 5),
            popcnt: bit(one.ecx, 23),
            movbe: bit(one.ecx, 22),
            fma: avx && bit(one.ecx, 12),
            f16c: avx && bit(one.ecx, 29),
            sse41: bit(one.ecx, 19),
            sse42: bit(one.ecx, 20),
            pclmul: bit(one.ecx, 1),
            aes: bit(one.ecx, 25),
            sha: bit(seven, 29),
        }
    }

    /// Reads `native`, `x86-64-v1` to `x86-64-v3` (or `v1` to `v3`), and after it, separated by commas, features to add and,
    /// with a dash before their names, to leave out.
    ///
    /// # Errors
    /// Names the word that is none of these.
    pub fn parse(list: &str) -> Result<Features, String> {
        let mut words = list.split(',');
        let level = words.next().unwrap_or_default();
        let named = |(name, _): &&(&str, Features)| *name == level || name.strip_prefix("x86-64-") == Some(level);
        let mut features = match Features::LEVELS.iter().find(named) {
            Some((_, features)) => *features,
            None if level == "native" => Features::host(),
            None => return Err(format!("no level `{level}`: there are native, x86-64-v1, x86-64-v2 and x86-64-v3")),
        };
        for word in words {
            let (name, on) = word.strip_prefix('-').map_or((word, true), |name| (name, false));
            let Some((_, field)) = NAMES.iter().find(|(known, _)| *known == name) else {
                let all = NAMES.map(|(name, _)| name).join(", ");
                return Err(format!("no feature `{name}`: there are {all}"));
            };
            *field(&mut features) = on;
        }
        Ok(features)
    }

    /// The list that [`Features::parse`] reads as this.
    #[must_use]
    pub fn list(mut self) -> String {
        let mut list = "x86-64-v1".to_owned();
        for (name, field) in NAMES {
            if *field(&mut self) {
                list.push(',');
                list.push_str(name);
            }
        }
        list
    }

    /// Whether a processor with these features has the one that an instruction needs.
    pub(super) fn have(self, feature: CpuidFeature) -> bool {
        use CpuidFeature as F;
        match feature {
            F::SSE4_1 => self.sse41,
            F::SSE4_2 => self.sse42,
            F::POPCNT => self.popcnt,
            F::PCLMULQDQ => self.pclmul,
            F::AES => self.aes,
            F::SHA => self.sha,
            F::AVX => self.avx,
            F::AVX2 => self.avx2,
            F::BMI1 => self.bmi1,
            F::BMI2 => self.bmi2,
            F::LZCNT => self.lzcnt,
            F::MOVBE => self.movbe,
            F::FMA => self.fma,
            F::F16C => self.f16c,
            F::SSE3 | F::SSSE3 => self.sse41,
            // Missing on the very first processors only; 128-bit atomic operations use it at every level.
            F::CMPXCHG16B => true,
            F::FPU | F::FPU287 | F::FPU387 => true,
            F::INTEL8086 | F::INTEL186 | F::INTEL386 | F::INTEL486 | F::X64 | F::CMOV => true,
            F::MULTIBYTENOP | F::SSE | F::SSE2 | F::CX8 => true,
            _ => false,
        }
    }

    /// Names of the features that the processor we run on does not have.
    #[must_use]
    pub fn missing(mut self) -> Vec<&'static str> {
        let mut host = Features::host();
        NAMES.iter().filter(|(_, field)| *field(&mut self) && !*field(&mut host)).map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_asked_as_the_standard_library_does() {
        let host = Features {
            avx: is_x86_feature_detected!("avx"),
            avx2: is_x86_feature_detected!("avx2"),
            bmi1: is_x86_feature_detected!("bmi1"),
            bmi2: is_x86_feature_detected!("bmi2"),
            lzcnt: is_x86_feature_detected!("lzcnt"),
            popcnt: is_x86_feature_detected!("popcnt"),
            movbe: is_x86_feature_detected!("movbe"),
            fma: is_x86_feature_detected!("fma"),
            f16c: is_x86_feature_detected!("f16c"),
            sse41: is_x86_feature_detected!("sse4.1"),
            sse42: is_x86_feature_detected!("sse4.2"),
            pclmul: is_x86_feature_detected!("pclmulqdq"),
            aes: is_x86_feature_detected!("aes"),
            sha: is_x86_feature_detected!("sha"),
        };
        assert_eq!(Features::host(), host);
    }

    #[test]
    fn levels_and_features_are_read_and_written() {
        assert_eq!(Features::parse("x86-64-v3"), Ok(Features::V3));
        assert_eq!(Features::parse("v1"), Ok(Features::V1));
        assert_eq!(Features::parse("v3,-movbe,pclmul,aes,sha"), Ok(Features { movbe: false, ..Features::ALL }));
        assert_eq!(Features::parse("native"), Ok(Features::host()));
        assert_eq!(Features::parse(&Features::ALL.list()), Ok(Features::ALL));
        assert!(Features::parse("v4").unwrap_err().starts_with("no level `v4`"));
        assert!(Features::parse("v1,sse5").unwrap_err().starts_with("no feature `sse5`: there are sse4.1"));
        assert!(Features::host().missing().is_empty() && Features::V1.missing().is_empty());
    }
}
