//! `isamorph`: runs a Linux program built for another processor.

mod cli;
mod tables;

fn main() {
    let status = match cli::parse(std::env::args_os().collect()) {
        Ok(cli::Command::Run(options)) => linux::start(guests::ALL, &tables::TABLES, *options),
        Ok(cli::Command::Print(text)) => cli::print(text.as_bytes()),
        Ok(cli::Command::Write(file, bytes)) => cli::write(&file, &bytes),
        Err(message) => {
            eprintln!("isamorph: {message}\n  help: isamorph --help");
            125
        }
    };
    std::process::exit(status);
}
