//! The endpoint on a socket: model and front behind the runtime's HTTP server. Decides nothing but what time it is.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::{Request, Response};

use weir_runtime::facade::{self, EnvironmentError, ExecutorHandle, ExecutorSettings, PanicMessage, Task};
use weir_runtime::io::http::server::{
    self, Answers, BindError, CutAfter, Listener, Pieces, Reset, ServerSettings, Unread,
};
use weir_runtime::io::tls::ServerIdentity;
use weir_runtime::signal::{self, Notifier, signal};

use super::admin::{self, Clock};
use super::certificate::Certificate;
use super::data::{Chore, Data, DataError};
use super::faults::Fault;
use super::front::{self, Disturbance, Front, Keys};
use super::model::{CreateStreamRequest, Model, ModelError, ModelSettings};

/// Room for 10 MiB of data in base64 and for what is too much of it, so that the service's own words refuse that.
const BODY_BYTES_MAX: u64 = 24 << 20;

/// What an endpoint is like.
#[derive(Clone, Debug, Default)]
pub struct LocalSettings {
    /// The service's part.
    pub model: ModelSettings,
    /// Whose signatures are taken. `None`: anybody's, and none is judged.
    pub keys: Option<Keys>,
    /// TLS with this certificate on every connection. `None`: none has it.
    pub certificate: Option<Certificate>,
    /// What goes wrong on purpose, from the start.
    pub faults: Vec<Fault>,
    /// Where its streams and records are kept, to be there again when another endpoint is started with this directory,
    /// even if this one's process was killed. `None`: in memory alone.
    pub data: Option<PathBuf>,
}

/// Why an endpoint did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine does not allow an executor.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The address cannot be listened at.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What it keeps cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Model and front, shared by the server's task and whoever asks from outside. The lock is held for one answer.
#[derive(Clone)]
struct Service {
    answering: Arc<Mutex<Answering>>,
    tls: Option<ServerIdentity>,
}

struct Answering {
    model: Model,
    front: Front,
    clock: Clock,
    data: Option<Data>,
    /// Has it been said that records went to keep within memory?
    trimming_said: bool,
}

impl Answering {
    fn now_ms(&self) -> i64 {
        self.clock.now_ms(facade::wall_clock_ms())
    }

    fn answer(&mut self, request: Request<Bytes>) -> Response<Pieces> {
        let faults = self.front.faults_mut();
        if let Some(answer) = admin::answer(faults, &mut self.clock, facade::wall_clock_ms(), &request) {
            return answer.map(Pieces::from);
        }
        let now_ms = self.now_ms();
        let content_type = front::content_type(&request).to_owned();
        // What an earlier request changed comes first, or an answer could tell of what is lost.
        if !self.written(Data::write) {
            return self.front.failure(now_ms, &content_type);
        }
        let answer = self.front.answer(&mut self.model, now_ms, request);
        if !self.keep() {
            return self.front.failure(now_ms, &content_type);
        }
        if !self.trimming_said && self.model.trimmed_for_memory() > 0 {
            self.trimming_said = true;
            let bytes_max = self.model.settings().memory_bytes_max.unwrap_or(u64::MAX);
            tracing::warn!(
                "the local endpoint holds {bytes_max} bytes of records, its bound: the oldest go from now on"
            );
        }
        answer
    }
}

impl Answering {
    /// Is all that has changed in the model on its way to the disk?
    fn keep(&mut self) -> bool {
        let Answering { model, data, .. } = self;
        say(data.as_mut().map_or(Ok(()), |data| data.keep(model)))
    }

    /// Is all on its way there that was not before?
    fn written(&mut self, write: fn(&mut Data) -> Result<(), DataError>) -> bool {
        say(self.data.as_mut().map_or(Ok(()), write))
    }
}

/// Whether it was done; says why not.
fn say(done: Result<(), DataError>) -> bool {
    done.inspect_err(|error| tracing::warn!("{error}; calls are refused until it can")).is_ok()
}

