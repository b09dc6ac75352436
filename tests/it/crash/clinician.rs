//! A clinician who orders tests and approves what comes back, whatever the gateway does meanwhile.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use haemosync_gateway::simulator::cliniko::NHS_NUMBER_TOKEN;
use haemosync_gateway::simulator::lab::Person;
use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::crash::browser::Browser;
use crate::crash::chance::Chance;
use crate::crash::laboratory::Ordered;
use crate::crash::laboratory::Orders;
use crate::crash::process::Doors;

/// Orders that wait for their result at the same time.
const ORDERS_OPEN_MAX: usize = 6;

pub(crate) struct Clinician {
    pub(crate) browser: Browser,
    pub(crate) doors: watch::Receiver<Option<Doors>>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) patients: Vec<(String, Person)>,
    pub(crate) closing: Arc<AtomicBool>,
    pub(crate) chance: Chance,
    /// Cases whose approval was answered.
    pub(crate) approved: Vec<String>,
}

impl Clinician {
    /// Works until the clinic closes; the cases whose approval was answered.
    pub(crate) async fn run(mut self) -> Vec<String> {
        while !self.closing.load(Ordering::Relaxed) {
            let open = self.doors.wait_for(Option::is_some).await.unwrap().unwrap();
            // What was not answered is looked at anew: it happened, or it did not.
            let _broke_off = self.round(open).await;
            tokio::time::sleep(self.chance.millis(20, 150)).await;
        }
        self.approved
    }

    async fn round(&mut self, doors: Doors) -> io::Result<()> {
        if self.orders.0.lock().unwrap().len() < ORDERS_OPEN_MAX {
            self.order(doors).await?;
        }
        let page = self.browser.get(doors.http, "/api/v1/cases?state=in_review").await?;
        assert_eq!(page.status, 200, "a session and a list outlive a crash");
        let page = page.json();
        let cases = page["items"].as_array().unwrap();
        if cases.is_empty() {
            Ok(())
        } else {
            self.approve(doors, self.chance.pick(cases)["id"].as_str().unwrap()).await
        }
    }

    async fn order(&self, doors: Doors) -> io::Result<()> {
        let (id, person) = self.chance.pick(&self.patients);
        let order = json!({ "patient_id": id, "tests": ["Full blood count"] });
        let placed = self.browser.post(doors.http, "/api/v1/orders", &order).await?;
        // Any other answer is Cliniko's weather.
        if placed.status == 201 {
            let order =
                Ordered { number: placed.text("order_number"), person: person.clone(), at: Instant::now() };
            self.orders.0.lock().unwrap().push_back(order);
        }
        Ok(())
    }

    async fn approve(&mut self, doors: Doors, id: &str) -> io::Result<()> {
        let path = format!("/api/v1/cases/{id}");
        let case = self.browser.get(doors.http, &path).await?.json();
        let signature = json!({ "version": case["version"], "content_sha256": case["content_sha256"] });
        let reply = self.browser.post(doors.http, &format!("{path}/approve"), &signature).await?;
        assert_eq!(reply.status, 200, "an approval of what was just shown: {}", reply.json());
        self.approved.push(id.to_owned());
        Ok(())
    }
}

/// The simulated patients a laboratory can name whole.
pub(crate) fn patients(records: &Value) -> Vec<(String, Person)> {
    let living = records["patients"].as_array().unwrap().iter().filter(|it| it["archived_at"].is_null());
    living.filter_map(person).collect()
}

fn person(patient: &Value) -> Option<(String, Person)> {
    let field = |name: &str| patient[name].as_str().filter(|it| !it.is_empty());
    let sex = match field("sex")? {
        "Female" => "F",
        "Male" => "M",
        _ => return None,
    };
    let fields = patient.pointer("/custom_fields/sections/0/fields")?.as_array()?;
    let number = fields.iter().find(|it| it["token"] == NHS_NUMBER_TOKEN)?["value"].as_str()?;
    let person = Person {
        nhs_number: number.to_owned(),
        family: field("last_name")?.to_owned(),
        given: field("first_name")?.to_owned(),
        birth_date: field("date_of_birth")?.replace('-', ""),
        sex: sex.to_owned(),
        postcode: field("post_code")?.to_owned(),
    };
    (person.nhs_number.len() == 10).then(|| (field("id").unwrap_or_default().to_owned(), person))
}

/// How long a test waits between looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);
