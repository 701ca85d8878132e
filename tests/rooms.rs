//! The house stands: no room names what it must not know (design: the rooms).
//!
//! Cargo keeps the borders between crates; these are the ones inside them. Read over `use` lines,
//! taken apart to whole paths, and over paths written out in code; comments and tests do not count.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// In `files` nothing may begin with one of `barred`.
struct Border {
    files: &'static [&'static str],
    but_not: &'static [&'static str],
    barred: &'static [&'static str],
    why: &'static str,
}

const BORDERS: [Border; 7] = [
    Border {
        files: &["runtime/src/io"],
        but_not: &[],
        barred: &["crate::pipeline", "crate::worker"],
        why: "sockets know neither pipelines nor workers",
    },
    Border { files: &["runtime/src/worker"], but_not: &[], barred: &["crate::io"], why: "a worker is a pure machine" },
    Border {
        files: &["kinesis/src/local/model"],
        but_not: &[],
        barred: &["crate::protocol", "crate::client"],
        why: "the fake would share the client's mistakes",
    },
    Border {
        files: &["kinesis/src/protocol"],
        but_not: &[],
        barred: &[
            "crate::client",
            "crate::local",
            "std::net",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
            "weir_runtime::facade",
            "weir_runtime::io",
        ],
        why: "protocol machines open no socket and read no clock",
    },
    Border {
        files: &["window/src", "runtime/src", "kinesis/src", "src"],
        but_not: &["runtime/src/facade", "runtime/src/placement", "runtime/src/io"],
        barred: &["glommio"],
        why: "the executor is named behind the facade only",
    },
    Border {
        files: &["window/src", "runtime/src", "kinesis/src", "src"],
        but_not: &["kinesis/src/client"],
        barred: &["aws_"],
        why: "the SDK stays behind one border, so that it is compiled once and can be replaced",
    },
    Border {
        files: &["window/src"],
        but_not: &[],
        barred: &["std::time", "std::net", "std::thread", "std::fs", "std::io"],
        why: "windows are plain data and pure functions",
    },
];

#[test]
fn no_room_names_what_it_must_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut trespasses = Vec::new();
    for border in &BORDERS {
        let mut seen = 0;
        for file in source_files(root) {
            let name = file.strip_prefix(root).expect("found under it").to_string_lossy().into_owned();
            let inside = |rooms: &[&str]| rooms.iter().any(|room| is_in(&name, room));
            if !inside(border.files) || inside(border.but_not) || name.ends_with("/tests.rs") {
                continue;
            }
            seen += 1;
            let text = fs::read_to_string(&file).expect("a source file is text");
            for path in paths_named(product_code(&text)) {
                if border.barred.iter().any(|barred| begins_with(&path, barred)) {
                    trespasses.push(format!("{name} names {path}: {}", border.why));
                }
            }
        }
        // A room that moved would otherwise pass unseen.
        assert!(seen > 0, "no files in {:?}: has the room moved?", border.files);
    }
    assert!(trespasses.is_empty(), "{}", trespasses.join("\n"));
}

#[test]
fn trespasses_are_found_however_they_are_written() {
    let found = |text: &str, barred: &str| paths_named(text).iter().any(|path| begins_with(path, barred));
    assert!(found("use crate::worker::Fold;", "crate::worker"));
    assert!(found("pub(crate) use crate::{\n    signal,\n    worker::{Fold, Mark},\n};", "crate::worker"));
    assert!(found("use crate::worker as w;", "crate::worker"));
    assert!(found("fn f() -> crate::worker::Mark { todo() }", "crate::worker"));
    assert!(found("let now = std::time::Instant::now();", "std::time"));
    assert!(found("use aws_sdk_kinesis::Client;", "aws_"));
    assert!(found("use std::{fmt, time::Duration};", "std::time"));
    assert!(!found("// use crate::worker::Fold;\n/// see [`crate::worker`]", "crate::worker"));
    assert!(!found("use crate::workers::Fold;", "crate::worker"));
    assert!(!found("use std::fmt; let text = \"std::time\";", "std::time"));
}

#[test]
fn tests_at_the_end_of_a_file_are_free() {
    let text = "use std::fmt;\n#[cfg(test)]\nmod tests {\n    use std::thread;\n}\n";
    assert_eq!(product_code(text), "use std::fmt;\n");
    assert_eq!(product_code("use std::thread;\n"), "use std::thread;\n");
}

#[test]
fn rooms_are_files_or_folders() {
    assert!(is_in("runtime/src/io/http.rs", "runtime/src/io"));
    assert!(is_in("runtime/src/facade.rs", "runtime/src/facade"));
    assert!(!is_in("runtime/src/iota.rs", "runtime/src/io"));
}

/// A file without the tests at its end, which may start threads and look at clocks.
fn product_code(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ").map_or(text, |tests| &text[..tests])
}

/// Whether a file is the room's own file or stands in its folder.
fn is_in(file: &str, room: &str) -> bool {
    file.strip_prefix(room).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

/// A barred name ending in `_` bars every crate that begins so; others bar the path and all below.
fn begins_with(path: &str, barred: &str) -> bool {
    path.strip_prefix(barred).is_some_and(|rest| barred.ends_with('_') || rest.is_empty() || rest.starts_with("::"))
}

fn source_files(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        ["window", "runtime", "kinesis", "."].map(|crate_folder| root.join(crate_folder).join("src")).into();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                // `./src` and `src` are one place.
                files.push(path.components().collect());
            }
        }
    }
    files
}

/// Every path with `::` in it that the code names, those of `use` trees whole.
fn paths_named(text: &str) -> Vec<String> {
    let code = without_comments_and_texts(text);
    let mut paths = Vec::new();
    let mut rest = code.as_str();
    while let Some(at) = find_word(rest, "use") {
        let Some(end) = rest[at..].find(';') else {
            break;
        };
        expand("", rest[at + 3..at + end].trim(), &mut paths);
        rest = &rest[at + end..];
    }
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let written = code.split(|c| !is_path(c)).filter(|word| word.contains("::"));
    paths.extend(written.map(|word| word.trim_start_matches("::").to_owned()));
    paths
}

fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .map(|(at, _)| at)
        .find(|at| !text[..*at].ends_with(is_part) && text[at + word.len()..].starts_with(char::is_whitespace))
}

/// Takes `a::{b, c::{d}}` apart into `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.find('{') {
        None => {
            let path = tree.split_whitespace().next().unwrap_or_default();
            let path = path.trim_start_matches("::").trim_end_matches("::self");
            if !path.is_empty() {
                paths.push(format!("{prefix}{path}"));
            }
        }
        Some(open) => {
            let prefix = format!("{prefix}{}", tree[..open].trim().trim_start_matches("::"));
            let inside = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
            let mut depth = 0;
            for branch in inside.split(|c| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                c == ',' && depth == 0
            }) {
                expand(&prefix, branch, paths);
            }
        }
    }
}

/// The code with comments and string literals blanked; `'` is left alone, lifetimes are not texts.
fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let mut in_text = false;
        let mut before = ' ';
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            if !in_text && letter == '/' && letters.peek() == Some(&'/') {
                break;
            }
            if letter == '"' && before != '\\' && before != '\'' {
                in_text = !in_text;
            } else if !in_text {
                code.push(letter);
            }
            before = if before == '\\' && letter == '\\' { ' ' } else { letter };
        }
        code.push('\n');
    }
    code
}
