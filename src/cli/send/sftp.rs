//! One SFTP session with a receiver: a file is put under a passing name and renamed, and its receipt is waited for.
//!
//! A rename makes the file whole under each of the gateway's rules but one; where the feed wants a marker, an empty file
//! of that ending follows. A receipt is known by the digest in its first line, so that one about an earlier file of the
//! same name is never taken for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::cli::send::answer::Answer;
use crate::cli::send::answer::Error;
use crate::cli::send::answer::Told;
use crate::formats::receipt;
use crate::formats::receipt::Outcome;
use crate::outbound::sftp::Entry;
use crate::outbound::sftp::Login;
use crate::outbound::sftp::Server;
use crate::pipeline::sha256_hex;

/// Between looks for a receipt.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A receipt has a line for each message of a file.
const RECEIPT_BYTES_MAX: u64 = 64 << 20;
/// The folder of the receipts, below that of the files.
const RECEIPTS: &str = "receipts";

/// How files are put.
#[derive(Clone)]
pub(crate) struct Manner {
    pub(crate) login: Login,
    /// Empty: where a session begins.
    pub(crate) folder: String,
    /// The ending of the file that says that another is whole.
    pub(crate) marker: Option<String>,
    /// How long to wait for a receipt.
    pub(crate) wait: Duration,
}

pub(crate) struct Connection {
    server: Server,
    manner: Manner,
    /// The number of the last receipt seen, by the file's name.
    numbers: BTreeMap<String, usize>,
}

impl Connection {
    pub(crate) async fn open(manner: &Manner) -> Result<Self, Error> {
        let server = Server::connect(&manner.login).await?;
        Ok(Self { server, manner: manner.clone(), numbers: BTreeMap::new() })
    }

    pub(crate) async fn leave(self) {
        self.server.leave().await;
    }

    /// Puts a file; what its receipt says of each message, by control id. `mark` tells its passing name from others'.
    pub(crate) async fn exchange(
        &mut self,
        file: &Path,
        bytes: &[u8],
        mark: &str,
    ) -> Result<Vec<(String, Answer)>, Error> {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = self.next_number(&name).await?;
        self.put(&name, bytes, mark).await?;
        let (patience, sha256) = (self.manner.wait, sha256_hex(bytes));
        let waiting = timeout(patience, self.receipt(&name, number, &sha256));
        let (number, answers) = waiting.await.unwrap_or(Err(Error::NoReceipt { patience }))?;
        self.numbers.insert(name, number);
        Ok(answers)
    }

    /// The number of the receipt to come: the first that is free. The oldest receipts go first, so while the first is
    /// there, all we saw are.
    async fn next_number(&self, name: &str) -> Result<usize, Error> {
        let mut number = 1;
        while self.server.look_up(&self.receipt_path(name, number)).await?.is_some() {
            let seen = if number == 1 { self.numbers.get(name) } else { None };
            number = seen.copied().unwrap_or(number) + 1;
        }
        Ok(number)
    }

    async fn put(&self, name: &str, bytes: &[u8], mark: &str) -> Result<(), Error> {
        let passing = self.path(&format!("{name}.{mark}.part"));
        let putting = async {
            self.server.write(&passing, bytes).await?;
            self.server.rename(&passing, &self.path(name)).await
        };
        if let Err(error) = putting.await {
            // What is left of it is the receiver's to clear, if this fails too.
            let _left_there = self.server.remove(&passing).await;
            return Err(error.into());
        }
        if let Some(ending) = &self.manner.marker {
            self.server.write(&self.path(&format!("{name}{ending}")), &[]).await?;
        }
        Ok(())
    }

    /// Looks until the receipt of a file is there. One of its name about other bytes is another file's.
    async fn receipt(
        &self,
        name: &str,
        mut number: usize,
        sha256: &str,
    ) -> Result<(usize, Vec<(String, Answer)>), Error> {
        loop {
            let path = self.receipt_path(name, number);
            let Some((bytes, modified_at)) = self.server.look_up(&path).await? else {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            };
            let entry = Entry { name: String::new(), bytes, modified_at };
            // None: what it tells changed while it was read.
            let Some(raw) = self.server.read(&path, &entry, RECEIPT_BYTES_MAX).await? else { continue };
            match answers(&String::from_utf8_lossy(&raw), sha256) {
                Some(answers) => return Ok((number, answers)),
                None => number += 1,
            }
        }
    }

    fn path(&self, name: &str) -> String {
        let folder = &self.manner.folder;
        if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
    }

    fn receipt_path(&self, name: &str, number: usize) -> String {
        let number = if number == 1 { String::new() } else { format!(".{number}") };
        self.path(&format!("{RECEIPTS}/{name}{number}.receipt"))
    }
}

/// What a receipt says of each message; none where it is about other bytes.
fn answers(receipt: &str, sha256: &str) -> Option<Vec<(String, Answer)>> {
    let mut lines = receipt.lines();
    let is_ours = lines.next()?.split('\t').nth(3) == Some(sha256);
    is_ours.then(|| lines.filter_map(receipt::parse).map(answer).collect())
}

/// What is held is kept and waits on the receiver's side, so the door took it; its line says so all the same.
fn answer(line: receipt::Line) -> (String, Answer) {
    let told = Told { code: line.code, location: line.place, text: line.sentence };
    let answer = Answer {
        ack: line.outcome.as_str().to_owned(),
        is_accepted: line.outcome != Outcome::Rejected,
        errors: Some(told).filter(|it| !it.code.is_empty()).into_iter().collect(),
    };
    (line.control_id, answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_of_the_file_whose_digest_it_names() {
        let receipt = "file\ta.hl7\t12\tabc\t2026-11-22T20:00:00Z\n\
            1\tA-1\taccepted\t\tthe same message came before\t\t\n2\tA-2\trejected\tH106\tno OBR\tOBR[1]\tsend one\n";
        let read = answers(receipt, "abc").unwrap();
        let acks: Vec<_> =
            read.iter().map(|(id, it)| (id.as_str(), it.ack.as_str(), it.is_accepted)).collect();
        assert_eq!(acks, [("A-1", "accepted", true), ("A-2", "rejected", false)]);
        let told = Told { code: "H106".to_owned(), location: "OBR[1]".to_owned(), text: "no OBR".to_owned() };
        assert!(read[0].1.errors.is_empty(), "that it came before is no error");
        assert_eq!(read[1].1.errors, [told]);
        assert!(answers(receipt, "abd").is_none());
        assert!(answers("", "abc").is_none());
    }
}
