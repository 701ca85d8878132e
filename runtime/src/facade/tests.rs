use super::*;
use std::cell::Cell;
use std::rc::Rc;

#[test]
fn executor_runs_its_future_pinned_to_the_core_asked_for() {
    let core = crate::placement::Cores::available().expect("the kernel says").ids()[0];
    let (sender, receiver) = mpsc::channel();
    let settings = ExecutorSettings { name: "pinned".into(), core: Some(core) };
    let handle = start_executor(settings, move || async move {
        let name = std::thread::current().name().map(str::to_owned);
        let pinned = core_affinity::get_core_ids().map(|ids| ids.into_iter().map(|id| id.id).collect::<Vec<_>>());
        // Blocking work may run anywhere.
        let free = spawn_blocking(|| core_affinity::get_core_ids().map(|ids| ids.len())).await;
        sender.send((name, pinned, free)).expect("the test waits");
    })
    .expect("an executor starts");
    handle.join().expect("no panic");
    let (name, pinned, free) = receiver.recv().expect("sent before it ended");
    assert_eq!(name.as_deref(), Some("pinned"));
    assert_eq!(pinned, Some(vec![core]));
    let allowed = crate::placement::Cores::available().expect("the kernel says").count();
    assert_eq!(free, Some(allowed), "blocking work was pinned too");
}

#[test]
fn panic_in_a_task_is_reported_by_a_join_that_waits() {
    let settings = ExecutorSettings { name: "doomed".into(), core: None };
    let (sender, receiver) = mpsc::channel::<Arc<AtomicBool>>();
    let handle = start_executor(settings, move || async move {
        let joined = receiver.recv().expect("the test sends it");
        while !joined.load(Ordering::SeqCst) {
            yield_now().await;
        }
        spawn(async { panic!("planted {}", 7) }).await;
    })
    .expect("an executor starts");
    sender.send(Arc::clone(&handle.joined)).expect("the executor waits");
    let panic = handle.join().expect_err("it panicked");
    assert_eq!(panic.to_string(), "executor doomed panicked: planted 7");
}

/// Runs a test of this file alone in a process of its own, which knows by `is_alone` that it is one.
fn run_alone(name: &str) -> std::process::Output {
    std::process::Command::new(std::env::current_exe().expect("a test has a path"))
        .args(["--exact", &format!("facade::tests::{name}"), "--nocapture"])
        .env("WEIR_TEST_ALONE", "1")
        .output()
        .expect("it starts")
}

fn is_alone() -> bool {
    std::env::var_os("WEIR_TEST_ALONE").is_some()
}

#[test]
fn panic_in_any_task_stops_the_process_though_the_first_sleeps() {
    if !is_alone() {
        let output = run_alone("panic_in_any_task_stops_the_process_though_the_first_sleeps");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("planted"), "{said}");
        return;
    }
    let settings = ExecutorSettings { name: "doomed".into(), core: None };
    let _handle = start_executor(settings, || async {
        spawn(async {
            yield_now().await;
            panic!("planted");
        })
        .detach();
        sleep(Duration::from_secs(3_600)).await;
    })
    .expect("an executor starts");
    // Longer than it takes; without the guard the process ends here, with another code.
    std::thread::sleep(Duration::from_secs(5));
    std::process::exit(0);
}

#[test]
fn core_that_is_not_there_is_refused_in_words() {
    let settings = ExecutorSettings { name: "nowhere".into(), core: Some(100_000) };
    let error = start_executor(settings, || async {}).expect_err("there is no such core");
    assert_eq!(error.message, "core 100000 may not be used by this process");
}

/// The kernel's registration is paid for once a process, so each try is one of its own; the least of some, since the
/// machine may be busy.
#[test]
fn first_timer_seen_by_users_is_not_late() {
    const INNER: &str = "WEIR_TEST_FIRST_TIMER";
    const NAME: &str = "facade::tests::first_timer_seen_by_users_is_not_late";
    if std::env::var_os(INNER).is_some() {
        let late = run_here(async {
            let start = now();
            sleep(Duration::from_millis(1)).await;
            start.elapsed()
        })
        .expect("an executor starts here");
        assert!(late < Duration::from_millis(4), "took {late:?}");
        return;
    }
    let in_time = (0..8).any(|_| {
        std::process::Command::new(std::env::current_exe().expect("a test has a path"))
            .args(["--exact", NAME])
            .env(INNER, "1")
            .output()
            .is_ok_and(|output| output.status.success())
    });
    assert!(in_time, "the first timer was late in each of eight processes");
}

