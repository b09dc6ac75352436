//! Much work on all cores, what comes of it in the order it was given, and little of it in memory at a time.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::mpsc;
use std::thread;

use crate::cli::mapping::messages::Message;

/// A batch is handed over when it has so many messages, or so many bytes: documents are large.
const BATCH_MESSAGES: usize = 64;
const BATCH_BYTES: usize = 1 << 20;
/// More threads than cores only wait for each other; more than these wait for whoever gives the messages.
const THREADS_MAX: usize = 8;

/// Does `work` on each message that `give` gives, and `take`s what comes of them in the same order.
///
/// A panic is a defect of ours, which spoils its message alone: nothing comes of it.
pub(super) fn in_order<T: Send, E>(
    give: impl FnOnce(&mut dyn FnMut(Message)) -> Result<(), E>,
    work: impl Fn(&Message) -> T + Sync,
    mut take: impl FnMut(&Message, Option<T>) + Send,
) -> Result<(), E> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let work = |message: Message| {
        let done = catch_unwind(AssertUnwindSafe(|| work(&message))).ok();
        (message, done)
    };
    thread::scope(|scope| {
        let work = &work;
        let (mut into, mut out) = (Vec::new(), Vec::new());
        for _ in 0..threads {
            let (sender, batches) = mpsc::sync_channel::<Vec<Message>>(1);
            let (results, receiver) = mpsc::sync_channel::<Vec<(Message, Option<T>)>>(1);
            into.push(sender);
            out.push(receiver);
            scope.spawn(move || {
                for batch in batches {
                    if results.send(batch.into_iter().map(work).collect()).is_err() {
                        break;
                    }
                }
            });
        }
        // Batches go round the threads, and so come back in their order: the first that brings nothing was the last.
        scope.spawn(move || {
            for receiver in out.iter().cycle() {
                let Ok(batch) = receiver.recv() else { break };
                for (message, done) in batch {
                    take(&message, done);
                }
            }
        });
        let mut threads = into.iter().cycle();
        let mut send = |batch: Vec<Message>| {
            // A thread that is gone has panicked, which the end of the scope tells.
            let _told_there = threads.next().map(|it| it.send(batch));
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let given = give(&mut |message| {
            bytes += message.bytes.len();
            batch.push(message);
            if batch.len() == BATCH_MESSAGES || bytes >= BATCH_BYTES {
                send(std::mem::take(&mut batch));
                bytes = 0;
            }
        });
        send(batch);
        given
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_messages_and_a_panic_spoils_one_alone() {
        let give = |each: &mut dyn FnMut(Message)| {
            for number in 0..1_000 {
                each(Message {
                    name: number.to_string(),
                    mapping: "oak".into(),
                    bytes: vec![0; number].into(),
                });
            }
            Ok::<(), ()>(())
        };
        let work = |message: &Message| {
            assert_ne!(message.bytes.len(), 500, "an invented defect");
            message.bytes.len()
        };
        let mut taken = Vec::new();
        in_order(give, work, |message, done| taken.push((message.name.clone(), done))).unwrap();
        let expected = (0..1_000).map(|number| (number.to_string(), (number != 500).then_some(number)));
        assert!(taken.into_iter().eq(expected));
    }

    #[test]
    fn what_was_given_before_a_failure_is_done_and_the_failure_told() {
        let give = |each: &mut dyn FnMut(Message)| {
            each(Message { name: "a".into(), mapping: "oak".into(), bytes: Vec::new().into() });
            Err("gone")
        };
        let mut taken = 0;
        assert_eq!(in_order(give, |_| (), |_, _| taken += 1), Err("gone"));
        assert_eq!(taken, 1);
    }
}
