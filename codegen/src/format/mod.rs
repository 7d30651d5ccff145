//! The formatter: indentation, blank lines and the space between tokens. Lines are never joined or broken, and what authors have
//! aligned stays aligned.

mod layout;
mod lex;
mod spacing;

use lex::Line;

/// The text in the form that `isa fmt` gives it. Only white space changes.
pub fn format(text: &str) -> String {
    let mut formatted = pass(text);
    // What one pass moves can align or part the tokens of other lines. Gaps that are not aligned shrink and never grow again, so that
    // this ends.
    loop {
        let again = pass(&formatted);
        if again == formatted {
            return formatted;
        }
        formatted = again;
    }
}

fn pass(text: &str) -> String {
    let mut lines = lex::lines(text);
    spacing::space(&mut lines);
    layout::indent(&mut lines);
    let mut out = String::with_capacity(text.len());
    for (number, line) in lines.iter().enumerate() {
        if line.blank_before && number > 0 && !opens(&lines[number - 1]) && !line.tokens[0].closes() {
            out.push('\n');
        }
        out.extend(std::iter::repeat_n(' ', line.indent));
        for token in &line.tokens {
            out.extend(std::iter::repeat_n(' ', token.gap));
            out.push_str(token.text);
        }
        out.push('\n');
    }
    out
}

/// Whether the last thing on a line is a bracket that it leaves open.
fn opens(line: &Line<'_>) -> bool {
    line.last_code().is_some_and(lex::Token::opens)
}

#[cfg(test)]
mod tests {
    use super::format;

    /// `text` with the first line's indentation taken from all, formatted.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(format(text), expected);
        assert_eq!(format(expected), expected);
    }

    #[test]
    fn tokens_are_spaced() {
        check("const  a=1+2*(3 ,4 );\n", "const a = 1 + 2 * (3, 4);\n");
        check("fn f(a:int)->int=if a<-1{ ~a }else { - a };\n", "fn f(a: int) -> int = if a < -1 { ~a } else { -a };\n");
        check(
            "fn f(a: bits(8)) -> bits(8) = a<s b/u c>>s d[4+:2];\n",
            "fn f(a: bits(8)) -> bits(8) = a <s b /u c >>s d[4 +: 2];\n",
        );
        check("fn f() = x.map(|i| a|b)   + 1 ;", "fn f() = x.map(|i| a|b) + 1;\n");
    }

    #[test]
    fn strings_comments_and_patterns_stay() {
        check("/// a  b\n//c  d\n", "/// a  b\n//c  d\n");
        let insn = "insn a {\n    enc 00 a:3!={000,001}  b[s4:0] modrm(reg:op) with x = 1;\n    asm \"a  {x+1:#x}  {\"b  c\"}\";\n}\n";
        check(insn, insn);
    }

    #[test]
    fn blocks_are_indented() {
        check(
            "\n\ninsn a {\n\n  enc 0;\n\texec {\n  let b = match c {\n 0 => 1,\n_ => 2\n };\n   if b {\nx = 1;\n } else {\n y = 2;\n  }\n}\n\n\n  }\n\n\n",
            "insn a {\n    enc 0;\n    exec {\n        let b = match c {\n            0 => 1,\n            _ => 2\n        };\n        \
             if b {\n            x = 1;\n        } else {\n            y = 2;\n        }\n    }\n}\n",
        );
    }

    #[test]
    fn continued_lines_keep_their_place() {
        check(
            "fn f() =\nif a { b }\nelse { c };\nview V {\n  show => if a { b }\n          else { c };\n}\n",
            "fn f() =\n    if a { b }\n    else { c };\nview V {\n    show => if a { b }\n            else { c };\n}\n",
        );
        let hanging = "space t { unit = 16;\n          active = a == 1; }\nconst c = [1, 2,\n           3];\n";
        check(hanging, hanging);
    }

    #[test]
    fn columns_are_kept() {
        let table = "const a   = 1;   // one\nconst bcd = 22;  // two\n                 // and more\n";
        check(table, table);
        check("const a=  1;   // one\nconst bcd=22;  // two\n", "const a = 1;     // one\nconst bcd = 22;  // two\n");
        let numbers = "enum E: 8 {\n    a = 00000001  \"x\",\n    b = 00000010 \"yy\",\n}\n";
        check(numbers, numbers);
    }
}
