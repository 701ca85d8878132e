//! The stages that a pipeline is written in; type states make mistakes compile errors.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use weir_window::{Aggregate, Fold, Key, Owner, SpecError, TimeSpan, WindowSpec};

use super::WindowResult;
use super::fold::{Borrowed, Computed, Deltas, FoldHalf, KeyOf, Unkeyed, Way};
use super::graph::{Flush, Place, Prepare, SharedGraph, Upstream};
use super::intake::{Intake, IntakeSettings};
use super::operator::{Batch, Operator, OperatorContext, Progress};
use super::owner::{OwnerHalf, OwnerSettings, part_holds};
use super::transform::{Filter, FlatMap};
use crate::error::JobError;
use crate::exchange::OperatorIndex;
use crate::sink::{Sink, SinkCounters, SinkWriter};
use crate::source::{LocalFuture, NativeTimestamps, Source};

/// Marks a stage whose items have no event time: it can be written, not windowed.
#[derive(Debug)]
pub enum Untimed {}

/// Marks a stage whose items have an event time.
#[derive(Debug)]
pub enum Timed {}

type Build<T> = Box<dyn FnOnce(&SharedGraph, Box<dyn Operator<T>>)>;

/// A source that was just named and has to be told where event times come from.
#[must_use = "a pipeline's branch does nothing until it is ended by write_to"]
pub struct SourceStage<S> {
    graph: SharedGraph,
    source: S,
    index: usize,
    /// Known on control only.
    margin: TimeSpan,
}

/// Items on their way.
#[must_use = "a pipeline's branch does nothing until it is ended by write_to"]
pub struct Stage<T, M = Untimed> {
    graph: SharedGraph,
    upstream: Upstream,
    /// See [`super::graph::Graph::drain_max`].
    drain: TimeSpan,
    build: Build<T>,
    mode: PhantomData<M>,
}

/// Items with an event time and a key.
#[must_use = "a pipeline's branch does nothing until it is ended by write_to"]
pub struct GroupedStage<T, G> {
    stage: Stage<T, Timed>,
    group: G,
}

/// Items with an event time, perhaps a key, and a window.
#[must_use = "a pipeline's branch does nothing until it is ended by write_to"]
pub struct WindowStage<T, G> {
    stage: Stage<T, Timed>,
    group: G,
    window: Result<WindowSpec, SpecError>,
    name: Option<String>,
}

/// A window as it may be given: checked already, or to be checked when the job is submitted.
pub trait IntoWindow {
    /// The window, or why it is none.
    fn into_window(self) -> Result<WindowSpec, SpecError>;
}

impl IntoWindow for WindowSpec {
    fn into_window(self) -> Result<WindowSpec, SpecError> {
        Ok(self)
    }
}

impl IntoWindow for Result<WindowSpec, SpecError> {
    fn into_window(self) -> Result<WindowSpec, SpecError> {
        self
    }
}

impl<S: Source> SourceStage<S> {
    pub(super) fn new(graph: SharedGraph, source: S) -> SourceStage<S> {
        let mut margin = TimeSpan::ZERO;
        let index = {
            let mut build = graph.borrow_mut();
            let line = format!("source {}: {}", build.sources, source.describe());
            build.plan.push(line);
            if matches!(build.place, Place::Plan) {
                let control = source.control();
                margin = control.margin();
                build.controls.push(control);
            }
            build.intakes.push(None);
            build.sources += 1;
            build.unfinished += 1;
            build.sources - 1
        };
        SourceStage { graph, source, index, margin }
    }

    /// Items without event time: they cannot be windowed.
    pub fn without_timestamps(self) -> Stage<S::Item, Untimed> {
        self.into_stage(None)
    }

    fn into_stage<M>(self, lag: Option<TimeSpan>) -> Stage<S::Item, M> {
        let SourceStage { graph, source, index, margin } = self;
        let line = match lag {
            Some(lag) => format!("native timestamps, lag {} ms", lag.as_millis()),
            None => "without timestamps".to_owned(),
        };
        graph.borrow_mut().plan.push(line);
        let build: Build<S::Item> = Box::new(move |graph, head| {
            let mut graph = graph.borrow_mut();
            if let Place::Worker(place) = &graph.place {
                let settings = IntakeSettings {
                    source: index,
                    lag,
                    worker: place.sink.waker.clone(),
                    memory: place.memory.clone(),
                };
                let intake = Intake::new(settings, source.reader(), head);
                graph.intakes[index] = Some(Box::new(intake));
            }
        });
        let drain = longer(margin, lag.unwrap_or(TimeSpan::ZERO));
        Stage { graph, upstream: Upstream::Source(index), drain, build, mode: PhantomData }
    }
}

impl<S: NativeTimestamps> SourceStage<S> {
    /// Event time is the source's own: for Kinesis the arrival time at the service. Windows wait `lag` longer, so that
    /// records out of order by as much are not late.
    pub fn native_timestamps(self, lag: TimeSpan) -> Stage<S::Item, Timed> {
        self.into_stage(Some(lag))
    }
}

