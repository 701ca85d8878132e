//! What a record costs the local endpoint's process when it is read over HTTP: CPU time of the server alone, its
//! client's not in it. Does one core of it serve 3 M records of 100 bytes a second (10,000 a call, keep-alive)?
//!
//! Each server is a process of its own, pinned to one core; the client, pinned to another, asks for the same page again
//! and again and looks at no byte of it but the head.
//!
//! * `json`, `cbor`: the endpoint, GetRecords from the beginning of a shard.
//! * `plain`: a thread that writes as many bytes of a body made beforehand, whole, and does nothing else: a floor.
//! * `copy`: these bytes copied in memory.
//!
//! CPU time is the sum over the process's threads of what the scheduler has given them (`/proc/PID/task/*/schedstat`).
//! Plain `cargo bench --bench serve`; rounds are interleaved, so that what else the machine does meets all alike.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use weir_bench::is_smoke;
use weir_kinesis::local::model::{IteratorPosition, PutEntry};
use weir_kinesis::local::{LocalEndpoint, LocalSettings};
use weir_runtime::facade::{ExecutorSettings, start_executor, wall_clock_ms};

const ROLE: &str = "WEIR_BENCH_ROLE";
const DATA_BYTES: usize = 100;
/// Records in one PutRecords call, as many as the service takes.
const CALL_RECORDS: usize = 500;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(1);
const SHARD: &str = "shardId-000000000000";
/// What a client may read at once; a page is many of it.
const READ_BYTES: usize = 256 << 10;

fn records() -> usize {
    if is_smoke() { CALL_RECORDS } else { 10_000 }
}

/// The core for servers and the one for the client; the same if there is but one.
fn cores() -> [usize; 2] {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = |index: usize| cores.get(index).or(cores.first()).map_or(0, |core| core.id);
    [core(0), core(1)]
}

// The servers: they say where they are and what to ask for, in one line each, and end when their input does.

fn be_endpoint() {
    let (ready, told) = mpsc::channel();
    let executor = ExecutorSettings { name: "serve".to_owned(), core: Some(cores()[0]) };
    let _executor = start_executor(executor, move || async move {
        let endpoint = LocalEndpoint::start("127.0.0.1:0", LocalSettings::default()).await.expect("a free port");
        endpoint.create_stream("s", 1).expect("none is there yet");
        let mut random = fastrand::Rng::with_seed(weir_bench::SEED);
        let now_ms = wall_clock_ms();
        for _ in 0..records() / CALL_RECORDS {
            let keys: Vec<_> = (0..CALL_RECORDS).map(|_| format!("{:016x}", random.u64(..))).collect();
            let mut entry = |key| {
                let mut data = [0; DATA_BYTES];
                random.fill(&mut data);
                PutEntry { partition_key: key, explicit_hash_key: None, data: data.to_vec().into() }
            };
            let entries = keys.iter().map(|key| entry(key)).collect();
            let put = endpoint.with_model(|model| model.put_records(now_ms, "s", entries));
            assert!(put.expect("a good call").iter().all(Result::is_ok), "no limits are kept");
        }
        let iterator = endpoint
            .with_model(|model| model.get_shard_iterator(now_ms, "s", SHARD, IteratorPosition::TrimHorizon))
            .expect("the shard is there");
        ready.send((endpoint.address(), iterator)).expect("somebody waits");
        std::future::pending::<()>().await;
    })
    .expect("an executor starts here");
    let (address, iterator) = told.recv().expect("the endpoint starts");
    println!("{address} {iterator}");
    wait_for_end_of_input();
}

fn be_plain(body_bytes: usize) {
    let _ = core_affinity::set_for_current(core_affinity::CoreId { id: cores()[0] });
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let _serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        socket.set_nodelay(true).expect("a socket");
        let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {body_bytes}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + body_bytes, b'x');
        let mut asked = [0; 4_096];
        // A request comes in one piece: it is written in one, and loopback does not divide so little.
        while socket.read(&mut asked).is_ok_and(|bytes| bytes > 0) {
            socket.write_all(&answer).expect("the client reads");
        }
    });
    println!("{address} -");
    wait_for_end_of_input();
}

fn wait_for_end_of_input() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    // Its executor has no end of its own.
    std::process::exit(0);
}

struct Server {
    process: Child,
    address: SocketAddr,
    iterator: String,
}

impl Server {
    fn start(role: &str) -> Server {
        let program = std::env::current_exe().expect("this is a program");
        let mut process = Command::new(program)
            .args(std::env::args().skip(1))
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started again");
        let mut line = String::new();
        let output = process.stdout.take().expect("piped");
        let _ = BufReader::new(output).read_line(&mut line).expect("it speaks");
        let (address, iterator) = line.trim().split_once(' ').expect("an address and an iterator");
        Server { address: address.parse().expect("an address"), iterator: iterator.to_owned(), process }
    }

