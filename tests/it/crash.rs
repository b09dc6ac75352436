//! Kills the gateway's process at random while laboratories send by every door and the outbox files, starts it again, and
//! counts: R1, R2, R6, R7, R11 and R24 over every kill.
//!
//! `CRASH_KILLS` says how often (50 without it). `CRASH_SEED` makes the choices of an earlier run again, as far as
//! they are ours: the machine's own timing is not repeated. Start reading at [`Scene::play`].

pub(crate) mod browser;
pub(crate) mod chance;
pub(crate) mod checks;
pub(crate) mod clinician;
pub(crate) mod laboratory;
pub(crate) mod line;
pub(crate) mod process;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use haemosync_gateway::clock::Clock;
use haemosync_gateway::clock::SystemClock;
use haemosync_gateway::simulator::cliniko;
use haemosync_gateway::simulator::cliniko::Fault;
use haemosync_gateway::simulator::cliniko::FaultMatch;
use haemosync_gateway::simulator::cliniko::FaultRule;
use haemosync_gateway::simulator::cliniko::Seed;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::crash::browser::Browser;
use crate::crash::chance::Chance;
use crate::crash::clinician::Clinician;
use crate::crash::clinician::LOOK_EVERY;
use crate::crash::laboratory::Laboratory;
use crate::crash::laboratory::Orders;
use crate::crash::laboratory::Sent;
use crate::crash::line::By;
use crate::crash::process::Doors;
use crate::crash::process::EMAIL;
use crate::crash::process::Home;
use crate::crash::process::Life;
use crate::crash::process::PASSWORD;

const KILLS: u64 = 50;
/// How long the last life may take to end all that was begun.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a new record may stay out of lists; settling waits longer.
const LIST_LAG_MS: u32 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn r02_the_gateway_is_killed_at_random_and_nothing_is_lost_or_doubled() {
    let kills = option("CRASH_KILLS").unwrap_or(KILLS);
    let seed = option("CRASH_SEED").unwrap_or_else(drawn_seed);
    println!("{kills} kills, CRASH_SEED={seed}");
    let cliniko = simulated_cliniko().await;
    let home = Home::furnish(&cliniko).await;
    let worst = Scene::start(&cliniko, &home, seed).await.play(kills).await;
    println!("ready again within {} ms of every start", worst.as_millis());
}

/// A number of the environment.
#[expect(clippy::disallowed_methods, reason = "how often, and which seed, is the caller's choice")]
fn option(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

fn drawn_seed() -> u64 {
    let mut drawn = [0; 4];
    SystemClock::new().fill_random(&mut drawn);
    u64::from(u32::from_be_bytes(drawn))
}

async fn simulated_cliniko() -> cliniko::Running {
    let config = cliniko::Config {
        seed: Seed::Demo,
        rate_limit_per_minute: 0,
        list_lag_ms: LIST_LAG_MS,
        processing_delay_ms: 50,
        ..cliniko::Config::default()
    };
    cliniko::start(config).await.unwrap()
}

/// Everybody at work around one gateway.
struct Scene<'a> {
    cliniko: &'a cliniko::Running,
    home: &'a Home,
    chance: Chance,
    doors: watch::Sender<Option<Doors>>,
    life: Life,
    closing: Arc<AtomicBool>,
    laboratories: Vec<JoinHandle<Vec<Sent>>>,
    clinician: JoinHandle<Vec<String>>,
    /// The longest a start took.
    slowest: Duration,
}

impl<'a> Scene<'a> {
    async fn start(cliniko: &'a cliniko::Running, home: &'a Home, seed: u64) -> Self {
        let mut life = home.spawn();
        let (open, slowest) = life.ready().await.unwrap();
        let (doors, watched) = watch::channel(Some(open));
        let (orders, closing) = (Arc::new(Orders::default()), Arc::new(AtomicBool::new(false)));
        let laboratory = |name, by, stream| Laboratory {
            name,
            by,
            doors: watched.clone(),
            orders: Arc::clone(&orders),
            closing: Arc::clone(&closing),
            chance: Chance::new(seed ^ stream),
            ledger: Vec::new(),
        };
        let clinician = Clinician {
            browser: Browser::sign_in(open.http, EMAIL, PASSWORD).await.unwrap(),
            doors: watched.clone(),
            orders: Arc::clone(&orders),
            patients: clinician::patients(&cliniko.records()),
            closing: Arc::clone(&closing),
            chance: Chance::new(seed ^ 3 << 40),
            approved: Vec::new(),
        };
        let laboratories = [
            laboratory("A", By::Mllp, 1 << 40),
            laboratory("B", By::Mllp, 2 << 40),
            laboratory("F", By::Fhir, 4 << 40),
            laboratory("H", By::Http, 5 << 40),
            laboratory("J", By::Json, 6 << 40),
            laboratory("S", By::Sftp, 7 << 40),
        ];
        Self {
            cliniko,
            home,
            chance: Chance::new(seed),
            doors,
            life,
            laboratories: laboratories.into_iter().map(|it| tokio::spawn(it.run())).collect(),
            clinician: tokio::spawn(clinician.run()),
            closing,
            slowest,
        }
    }