impl<T: 'static, M: 'static> Stage<T, M> {
    fn then<U: 'static>(
        self,
        line: &str,
        operator: impl FnOnce(Box<dyn Operator<U>>) -> Box<dyn Operator<T>> + 'static,
    ) -> Stage<U, M> {
        let Stage { graph, upstream, drain, build, .. } = self;
        graph.borrow_mut().plan.push(line.to_owned());
        let build: Build<U> = Box::new(move |graph, next| build(graph, operator(next)));
        Stage { graph, upstream, drain, build, mode: PhantomData }
    }

    /// One item out for each item in.
    pub fn map<U: 'static>(self, mut f: impl FnMut(T) -> U + 'static) -> Stage<U, M> {
        self.then("map", |next| Box::new(FlatMap::new(move |item, out: &mut Vec<U>| out.push(f(item)), next)))
    }

    /// Any number of items out for each item in, pushed onto the buffer given; they keep the time of the one.
    pub fn flat_map<U: 'static>(self, f: impl FnMut(T, &mut Vec<U>) + 'static) -> Stage<U, M> {
        self.then("flat map", |next| Box::new(FlatMap::new(f, next)))
    }

    /// Only the items that `keep` wants.
    pub fn filter(self, keep: impl FnMut(&T) -> bool + 'static) -> Stage<T, M> {
        self.then("filter", |next| Box::new(Filter::new(keep, next)))
    }

    /// Ends the branch.
    pub fn write_to<S: Sink<T>>(self, sink: S) {
        let Stage { graph, drain, build, .. } = self;
        {
            let mut graph = graph.borrow_mut();
            graph.drain_max = graph.drain_max.max(drain);
            graph.plan.push(format!("sink: {}", sink.describe()));
            graph.unfinished -= 1;
        }
        let opened = match &graph.borrow().place {
            Place::Plan => None,
            Place::Worker(place) => Some((sink.open(&place.sink), place.sink.counters.clone())),
        };
        match opened {
            None => graph.borrow_mut().preparations.push(Box::new(Preparation(sink, PhantomData::<fn(T)>))),
            Some((writer, counters)) => {
                let writer = Rc::new(RefCell::new(writer));
                graph.borrow_mut().writers.push(Box::new(SharedWriter(writer.clone(), counters.clone())));
                build(&graph, Box::new(SharedWriter(writer, counters)));
            }
        }
    }
}

impl<T: 'static> Stage<T, Timed> {
    /// Groups by a part of the item, which is borrowed and not copied.
    pub fn group_by<K: Key + ?Sized + 'static>(
        self,
        key: impl Fn(&T) -> &K + 'static,
    ) -> GroupedStage<T, impl KeyOf<T, Key = K>> {
        GroupedStage { stage: self, group: Borrowed(key, PhantomData) }
    }

    /// Groups by a key made from the item.
    pub fn group_by_key<K: Key + 'static>(
        self,
        key: impl Fn(&T) -> K + 'static,
    ) -> GroupedStage<T, impl KeyOf<T, Key = K>> {
        GroupedStage { stage: self, group: Computed::new(key) }
    }

    /// Windows over all items alike.
    pub fn window(self, window: impl IntoWindow) -> WindowStage<T, impl KeyOf<T, Key = ()>> {
        WindowStage { stage: self, group: Unkeyed, window: window.into_window(), name: None }
    }
}

impl<T: 'static, G> GroupedStage<T, G> {
    /// Windows for each key.
    pub fn window(self, window: impl IntoWindow) -> WindowStage<T, G> {
        WindowStage { stage: self.stage, group: self.group, window: window.into_window(), name: None }
    }
}

impl<T, G> WindowStage<T, G> {
    /// Names this stateful stage; by default it is `window-N`, N being its place.
    pub fn named(mut self, name: &str) -> WindowStage<T, G> {
        self.name = Some(name.to_owned());
        self
    }
}

