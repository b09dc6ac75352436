//! The API listener: authentication, rate, dispatch, and the reads (reference sections 2 to 5, 8, 9).
//!
//! Every call is answered under one lock and journalled, whoever made it. Writing is in
//! `attachments`, `notes` and `writes`.

use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::simulator::cliniko::Fault;
use crate::simulator::cliniko::Host;
use crate::simulator::cliniko::Switch;
use crate::simulator::cliniko::access;
use crate::simulator::cliniko::attachments;
use crate::simulator::cliniko::faults::Strikes;
use crate::simulator::cliniko::faults::too_many_requests;
use crate::simulator::cliniko::filters;
use crate::simulator::cliniko::filters::Listing;
use crate::simulator::cliniko::journal;
use crate::simulator::cliniko::journal::Entry;
use crate::simulator::cliniko::journal::Judgement;
use crate::simulator::cliniko::notes;
use crate::simulator::cliniko::query;
use crate::simulator::cliniko::records;
use crate::simulator::cliniko::records::Fields;
use crate::simulator::cliniko::records::Resource;
use crate::simulator::cliniko::records::Row;
use crate::simulator::cliniko::wire::Received;
use crate::simulator::cliniko::wire::Reply;
use crate::simulator::cliniko::wire::Sent;
use crate::simulator::cliniko::world::Rules;
use crate::simulator::cliniko::world::State;
use crate::simulator::cliniko::world::World;
use crate::simulator::cliniko::writes;

const FOREIGN_HOST: &str = "http://foreign.example";

/// A refusal is a reply too.
pub(super) type Answer = Result<Reply, Reply>;

/// One authenticated call.
pub(super) struct Call<'a> {
    pub(super) rules: &'a Rules,
    pub(super) state: &'a mut State,
    pub(super) now: Timestamp,
    pub(super) strikes: &'a Strikes,
    pub(super) received: &'a Received,
    pub(super) query: Vec<(String, String)>,
    pub(super) user_id: String,
    pub(super) role: String,
}

pub(super) fn answer(world: &World, received: &Received) -> Sent {
    let (mut state, now) = world.state();
    let strikes = state.faults.strike(Host::Api, received.method.as_str(), &received.path);
    let presented = received.header("authorization").and_then(access::presented);
    let violations = violations(received);
    let sent = strikes.instead(now).unwrap_or_else(|| {
        writes::change_patient(&mut state, &strikes, received, now);
        let call = admit(world.rules(), &mut state, now, &strikes, received, presented.as_deref());
        let reply = match call {
            Ok(mut call) => serve(&mut call, &violations),
            Err(refused) => Err(refused),
        };
        strikes.spoil(reply.unwrap_or_else(|refused| refused))
    });
    let judgement = Judgement {
        host: Host::Api,
        verdict: journal::api_verdict(&received.method, &received.segments()),
        key: presented.as_deref().map(access::masked),
        violations,
    };
    state.journal.record(Entry::of(received, judgement, &strikes, &sent, now));
    sent
}

fn admit<'a>(
    rules: &'a Rules,
    state: &'a mut State,
    now: Timestamp,
    strikes: &'a Strikes,
    received: &'a Received,
    presented: Option<&str>,
) -> Result<Call<'a>, Reply> {
    let key = presented.and_then(|presented| access::find(&state.keys, presented, &rules.shard));
    let user = key.and_then(|key| state.tables.find(Resource::Users, &key.user_id));
    let user = user.filter(|user| user.fields.get("user_active") == Some(&Value::Bool(true)));
    let Some((user_id, role)) = user.map(|user| (user.text("id").to_owned(), user.text("role").to_owned()))
    else {
        return Err(message(StatusCode::UNAUTHORIZED, "Unauthorized"));
    };
    let query = query::pairs(&received.query);
    Ok(Call { rules, state, now, strikes, received, query, user_id, role })
}

fn serve(call: &mut Call<'_>, violations: &[&str]) -> Answer {
    if violations.contains(&USER_AGENT) && call.has(Switch::RefuseWithoutUserAgent) {
        return Err(Reply::empty(StatusCode::FORBIDDEN));
    }
    if violations.contains(&ACCEPT) && call.has(Switch::RefuseWithoutAccept) {
        return Err(Reply::empty(StatusCode::NOT_ACCEPTABLE));
    }
    let window =
        if call.has(Switch::SlidingRateWindow) { access::Window::Sliding } else { access::Window::Fixed };
    let limit = call.rules.rate_limit_per_minute;
    let taken = call.state.allowance.take(&call.user_id, limit, window, call.now);
    taken.map_err(|reset| too_many_requests(Some(reset.to_string())))?;
    let received = call.received;
    let Some(path) = received.path.strip_prefix("/v1/") else { return Err(not_found()) };
    let segments: Vec<&str> = path.split('/').collect();
    match received.method.as_str() {
        "GET" => read(call, &segments),
        "POST" => match segments.as_slice() {
            ["patient_attachments"] => attachments::register(call),
            ["treatment_notes"] => notes::create(call),
            _ => writes::post(call, &segments),
        },
        _ => writes::change(call, &segments),
    }
}

