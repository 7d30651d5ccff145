//! `--profile`: the units in which most instructions are executed, when the program ends.

use tests::programs::{GUESTS, Link, build};
use tests::run::{emulate, finish};

#[test]
fn the_hottest_function_comes_first() {
    for guest in GUESTS {
        let mut command = emulate(["--profile".into(), build("bench/calls.c", guest, Link::Static)]);
        command.arg("20");
        let output = finish(command);
        assert_eq!(output.stdout, b"6765\n");
        let text = String::from_utf8(output.stderr).unwrap();
        let mut lines = text.lines();
        assert!(
            lines.next().unwrap().starts_with("isamorph: ") && lines.next().unwrap().contains("function"),
            "{text}"
        );
        let row: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        let [share, "%", entered, insns, bytes, pc, "calls-static", function] = row[..] else { panic!("{text}") };
        // Each call enters the function once: fib(20) takes 21891 of them.
        let number = |text: &str| text.parse::<f64>().unwrap();
        assert!(
            number(share) > 20.0 && number(entered) > 5000.0 && number(insns) > 1.0 && number(bytes) > 20.0,
            "{text}"
        );
        assert!(pc.starts_with("0x") && function.starts_with("fib"), "{text}");
        // The output without it is the program's alone.
        let mut plain = emulate([build("bench/calls.c", guest, Link::Static)]);
        plain.arg("20");
        assert!(finish(plain).stderr.is_empty());
    }
}
