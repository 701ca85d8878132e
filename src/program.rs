//! A program of one's own: pipelines by name, with a command line around them.

use std::{process::ExitCode, sync::Arc};

use serde::de::DeserializeOwned;
use weir_runtime::pipeline::{Pipeline, PipelineFn};

use crate::{cli, failure::Failure, text::nearest::nearest};

/// Begins a program. `weir` itself is this program without pipelines of its own.
///
/// ```no_run
/// use weir::prelude::*;
///
/// fn count(p: &Pipeline) {
///     p.read_from(kinesis::source("Tweets"))
///         .native_timestamps(secs(3))
///         .window(tumbling(secs(1)))
///         .aggregate(counting())
///         .write_to(logger(|w: &WindowResult<u64>| format!("{} tweets", w.value)));
/// }
///
/// fn main() -> ExitCode {
///     weir::node().pipeline("count", count).main()
/// }
/// ```
pub fn node() -> Program {
    Program { pipelines: Pipelines::default() }
}

/// A command line with pipelines; see [`node`].
#[must_use = "a program does nothing until main is called"]
pub struct Program {
    pipelines: Pipelines,
}

impl Program {
    /// Adds a pipeline that `run NAME` finds: a `fn(&Pipeline)`, or a `fn(&Pipeline, Args)` whose arguments are given
    /// by `--set KEY=VALUE`.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn pipeline<M>(mut self, name: &str, pipeline: impl IntoPipeline<M>) -> Program {
        assert!(self.pipelines.find(name).is_none(), "two pipelines are called {name}");
        self.pipelines.0.push(Named { name: name.to_owned(), bind: pipeline.into_binding() });
        self
    }

    /// Does what the command line of this process says and gives its exit code.
    #[must_use]
    pub fn main(self) -> ExitCode {
        cli::main(&self.pipelines)
    }
}

/// The pipelines of a program, in the order given.
#[derive(Default)]
pub(crate) struct Pipelines(Vec<Named>);

struct Named {
    name: String,
    bind: Binding,
}

/// Makes a pipeline ready to run with the arguments from `--set`, or says what is wrong with them.
pub struct Binding(Box<dyn Fn(toml::Table) -> Result<Arc<PipelineFn>, String>>);

/// What can be given to [`Program::pipeline`]. `M` only tells the two kinds of function apart.
pub trait IntoPipeline<M> {
    /// The function, ready to be given its arguments.
    fn into_binding(self) -> Binding;
}

impl<F: Fn(&Pipeline) + Send + Sync + 'static> IntoPipeline<()> for F {
    fn into_binding(self) -> Binding {
        let pipeline: Arc<PipelineFn> = Arc::new(self);
        Binding(Box::new(move |arguments| match arguments.keys().next() {
            None => Ok(pipeline.clone()),
            Some(key) => Err(format!("it takes no arguments, got `{}`", key.escape_debug())),
        }))
    }
}

impl<A, F> IntoPipeline<(A,)> for F
where
    A: DeserializeOwned + 'static,
    F: Fn(&Pipeline, A) + Send + Sync + 'static,
{
    fn into_binding(self) -> Binding {
        let pipeline = Arc::new(self);
        Binding(Box::new(move |arguments| {
            // Read once here, so that a mistake is said before anything starts; and anew for each worker, so that
            // arguments need be neither Clone nor Send.
            let read = |arguments: &toml::Table| arguments.clone().try_into::<A>();
            if let Err(error) = read(&arguments) {
                return Err(error.message().replace('\n', ", "));
            }
            let pipeline = pipeline.clone();
            Ok(Arc::new(move |p: &Pipeline| pipeline(p, read(&arguments).expect("it was read before"))))
        }))
    }
}

impl Pipelines {
    /// Whether the program has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All names.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|named| named.name.as_str()).collect()
    }

    fn find(&self, name: &str) -> Option<&Named> {
        self.0.iter().find(|named| named.name == name)
    }

    /// The pipeline of that name with its arguments.
    pub(crate) fn bind(&self, name: &str, arguments: toml::Table) -> Result<Arc<PipelineFn>, Failure> {
        let shown = name.escape_debug();
        let Some(named) = self.find(name) else {
            let message = format!("no pipeline or job file is called {shown}");
            let remedy = match nearest(name, self.names()) {
                Some(right) => format!("did you mean {right}?"),
                None if self.is_empty() => {
                    "give the path of a job file such as examples/kinesis-traffic-monitor.toml".to_owned()
                }
                None => format!("this program has {}", self.names().join(", ")),
            };
            return Err(Failure::usage(message).with_remedy(remedy));
        };
        (named.bind.0)(arguments).map_err(|problem| {
            Failure::usage(format!("pipeline {shown}: {problem}")).with_remedy("give its arguments as --set KEY=VALUE")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use weir_runtime::pipeline::Pipeline;

    use super::{Pipelines, node};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        #[expect(dead_code, reason = "only read from --set")]
        stream: String,
    }

    fn plain(_: &Pipeline) {}
    fn with_arguments(_: &Pipeline, _: Arguments) {}

    fn pipelines() -> Pipelines {
        node().pipeline("tweet-publisher", plain).pipeline("monitor", with_arguments).pipelines
    }

    fn table(text: &str) -> toml::Table {
        text.parse().expect("TOML")
    }

    fn said(name: &str, arguments: &str) -> String {
        pipelines().bind(name, table(arguments)).err().expect("a mistake").to_string()
    }

    #[test]
    fn pipelines_are_found_by_name_and_take_their_arguments() {
        assert!(pipelines().bind("tweet-publisher", table("")).is_ok());
        assert!(pipelines().bind("monitor", table("stream = 'Tweets'")).is_ok());
    }

    #[test]
    fn mistakes_name_the_pipeline_and_the_cure() {
        let told = said("tweet-publsher", "");
        assert_eq!(told, "no pipeline or job file is called tweet-publsher; did you mean tweet-publisher?");
        let told = said("x", "");
        assert_eq!(told, "no pipeline or job file is called x; this program has tweet-publisher, monitor");
        let told = said("tweet-publisher", "rate = 1");
        let cure = "give its arguments as --set KEY=VALUE";
        assert_eq!(told, format!("pipeline tweet-publisher: it takes no arguments, got `rate`; {cure}"));
        let told = said("monitor", "");
        assert!(told.starts_with("pipeline monitor: missing field `stream`"), "{told}");
        let told = said("monitor", "stream = 'a'\nstreem = 'b'");
        assert!(told.contains("unknown field `streem`, expected `stream`"), "{told}");
    }

    #[test]
    #[should_panic(expected = "two pipelines are called a")]
    fn a_name_given_twice_is_refused() {
        let _ = node().pipeline("a", plain).pipeline("a", plain);
    }
}
