//! The object store's side of an upload: the signed form Cliniko hands out, the body that carries the file, the answer.
//!
//! The form's fields are opaque and ordered: each goes back unchanged and none is added, because the signed policy
//! names them all (AWS S3, POST Object). The file is the last part; the store reads nothing after it.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

/// What `GET /patients/{id}/attachment_presigned_post` answers.
#[derive(Clone, Deserialize)]
pub struct PresignedPost {
    pub url: String,
    /// In the order received.
    pub fields: Map<String, Value>,
}

impl PresignedPost {
    /// The text of a field; the store's forms hold nothing but text.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    /// Every field as text, in order; `None` where one is not text.
    fn pairs(&self) -> Option<Vec<(&str, &str)>> {
        self.fields.iter().map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
    }

    /// The form as `multipart/form-data`, the file last, under a boundary that does not occur in it.
    ///
    /// # Errors
    /// Where the form cannot be sent without changing it.
    pub fn multipart(&self, filename: &str, file: &[u8], boundary: &str) -> Result<Vec<u8>, BadForm> {
        let pairs = self.pairs().ok_or(BadForm::FieldNotText)?;
        let plain = |text: &str| !text.contains(['"', '\r', '\n', '\\']);
        if !plain(filename) || !plain(boundary) || pairs.iter().any(|(name, _)| !plain(name)) {
            return Err(BadForm::UnsafeName);
        }
        let occurs = |bytes: &[u8]| memchr::memmem::find(bytes, boundary.as_bytes()).is_some();
        if occurs(file) || pairs.iter().any(|(_, value)| occurs(value.as_bytes())) {
            return Err(BadForm::BoundaryOccurs);
        }
        let mut body = Vec::with_capacity(file.len() + FORM_BYTES_MAX);
        for (name, value) in pairs {
            let part =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
             Content-Type: application/pdf\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        if body.len() > FORM_BYTES_MAX {
            return Err(BadForm::TooLong { bytes: body.len() });
        }
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Ok(body)
    }

    /// Where the stored file is, as `POST /patient_attachments` wants it: URL, one slash, the key as the store names
    /// it, never percent-encoded (portal, uploading attachments).
    pub fn upload_url(&self, key: &str) -> String {
        format!("{}/{key}", self.url.trim_end_matches('/'))
    }
}

/// AWS S3 reads at most 20 KB of form beside the file.
pub const FORM_BYTES_MAX: usize = 20_000;

/// Why a form cannot be sent as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    #[error("the boundary occurs in the form or in the file")]
    BoundaryOccurs,
    #[error("a field of the form is not text")]
    FieldNotText,
    #[error("the form is {bytes} bytes long without its file, and the store reads {FORM_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("a name in the form cannot be written in a header")]
    UnsafeName,
}

/// The text of the first `<name>` in the store's XML, character references decoded: `Key` of a `PostResponse`, `Code`
/// of an `Error`.
pub fn element(xml: &str, name: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    let mut inside = false;
    let mut text = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.name().as_ref() == name => inside = true,
            Event::End(end) if inside && end.name().as_ref() == name => {
                return (!text.is_empty()).then_some(text);
            }
            Event::Text(part) if inside => text.push_str(&part),
            Event::CData(part) if inside => text.push_str(&part),
            Event::GeneralRef(reference) if inside => match reference.resolve_char_ref().ok()? {
                Some(c) => text.push(c),
                None => text.push_str(quick_xml::escape::resolve_predefined_entity(&reference)?),
            },
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BadForm;
    use super::PresignedPost;
    use super::element;

    fn form() -> PresignedPost {
        serde_json::from_str(
            r#"{"url":"https://store.example/","fields":{"key":"1/${filename}","acl":"private"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_fields_keep_their_order_and_the_file_is_last() {
        let body = form().multipart("a.pdf", b"%PDF", "b7").unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            "--b7\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n1/${filename}\r\n\
             --b7\r\nContent-Disposition: form-data; name=\"acl\"\r\n\r\nprivate\r\n\
             --b7\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
             Content-Type: application/pdf\r\n\r\n%PDF\r\n--b7--\r\n"
        );
        assert_eq!(form().upload_url("1/a b.pdf"), "https://store.example/1/a b.pdf");
    }

    #[test]
    fn a_form_that_would_change_on_the_way_is_refused() {
        assert_eq!(form().multipart("a\".pdf", b"", "b7"), Err(BadForm::UnsafeName));
        assert_eq!(form().multipart("a.pdf", b"..b7..", "b7"), Err(BadForm::BoundaryOccurs));
        let odd: PresignedPost = serde_json::from_str(r#"{"url":"u","fields":{"key":null}}"#).unwrap();
        assert_eq!(odd.multipart("a.pdf", b"", "b7"), Err(BadForm::FieldNotText));
    }

    #[test]
    fn the_key_is_read_unescaped_and_anything_else_is_none() {
        let xml = "<?xml version=\"1.0\"?>\n<PostResponse><Location>x</Location><Key>1/a&amp;b &#x41;.pdf</Key>\
                   </PostResponse>";
        assert_eq!(element(xml, "Key").as_deref(), Some("1/a&b A.pdf"));
        assert_eq!(element(xml, "Code"), None);
        assert_eq!(element("<PostResponse><Key>1/a", "Key"), None);
        assert_eq!(element("not xml", "Key"), None);
    }
}