fn read(call: &mut Call<'_>, segments: &[&str]) -> Answer {
    match segments {
        ["user"] => call.one(Resource::Users, &call.user_id.clone()),
        ["users", id] if *id == call.user_id => call.one(Resource::Users, id),
        ["settings"] if call.role != "administrator" => Err(Reply::empty(StatusCode::FORBIDDEN)),
        ["settings"] | ["settings", "public"] => Ok(Reply::json(StatusCode::OK, &call.state.settings)),
        ["practitioners", "inactive"] => call.list(Resource::Practitioners, |row| !is_active(row)),
        ["practitioners"] => {
            let asked =
                call.query.iter().any(|(name, text)| name.starts_with('q') && text.starts_with("active:"));
            call.list(Resource::Practitioners, |row| asked || is_active(row))
        }
        ["patients", id, "attachment_presigned_post"] => attachments::presign(call, id),
        ["patient_attachments", id, "content"] => attachments::content(call, id),
        ["patients", id, list @ ("medical_alerts" | "patient_attachments" | "treatment_notes")] => {
            let resource = Resource::from_path(list).ok_or_else(not_found)?;
            call.list(resource, |row| row.text("patient_id") == *id)
        }
        [list] => call.list(Resource::from_path(list).ok_or_else(not_found)?, |_| true),
        [list, id] => {
            let resource = Resource::from_path(list).ok_or_else(not_found)?;
            call.permit(resource)?;
            call.one(resource, id)
        }
        _ => Err(not_found()),
    }
}

impl Call<'_> {
    pub(super) fn has(&self, switch: Switch) -> bool {
        self.rules.switches.contains(&switch)
    }

    /// 403 with an empty body, as it was seen (reference section 4.6).
    pub(super) fn permit(&self, resource: Resource) -> Result<(), Reply> {
        if access::may_read(&self.role, resource) { Ok(()) } else { Err(Reply::empty(StatusCode::FORBIDDEN)) }
    }

    /// The active practitioner whom the caller is, if any: a property apart from the role.
    pub(super) fn practitioner_id(&self) -> Option<&str> {
        let practitioners = self.state.tables.rows(Resource::Practitioners);
        let own = practitioners.iter().find(|row| row.text("user_id") == self.user_id && is_active(row));
        own.map(|row| row.text("id"))
    }

    /// A patient who may be written to.
    pub(super) fn live_patient(&self, id: &str) -> Option<&Row> {
        self.state.tables.find(Resource::Patients, id).filter(|patient| patient.is_live())
    }

    /// A record that this caller, with this query, is shown by its id.
    pub(super) fn visible(&self, resource: Resource, id: &str) -> Result<&Row, Reply> {
        let row = self.state.tables.find(resource, id).filter(|row| self.may_see(resource, row));
        let row = row.ok_or_else(not_found)?;
        let shown = filters::conditions_show(resource, &self.query, row).map_err(bad_request)?;
        if shown || self.has(Switch::ArchivedShownById) { Ok(row) } else { Err(not_found()) }
    }

    pub(super) fn shown(&self, resource: Resource, row: &Row) -> Value {
        let mut body = records::shown(resource, row, &self.rules.api_base);
        if self.has(Switch::ExtraFields) {
            body["simulated_new_field"] = json!({ "undocumented": true });
        }
        body
    }

    /// The reply to a create. `Location` is unsharded and plain, as in the documentation's samples.
    pub(super) fn created(&self, resource: Resource, row: &Row) -> Reply {
        let location = format!("http://api.cliniko.com/v1/{}/{}", resource.path(), row.text("id"));
        Reply::json(StatusCode::CREATED, &self.shown(resource, row)).with("location", location)
    }

    /// Adds a record that lists show when the lag is over.
    pub(super) fn insert(&mut self, resource: Resource, fields: Fields) -> Row {
        let struck = self.strikes.value(Fault::ListLag).map(|value| value.as_i64().unwrap_or_default());
        let lag = struck.map_or(self.rules.list_lag, jiff::SignedDuration::from_secs);
        let listed_at = self.now.saturating_add(lag).unwrap_or(Timestamp::MAX);
        let row = Row { fields, listed_at };
        self.state.tables.rows_mut(resource).push(row.clone());
        row
    }

    /// The fields every new record begins with.
    pub(super) fn new_fields(&mut self) -> Fields {
        let now = records::stamp(self.now);
        let mut fields = Fields::new();
        fields.insert("id".to_owned(), json!(self.state.mint()));
        fields.insert("created_at".to_owned(), json!(now));
        fields.insert("updated_at".to_owned(), json!(now));
        fields.insert("archived_at".to_owned(), Value::Null);
        fields
    }

    fn one(&self, resource: Resource, id: &str) -> Answer {
        let row = self.visible(resource, id)?;
        Ok(Reply::json(StatusCode::OK, &self.shown(resource, row)))
    }

    fn list(&self, resource: Resource, belongs: impl Fn(&Row) -> bool) -> Answer {
        self.permit(resource)?;
        let listing = Listing::parse(resource, &self.query).map_err(bad_request)?;
        let rows = self.state.tables.rows(resource).iter();
        let page = listing.apply(rows.filter(|row| belongs(row) && self.may_see(resource, row)), self.now);
        let path = self.received.path.strip_prefix("/v1").unwrap_or_default();
        let link = |query: &str| format!("{}{path}?{query}", self.rules.api_base);
        let mut links = json!({ "self": link(&page.this) });
        if let Some(previous) = &page.previous {
            links["previous"] = json!(link(previous));
        }
        if let Some(next) = &page.next {
            links["next"] = json!(link(next));
        }
        if let Some(host) = self.strikes.value(Fault::ForeignNextLink) {
            let host = host.as_str().unwrap_or(FOREIGN_HOST);
            links["next"] = json!(format!("{host}{}?page=2", self.received.path));
        }
        let rows: Vec<Value> = page.rows.iter().map(|row| self.shown(resource, row)).collect();
        let body = json!({ resource.path(): rows, "total_entries": page.total, "links": links });
        Ok(Reply::json(StatusCode::OK, &body))
    }

    fn may_see(&self, resource: Resource, row: &Row) -> bool {
        let restricted =
            resource == Resource::Notes && self.role != "administrator" && self.has(Switch::OwnNotesOnly);
        !restricted || Some(row.text("practitioner_id")) == self.practitioner_id()
    }
}

