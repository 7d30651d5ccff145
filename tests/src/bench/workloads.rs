//! What is measured: kernels under `tests/bench`, and programs of Debian's.

use std::path::{Path, PathBuf};

use crate::programs::{Link, build};

/// Kinds of programs; ratios are summed up by kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Code that runs once.
    Start,
    /// Integer loops.
    Integer,
    /// Branches that are hard to predict, indirect jumps.
    Control,
    /// Calls and returns.
    Calls,
    /// Scalar floating point.
    Float,
    /// Loops that compilers turn into vector code, of integers and of floats.
    Vector,
    /// Loads and stores that miss the caches.
    Memory,
    /// Library functions on strings and blocks.
    Strings,
    /// System calls.
    Syscalls,
    /// Threads.
    Threads,
    /// Whole programs of a distribution.
    Programs,
}

impl Class {
    /// For reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Start => "start",
            Class::Integer => "integer",
            Class::Control => "control",
            Class::Calls => "calls",
            Class::Float => "float",
            Class::Vector => "vector",
            Class::Memory => "memory",
            Class::Strings => "strings",
            Class::Syscalls => "syscalls",
            Class::Threads => "threads",
            Class::Programs => "programs",
        }
    }
}

/// A program and its input.
pub struct Workload {
    /// Name on the command line: of the source, or of the program.
    pub name: &'static str,
    /// Kind.
    pub class: Class,
    /// What it does, for tables.
    pub what: &'static str,
    /// Arguments.
    pub arguments: &'static [&'static str],
    /// Of a program of a distribution: its path from the root, or several, of which one exists; a `*` is a folder of any name.
    places: &'static [&'static str],
}

const fn kernel(name: &'static str, class: Class, arguments: &'static [&'static str], what: &'static str) -> Workload {
    Workload { name, class, what, arguments, places: &[] }
}

/// A program that the trees of `tests/setup.sh` have.
const fn program(
    name: &'static str,
    places: &'static [&'static str],
    arguments: &'static [&'static str],
    what: &'static str,
) -> Workload {
    Workload { name, class: Class::Programs, what, arguments, places }
}

/// 2^1279 - 1.
const MERSENNE: &str = "\
    1040793219466439908192524032736408553861526224726670480531911235040360805967336029801223944173232418\
    4842421613954281007791383566248323464908139906605677320762924129509389220345773183349661583550472959\
    4205476898112116936771475484788669625013844382602917323488853111608285384165850282556046662248318909\
    18801847068222203140521026698435488732958028878050869736186900714720710555703168729087";

