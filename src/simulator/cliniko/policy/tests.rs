//! The signer against AWS's published examples, and each condition of a policy broken in turn.

use super::*;

fn published(bucket: &str) -> Signer {
    Signer {
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        region: "us-east-1".to_owned(),
        bucket: bucket.to_owned(),
    }
}

/// S3 documentation, "sigv4-post-example".
#[test]
fn the_published_post_policy_gets_the_published_signature() {
    let policy = [
        r#"{ "expiration": "2015-12-30T12:00:00.000Z","#,
        r#"  "conditions": ["#,
        r#"    {"bucket": "sigv4examplebucket"},"#,
        r#"    ["starts-with", "$key", "user/user1/"],"#,
        r#"    {"acl": "public-read"},"#,
        r#"    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},"#,
        r#"    ["starts-with", "$Content-Type", "image/"],"#,
        r#"    {"x-amz-meta-uuid": "14365123651274"},"#,
        r#"    {"x-amz-server-side-encryption": "AES256"},"#,
        r#"    ["starts-with", "$x-amz-meta-tag", ""],"#,
        "",
        r#"    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},"#,
        r#"    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},"#,
        r#"    {"x-amz-date": "20151229T000000Z" }"#,
        "  ]",
        "}",
    ];
    let encoded = STANDARD.encode(policy.join("\r\n"));
    let signature = published("sigv4examplebucket").sign("20151229", &encoded);
    assert_eq!(signature, "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e");
}

/// S3 documentation, "Authenticating requests: using query parameters".
#[test]
fn the_published_presigned_get_gets_the_published_signature() {
    let now = "2013-05-24T00:00:00Z".parse().unwrap();
    let day = SignedDuration::from_hours(24);
    let host = "examplebucket.s3.amazonaws.com";
    let query = published("examplebucket").presigned_get(host, "/test.txt", now, day);
    let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert!(query.ends_with(&format!("&X-Amz-Signature={signature}")), "{query}");
}

const NOW: &str = "2026-11-22T09:30:00Z";

fn issued() -> (Signer, Vec<(String, String)>) {
    let signer = published("simulated");
    let fields =
        signer.presigned_post("7/patients/42/temp/", NOW.parse().unwrap(), SignedDuration::from_hours(1), 8);
    (signer, fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn check(fields: &[(String, String)], file_bytes: usize, at: &str) -> Result<String, &'static str> {
    let upload = Upload { fields, file_name: "C:\\scans/report.pdf", file_bytes };
    issued().0.check_post(&upload, at.parse().unwrap()).map_err(|refusal| refusal.code)
}

fn set(fields: &mut [(String, String)], name: &str, value: &str) {
    fields.iter_mut().find(|(field, _)| field == name).unwrap().1 = value.to_owned();
}

#[test]
fn a_form_sent_back_unchanged_is_accepted_under_the_files_base_name() {
    assert_eq!(check(&issued().1, 8, NOW).unwrap(), "7/patients/42/temp/report.pdf");
}

#[test]
fn each_slip_has_its_own_refusal() {
    let (_, good) = issued();
    assert_eq!(check(&good, 0, NOW), Err("EntityTooSmall"));
    assert_eq!(check(&good, 9, NOW), Err("EntityTooLarge"));
    assert_eq!(check(&good, 8, "2026-11-22T10:30:00Z"), Err("AccessDenied"));
    let changes = [
        ("key", "7/patients/43/temp/${filename}", "AccessDenied"),
        ("acl", "public-read", "AccessDenied"),
        ("x-amz-date", "20261122T093001Z", "AccessDenied"),
        ("policy", "e30=", "SignatureDoesNotMatch"),
        ("x-amz-credential", "AKIAOTHER/20261122/us-east-1/s3/aws4_request", "InvalidAccessKeyId"),
        ("x-amz-credential", "AKIAIOSFODNN7EXAMPLE", "InvalidArgument"),
    ];
    for (name, value, code) in changes {
        let mut fields = good.clone();
        set(&mut fields, name, value);
        assert_eq!(check(&fields, 8, NOW), Err(code), "{name}");
    }
    let mut extra = good.clone();
    extra.push(("Content-Type".to_owned(), "application/pdf".to_owned()));
    assert_eq!(check(&extra, 8, NOW), Err("AccessDenied"));
    let missing: Vec<_> = good.into_iter().filter(|(name, _)| name != "acl").collect();
    assert_eq!(check(&missing, 8, NOW), Err("AccessDenied"));
}

#[test]
fn a_presigned_get_ends_and_cannot_be_pointed_elsewhere() {
    let (signer, _) = issued();
    let now = NOW.parse().unwrap();
    let query = signer.presigned_get("store", "/a.pdf", now, SignedDuration::from_secs(60));
    let code = |path: &str, at: &str| {
        signer.check_get("store", path, &query, at.parse().unwrap()).map_err(|refusal| refusal.code)
    };
    assert_eq!(code("/a.pdf", "2026-11-22T09:30:59Z"), Ok(()));
    assert_eq!(code("/a.pdf", "2026-11-22T09:31:00Z"), Err("AccessDenied"));
    assert_eq!(code("/b.pdf", NOW), Err("SignatureDoesNotMatch"));
}
