//! A laboratory that never gives up: it sends what was not answered again, the same bytes, and keeps a ledger.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use haemosync_gateway::clock::Clock;
use haemosync_gateway::clock::SystemClock;
use haemosync_gateway::simulator::lab::Observation;
use haemosync_gateway::simulator::lab::Person;
use haemosync_gateway::simulator::lab::Sample;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::crash::chance::Chance;
use crate::crash::line::Answer;
use crate::crash::line::By;
use crate::crash::line::Line;
use crate::crash::process::Doors;
use crate::crash::process::SENDER;

/// Times on the wire have whole seconds: a sample is taken in the second after its order.
pub(crate) const AFTER_ORDER: Duration = Duration::from_millis(1100);

/// A test that was ordered and has no result yet.
pub(crate) struct Ordered {
    pub(crate) number: String,
    pub(crate) person: Person,
    pub(crate) at: Instant,
}

/// What both sides of the clinic's door share.
#[derive(Default)]
pub(crate) struct Orders(pub(crate) Mutex<VecDeque<Ordered>>);

impl Orders {
    fn ripe(&self) -> Option<Ordered> {
        let mut waiting = self.0.lock().unwrap();
        waiting.pop_front_if(|it| it.at.elapsed() > AFTER_ORDER)
    }
}

/// A message that was sent, and the answer that came.
pub(crate) struct Sent {
    pub(crate) by: By,
    /// The laboratory's own name for it.
    pub(crate) control_id: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) answer: Option<Answer>,
    /// How often it was sent, whole or not.
    pub(crate) times: u32,
}

pub(crate) struct Laboratory {
    pub(crate) name: &'static str,
    pub(crate) by: By,
    pub(crate) doors: watch::Receiver<Option<Doors>>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) closing: Arc<AtomicBool>,
    pub(crate) chance: Chance,
    pub(crate) ledger: Vec<Sent>,
}

impl Laboratory {
    /// Sends until the laboratory closes and its last message is answered; its ledger.
    pub(crate) async fn run(mut self) -> Vec<Sent> {
        loop {
            let open = self.doors.wait_for(Option::is_some).await.unwrap().unwrap();
            match self.serve(open).await {
                Ok(()) => return self.ledger,
                // It broke off or was never there: what is unanswered is sent again.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn serve(&mut self, doors: Doors) -> io::Result<()> {
        let mut line = Line::open(self.by, doors).await?;
        loop {
            let next = match self.ledger.iter().rposition(|it| it.answer.is_none()) {
                Some(unanswered) => unanswered,
                None if self.closing.load(Ordering::Relaxed) => return Ok(()),
                None => self.next(),
            };
            let sent = &mut self.ledger[next];
            sent.times += 1;
            let answer = line.send(&sent.control_id, &sent.bytes).await?;
            match &sent.answer {
                Some(before) => assert!(*before == answer, "the same bytes got another answer (R6)"),
                None => sent.answer = Some(answer),
            }
            let (shortest, longest) = self.by.pause();
            tokio::time::sleep(self.chance.millis(shortest, longest)).await;
        }
    }

    /// The place in the ledger of what is sent next: the answer to an order, an old message again, or anything else.
    fn next(&mut self) -> usize {
        let ordered = self.orders.ripe();
        if ordered.is_none() && !self.ledger.is_empty() && self.chance.one_in(5) {
            return usize::try_from(self.chance.below(self.ledger.len() as u64)).unwrap();
        }
        let number = self.ledger.len();
        let sample = sample(self.name, number, ordered);
        let mut bytes = self.by.encode(&sample);
        if self.by.is_er7() && self.chance.one_in(10) {
            bytes.extend_from_slice(b"ZQX|1|a segment no mapping was told of: held\r");
        }
        let control_id = sample.control_id;
        self.ledger.push(Sent { by: self.by, control_id, bytes, answer: None, times: 0 });
        number
    }
}

pub(crate) fn sample(laboratory: &str, number: usize, ordered: Option<Ordered>) -> Sample {
    let (order_number, patient) = match ordered {
        Some(Ordered { number, person, .. }) => (number, person),
        None => (String::new(), stranger(number)),
    };
    let haemoglobin = format!("{}", 120 + number % 30);
    Sample {
        control_id: format!("{laboratory}{number:06}"),
        sender: SENDER.to_owned(),
        time: SystemClock::new().now().strftime("%Y%m%d%H%M%S+0000").to_string(),
        patient,
        filler_number: format!("{laboratory}-{number:06}"),
        order_number,
        panel: "58410-2^Full blood count^LN".to_owned(),
        status: "F".to_owned(),
        results: vec![
            Observation::number("718-7^Haemoglobin^LN", &haemoglobin, "g/L", "120-150", ""),
            Observation::number("777-3^Platelets^LN", "250", "10*9/L", "150-410", ""),
        ],
        note: None,
    }
}

/// Nobody the clinic knows: kept, mapped, and waits for a person.
fn stranger(number: usize) -> Person {
    Person {
        family: "Nobodyhere".to_owned(),
        given: "Zebedee".to_owned(),
        birth_date: format!("1961{:02}{:02}", 1 + number % 12, 1 + number % 28),
        sex: "M".to_owned(),
        ..Person::default()
    }
}