fn is_active(practitioner: &Row) -> bool {
    practitioner.fields.get("active") == Some(&Value::Bool(true))
}

const ACCEPT: &str = "the Accept header does not name application/json";
const USER_AGENT: &str = "the User-Agent header has no name and (e-mail)";

fn violations(received: &Received) -> Vec<&'static str> {
    let agent = received.header("user-agent").unwrap_or_default();
    let named = agent.split_once('(').is_some_and(|(name, contact)| {
        !name.trim().is_empty() && contact.split_once(')').is_some_and(|(contact, _)| contact.contains('@'))
    });
    let accepts = received.header("accept").is_some_and(|accept| accept.contains("application/json"));
    [(!accepts, ACCEPT), (!named, USER_AGENT)]
        .into_iter()
        .filter_map(|(slipped, what)| slipped.then_some(what))
        .collect()
}

pub(super) fn message(status: StatusCode, text: impl Into<String>) -> Reply {
    Reply::json(status, &json!({ "message": text.into() }))
}

pub(super) fn bad_request(text: impl Into<String>) -> Reply {
    message(StatusCode::BAD_REQUEST, text)
}

pub(super) fn not_found() -> Reply {
    message(StatusCode::NOT_FOUND, "Not found")
}

/// The documented shape of a validation error; values are text or null.
pub(super) fn invalid(errors: &Value) -> Reply {
    let body = json!({ "message": "Validation Failed", "errors": errors });
    Reply::json(StatusCode::UNPROCESSABLE_ENTITY, &body)
}

/// A body as Cliniko reads it.
pub(super) struct Sending {
    pub(super) fields: Fields,
    /// It was not JSON, so what it held was read as a form, if at all.
    pub(super) was_form: bool,
}

impl Sending {
    /// Reads the body of a POST (reference sections 2.2 and 12.2, row 5).
    pub(super) fn read(received: &Received) -> Result<Self, Reply> {
        let content_type = received.header("content-type").unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            return match serde_json::from_slice(&received.body) {
                Ok(Value::Object(fields)) => Ok(Self { fields, was_form: false }),
                Ok(_) => Err(message(StatusCode::UNPROCESSABLE_ENTITY, "must be an object")),
                Err(_) => Err(bad_request("There was a problem in the JSON you submitted")),
            };
        }
        let form = query::pairs(&String::from_utf8_lossy(&received.body));
        if form.iter().any(|(name, _)| name == "content" || name.starts_with("content[")) {
            return Err(message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"));
        }
        let fields = form.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        Ok(Self { fields, was_form: true })
    }

    /// An id sent as a string or as an integer.
    pub(super) fn id(&self, field: &str) -> Option<String> {
        match self.fields.get(field)? {
            Value::String(id) if id.parse::<i64>().is_ok() => Some(id.clone()),
            Value::Number(id) => id.as_i64().map(|id| id.to_string()),
            _ => None,
        }
    }

    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }
}
