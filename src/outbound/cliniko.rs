//! The Cliniko client: one function for each allowed call. It keeps nothing and decides nothing.
//!
//! Every request passes [`Client::ask`], which holds it against the exact allow-list in [`allow`] and takes its slot
//! of the key's allowance; so no update, archive or delete can be sent (R8). Redirects are never followed with the
//! credential, and a link in a reply is followed only within the account's own host. What fails says whether it may
//! have happened ([`Error::outcome`]). The upload to the object store carries no credential at all: see [`Client::upload`].
//!
//! Names, keys and queries stand in no error and no log line.

mod allow;
mod budget;
mod check;
mod error;
mod key;
mod records;
mod store;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::header;
use hyper::header::HeaderValue;
use tokio::time::Instant;

pub use self::budget::Lane;
pub use self::check::Expectations;
pub use self::check::check;
pub use self::error::Error;
pub use self::error::Outcome;
pub use self::key::BadKey;
pub use self::key::Key;
use crate::clock::Clock;
use crate::formats::cliniko::read;
use crate::outbound::cliniko::budget::Budget;
use crate::outbound::cliniko::wire::Limits;
use crate::outbound::cliniko::wire::Origin;
use crate::outbound::cliniko::wire::Reply;

/// How Cliniko is reached. The key's shard decides the host.
#[derive(Debug, Clone)]
pub struct Config {
    /// Another address than the shard's own, for the simulator. Plain HTTP is taken on this machine only, and the
    /// object store may then be there too.
    pub dangerous_base_url: Option<String>,
    /// Who calls, with a working address, as the API asks: `Vendor name (contact@example.org)`.
    pub user_agent: String,
    /// Cliniko allows 200 a minute and user.
    pub rate_per_minute: u16,
    /// The part of the allowance that finding patients may take.
    pub search_percent: u8,
    pub connect_timeout_ms: u32,
    /// Above 30 seconds, where the server itself gives up.
    pub request_timeout_ms: u32,
    pub upload_timeout_ms: u32,
    /// What the object store's bucket must begin with; empty takes any bucket of the store's hosts.
    pub bucket_prefix: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dangerous_base_url: None,
            user_agent: concat!(
                "haemosync-gateway/",
                env!("CARGO_PKG_VERSION"),
                " (operator@clinic.invalid)"
            )
            .to_owned(),
            rate_per_minute: 150,
            search_percent: 40,
            connect_timeout_ms: 10_000,
            request_timeout_ms: 35_000,
            upload_timeout_ms: 120_000,
            bucket_prefix: String::new(),
        }
    }
}

/// One key's access to one account. Clones share the key's allowance; make one client for each key.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    origin: Origin,
    /// What stands before every path, `/v1`.
    base_path: String,
    key: Key,
    budget: Budget,
    clock: Arc<dyn Clock>,
}

/// The configuration cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    #[error("the base URL is neither https nor on this machine")]
    BaseUrl,
    #[error("the user agent must be a name and an e-mail address in brackets")]
    UserAgent,
}

/// The API's version, in every path.
const BASE_PATH: &str = "/v1";
/// A list of 100 rows of the longest records stays far below.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

impl Client {
    pub fn new(config: Config, key: Key, clock: Arc<dyn Clock>) -> Result<Self, BadConfig> {
        let default = || format!("https://api.{}.cliniko.com", key.shard());
        let url: Uri = config
            .dangerous_base_url
            .clone()
            .unwrap_or_else(default)
            .parse()
            .map_err(|_| BadConfig::BaseUrl)?;
        let origin = Origin::of(&url).ok_or(BadConfig::BaseUrl)?;
        let base_path = match url.path().trim_end_matches('/') {
            "" => BASE_PATH.to_owned(),
            path => path.to_owned(),
        };
        let named = config
            .user_agent
            .split_once(" (")
            .is_some_and(|(name, rest)| !name.trim().is_empty() && rest.contains('@') && rest.ends_with(')'));
        if !named || HeaderValue::from_str(&config.user_agent).is_err() {
            return Err(BadConfig::UserAgent);
        }
        let budget = Budget::new(config.rate_per_minute, config.search_percent, Instant::now());
        Ok(Self { inner: Arc::new(Inner { config, origin, base_path, key, budget, clock }) })
    }

    /// The longest a request can live: whoever takes over from a process that may still be running waits this long
    /// before it looks (promises, P3). Waiting for a slot of the allowance is part of it.
    pub fn request_life(&self) -> Duration {
        let config = &self.inner.config;
        let on_the_wire = u64::from(config.connect_timeout_ms) + u64::from(config.request_timeout_ms);
        Budget::LIFE_MAX + Duration::from_millis(on_the_wire)
    }

