//! `isa completions`: scripts for shells, made from the description of the command line.

use super::check;
use std::fmt::Write as _;
use std::path::Path;

/// A shell that scripts are made for.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Shell {
    /// GNU Bash.
    Bash,
    /// fish.
    Fish,
    /// The Z shell, through its emulation of Bash's completions.
    Zsh,
}

/// The script. Names of guests are completed where it was made.
pub(crate) fn script(command: &clap::Command, shell: Shell, specs: &Path) -> String {
    let folders = check::spec_folders(specs).unwrap_or_default();
    let guests: Vec<String> =
        folders.iter().filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned())).collect();
    match shell {
        Shell::Bash => bash(command, &guests),
        Shell::Zsh => format!("autoload -U +X bashcompinit && bashcompinit\n{}", bash(command, &guests)),
        Shell::Fish => fish(command, &guests),
    }
}

fn options(command: &clap::Command) -> Vec<String> {
    command.get_arguments().filter_map(|a| a.get_long()).map(|long| format!("--{long}")).collect()
}

fn bash(command: &clap::Command, guests: &[String]) -> String {
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let mut cases = String::new();
    for sub in command.get_subcommands() {
        let words = [options(sub), guests.to_vec()].concat().join(" ");
        let _ = writeln!(cases, "        {}) words=\"{words}\" ;;", sub.get_name());
    }
    format!(
        "_isa() {{\n    local words=\"{} --specs\"\n    case \"${{COMP_WORDS[1]}}\" in\n{cases}    esac\n    \
         COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\ncomplete -o default -F _isa isa\n",
        names.join(" ")
    )
}

fn fish(command: &clap::Command, guests: &[String]) -> String {
    let mut out = String::new();
    for sub in command.get_subcommands() {
        let name = sub.get_name();
        let about = sub.get_about().map_or_else(String::new, ToString::to_string).replace('\'', "");
        let _ = writeln!(out, "complete -c isa -n __fish_use_subcommand -a {name} -d '{about}'");
        for option in options(sub) {
            let long = option.trim_start_matches('-');
            let _ = writeln!(out, "complete -c isa -n '__fish_seen_subcommand_from {name}' -l {long}");
        }
    }
    let _ = writeln!(out, "complete -c isa -n 'not __fish_use_subcommand' -a '{}'", guests.join(" "));
    out
}
