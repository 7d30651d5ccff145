//! What is measured: kernels under `tests/bench`, and programs of Debian's.

use std::path::PathBuf;

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
    /// Loops that compilers turn into vector code.
    Vector,
    /// Loads that miss the caches.
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
}

const fn kernel(name: &'static str, class: Class, arguments: &'static [&'static str], what: &'static str) -> Workload {
    Workload { name, class, what, arguments }
}

/// A program that the trees of `tests/setup.sh` have, at its usual place.
const fn program(name: &'static str, arguments: &'static [&'static str], what: &'static str) -> Workload {
    Workload { name, class: Class::Programs, what, arguments }
}

/// All workloads, in the order of the tables.
pub const WORKLOADS: &[Workload] = &[
    kernel("hello", Class::Start, &[], "start-up"),
    kernel("cold", Class::Start, &[], "code that runs once"),
    kernel("hash", Class::Integer, &["20000000"], "integer hash"),
    kernel("lz", Class::Integer, &["60"], "LZ compression"),
    kernel("sort", Class::Control, &["8"], "heap sort and binary search"),
    kernel("vm", Class::Control, &["6000000"], "byte-code interpreter"),
    kernel("calls", Class::Calls, &["36"], "recursive calls"),
    kernel("objects", Class::Calls, &["500"], "calls through pointers"),
    kernel("nbody", Class::Float, &["1000000"], "n-body, scalar doubles"),
    kernel("matrix", Class::Vector, &["12"], "matrix product, doubles"),
    kernel("pixels", Class::Vector, &["60000"], "blending bytes"),
    kernel("memory", Class::Memory, &["4000000"], "list walk, 4 MiB"),
    kernel("strings", Class::Strings, &["1500000"], "4 KiB memcpy, strlen, memcmp"),
    kernel("syscalls", Class::Syscalls, &["200000"], "a million system calls"),
    kernel("threads", Class::Threads, &["3000000"], "mutex, atomics, condition variable"),
    kernel("spawn", Class::Threads, &["1000"], "1000 short threads"),
    program(
        "bash",
        &["-c", "for ((i=0; i<60000; i++)); do x=$(((x*31+i)%65521)); a[i%50]=$x; done; echo ${a[@]}"],
        "bash, a loop",
    ),
    program(
        "perl",
        &[
            "-e",
            "my %h; for (1..120000) { $h{($_*7919)%1009} .= chr(97+$_%26) } print length(join '', map { $h{$_} } sort keys %h), \"\\n\"",
        ],
        "perl, hashes and strings",
    ),
    program(
        "python3",
        &[
            "-c",
            "import json,re\nd={str(i):[i*i,i/7] for i in range(6000)}\nt=json.dumps(d,sort_keys=True)\nprint(len(t),sum(map(int,re.findall(r'\\d+',t)))%99991)",
        ],
        "python3, json and re",
    ),
    program(
        "sqlite3",
        &[
            ":memory:",
            "create table t(a,b); with recursive c(x) as (select 1 union all select x+1 from c where x<40000) insert into t select x*7919%10007,x from c; create index i on t(a); select count(*),sum(b) from t where a%3=0; select a,count(*) from t group by a order by 2 desc,1 limit 3;",
        ],
        "sqlite3, insert and select",
    ),
    program(
        "gawk",
        &["BEGIN { for (i = 0; i < 150000; i++) { s = s + i % 7; n[i % 101] += s } printf \"%d %d\\n\", s, n[5] }"],
        "gawk, arithmetic",
    ),
];

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
        ["usr/bin", "bin"].map(|dir| root.join(dir).join(self.name)).into_iter().find(|path| path.exists())
    }
}
