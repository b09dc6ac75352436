//! The object store's signatures: AWS Signature Version 4 for a POST policy and for a presigned GET.
//!
//! Both directions live here, because a store issues nothing that it does not check again. A field
//! that the policy does not name is refused, whatever it holds (S3, "POST policy").

use std::fmt::Write as _;

use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::simulator::cliniko::query::encode;
use crate::simulator::cliniko::query::pairs;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What S3 puts the uploaded file's name in place of.
const FILE_NAME_SLOT: &str = "${filename}";

/// A bucket, and the credentials that sign for it.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) access_key: String,
    pub(super) secret: String,
    pub(super) region: String,
    pub(super) bucket: String,
}

/// Why the store refuses, in S3's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    fn policy(condition: &Value) -> Self {
        Self::denied(format!("Invalid according to Policy: Policy Condition failed: {condition}"))
    }
}

/// What a form must satisfy besides its fields.
#[derive(Clone, Debug)]
pub(super) struct Upload<'a> {
    pub(super) fields: &'a [(String, String)],
    pub(super) file_name: &'a str,
    pub(super) file_bytes: usize,
}

impl Signer {
    /// The form fields of one upload, in the order of reference section 6.2.
    pub(super) fn presigned_post(
        &self,
        folder: &str,
        now: Timestamp,
        lifetime: SignedDuration,
        bytes_max: usize,
    ) -> Vec<(&'static str, String)> {
        let (credential, date) = (self.credential(now), long_date(now));
        let expires = now.saturating_add(lifetime).unwrap_or(now);
        let expiration = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let policy = json!({ "expiration": expiration, "conditions": [
            { "bucket": self.bucket },
            ["starts-with", "$key", folder],
            { "success_action_status": "201" },
            { "acl": "private" },
            { "x-amz-credential": credential },
            { "x-amz-algorithm": ALGORITHM },
            { "x-amz-date": date },
            ["content-length-range", 1, bytes_max],
        ]});
        let policy = STANDARD.encode(policy.to_string());
        let signature = self.sign(&short_date(now), &policy);
        vec![
            ("key", format!("{folder}{FILE_NAME_SLOT}")),
            ("success_action_status", "201".to_owned()),
            ("acl", "private".to_owned()),
            ("policy", policy),
            ("x-amz-credential", credential),
            ("x-amz-algorithm", ALGORITHM.to_owned()),
            ("x-amz-date", date),
            ("x-amz-signature", signature),
        ]
    }