    /// CPU time of all its threads so far.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("it lives");
        let spent = tasks.filter_map(|task| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(spent.sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// One connection that asks for one page.
struct Client {
    socket: TcpStream,
    request: Vec<u8>,
    room: Vec<u8>,
}

impl Client {
    fn connect(server: &Server, encoding: &str) -> Client {
        let socket = TcpStream::connect(server.address).expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        let body = match encoding {
            "cbor" => {
                let length = u16::try_from(server.iterator.len()).expect("at most 512").to_be_bytes();
                [&b"\xa1\x6dShardIterator\x79"[..], &length, server.iterator.as_bytes()].concat()
            }
            _ => format!(r#"{{"ShardIterator":"{}"}}"#, server.iterator).into_bytes(),
        };
        let mut request = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-amz-{encoding}-1.1\r\n\
             x-amz-target: Kinesis_20131202.GetRecords\r\nauthorization: AWS4-HMAC-SHA256 Credential=x\r\n\
             content-length: {}\r\n\r\n",
            server.address,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        Client { socket, request, room: vec![0; READ_BYTES] }
    }

    /// Asks, and reads the answer to its end; gives the bytes of its body, and those themselves if wanted.
    fn page(&mut self, mut keep: Option<&mut Vec<u8>>) -> usize {
        self.socket.write_all(&self.request).expect("it reads");
        let (mut have, mut body) = (0, None);
        loop {
            let read = self.socket.read(&mut self.room[if body.is_none() { have } else { 0 }..]).expect("it answers");
            assert!(read > 0, "the answer is whole");
            have += read;
            if body.is_none() {
                let Some(end) = self.room[..have].windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let head = String::from_utf8_lossy(&self.room[..end]).to_ascii_lowercase();
                assert!(head.starts_with("http/1.1 200"), "{head}");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.expect("its length is said").trim().parse().expect("a number");
                body = Some((length, end + 4));
                keep.iter_mut().for_each(|kept| kept.extend_from_slice(&self.room[end + 4..have]));
            } else if let Some(kept) = &mut keep {
                kept.extend_from_slice(&self.room[..read]);
            }
            match body {
                Some((length, head)) if have == head + length => return length,
                Some((length, head)) => assert!(have < head + length, "no more than was said"),
                None => unreachable!("set above"),
            }
        }
    }
}

/// What one round of one server came to.
struct Measured {
    cpu_ns: f64,
    wall_ns: f64,
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn round(server: &Server, client: &mut Client) -> Measured {
    let (cpu, began) = (server.cpu(), Instant::now());
    let mut pages = 0;
    while pages == 0 || (began.elapsed() < ROUND && !is_smoke()) {
        let _ = black_box(client.page(None));
        pages += 1;
    }
    let (wall, cpu) = (began.elapsed(), server.cpu().saturating_sub(cpu));
    let per_record = |time: Duration| time.as_nanos() as f64 / (pages * records()) as f64;
    Measured { cpu_ns: per_record(cpu), wall_ns: per_record(wall) }
}

/// Least, median and most.
fn spread(mut of: Vec<f64>) -> [f64; 3] {
    of.sort_by(f64::total_cmp);
    [of[0], of[of.len() / 2], of[of.len() - 1]]
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn copy_ns(bytes: usize) -> f64 {
    let (from, rounds) = (vec![1_u8; bytes], if is_smoke() { 1 } else { 500 });
    let mut to = vec![0_u8; bytes];
    let began = Instant::now();
    for _ in 0..rounds {
        to.copy_from_slice(black_box(&from));
        let _ = black_box(&mut to);
    }
    began.elapsed().as_nanos() as f64 / (rounds * records()) as f64
}

fn main() {
    match std::env::var(ROLE).as_deref() {
        Ok("endpoint") => return be_endpoint(),
        Ok(plain) => return be_plain(plain.parse().expect("bytes of a body")),
        Err(_) => (),
    }
    let _ = core_affinity::set_for_current(core_affinity::CoreId { id: cores()[1] });
    let endpoint = Server::start("endpoint");
    let mut runs = Vec::new();
    for encoding in ["json", "cbor"] {
        let mut client = Client::connect(&endpoint, encoding);
        let mut page = Vec::new();
        let bytes = client.page(Some(&mut page));
        let name = b"ApproximateArrivalTimestamp";
        let found = page.windows(name.len()).filter(|window| window == name).count();
        assert_eq!((found, page.len()), (records(), bytes), "all records are in the page");
        let plain = Server::start(&bytes.to_string());
        let plain_client = Client::connect(&plain, "json");
        runs.push((encoding, bytes, client, plain, plain_client, Vec::new(), Vec::new()));
    }
    for _ in 0..if is_smoke() { 1 } else { ROUNDS } {
        for (_, _, client, plain, plain_client, measured, floor) in &mut runs {
            measured.push(round(&endpoint, client));
            floor.push(round(plain, plain_client));
        }
    }
    println!("per record of {DATA_BYTES} bytes, least / median / most of the rounds; server's CPU ns, and wall clock");
    for (encoding, bytes, _, _, _, measured, floor) in &runs {
        let copy = copy_ns(*bytes);
        println!("{encoding}: {} bytes a record on the wire, copied in {copy:.1} ns", bytes / records());
        for (name, of) in [(*encoding, measured), ("plain", floor)] {
            let [least, cpu, most] = spread(of.iter().map(|round| round.cpu_ns).collect());
            let [best, wall, worst] = spread(of.iter().map(|round| round.wall_ns).collect());
            println!(
                "  {name:5}  cpu {least:6.1} / {cpu:6.1} / {most:6.1} ns   wall {best:6.1} / {wall:6.1} / {worst:6.1} ns  \
                 = {:5.2} M records/s, {:5.2} M for each second of its core",
                1_000.0 / wall,
                1_000.0 / cpu
            );
        }
    }
}
