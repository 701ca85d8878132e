//! What is done about each error of each call, on the wire and in words: the table of `protocol::errors`, through the real
//! control, reader and writer, over HTTP to a service that refuses on purpose.
//!
//! A row is an error of a call and what must follow: how often and how far apart it is tried again, whether the iterator
//! is kept, what is said, whether the job fails and in which words, what the ledger has. All rows of a test play at once,
//! since most of their time is waiting. Waits of 30 s are not waited for: it is seen that they are announced and that
//! nothing comes sooner. What is not here: the time-out of an answer's head, which takes 10 s (`runtime`, client tests),
//! and what belongs to fan-out, which there is none of yet.

mod heard;
mod reading;
mod row;
#[path = "../../../runtime/src/io/http/scripted.rs"]
#[expect(dead_code, reason = "shared with the tests of the HTTP client, which use all of it")]
mod scripted;
mod service;
mod starting;
mod writing;
