//! What the book quotes is what the repository holds, and what it links to is there.

use std::{fs, path::Path};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code blocks of a page that are marked as `language`.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    page.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().expect("split yields at least one").to_owned())
        .collect()
}

#[test]
fn the_tutorial_quotes_the_example_program() {
    assert_eq!(blocks(&read("docs/tutorial.md"), "rust"), [read("examples/tutorial.rs")]);
}

#[test]
fn the_tutorial_quotes_the_job_files() {
    let files = ["examples/tweet-publisher.toml", "examples/kinesis-traffic-monitor.toml"];
    assert_eq!(blocks(&read("docs/tutorial.md"), "toml"), files.map(read));
}

#[test]
fn the_readme_quotes_a_part_of_the_example_program() {
    let quoted = blocks(&read("README.md"), "rust");
    assert_eq!(quoted.len(), 1);
    assert!(read("examples/tutorial.rs").contains(&quoted[0]), "{}", quoted[0]);
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let summary = read("docs/SUMMARY.md");
    let mut pages = vec!["README.md".to_owned()];
    for folder in ["", "design"] {
        for entry in fs::read_dir(docs.join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            if !name.ends_with(".md") {
                continue;
            }
            let page = Path::new(folder).join(&name).to_string_lossy().into_owned();
            let listed = summary.contains(&format!("]({page})"));
            assert!(listed || page == "SUMMARY.md", "docs/SUMMARY.md does not list {page}");
            pages.push(format!("docs/{page}"));
        }
    }
    for page in pages {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let folder = docs.parent().expect("docs has one").join(&page);
            let target = folder.parent().expect("a file has one").join(link);
            assert!(target.exists(), "{page} links to {link}, which is not there");
        }
    }
}

#[test]
fn the_reference_lists_each_key_that_a_job_file_may_have() {
    let page = read("docs/job-files.md");
    let source = read("src/job/parse.rs");
    let lists = ["const SERVICE_KEYS: [&str; 6] = ", "let own = ", ".only(&"];
    let mut seen = 0;
    for list in lists.iter().flat_map(|start| source.split(start).skip(1)) {
        let Some(keys) = list.strip_prefix('[').and_then(|rest| rest.split(']').next()) else { continue };
        for key in keys.split('"').skip(1).step_by(2) {
            seen += 1;
            let ways = [format!("`{key}`"), format!("{key} = "), format!("[{key}]")];
            assert!(ways.iter().any(|way| page.contains(way)), "docs/job-files.md lacks the key {key}");
        }
    }
    assert!(seen > 20, "only {seen} keys found: has the reading of job files moved?");
}

#[test]
fn the_exit_codes_of_the_book_are_those_of_the_help() {
    let page = read("docs/exit-codes.md");
    let help = read("src/cli/mod.rs");
    for code in ["0", "1", "2", "3", "4", "130"] {
        assert!(page.contains(&format!("| {code} |")), "docs/exit-codes.md lacks {code}");
        let sentence = help.split("Exit codes: ").nth(2).expect("the help has a sentence on them");
        assert!(sentence.contains(&format!("{code} ")), "the help lacks exit code {code}");
    }
}

#[test]
fn every_test_that_guards_a_duty_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    let mut folders: Vec<_> = ["runtime", "kinesis/src", "kinesis/tests"].map(|folder| root.join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &fs::read_to_string(&path).expect("a source file is text");
            }
        }
    }
    let page = read("docs/duties.md");
    let mut seen = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        // The last column; the others may hold code too.
        let tests = row.trim_end_matches(" |").rsplit("| ").next().expect("a table has columns");
        for test in tests.split('`').skip(1).step_by(2) {
            seen += 1;
            assert!(
                sources.contains(&format!("#[test]\n    fn {test}()"))
                    || sources.contains(&format!("#[test]\nfn {test}()")),
                "docs/duties.md names {test}, which is no test"
            );
        }
    }
    assert!(seen > 50, "only {seen} tests found: has the table changed its shape?");
}