    /// Checks a form against its own policy and gives the key to store the file under.
    ///
    /// # Errors
    /// The first reason, in the order S3 meets them: signature, expiry, conditions, size.
    pub(super) fn check_post(&self, upload: &Upload<'_>, now: Timestamp) -> Result<String, Refusal> {
        let field = |name: &str| {
            let found = upload.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str()).ok_or_else(|| {
                Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "InvalidArgument",
                    format!("Bucket POST must contain a field named '{name}'"),
                )
            })
        };
        let (key, encoded) = (field("key")?, field("policy")?);
        let (credential, signature) = (field("x-amz-credential")?, field("x-amz-signature")?);
        let day = self.scope_day(credential)?;
        if self.sign(day, encoded) != signature {
            return Err(signature_mismatch());
        }
        let policy =
            STANDARD.decode(encoded).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let policy = policy.ok_or_else(|| Refusal::denied("Invalid according to Policy: Invalid Policy"))?;
        let expiration = policy["expiration"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        if expiration.is_none_or(|expiration| expiration <= now) {
            return Err(Refusal::denied("Invalid according to Policy: Policy expired."));
        }
        let key = key.replace(FILE_NAME_SLOT, base_name(upload.file_name));
        self.check_conditions(&policy, upload, &key)?;
        Ok(key)
    }

    fn check_conditions(&self, policy: &Value, upload: &Upload<'_>, key: &str) -> Result<(), Refusal> {
        let mut named = vec!["policy".to_owned(), "x-amz-signature".to_owned()];
        let value_of = |name: &str| match name {
            "bucket" => Some(self.bucket.as_str()),
            "key" => Some(key),
            _ => upload
                .fields
                .iter()
                .find(|(field, _)| field.eq_ignore_ascii_case(name))
                .map(|(_, value)| &**value),
        };
        for condition in policy["conditions"].as_array().map_or(&[][..], Vec::as_slice) {
            if condition[0] == "content-length-range" {
                check_size(condition, upload.file_bytes)?;
                continue;
            }
            let (name, wanted, prefix) = if let Value::Object(exact) = condition {
                let (name, wanted) = exact.iter().next().ok_or_else(|| Refusal::policy(condition))?;
                (name.as_str(), wanted.as_str(), false)
            } else {
                let name = condition[1].as_str().unwrap_or_default().trim_start_matches('$');
                (name, condition[2].as_str(), condition[0] == "starts-with")
            };
            let name = name.to_ascii_lowercase();
            let met = value_of(&name)
                .zip(wanted)
                .is_some_and(|(value, wanted)| value == wanted || prefix && value.starts_with(wanted));
            if !met {
                return Err(Refusal::policy(condition));
            }
            named.push(name);
        }
        match upload.fields.iter().find(|(field, _)| !named.contains(&field.to_ascii_lowercase())) {
            Some((extra, _)) => {
                Err(Refusal::denied(format!("Invalid according to Policy: Extra input fields: {extra}")))
            }
            None => Ok(()),
        }
    }

    /// The query string that lets anyone read `path` from `host` until it expires.
    pub(super) fn presigned_get(
        &self,
        host: &str,
        path: &str,
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> String {
        let unsigned = format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-Expires={}&X-Amz-SignedHeaders=host",
            encode(&self.credential(now), ""),
            long_date(now),
            lifetime.as_secs(),
        );
        let signature = self.sign_get(&short_date(now), &long_date(now), host, path, &unsigned);
        format!("{unsigned}&X-Amz-Signature={signature}")
    }

    /// Checks a presigned GET; `query` is as it was sent.
    pub(super) fn check_get(
        &self,
        host: &str,
        path: &str,
        query: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some((unsigned, signature)) = query.split_once("&X-Amz-Signature=") else {
            return Err(Refusal::denied("Access Denied"));
        };
        let sent = pairs(unsigned);
        let value =
            |name: &str| sent.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let day = self.scope_day(value("X-Amz-Credential").unwrap_or_default())?;
        let date = value("X-Amz-Date").unwrap_or_default();
        if self.sign_get(day, date, host, path, unsigned) != signature {
            return Err(signature_mismatch());
        }
        let signed_at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)
            .ok()
            .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let lifetime = value("X-Amz-Expires").and_then(|seconds| seconds.parse().ok());
        let expires =
            signed_at.zip(lifetime).map(|(at, seconds)| at.timestamp() + SignedDuration::from_secs(seconds));
        if expires.is_none_or(|expires| expires <= now) {
            return Err(Refusal::denied("Request has expired"));
        }
        Ok(())
    }

    fn credential(&self, now: Timestamp) -> String {
        format!("{}/{}/{}/s3/aws4_request", self.access_key, short_date(now), self.region)
    }

    fn scope_day<'a>(&self, credential: &'a str) -> Result<&'a str, Refusal> {
        let parts: Vec<&str> = credential.split('/').collect();
        match parts.as_slice() {
            [access_key, day, region, "s3", "aws4_request"] if *region == self.region => {
                if *access_key == self.access_key {
                    return Ok(day);
                }
                let message = "The AWS Access Key Id you provided does not exist in our records.";
                Err(Refusal::new(StatusCode::FORBIDDEN, "InvalidAccessKeyId", message))
            }
            _ => {
                Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidArgument", "the Credential is mal-formed"))
            }
        }
    }

    /// Signs with the key derived for one day (SigV4, "Calculating a signature").
    fn sign(&self, day: &str, text: &str) -> String {
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [day, &self.region, "s3", "aws4_request"] {
            key = keyed(&key, part.as_bytes());
        }
        hex(&keyed(&key, text.as_bytes()))
    }

    fn sign_get(&self, day: &str, date: &str, host: &str, path: &str, unsigned: &str) -> String {
        let canonical = format!("GET\n{path}\n{unsigned}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        self.sign(day, &format!("{ALGORITHM}\n{date}\n{scope}\n{}", sha256(canonical.as_bytes())))
    }
}

fn check_size(condition: &Value, bytes: usize) -> Result<(), Refusal> {
    let bound = |index: usize| condition[index].as_u64().and_then(|bound| usize::try_from(bound).ok());
    if bound(1).is_none_or(|least| bytes < least) {
        let message = "Your proposed upload is smaller than the minimum allowed size";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "EntityTooSmall", message));
    }
    if bound(2).is_none_or(|most| bytes > most) {
        let message = "Your proposed upload exceeds the maximum allowed size";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "EntityTooLarge", message));
    }
    Ok(())
}

fn signature_mismatch() -> Refusal {
    let message = "The request signature we calculated does not match the signature you provided.";
    Refusal::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message)
}

/// Only what follows the last `/` or `\` of the part's file name counts.
fn base_name(file_name: &str) -> &str {
    file_name.rsplit(['/', '\\']).next().unwrap_or_default()
}

fn short_date(at: Timestamp) -> String {
    at.strftime("%Y%m%d").to_string()
}

fn long_date(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn keyed(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests;
