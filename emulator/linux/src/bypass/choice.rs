//! Which functions the command line chose: `--native-bypass[=LIST]`.

use native_lib::Function;

/// Functions chosen. The list's words are groups (`mem`, `str`), functions, libraries or `all`; one that starts with `-`
/// excludes. A list of exclusions only starts from everything.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// As written.
    list: String,
    /// Inclusion by row of the table.
    rows: Vec<bool>,
}

impl Choice {
    /// Reads a list; empty means all.
    ///
    /// # Errors
    /// A word that names nothing.
    pub fn parse(list: &str) -> Result<Choice, String> {
        let words: Vec<&str> = list.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
        let everything = words.iter().all(|w| w.starts_with('-'));
        let mut rows = vec![everything; native_lib::FUNCTIONS.len()];
        for word in words {
            let (name, include) = word.strip_prefix('-').map_or((word, true), |name| (name, false));
            let mut matched = false;
            for (row, function) in rows.iter_mut().zip(native_lib::FUNCTIONS) {
                if name == "all" || [function.name, function.group, function.library.name].contains(&name) {
                    (*row, matched) = (include, true);
                }
            }
            if !matched {
                return Err(format!(
                    "`{name}` is no function, group or library of the native bypass; `list` prints them"
                ));
            }
        }
        Ok(Choice { list: list.to_owned(), rows })
    }

    /// The list as written.
    #[must_use]
    pub fn list(&self) -> &str {
        &self.list
    }

    /// Whether anything is chosen.
    pub(crate) fn any(&self) -> bool {
        self.rows.contains(&true)
    }

    /// Whether `function` is chosen.
    pub(crate) fn includes(&self, function: &'static Function) -> bool {
        self.rows.get(super::number(function) as usize).copied().unwrap_or(false)
    }
}

/// The text of `--native-bypass=list`: functions by library and group.
#[must_use]
pub fn describe() -> String {
    let mut text = String::new();
    let mut heading = ("", "");
    for function in native_lib::FUNCTIONS {
        if heading != (function.library.name, function.group) {
            heading = (function.library.name, function.group);
            text += &format!("{}{}, {}:", if text.is_empty() { "" } else { "\n" }, heading.0, heading.1);
        }
        if !text.ends_with(&format!(" {}", function.name)) {
            text += &format!(" {}", function.name);
        }
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(list: &str) -> Vec<&'static str> {
        let choice = Choice::parse(list).unwrap();
        native_lib::FUNCTIONS.iter().filter(|f| choice.includes(f)).map(|f| f.name).collect()
    }

    #[test]
    fn an_empty_list_chooses_all() {
        assert_eq!(chosen("").len(), native_lib::FUNCTIONS.len());
    }

    #[test]
    fn words_add_and_dashes_exclude() {
        assert_eq!(chosen("strlen"), ["strlen"]);
        assert!(chosen("mem,-memcpy").contains(&"memmove") && !chosen("mem,-memcpy").contains(&"memcpy"));
        assert!(chosen("-memcpy").contains(&"strlen") && !chosen("-memcpy").contains(&"memcpy"));
    }

    #[test]
    fn an_unknown_word_is_named() {
        assert!(Choice::parse("mem,sprintf").unwrap_err().contains("sprintf"));
    }
}