#[test]
fn panic_in_blocking_work_reaches_the_caller_and_the_pool_lives_on() {
    run_here(async {
        for _ in 0..5 {
            let caught =
                futures_util::FutureExt::catch_unwind(AssertUnwindSafe(spawn_blocking(|| panic!("planted")))).await;
            assert_eq!(caught.map_err(|panic| panic_text(panic.as_ref())), Err::<(), _>("planted".to_owned()));
        }
        assert_eq!(spawn_blocking(|| 7).await, 7);
    })
    .expect("an executor starts here");
}

#[test]
fn blocking_work_that_has_not_begun_is_withdrawn_with_its_future() {
    run_here(async {
        let (open, gate) = mpsc::channel::<()>();
        let (gate, ran) = (Arc::new(Mutex::new(gate)), Arc::new(AtomicBool::new(false)));
        let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        // All threads are busy.
        let busy: Vec<_> = (0..3)
            .map(|_| {
                let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
                spawn(spawn_blocking(move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    let _ = gate.lock().expect("nobody panics").recv();
                }))
            })
            .collect();
        while begun.load(Ordering::SeqCst) < 3 {
            sleep(Duration::from_millis(1)).await;
        }
        let flag = Arc::clone(&ran);
        let mut waiting = Box::pin(spawn_blocking(move || flag.store(true, Ordering::SeqCst)));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(waiting);
        drop(open);
        for task in busy {
            task.await;
        }
        // Behind it in the queue.
        spawn_blocking(|| ()).await;
        assert!(!ran.load(Ordering::SeqCst), "what nobody waits for was done");
    })
    .expect("an executor starts here");
}

#[test]
fn dropped_task_is_cancelled_and_detached_one_runs_on() {
    run_here(async {
        let count = Rc::new(Cell::new(0));
        let add = |n: i32| {
            let count = Rc::clone(&count);
            spawn(async move {
                yield_now().await;
                count.set(count.get() + n);
            })
        };
        drop(add(1));
        add(10).detach();
        add(100).await;
        assert_eq!(add(1000).cancel().await, None);
        assert_eq!(count.get(), 110);
    })
    .expect("an executor starts here");
}

#[test]
fn executors_have_ids_of_their_own() {
    let one = run_here(async { executor_id() }).expect("an executor starts here");
    let two = run_here(async { executor_id() }).expect("an executor starts here");
    assert_ne!(one, two);
}

/// Runs this very test binary again with little lockable memory, and looks at what it says.
#[test]
fn small_limit_on_locked_memory_is_said_in_words() {
    const INNER: &str = "WEIR_TEST_UNDER_MEMLOCK_LIMIT";
    if std::env::var_os(INNER).is_some() {
        let error = run_here(async {}).expect_err("too little memory may be locked");
        assert_eq!(error.message, "only 256 KiB of memory may be locked, io_uring needs 512 KiB");
        let settings = ExecutorSettings { name: "small".into(), core: None };
        assert_eq!(start_executor(settings, || async {}).map(drop), Err(error));
        return;
    }
    let program = std::env::current_exe().expect("a test has a path");
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -S -l 256 && exec \"$0\" --exact facade::tests::small_limit_on_locked_memory_is_said_in_words --nocapture"])
        .arg(program)
        .env(INNER, "1")
        .output()
        .expect("there is a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the inner test did not run");
}

#[test]
fn executor_that_ends_drops_what_its_detached_tasks_hold() {
    let held = Rc::new(());
    run_here(async {
        // One sleeps, one waits for what never comes, one has ended, one leaves another behind when it is dropped.
        struct Leaves(Rc<()>);
        impl Drop for Leaves {
            fn drop(&mut self) {
                let held = Rc::clone(&self.0);
                spawn(async move {
                    sleep(Duration::from_secs(3_600)).await;
                    drop(held);
                })
                .detach();
            }
        }
        let (leaves, waits, sleeps, ended) =
            (Leaves(Rc::clone(&held)), Rc::clone(&held), Rc::clone(&held), Rc::clone(&held));
        spawn(async move {
            std::future::pending::<()>().await;
            drop(leaves);
        })
        .detach();
        spawn(async move {
            std::future::pending::<()>().await;
            drop(waits);
        })
        .detach();
        spawn(async move {
            sleep(Duration::from_secs(3_600)).await;
            drop(sleeps);
        })
        .detach();
        spawn(async move { drop(ended) }).detach();
        yield_now().await;
        assert_eq!(Rc::strong_count(&held), 4);
    })
    .expect("an executor starts here");
    assert_eq!(Rc::strong_count(&held), 1, "a task outlived its executor");
}

#[test]
fn notes_of_detached_tasks_do_not_pile_up() {
    run_here(async {
        for _ in 0..100_000 {
            spawn(async { yield_now().await }).detach();
            yield_now().await;
        }
        assert!(detached::noted() <= 200, "{} notes", detached::noted());
    })
    .expect("an executor starts here");
}
