//! `weir local`: the local Kinesis endpoint alone.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use weir_kinesis::local::{Certificate, Keys, LocalSettings, ModelSettings, faults::Fault};

use super::{output::say, signals, stream};
use crate::{
    endpoint,
    failure::{Exit, Failure},
    job::Secret,
    text::{bytes, grouped},
};

/// What `weir local` takes.
#[derive(Debug, Args)]
pub(super) struct LocalArgs {
    /// The address to listen at; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:4567")]
    listen: String,
    /// A stream to create, with its number of shards; may be given more than once
    #[arg(long, value_name = "NAME:SHARDS", value_parser = stream_to_create)]
    stream: Vec<(String, u32)>,
    /// Judge signatures: refuse who has not signed with this secret access key; a variable does not
    /// show in the list of processes
    #[arg(long, value_name = "SECRET", env = "WEIR_LOCAL_SECRET", hide_env_values = true, value_parser = secret)]
    secret: Option<Secret>,
    /// With --secret: the one access key id that is known; any is without this
    #[arg(long, value_name = "ID", requires = "secret")]
    access_key: Option<String>,
    /// Speak TLS with a certificate made on the spot; says which file AWS_CA_BUNDLE must name
    #[arg(long)]
    tls: bool,
    /// Let every shard take and give as much as it can, instead of 1000 records or 1 MiB a second in, and
    /// 5 calls and 2 MiB a second out; and let the control plane be called as often as anyone likes
    #[arg(long)]
    no_limits: bool,
    /// Something that goes wrong on purpose, such as throttle:GetRecords:shard=1:rate=0.5 or
    /// 5xx:PutRecords:count=3; may be given more than once
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Memory that records may take; the oldest go when it is reached
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = bytes::parse)]
    memory: u64,
    /// A directory that keeps its streams and records: started with it again, the endpoint goes on where it was,
    /// even if it was killed
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What chance is drawn from (which calls a fault happens to, how closed shards end); another each time
    /// unless given
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// Serves until the first Ctrl-C.
pub(super) fn main(args: &LocalArgs) -> Result<ExitCode, Failure> {
    let interrupted = signals::interrupt()?;
    let keys = args
        .secret
        .as_ref()
        .map(|secret| Keys { access_key_id: args.access_key.clone(), secret_access_key: secret.0.clone() });
    let certificate = args.tls.then(|| certificate(&args.listen)).transpose()?;
    let bundle = certificate.as_ref().map(Bundle::write).transpose()?;
    let model = ModelSettings {
        seed: args.seed,
        throughput_limits: !args.no_limits,
        memory_bytes_max: Some(args.memory),
        stamps_may_fall: true,
        ..ModelSettings::default()
    };
    let settings =
        LocalSettings { model, keys: keys.clone(), certificate, faults: args.fault.clone(), data: args.data.clone() };
    let endpoint = endpoint::start(&args.listen, settings, &args.stream)?;
    say(format_args!("listening on {}", endpoint.url()));
    let bundle = bundle.as_ref().map(|bundle| &*bundle.0);
    bundle.inspect(|bundle| say(format_args!("certificate authority in {}", bundle.display())));
    eprintln!("to use it from another terminal: {}", endpoint::exports(&endpoint, keys.as_ref(), bundle));
    // A closed channel means that the listening thread is gone: nothing is left to wait for.
    let _ = interrupted.recv();
    let trimmed = endpoint.with_model(|model| model.trimmed_for_memory());
    if trimmed > 0 {
        eprintln!("{} record(s) were dropped before their time to keep to --memory", grouped(trimmed, 0));
    }
    endpoint.stop().map_err(|panic| Failure::new(Exit::Job, panic.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

fn certificate(listen: &str) -> Result<Certificate, Failure> {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Certificate::make(host).map_err(|error| Failure::usage(error.to_string()))
}

/// The file with the certificate to believe. Gone with the endpoint.
struct Bundle(PathBuf);

impl Bundle {
    fn write(certificate: &Certificate) -> Result<Bundle, Failure> {
        let path = std::env::temp_dir().join(format!("weir-local-ca-{:016x}.pem", fastrand::u64(..)));
        // Never one that is there already: it could be somebody else's, or point somewhere else.
        let written =
            fs::File::create_new(&path).and_then(|mut file| file.write_all(certificate.authority_pem().as_bytes()));
        match written {
            Ok(()) => Ok(Bundle(path)),
            Err(error) => Err(not_written(&path, &error)),
        }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn not_written(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the certificate cannot be written to {}: {error}", path.display());
    Failure::new(Exit::Environment, message).with_remedy("set TMPDIR to a folder that can be written to")
}

/// Any text but none at all, which a variable that is set to nothing would give.
fn secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() { Err("a secret has one character at least".to_owned()) } else { Ok(Secret(text.to_owned())) }
}

/// Reads `NAME:SHARDS`.
fn stream_to_create(text: &str) -> Result<(String, u32), String> {
    let (name, shards) = text.rsplit_once(':').unwrap_or((text, "1"));
    stream::check_name(name)?;
    Ok((name.to_owned(), stream::parse_shards(shards)?))
}

#[cfg(test)]
mod tests {
    use super::{Bundle, certificate, secret, stream_to_create};

    #[test]
    fn a_stream_is_a_name_and_a_number_of_shards() {
        assert_eq!(stream_to_create("Tweets:2"), Ok(("Tweets".into(), 2)));
        assert_eq!(stream_to_create("Tweets"), Ok(("Tweets".into(), 1)));
        let said = stream_to_create("Tweets:0").expect_err("no shards");
        assert_eq!(said, "`0` is not a number of shards, 1 to 10000");
        assert!(stream_to_create("a b:1").is_err());
        assert!(stream_to_create(":1").is_err());
    }

    #[test]
    fn secret_is_not_empty_and_not_shown() {
        assert_eq!(secret("").expect_err("nothing"), "a secret has one character at least");
        assert!(!format!("{:?}", secret("hunter2")).contains("hunter2"));
    }

    #[test]
    fn bundle_is_there_while_it_is_held() {
        let certificate = certificate("[::1]:0").expect("a good address");
        let bundle = Bundle::write(&certificate).expect("a folder for passing files");
        let path = bundle.0.clone();
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), certificate.authority_pem());
        drop(bundle);
        assert!(!path.exists());
    }
}
