//! The object store behind Cliniko's files. It is another company's host: nothing here carries the clinic's key.
//!
//! The form that Cliniko hands out is the credential, so before the file goes anywhere the place is checked: the
//! store's hosts over TLS (or this machine, beside a simulator), the right bucket, the right patient's folder.

use std::time::Duration;

use aws_lc_rs::digest;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::header;

use crate::formats::cliniko::Id;
use crate::formats::cliniko::upload::PresignedPost;
use crate::formats::cliniko::upload::element;
use crate::outbound::cliniko::Client;
use crate::outbound::cliniko::Error;
use crate::outbound::cliniko::wire;
use crate::outbound::cliniko::wire::Limits;
use crate::outbound::cliniko::wire::Origin;

/// The store's answer to an upload is a short XML document.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// A report is a few hundred kilobytes; this is the largest file we would compare.
const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// AWS: names end so, in every region we may be sent to.
const STORE_DOMAIN: &str = ".amazonaws.com";

impl Client {
    /// Puts a file into this patient's temporary folder; answers the `upload_url` to register it with. Leaves at most
    /// an orphan that Cliniko sweeps away, so it may be repeated, each time with a new form.
    pub async fn upload(
        &self,
        form: &PresignedPost,
        patient: &Id,
        filename: &str,
        file: &[u8],
    ) -> Result<String, Error> {
        let url: Uri =
            form.url.parse().map_err(|_| Error::WrongStore { reason: "its URL cannot be read" })?;
        let origin = self.store_origin(&url)?;
        let folder = format!("/patients/{patient}/");
        if !form.field("key").is_some_and(|key| key.contains(&folder)) {
            return Err(Error::WrongStore { reason: "its key is not in the patient's folder" });
        }
        if !is_safe_filename(filename) {
            return Err(Error::WrongStore {
                reason: "the file name has other characters than A-Z a-z 0-9 . _ -",
            });
        }
        let boundary = self.boundary();
        let body = form.multipart(filename, file, &boundary)?;
        // One body of known length: the store refuses a chunked one (AWS S3, MissingContentLength).
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.path_and_query().map_or("/", |it| it.as_str()))
            .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Error::WrongStore { reason: "its URL cannot be read" })?;
        let reply = wire::exchange(&origin, request, self.store_limits(ANSWER_BYTES_MAX)).await?;
        match reply.status {
            201 => {}
            status @ 400..=499 => {
                let xml = String::from_utf8_lossy(&reply.body);
                return Err(Error::Refused { status, fields: element(&xml, "Code").into_iter().collect() });
            }
            status => return Err(Error::Status { status }),
        }
        let key = element(&String::from_utf8_lossy(&reply.body), "Key")
            .filter(|key| key.contains(&folder))
            .ok_or(Error::WrongStore { reason: "its answer names no key in the patient's folder" })?;
        Ok(form.upload_url(&key))
    }

    /// Fetches a file by its signed link, without any credential, and answers its SHA-256.
    pub async fn content_digest(&self, location: &str) -> Result<[u8; 32], Error> {
        let url: Uri =
            location.parse().map_err(|_| Error::WrongStore { reason: "its URL cannot be read" })?;
        let origin = self.store_origin(&url)?;
        let request = Request::builder()
            .method(Method::GET)
            .uri(url.path_and_query().map_or("/", |it| it.as_str()))
            .body(Full::default())
            .map_err(|_| Error::WrongStore { reason: "its URL cannot be read" })?;
        let reply = wire::exchange(&origin, request, self.store_limits(FILE_BYTES_MAX)).await?;
        if reply.status != 200 {
            return Err(Error::Status { status: reply.status });
        }
        let digest = digest::digest(&digest::SHA256, &reply.body);
        Ok(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    fn store_origin(&self, url: &Uri) -> Result<Origin, Error> {
        let refused = |reason| Error::WrongStore { reason };
        let origin = Origin::of(url).ok_or(refused("it is neither https nor on this machine"))?;
        if origin.is_loopback() {
            let simulated = self.inner.config.dangerous_base_url.is_some();
            return if simulated { Ok(origin) } else { Err(refused("it is on this machine")) };
        }
        let prefix = &self.inner.config.bucket_prefix;
        if is_store_host(origin.host(), prefix) && origin.is_default_tls() {
            Ok(origin)
        } else {
            Err(refused("its host is not the object store of Cliniko"))
        }
    }

    fn store_limits(&self, answer_bytes_max: usize) -> Limits {
        let config = &self.inner.config;
        Limits {
            connect: Duration::from_millis(config.connect_timeout_ms.into()),
            whole: Duration::from_millis(config.upload_timeout_ms.into()),
            answer_bytes_max,
        }
    }

    /// Thirty-two hexadecimal digits of chance: they do not occur in a PDF by accident, and the form checks it.
    fn boundary(&self) -> String {
        let mut chance = [0; 16];
        self.inner.clock.fill_random(&mut chance);
        format!("{:032x}", u128::from_be_bytes(chance))
    }
}

/// `{bucket}.s3.{region}.amazonaws.com` or `{bucket}.s3.amazonaws.com`, the bucket with the configured prefix.
fn is_store_host(host: &str, bucket_prefix: &str) -> bool {
    let Some(rest) = host.strip_suffix(STORE_DOMAIN) else { return false };
    let labels: Vec<&str> = rest.split('.').collect();
    let name =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match labels.as_slice() {
        [bucket, "s3"] => name(bucket) && bucket.starts_with(bucket_prefix),
        [bucket, "s3", region] => name(bucket) && name(region) && bucket.starts_with(bucket_prefix),
        _ => false,
    }
}

/// The name travels through a header, a key, XML and a URL; these characters pass all four unchanged.
fn is_safe_filename(name: &str) -> bool {
    const CHARS_MAX: usize = 100;
    name.len() <= CHARS_MAX
        && name.strip_suffix(".pdf").is_some_and(|stem| !stem.is_empty())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::is_safe_filename;
    use super::is_store_host;

    #[test]
    fn only_the_stores_own_hosts_are_taken() {
        assert!(is_store_host("example-files.s3.eu-west-2.amazonaws.com", "example-"));
        assert!(is_store_host("example-files.s3.amazonaws.com", ""));
        for host in [
            "other-files.s3.eu-west-2.amazonaws.com",
            "example-files.s3.amazonaws.com.evil.example",
            "example-files.s3.x.y.amazonaws.com",
            "s3.amazonaws.com",
            "amazonaws.com",
            "169.254.169.254",
            "example-files.ec2.amazonaws.com",
        ] {
            assert!(!is_store_host(host, "example-"), "{host}");
        }
    }

    #[test]
    fn a_file_name_holds_nothing_that_changes_on_the_way() {
        assert!(is_safe_filename("blood-results-LAB-7F3A9C21Q2M5T8XK.pdf"));
        for name in ["a b.pdf", "a/b.pdf", "é.pdf", "a.exe", "${filename}.pdf", "a\".pdf"] {
            assert!(!is_safe_filename(name), "{name}");
        }
    }
}