impl<T: 'static, G: KeyOf<T>> WindowStage<T, G> {
    /// Aggregates each window. A result's event time is the last moment of its window, so that stages and windows
    /// behind it work as behind a source.
    pub fn aggregate<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> Stage<WindowResult<A::Output, <G::Key as Key>::Owned>, Timed> {
        let WindowStage { stage, group, window, name } = self;
        let Stage { graph, upstream, drain, build, .. } = stage;
        let drain = window.as_ref().map_or(drain, |spec| longer(drain, spec.size()));
        let operator = {
            let mut building = graph.borrow_mut();
            let operator = u16::try_from(building.windows).expect("fewer than 65 536 windows in one pipeline");
            building.windows += 1;
            building.grouped |= G::HAS_GROUPS;
            building.owners.push(None);
            building.folds.push(Rc::default());
            building.upstreams.push(upstream);
            let name = name.unwrap_or_else(|| format!("window-{}", operator + 1));
            let line = match &window {
                Ok(spec) => format!("{name}: {}, aggregate {}", in_words(spec), std::any::type_name::<A>()),
                Err(error) => format!("{name}: {error}"),
            };
            building.plan.push(line);
            if let Some(error) = refused(&window, &name, &building.names) {
                building.errors.push(error);
            }
            let spec = window.as_ref().ok().copied();
            building.specs.push(spec);
            building.names.push(name);
            building.size_max = building.size_max.max(spec.map_or(TimeSpan::ZERO, |spec| spec.size()));
            operator
        };
        let build: Build<WindowResult<A::Output, <G::Key as Key>::Owned>> = Box::new(move |shared, next| {
            let Ok(spec) = window else { return };
            let head = {
                let mut graph = shared.borrow_mut();
                let share = graph.folds[usize::from(operator)].clone();
                let Place::Worker(place) = &graph.place else {
                    return;
                };
                let (seed, owner_count) = (place.seed.clone(), place.owners.len());
                let owners = u16::try_from(owner_count).expect("fewer owners than 65 536");
                let aggregate = Rc::new(aggregate);
                let holds = match upstream {
                    Upstream::Source(source) => place.listings[source].holds.clone(),
                    Upstream::Window(operator) => part_holds(operator, owner_count),
                };
                let partial_before = graph.partial_before(operator, &place.listings);
                let mut way = None;
                if let Some(owner) = place.owners.iter().position(|worker| *worker == place.worker) {
                    let worker_count = place.worker_count;
                    let settings = OwnerSettings { operator, owner, spec, worker_count, holds };
                    let engine = Rc::new(RefCell::new(Owner::new(spec, partial_before)));
                    if worker_count == 1 {
                        way = Some(Way::Direct(engine.clone(), seed.clone()));
                    }
                    let half = OwnerHalf::<T, G::Key, A>::new(settings, engine, aggregate.clone(), next);
                    graph.owners[usize::from(operator)] = Some(Box::new(half));
                }
                let way = way.unwrap_or_else(|| Way::Deltas(Deltas::new(Fold::new(spec, seed, owners), share)));
                FoldHalf::new(OperatorIndex(operator), way, group, aggregate)
            };
            build(shared, Box::new(head));
        });
        Stage { graph, upstream: Upstream::Window(operator), drain, build, mode: PhantomData }
    }
}

/// Why a window cannot be run, if it cannot.
fn refused(window: &Result<WindowSpec, SpecError>, name: &str, names: &[String]) -> Option<JobError> {
    if names.iter().any(|other| other == name) {
        let message = format!("two windows of the pipeline are called {name}");
        return Some(JobError::settings(message).with_remedy("name them apart: what they hold is kept by name"));
    }
    match window {
        Err(error) => Some(JobError::settings(error.to_string()).at(name)),
        Ok(spec) if spec.lateness() > TimeSpan::ZERO => {
            let lateness_ms = spec.lateness().as_millis();
            let message = format!("a window with an allowed lateness, here {lateness_ms} ms, is not supported yet");
            Some(JobError::settings(message).at(name).with_remedy("raise the source's allowed lag instead"))
        }
        Ok(_) => None,
    }
}

/// Saturates.
fn longer(span: TimeSpan, by: TimeSpan) -> TimeSpan {
    TimeSpan::from_millis(span.as_millis().saturating_add(by.as_millis()))
}

fn in_words(spec: &WindowSpec) -> String {
    let (size, slide) = (spec.size(), spec.slide());
    format!("window of {} ms by {} ms, offset {} ms", size.as_millis(), slide.as_millis(), spec.offset().as_millis())
}

/// A sink, to be asked before the start.
struct Preparation<S, T>(S, PhantomData<fn(T)>);

impl<T, S: Sink<T>> Prepare for Preparation<S, T> {
    fn prepare(&self) -> LocalFuture<'_, Result<(), JobError>> {
        self.0.prepare()
    }
}

/// One worker's writer: as the last operator of a branch, and as what is flushed at the end.
struct SharedWriter<T>(Rc<RefCell<Box<dyn SinkWriter<T>>>>, Rc<SinkCounters>);

impl<T: 'static> Operator<T> for SharedWriter<T> {
    fn ready(&self) -> bool {
        self.0.borrow().ready()
    }

    fn on_batch(&mut self, batch: &mut Batch<T>, _cx: &mut OperatorContext<'_>) {
        self.1.taken.set(self.1.taken.get() + batch.items.len() as u64);
        self.0.borrow_mut().write(&mut batch.items);
        batch.clear();
    }

    fn on_progress(&mut self, _progress: &Progress, _cx: &mut OperatorContext<'_>) {}
}

impl<T> Flush for SharedWriter<T> {
    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        self.0.borrow_mut().flush()
    }
}
