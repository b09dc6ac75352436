//! The second listener: a bucket that takes signed forms and gives signed links (reference 12.3).
//!
//! The form is the credential. An `Authorization` header here means that a key of Cliniko's has
//! left for another host: it is refused, and listed with the forbidden calls.

use hyper::Method;
use hyper::StatusCode;
use jiff::Timestamp;

use crate::simulator::cliniko::Host;
use crate::simulator::cliniko::access;
use crate::simulator::cliniko::journal::Entry;
use crate::simulator::cliniko::journal::Judgement;
use crate::simulator::cliniko::journal::Verdict;
use crate::simulator::cliniko::md5;
use crate::simulator::cliniko::multipart;
use crate::simulator::cliniko::policy::Refusal;
use crate::simulator::cliniko::policy::Upload;
use crate::simulator::cliniko::query::Plus;
use crate::simulator::cliniko::query::decode;
use crate::simulator::cliniko::query::encode;
use crate::simulator::cliniko::wire::Received;
use crate::simulator::cliniko::wire::Reply;
use crate::simulator::cliniko::wire::Sent;
use crate::simulator::cliniko::world::Rules;
use crate::simulator::cliniko::world::State;
use crate::simulator::cliniko::world::World;

/// S3's bound on everything but the file.
const FORM_BYTES_MAX: usize = 20 * 1024;
/// Objects that nobody registered or fetched are kept too; a test run has a few thousand at most.
const OBJECTS_MAX: usize = 20_000;
const CREDENTIAL_HERE: &str = "a credential was sent to the object store";

pub(super) fn answer(world: &World, received: &Received) -> Sent {
    let (mut state, now) = world.state();
    let strikes = state.faults.strike(Host::Store, received.method.as_str(), &received.path);
    let authorization = received.header("authorization");
    let leaked = authorization.is_some() || holds_a_key(&state, received);
    let verb_known =
        received.method == Method::GET || received.method == Method::POST && received.path == "/";
    let sent = strikes.instead(now).unwrap_or_else(|| {
        let reply = if leaked {
            Err(bad("InvalidArgument", "Only one auth mechanism allowed"))
        } else if received.method == Method::POST {
            upload(world.rules(), &mut state, received, now)
        } else if received.method == Method::GET {
            fetch(world.rules(), &state, received, now)
        } else {
            let message = "The specified method is not allowed against this resource.";
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message))
        };
        strikes.spoil(reply.unwrap_or_else(|refusal| refused(&refusal)))
    });
    let judgement = Judgement {
        host: Host::Store,
        verdict: if leaked || !verb_known { Verdict::Forbidden } else { Verdict::Allowed },
        key: authorization.and_then(access::presented).as_deref().map(access::masked),
        violations: if leaked { vec![CREDENTIAL_HERE] } else { Vec::new() },
    };
    state.journal.record(Entry::of(received, judgement, &strikes, &sent, now));
    sent
}

fn holds_a_key(state: &State, received: &Received) -> bool {
    state.keys.iter().any(|key| {
        received.query.contains(&key.body)
            || received
                .headers
                .values()
                .any(|value| value.to_str().is_ok_and(|text| text.contains(&key.body)))
    })
}

fn upload(rules: &Rules, state: &mut State, received: &Received, now: Timestamp) -> Result<Reply, Refusal> {
    if received.header("content-length").is_none() {
        let message = "You must provide the Content-Length HTTP header.";
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "MissingContentLength", message));
    }
    if !received.query.is_empty() {
        return Err(bad("InvalidArgument", "Conflicting query string parameters"));
    }
    let parts = multipart::parts(received.header("content-type").unwrap_or_default(), &received.body)
        .map_err(|_| bad("MalformedPOSTRequest", "The body of your POST request is not well-formed."))?;
    let files: Vec<usize> =
        parts.iter().enumerate().filter(|(_, part)| part.name == "file").map(|(at, _)| at).collect();
    let [file_at] = files.as_slice() else {
        let message = "POST requires exactly one file upload per request.";
        return Err(bad("IncorrectNumberOfFilesInPostRequest", message));
    };
    // Whatever follows the file is ignored, so a field there counts as missing.
    let (before, from_file) = parts.split_at(*file_at);
    let Some(file) = from_file.first() else { return Err(bad("InvalidArgument", "the file is missing")) };
    if received.body.len() - file.content.len() > FORM_BYTES_MAX {
        let message = "Your POST request fields preceding the upload file were too large.";
        return Err(bad("MaxPostPreDataLengthExceeded", message));
    }
    let fields = before
        .iter()
        .map(|part| String::from_utf8(part.content.to_vec()).map(|value| (part.name.clone(), value)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| bad("MalformedPOSTRequest", "A form field is not UTF-8."))?;
    let file_name = file.file_name.as_deref().unwrap_or_default();
    let upload = Upload { fields: &fields, file_name, file_bytes: file.content.len() };
    let key = rules.signer.check_post(&upload, now)?;
    if state.objects.len() >= OBJECTS_MAX {
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "SlowDown",
            "The simulated bucket is full.",
        ));
    }
    let etag = md5::hex_digest(&file.content);
    state.objects.insert(key.clone(), file.content.clone());
    let location = format!("{}/{}", rules.store_origin, encode(&key, ""));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{location}</Location><Bucket>{}</Bucket>\
         <Key>{}</Key><ETag>\"{etag}\"</ETag></PostResponse>",
        rules.signer.bucket,
        escaped(&key),
    );
    Ok(Reply::typed(StatusCode::CREATED, "application/xml", body)
        .with("location", location)
        .with("etag", format!("\"{etag}\"")))
}

fn fetch(rules: &Rules, state: &State, received: &Received, now: Timestamp) -> Result<Reply, Refusal> {
    let host = received.header("host").unwrap_or_default();
    rules.signer.check_get(host, &received.path, &received.query, now)?;
    let key = decode(received.path.trim_start_matches('/'), Plus::IsPlus);
    let content = state.objects.get(&key).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
    })?;
    Ok(Reply::typed(StatusCode::OK, "application/pdf", content.clone()))
}

fn bad(code: &'static str, message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}

fn refused(refusal: &Refusal) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>",
        refusal.code,
        escaped(&refusal.message),
    );
    Reply::typed(refusal.status, "application/xml", body)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
