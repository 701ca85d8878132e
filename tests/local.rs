//! `weir local` as people start it: judged signatures, TLS, and the program's own client against both.

mod common;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use common::{Ended, refusal, run, signal, wait, weir, weir_at};

const SECRET: &str = "a-secret-of-the-test";

/// A running `weir local`; ended by a signal, so that it can clean up.
struct Local {
    child: Child,
    stdout: BufReader<ChildStdout>,
    url: String,
}

impl Local {
    fn start(mut command: Command) -> Local {
        let _ =
            command.args(["--listen", "127.0.0.1:0", "--stream", "s:2"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("weir local starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut local = Local { child, stdout, url: String::new() };
        local.url = local.line("listening on ");
        local
    }

    /// What stands behind these words in its next line.
    fn line(&mut self, words: &str) -> String {
        let mut line = String::new();
        let _ = self.stdout.read_line(&mut line).expect("it says something");
        line.trim_end().strip_prefix(words).unwrap_or_else(|| panic!("{line:?}")).to_owned()
    }

    fn end(self) -> Ended {
        signal(&self.child, "INT");
        let mut child = self.child;
        child.stdout = None;
        wait(child, Duration::from_secs(20))
    }

    /// A command against it, with these keys.
    fn command(&self, key_id: &str, secret: &str) -> Command {
        let mut command = weir_at(&self.url);
        let _ = command.env("AWS_ACCESS_KEY_ID", key_id).env("AWS_SECRET_ACCESS_KEY", secret);
        command
    }
}

fn describe(mut command: Command) -> Ended {
    let _ = command.args(["stream", "describe", "s"]);
    run(command)
}

#[test]
fn secret_is_asked_for_judged_and_never_shown() {
    let mut command = weir();
    let _ = command.args(["local", "--access-key", "AKIDKNOWN"]).env("WEIR_LOCAL_SECRET", SECRET);
    let local = Local::start(command);

    let right = describe(local.command("AKIDKNOWN", SECRET));
    assert_eq!(right.code, Some(0), "{right:#?}");
    let mut put = local.command("AKIDKNOWN", SECRET);
    let _ = put.args(["stream", "put", "s", "--key", "ключ", "two  spaces"]);
    let put = run(put);
    assert_eq!(put.code, Some(0), "{put:#?}");

    let wrong = refusal(&describe(local.command("AKIDKNOWN", "another-secret")), 4);
    assert!(wrong.contains("The request signature we calculated does not match"), "{wrong}");
    assert!(wrong.ends_with("check the access key, the secret key and this machine's clock"), "{wrong}");
    let stranger = refusal(&describe(local.command("AKIDSTRANGER", SECRET)), 4);
    assert!(stranger.contains("UnrecognizedClientException"), "{stranger}");

    let said = local.end();
    assert_eq!(said.code, Some(0), "{said:#?}");
    assert!(said.stderr.contains("AWS_ACCESS_KEY_ID=AKIDKNOWN"), "{said:#?}");
    for text in [&said.stderr, &wrong, &stranger] {
        assert!(!text.contains(SECRET) && !text.contains("another-secret"), "{text}");
    }
}

#[test]
fn tls_is_believed_with_the_bundle_and_by_nobody_without() {
    let mut command = weir();
    let _ = command.args(["local", "--tls"]);
    let mut local = Local::start(command);
    assert!(local.url.starts_with("https://127.0.0.1:"), "{}", local.url);
    let bundle = local.line("certificate authority in ");
    let mut believing = local.command("any", "any");
    let _ = believing.env("AWS_CA_BUNDLE", &bundle);
    let described = describe(believing);
    assert_eq!(described.code, Some(0), "{described:#?}");
    let unbelieving = refusal(&describe(local.command("any", "any")), 3);
    assert!(unbelieving.contains("signed by no authority in the system's list"), "{unbelieving}");
    let said = local.end();
    assert!(said.stderr.contains(&format!("AWS_CA_BUNDLE={bundle}")), "{said:#?}");
    assert!(!Path::new(&bundle).exists(), "{bundle} is left behind");
}

#[test]
fn flags_of_the_keys_belong_together() {
    for arguments in [&["--access-key", "a"][..], &["--secret", ""]] {
        let mut command = weir();
        let _ = command.arg("local").args(arguments);
        let ended = run(command);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
    }
}

#[test]
fn data_in_use_are_refused_and_are_there_again_after_the_end() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let start = || {
        let mut command = weir();
        let _ = command.arg("local").arg("--data").arg(folder.path());
        command
    };
    let local = Local::start(start());
    let mut put = local.command("any", "any");
    let _ = put.args(["stream", "put", "s", "--key", "k", "kept"]);
    assert_eq!(run(put).code, Some(0));

    let mut second = start();
    let _ = second.args(["--listen", "127.0.0.1:0"]);
    let said = refusal(&run(second), 3);
    let dir = folder.path().display();
    assert_eq!(
        said,
        format!("the data in {dir} are in use by another endpoint: end that one, or give another directory")
    );
    assert_eq!(local.end().code, Some(0));

    // With the same `--stream`, which is there.
    let local = Local::start(start());
    let mut get = local.command("any", "any");
    let _ = get.args(["stream", "get", "s"]);
    let got = run(get);
    assert!(got.stdout.ends_with(" k kept\n"), "{got:#?}");
    let _ = local.end();
}