impl Service {
    /// Waits for the disk if it is to keep data.
    fn new(mut settings: LocalSettings) -> Result<Service, DataError> {
        let tls = settings.certificate.map(|certificate| certificate.identity);
        let seed = *settings.model.seed.get_or_insert_with(|| fastrand::u64(..));
        let mut front = Front::new(seed).with_keys(settings.keys);
        settings.faults.into_iter().for_each(|fault| front.faults_mut().add(fault));
        let (data, model) = match settings.data {
            None => (None, Model::new(settings.model)),
            Some(dir) => {
                let (data, model) = Data::open(&dir, settings.model)?;
                (Some(data), model)
            }
        };
        let clock = Clock::not_behind(model.reached_ms(), facade::wall_clock_ms());
        if clock.offset_ms() > 0 {
            tracing::warn!(
                "the data are of a time ahead of this machine's: the endpoint's clock stays {} ms ahead",
                clock.offset_ms()
            );
        }
        let answering = Answering { model, front, clock, data, trimming_said: false };
        Ok(Service { answering: Arc::new(Mutex::new(answering)), tls })
    }

    fn lock(&self) -> MutexGuard<'_, Answering> {
        self.answering.lock().expect("a panic under this lock has ended the endpoint")
    }

    /// Has a file of the data written anew where waiting harms nobody.
    async fn tidy(self, chore: Chore) {
        let done = facade::spawn_blocking(move || chore.run()).await;
        let Answering { data, model, .. } = &mut *self.lock();
        if let Some(data) = data {
            data.on_chore_done(done, model);
        }
    }

    async fn serve(self, listener: Listener, mut stop: signal::Listener) {
        let tls = self.tls.clone();
        let settings = ServerSettings { body_bytes_max: BODY_BYTES_MAX, tls, ..ServerSettings::default() };
        server::serve(listener, settings, Rc::new(self), async move { stop.wait().await }).await;
    }

    /// With TLS an address that stands for all of this machine's is given as one that the certificate has.
    fn url(&self, address: SocketAddr) -> String {
        match &self.tls {
            None => format!("http://{address}"),
            Some(_) if address.ip().is_unspecified() => format!("https://localhost:{}", address.port()),
            Some(_) => format!("https://{address}"),
        }
    }

    fn create_stream(&self, name: &str, shards: u32) -> Result<(), ModelError> {
        let mut answering = self.lock();
        let now_ms = answering.now_ms();
        answering.model.create_stream(now_ms, CreateStreamRequest::provisioned(name, shards))?;
        answering.model.activate(name);
        answering.keep();
        Ok(())
    }
}

impl Answers for Service {
    fn answer(&self, request: Request<Bytes>) -> LocalBoxFuture<'static, Response<Pieces>> {
        let mut answering = self.lock();
        let response = answering.answer(request);
        let chore = answering.data.as_mut().and_then(Data::take_chore);
        drop(answering);
        chore.into_iter().for_each(|chore| facade::spawn(self.clone().tidy(chore)).detach());
        match response.extensions().get::<Disturbance>() {
            None => Box::pin(std::future::ready(response)),
            Some(disturbance) => Box::pin(disturbed(*disturbance, response)),
        }
    }

    fn refuse(&self, request: Request<Unread>) -> Response<Pieces> {
        let mut answering = self.lock();
        let now_ms = answering.now_ms();
        answering.front.refuse(now_ms, &request)
    }
}

/// A look, or a change, and then what was changed is kept.
fn look_and_keep<T>(service: &Service, look: impl FnOnce(&mut Model) -> T) -> T {
    let mut answering = service.lock();
    let seen = look(&mut answering.model);
    answering.keep();
    seen
}

/// Does to an answer what a fault asks for.
async fn disturbed(disturbance: Disturbance, mut response: Response<Pieces>) -> Response<Pieces> {
    if disturbance.delay_ms > 0 {
        facade::sleep(Duration::from_millis(disturbance.delay_ms)).await;
    }
    if disturbance.reset {
        response.extensions_mut().insert(Reset);
    }
    if disturbance.cut {
        let half = response.body().len() / 2;
        response.extensions_mut().insert(CutAfter(half));
    }
    response
}

/// A local Kinesis on the executor that started it. Dropping it closes it at once.
pub struct LocalEndpoint {
    address: SocketAddr,
    service: Service,
    stop: Notifier,
    serving: Task<()>,
}