    /// Kills and restarts, lets everything end, and checks; the longest start.
    async fn play(mut self, kills: u64) -> Duration {
        let began = Instant::now();
        for kill in 1..=kills {
            self.trouble();
            tokio::time::sleep(self.chance.millis(50, 1200)).await;
            if self.clinician.is_finished() || self.laboratories.iter().any(JoinHandle::is_finished) {
                // Nobody ends before closing time, unless something they saw was wrong.
                break;
            }
            self = self.kill().await;
            if kill % 10 == 0 {
                println!("{kill} kills after {} s", began.elapsed().as_secs());
            }
        }
        self.cliniko.clear_faults();
        self.closing.store(true, Ordering::Relaxed);
        let mut ledger = Vec::new();
        for laboratory in self.laboratories {
            ledger.extend(laboratory.await.unwrap_or_else(|error| panic!("{error}\n{}", self.home.log())));
        }
        let approved = self.clinician.await.unwrap_or_else(|error| panic!("{error}\n{}", self.home.log()));
        let open = self.doors.borrow().unwrap();
        if let Err(left) = settle(open).await {
            panic!("the gateway did not come to rest:\n{left}\n{}", self.home.log());
        }
        let listed = self.home.ask(&["message", "list"]).await;
        self.life.kill().await;
        let counted = checks::check(self.home, self.cliniko, &ledger, &listed, &approved).await;
        assert!(counted.is_telling(kills), "too little happened to prove anything: {counted}");
        println!("{kills} kills in {} s: {counted}", began.elapsed().as_secs());
        self.slowest
    }

    async fn kill(mut self) -> Self {
        self.doors.send_replace(None);
        self.life.kill().await;
        self.life = self.home.spawn();
        // Some die before they are ready: opening and recovering must stand that too.
        while self.chance.one_in(6) {
            tokio::time::sleep(self.chance.millis(0, 250)).await;
            self.life.kill().await;
            self.life = self.home.spawn();
        }
        match self.life.ready().await {
            Ok((open, took)) => {
                self.slowest = self.slowest.max(took);
                self.doors.send_replace(Some(open));
            }
            Err(problem) => panic!("{problem}:\n{}", self.home.log()),
        }
        self
    }

    /// Cliniko has a bad moment, more often than not: the next call of its kind goes wrong.
    fn trouble(&self) {
        const WRITES: [Option<&str>; 2] = [Some("/patient_attachments"), Some("/treatment_notes")];
        let strikes = [
            (Fault::EffectThenError, "POST"),
            (Fault::EffectThenTimeout, "POST"),
            (Fault::Reset, "POST"),
            (Fault::TimeoutBeforeEffect, "POST"),
            (Fault::TooManyRequests, "POST"),
            (Fault::Unavailable, "POST"),
            (Fault::ListLag, "POST"),
            (Fault::SlowDown, "POST"),
            (Fault::TooManyRequests, "GET"),
            (Fault::Unavailable, "GET"),
        ];
        for _ in 0..self.chance.below(3) {
            let (fault, method) = *self.chance.pick(&strikes);
            let path =
                if fault == Fault::SlowDown || method == "GET" { None } else { *self.chance.pick(&WRITES) };
            self.cliniko.add_fault(next_call(fault, method, path));
        }
    }
}

/// A fault of the next call of its kind: the reply that never comes is cut at once; a lag and a limit last a second.
pub(crate) fn next_call(fault: Fault, method: &str, path: Option<&str>) -> FaultRule {
    let seconds = u8::from(matches!(fault, Fault::ListLag | Fault::TooManyRequests));
    let matching = FaultMatch {
        host: None,
        method: Some(method.to_owned()),
        path: path.map(str::to_owned),
        nth: Some(1),
    };
    FaultRule { matching, fault, value: json!(seconds) }
}

/// Waits until no message waits, no job is due and no case is on its way; what was left if that does not come.
async fn settle(open: Doors) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let metrics = Browser::default().get(open.http, "/metrics").await.unwrap();
        let metrics = String::from_utf8(metrics.body).unwrap();
        let left: Vec<&str> = metrics
            .lines()
            .filter(|line| {
                let waits = line.starts_with("gateway_messages{state=\"waiting\"}")
                    || line.starts_with("gateway_jobs_waiting")
                    || line.contains("state=\"releasing\"");
                waits && !line.ends_with(" 0")
            })
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(left.join("\n"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
