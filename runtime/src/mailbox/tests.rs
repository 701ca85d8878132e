use super::*;
use crate::facade;

#[test]
fn full_and_closed_give_the_message_back() {
    let (sender, receiver) = mailbox(1);
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(sender.try_send(2), Err(SendError::Full(2)));
    assert_eq!(receiver.try_recv(), Some(1));
    drop(receiver);
    assert_eq!(sender.try_send(3), Err(SendError::Closed(3)));
    assert!(sender.is_closed());
}

#[test]
fn receiver_gets_what_is_left_and_then_learns_that_all_senders_are_gone() {
    facade::run_here(async {
        let (sender, receiver) = mailbox(4);
        let other = sender.clone();
        sender.try_send(1).expect("there is room");
        drop(sender);
        other.try_send(2).expect("there is room");
        drop(other);
        assert_eq!(receiver.recv().await, Some(1));
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(receiver.recv().await, None);
    })
    .expect("an executor starts here");
}

#[test]
fn task_waits_for_room_and_a_plain_thread_drains() {
    let (sender, receiver) = mailbox(1);
    let thread = std::thread::spawn(move || {
        let mut seen = Vec::new();
        while let Some(message) = receiver.recv_blocking() {
            seen.push(message);
        }
        seen
    });
    facade::run_here(async move {
        for i in 0..500 {
            sender.send(i).await.expect("the receiver lives");
        }
    })
    .expect("an executor starts here");
    assert_eq!(thread.join().expect("no panic"), (0..500).collect::<Vec<_>>());
}

#[test]
fn plain_thread_waits_for_room_and_a_task_drains() {
    let (sender, receiver) = mailbox(1);
    let thread = std::thread::spawn(move || (0..500).try_for_each(|i| sender.send_blocking(i)));
    let seen = facade::run_here(async move {
        let mut seen = Vec::new();
        while let Some(message) = receiver.recv().await {
            seen.push(message);
        }
        seen
    })
    .expect("an executor starts here");
    assert_eq!(thread.join().expect("no panic"), Ok(()));
    assert_eq!(seen, (0..500).collect::<Vec<_>>());
}

#[test]
fn every_waiting_task_gets_its_turn_though_one_was_cancelled() {
    facade::run_here(async {
        let (sender, receiver) = mailbox(1);
        sender.try_send(0).expect("there is room");
        let spawn_send = |i| {
            let sender = sender.clone();
            facade::spawn(async move { sender.send(i).await })
        };
        let cancelled = spawn_send(1);
        let waiting = spawn_send(2);
        facade::yield_now().await;
        let _ = cancelled.cancel().await;
        assert_eq!(receiver.recv().await, Some(0));
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(waiting.await, Ok(()));
    })
    .expect("an executor starts here");
}

#[test]
fn waiting_sender_learns_that_the_receiver_is_gone() {
    facade::run_here(async {
        let (sender, receiver) = mailbox(1);
        sender.try_send(0).expect("there is room");
        let waiting = facade::spawn(async move { sender.send(1).await });
        facade::yield_now().await;
        drop(receiver);
        assert_eq!(waiting.await, Err(SendError::Closed(1)));
    })
    .expect("an executor starts here");
}

#[test]
fn timed_receive_tells_late_from_closed() {
    let (sender, receiver) = mailbox::<u8>(1);
    assert_eq!(receiver.recv_timeout(Duration::from_millis(5)), Received::TimedOut);
    drop(sender);
    assert_eq!(receiver.recv_timeout(Duration::from_secs(5)), Received::Closed);
}