impl LocalEndpoint {
    /// Listens at `HOST:PORT`, port 0 being any free one, and serves on this executor.
    ///
    /// # Errors
    /// When the address cannot be listened at, or the data cannot be used.
    pub async fn start(address: &str, settings: LocalSettings) -> Result<LocalEndpoint, StartError> {
        let listener = server::bind(address).await?;
        let address = listener.local_addr();
        let service = facade::spawn_blocking(move || Service::new(settings)).await?;
        let (stop, stopping) = signal();
        let serving = facade::spawn(service.clone().serve(listener, stopping));
        Ok(LocalEndpoint { address, service, stop, serving })
    }

    /// Serves on an unpinned executor of its own, for callers that are on none or that have better to do.
    ///
    /// # Errors
    /// When no executor can run here, the address cannot be listened at, or the data cannot be used.
    pub fn spawn_thread(address: &str, settings: LocalSettings) -> Result<LocalThread, StartError> {
        let service = Service::new(settings)?;
        let (stop, stopping) = signal();
        let (bound, outcome) = mpsc::sync_channel(1);
        let (address, serving) = (address.to_owned(), service.clone());
        let executor = ExecutorSettings { name: "local-kinesis".to_owned(), core: None };
        let executor = facade::start_executor(executor, move || async move {
            match server::bind(&address).await {
                Ok(listener) => {
                    let _ = bound.send(Ok(listener.local_addr()));
                    serving.serve(listener, stopping).await;
                }
                Err(error) => drop(bound.send(Err(error))),
            }
        })?;
        let address = outcome.recv().expect("the executor runs, and binding gives an outcome")?;
        Ok(LocalThread { address, service, stop, executor: Some(executor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as an endpoint URL.
    pub fn url(&self) -> String {
        self.service.url(self.address)
    }

    /// Makes a stream that is ACTIVE at once.
    ///
    /// # Errors
    /// As CreateStream.
    pub fn create_stream(&self, name: &str, shards: u32) -> Result<(), ModelError> {
        self.service.create_stream(name, shards)
    }

    /// Records a stream has ever taken, 0 if there is none.
    pub fn record_count(&self, stream: &str) -> u64 {
        self.service.lock().model.record_count(stream)
    }

    /// Looks at the model, or changes it, between two requests.
    pub fn with_model<T>(&self, look: impl FnOnce(&mut Model) -> T) -> T {
        look_and_keep(&self.service, look)
    }

    /// Finishes the answers under way, for a second at most, and closes.
    pub async fn stop(self) {
        self.stop.notify();
        self.serving.await;
    }
}

impl fmt::Debug for LocalEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalEndpoint").field(&self.address).finish()
    }
}

/// A local Kinesis on a thread of its own, usable from every thread. Dropping it makes it close soon.
pub struct LocalThread {
    address: SocketAddr,
    service: Service,
    stop: Notifier,
    executor: Option<ExecutorHandle>,
}

impl LocalThread {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as an endpoint URL.
    pub fn url(&self) -> String {
        self.service.url(self.address)
    }

    /// Makes a stream that is ACTIVE at once.
    ///
    /// # Errors
    /// As CreateStream.
    pub fn create_stream(&self, name: &str, shards: u32) -> Result<(), ModelError> {
        self.service.create_stream(name, shards)
    }

    /// Records a stream has ever taken, 0 if there is none.
    pub fn record_count(&self, stream: &str) -> u64 {
        self.service.lock().model.record_count(stream)
    }

    /// Looks at the model, or changes it, between two requests.
    pub fn with_model<T>(&self, look: impl FnOnce(&mut Model) -> T) -> T {
        look_and_keep(&self.service, look)
    }

    /// Finishes the answers under way, closes, and waits, blocking, for the thread to end.
    ///
    /// # Errors
    /// If the endpoint had panicked.
    pub fn stop(mut self) -> Result<(), PanicMessage> {
        self.stop.notify();
        self.executor.take().map_or(Ok(()), ExecutorHandle::join)
    }
}

impl Drop for LocalThread {
    fn drop(&mut self) {
        self.stop.notify();
    }
}

impl fmt::Debug for LocalThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalThread").field(&self.address).finish()
    }
}