/// All workloads, in the order of the tables.
pub const WORKLOADS: &[Workload] = &[
    kernel("hello", Class::Start, &[], "start-up"),
    kernel("cold", Class::Start, &[], "code that runs once"),
    kernel("hash", Class::Integer, &["20000000"], "integer hash"),
    kernel("lz", Class::Integer, &["60"], "LZ compression"),
    kernel("crypto", Class::Integer, &["250"], "SHA-256 and ChaCha20"),
    kernel("puzzles", Class::Integer, &["12"], "queens, CRC, divisors"),
    kernel("sort", Class::Control, &["8"], "heap sort and binary search"),
    kernel("vm", Class::Control, &["6000000"], "byte-code interpreter"),
    kernel("permute", Class::Control, &["10"], "permutations"),
    kernel("words", Class::Control, &["40"], "words of a text"),
    kernel("calls", Class::Calls, &["36"], "recursive calls"),
    kernel("objects", Class::Calls, &["500"], "calls through pointers"),
    kernel("trees", Class::Calls, &["20"], "binary trees"),
    kernel("callbacks", Class::Calls, &["25"], "qsort, bsearch"),
    kernel("nbody", Class::Float, &["1000000"], "n-body, doubles"),
    kernel("spectral", Class::Float, &["2000"], "spectral norm, doubles"),
    kernel("mandelbrot", Class::Float, &["1000"], "Mandelbrot set, doubles"),
    kernel("fourier", Class::Float, &["1200"], "Fourier transform, floats"),
    kernel("functions", Class::Float, &["1000000"], "sin, exp, log, pow"),
    kernel("matrix", Class::Vector, &["12"], "matrix product, doubles"),
    kernel("pixels", Class::Vector, &["60000"], "blending bytes"),
    kernel("sound", Class::Vector, &["30000"], "16-bit samples"),
    kernel("filter", Class::Vector, &["30000"], "filters of floats"),
    kernel("memory", Class::Memory, &["4000000"], "list walk, 4 MiB"),
    kernel("stream", Class::Memory, &["15"], "copy, scale, add, triad"),
    kernel("updates", Class::Memory, &["8000000"], "random updates, 32 MiB"),
    kernel("strings", Class::Strings, &["1500000"], "4 KiB memcpy, strlen, memcmp"),
    kernel("text", Class::Strings, &["400000"], "short strings, snprintf"),
    kernel("syscalls", Class::Syscalls, &["200000"], "a million system calls"),
    kernel("files", Class::Syscalls, &["30000"], "files and a pipe"),
    kernel("threads", Class::Threads, &["3000000"], "mutex, atomics, condition variable"),
    kernel("spawn", Class::Threads, &["1000"], "1000 short threads"),
    program(
        "bash",
        &["usr/bin/bash", "bin/bash"],
        &["-c", "for ((i=0; i<60000; i++)); do x=$(((x*31+i)%65521)); a[i%50]=$x; done; echo ${a[@]}"],
        "bash, a loop",
    ),
    program(
        "perl",
        &["usr/bin/perl"],
        &[
            "-e",
            "my %h; for (1..120000) { $h{($_*7919)%1009} .= chr(97+$_%26) } print length(join '', map { $h{$_} } sort keys %h), \"\\n\"",
        ],
        "perl, hashes and strings",
    ),
    program(
        "python3",
        &["usr/bin/python3"],
        &[
            "-c",
            "import json,re\nd={str(i):[i*i,i/7] for i in range(6000)}\nt=json.dumps(d,sort_keys=True)\nprint(len(t),sum(map(int,re.findall(r'\\d+',t)))%99991)",
        ],
        "python3, json and re",
    ),
    program(
        "sqlite3",
        &["usr/bin/sqlite3"],
        &[
            ":memory:",
            "create table t(a,b); with recursive c(x) as (select 1 union all select x+1 from c where x<40000) insert into t select x*7919%10007,x from c; create index i on t(a); select count(*),sum(b) from t where a%3=0; select a,count(*) from t group by a order by 2 desc,1 limit 3;",
        ],
        "sqlite3, insert and select",
    ),
    program(
        "gawk",
        &["usr/bin/gawk"],
        &["BEGIN { for (i = 0; i < 150000; i++) { s = s + i % 7; n[i % 101] += s } printf \"%d %d\\n\", s, n[5] }"],
        "gawk, arithmetic",
    ),
    program("openssl", &["usr/bin/openssl"], &["prime", "-checks", "64", MERSENNE], "openssl, a prime"),
    program(
        "7z",
        &["usr/lib/p7zip/7z", "usr/lib/7zip/7z"],
        &["a", "x", "-so", "-txz", "-mmt=1", "target/guest-programs/native/bench/hello-static"],
        "7z, compression",
    ),
    program(
        "cc1",
        &["usr/lib/gcc/*/*/cc1", "usr/libexec/gcc/*/*/cc1"],
        &["-quiet", "-O2", "-o", "/dev/null", "tests/bench/input/many.c"],
        "gcc, compilation",
    ),
];

/// Makes what programs read: 7z compresses a program of ours.
pub(super) fn make_inputs() {
    let _ = build("bench/hello.c", "native", Link::Static);
}

impl Workload {
    /// Whether it is a program of the guest's tree, and not one of our own.
    #[must_use]
    pub fn is_program(&self) -> bool {
        self.class == Class::Programs
    }

    /// The file to execute for `guest` ("native": the host), if there is one.
    #[must_use]
    pub fn file(&self, guest: &str) -> Option<PathBuf> {
        if !self.is_program() {
            return Some(build(&format!("bench/{}.c", self.name), guest, Link::Static));
        }
        let root = if guest == "native" { PathBuf::from("/") } else { crate::sysroot(guest) };
        self.places.iter().find_map(|place| find(&root, place))
    }
}

/// The file at a path below `root`, in which a `*` is a folder of any name.
fn find(root: &Path, place: &str) -> Option<PathBuf> {
    match place.split_once('/') {
        Some(("*", rest)) => {
            let folders = root.read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path()));
            folders.into_iter().find_map(|folder| find(&folder, rest))
        }
        Some((folder, rest)) => find(&root.join(folder), rest),
        None => Some(root.join(place)).filter(|path| path.is_file()),
    }
}
