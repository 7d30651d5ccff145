//! What a program inherits and where it finds itself: descriptors, limits, links of its tree, working directory.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tests::run::{emulate, finish, isamorph};

/// Runs a line of the host's shell in which `$RUN` starts the arm64 program of that name in its tree.
fn shell(line: &str) -> (String, String, Option<i32>) {
    let tree = tests::sysroot("aarch64");
    assert!(tree.join(".complete").exists(), "tests/setup.sh fetches the arm64 programs");
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("LC_ALL", "C").env("TREE", &tree);
    command.env("RUN", format!("{} --cache none -L {}", isamorph().display(), tree.display()));
    let output = finish(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

fn scratch(name: &str) -> PathBuf {
    let directory = tests::root().join("target/surroundings").join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn closed_standard_descriptors_stay_closed() {
    let (printed, errors, status) = shell("$RUN $TREE/bin/cat <&-");
    assert_eq!((printed.as_str(), status), ("", Some(1)), "{errors}");
    assert!(errors.contains("Bad file descriptor"), "{errors}");
    let (printed, ..) = shell("$RUN $TREE/bin/bash -c 'exec 0<&-; /usr/bin/test -e /proc/self/fd/0; echo $?'");
    assert_eq!(printed, "1\n");
}

#[test]
fn the_guest_sees_no_descriptors_of_the_emulator() {
    let list = "-c 'echo /proc/self/fd/*'";
    let (printed, errors, _) = shell(&format!("$RUN $TREE/bin/bash {list}"));
    assert_eq!(printed, shell(&format!("bash {list}")).0, "{errors}");
}

#[test]
fn a_limit_on_the_address_space_is_lived_with_or_named() {
    let (printed, errors, status) = shell("ulimit -v 150000; $RUN $TREE/bin/echo fits");
    assert_eq!((printed.as_str(), status), ("fits\n", Some(0)), "{errors}");
    let (printed, errors, status) = shell("ulimit -v 22000; $RUN $TREE/bin/echo does not fit");
    assert!(printed.is_empty() && !errors.contains("panicked"), "{status:?} {errors}");
}

#[test]
fn absolute_links_lead_on_inside_the_tree() {
    let tree = scratch("links");
    let guest = tests::programs::build("guest/hello.c", "aarch64", tests::programs::Link::Static);
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::create_dir_all(tree.join("etc/alternatives")).unwrap();
    fs::copy(guest, tree.join("usr/bin/real")).unwrap();
    std::os::unix::fs::symlink("/etc/alternatives/hello", tree.join("usr/bin/hello")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/real", tree.join("etc/alternatives/hello")).unwrap();
    let output = finish(emulate(["-L".as_ref(), tree.as_os_str(), "/usr/bin/hello".as_ref()]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("world"), "{output:?}");
}

#[test]
fn names_that_come_and_go_in_the_tree_are_seen_at_once() {
    let tree = scratch("names");
    for guest in ["aarch64", "x86_64"] {
        let program = tests::programs::build("guest/names.c", guest, tests::programs::Link::Static);
        let output = finish(emulate(["-L".as_ref(), tree.as_os_str(), program.as_os_str(), tree.as_os_str()]));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "at once\n", "{guest}: {output:?}");
    }
}

#[test]
fn a_fifo_is_refused_without_waiting() {
    let fifo = scratch("fifo").join("fifo");
    assert!(Command::new("mkfifo").args(["-m", "755"]).arg(&fifo).status().unwrap().success());
    let output = finish(emulate([fifo]));
    assert_eq!(output.status.code(), Some(126), "{output:?}");
}