    /// Sends one request: the only place that does, for every function of this module.
    ///
    /// `query` is encoded already. Success is 200, 201 or 303; the caller knows which it may get.
    async fn ask(
        &self,
        lane: Lane,
        method: Method,
        path: &str,
        query: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Reply, Error> {
        let call = allow::pattern(&method, path).ok_or(Error::NotAllowed)?;
        let inner = &*self.inner;
        let target = match query {
            "" => format!("{}{path}", inner.base_path),
            query => format!("{}{path}?{query}", inner.base_path),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::AUTHORIZATION, inner.key.authorization())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, &inner.config.user_agent);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let mut request =
            request.body(Full::new(Bytes::from(body.unwrap_or_default()))).map_err(|_| Error::NotAllowed)?;
        if let Some(authorization) = request.headers_mut().get_mut(header::AUTHORIZATION) {
            authorization.set_sensitive(true);
        }
        inner.budget.acquire(lane).await?;
        let reply = wire::exchange(&inner.origin, request, inner.limits()).await?;
        tracing::debug!(call, status = reply.status, "asked Cliniko");
        self.judge(reply)
    }

    /// Turns a status into an answer or an error.
    fn judge(&self, reply: Reply) -> Result<Reply, Error> {
        let budget = &self.inner.budget;
        if reply.status == 429 {
            let mut chance = [0];
            self.inner.clock.fill_random(&mut chance);
            let wait = budget.pause(self.reset_after(&reply), chance[0] % 100, Instant::now());
            return Err(Error::RateLimited { wait });
        }
        budget.answered();
        match reply.status {
            200 | 201 | 303 => Ok(reply),
            // 408 comes from a proxy that lost patience, so it says nothing of what was done.
            status @ (400..=407 | 409..=499) => {
                Err(Error::Refused { status, fields: read::fields_refused(&reply.body) })
            }
            status => Err(Error::Status { status }),
        }
    }

    /// How far ahead the allowance's reset lies, if the reply says so and it does.
    fn reset_after(&self, reply: &Reply) -> Option<Duration> {
        let number = |name: &str| reply.headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
        let now = self.inner.clock.now().as_second();
        let seconds = number("x-ratelimit-reset").map(|at| at - now).or_else(|| number("retry-after"))?;
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// The path and query of an absolute link, if it stays within this account.
    fn within(&self, link: &str) -> Option<(String, String)> {
        let url: Uri = link.parse().ok()?;
        if Origin::of(&url)? != self.inner.origin {
            return None;
        }
        let path = url.path().strip_prefix(&self.inner.base_path)?.to_owned();
        Some((path, url.query().unwrap_or_default().to_owned()))
    }
}

impl Inner {
    fn limits(&self) -> Limits {
        Limits {
            connect: Duration::from_millis(self.config.connect_timeout_ms.into()),
            whole: Duration::from_millis(self.config.request_timeout_ms.into()),
            answer_bytes_max: ANSWER_BYTES_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::clock::FixedClock;

    fn client(base: &str) -> Result<Client, BadConfig> {
        let key = Key::parse("MS0x-uk1", &["uk1".to_owned()]).unwrap();
        let config = Config { dangerous_base_url: Some(base.to_owned()), ..Config::default() };
        Client::new(config, key, Arc::new(FixedClock::new(Timestamp::UNIX_EPOCH, 1)))
    }

    #[test]
    fn a_link_is_followed_within_the_account_only() {
        let client = client("http://127.0.0.1:8080").unwrap();
        let within = |link: &str| client.within(link);
        assert_eq!(
            within("http://127.0.0.1:8080/v1/patients?page=2&q%5B%5D=a"),
            Some(("/patients".to_owned(), "page=2&q%5B%5D=a".to_owned()))
        );
        for link in [
            "http://127.0.0.1:8081/v1/patients",
            "https://127.0.0.1:8080/v1/patients",
            "http://evil.example/v1/patients",
            "http://127.0.0.1:8080/v2/patients",
            "http://127.0.0.1:8080@evil.example/v1/patients",
            "/v1/patients",
        ] {
            assert_eq!(within(link), None, "{link}");
        }
    }

    #[test]
    fn what_weakens_safety_is_refused_when_the_client_is_made() {
        assert_eq!(client("http://cliniko.example").unwrap_err(), BadConfig::BaseUrl);
        assert_eq!(client("not a url").unwrap_err(), BadConfig::BaseUrl);
        let told = format!("{:?}", client("http://localhost:1").unwrap());
        assert!(!told.contains("MS0x") && !told.contains("TVMweC1"), "{told}");
    }

    #[tokio::test]
    async fn r08_the_choke_point_refuses_before_it_connects() {
        let client = client("http://127.0.0.1:1").unwrap();
        for (method, path) in [
            (Method::DELETE, "/patients/7"),
            (Method::PATCH, "/treatment_notes/7"),
            (Method::PUT, "/treatment_notes/7"),
            (Method::POST, "/patients/7/archive"),
            (Method::POST, "/patients"),
        ] {
            let error = client.ask(Lane::Delivery, method, path, "", None).await.err().unwrap();
            assert!(matches!(error, Error::NotAllowed), "{path}: {error}");
        }
        let error = client.ask(Lane::Delivery, Method::GET, "/user", "", None).await.err().unwrap();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::NotHappened);
    }
}
