//! `multipart/form-data` (RFC 7578), as strictly as an object store reads it.
//!
//! The body is already bounded by the listener; here the number of parts and the size of a part's
//! head are. Nothing is repaired: a form that is not well formed is refused whole.

use hyper::body::Bytes;
use memchr::memmem;
use thiserror::Error;

/// More parts than any signed form has; a form with more is an attack or a bug.
pub(super) const PARTS_MAX: usize = 64;
/// Longest head (all header lines) of one part.
pub(super) const HEAD_BYTES_MAX: usize = 4096;
/// RFC 2046 section 5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Error {
    #[error("the boundary is missing, empty or too long")]
    Boundary,
    #[error("a part's head is unreadable or over {max} bytes")]
    Head { max: usize },
    #[error("a part has no name")]
    NoName,
    #[error("the content type is not multipart/form-data")]
    NotAForm,
    #[error("there are more than {max} parts")]
    TooManyParts { max: usize },
    #[error("the closing boundary is missing")]
    Unfinished,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) file_name: Option<String>,
    pub(super) content: Bytes,
}

/// Reads all parts in the order sent.
pub(super) fn parts(content_type: &str, body: &Bytes) -> Result<Vec<Part>, Error> {
    let opening = format!("--{}", boundary(content_type)?);
    let separator = format!("\r\n{opening}");
    if !body.starts_with(opening.as_bytes()) {
        return Err(Error::Unfinished);
    }
    let mut found = Vec::new();
    let mut rest = body.slice(opening.len()..);
    while !rest.starts_with(b"--") {
        if found.len() == PARTS_MAX {
            return Err(Error::TooManyParts { max: PARTS_MAX });
        }
        let Some(inside) = rest.strip_prefix(b"\r\n") else { return Err(Error::Unfinished) };
        let end = memmem::find(inside, separator.as_bytes()).ok_or(Error::Unfinished)?;
        found.push(part(&rest.slice(2..2 + end))?);
        rest = rest.slice(2 + end + separator.len()..);
    }
    Ok(found)
}

fn part(bytes: &Bytes) -> Result<Part, Error> {
    let unreadable = Error::Head { max: HEAD_BYTES_MAX };
    let Some(end) = memmem::find(bytes, b"\r\n\r\n").filter(|end| *end <= HEAD_BYTES_MAX) else {
        return Err(unreadable);
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| unreadable)?;
    let disposition = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))
        .map(|(_, value)| value)
        .ok_or(Error::NoName)?;
    Ok(Part {
        name: parameter(disposition, "name").filter(|name| !name.is_empty()).ok_or(Error::NoName)?,
        file_name: parameter(disposition, "filename"),
        content: bytes.slice(end + 4..),
    })
}

fn boundary(content_type: &str) -> Result<String, Error> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return Err(Error::NotAForm);
    }
    parameter(content_type, "boundary")
        .filter(|boundary| (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()))
        .ok_or(Error::Boundary)
}

/// Finds `name=value` or `name="value"` after the first `;`. Inside quotes a `;` and `\"` are text.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, left) = if let Some(quoted) = after.strip_prefix('"') {
            unquote(quoted)?
        } else {
            let (value, left) = after.split_once(';').unwrap_or((after, ""));
            (value.trim().to_owned(), left)
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = left.trim_start().trim_start_matches(';');
    }
}

fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            // Only an escaped quote is an escape: a file name may hold a plain backslash.
            '\\' if quoted.get(at + 1..)?.starts_with('"') => {
                value.push('"');
                characters.next();
            }
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"b7\"";

    fn read(body: &str) -> Result<Vec<Part>, Error> {
        parts(TYPE, &Bytes::from(body.to_owned()))
    }

    #[test]
    fn fields_and_the_file_come_back_in_order_and_byte_for_byte() {
        let body = "--b7\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na/${filename}\r\n\
                    --b7\r\ncontent-type: application/pdf\r\n\
                    content-disposition: form-data; filename=\"a;\\\"b.pdf\"; name=\"file\"\r\n\r\n\
                    %PDF\r\n--b not the end\r\n\r\n--b7--\r\n";
        let found = read(body).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), &found[0].content[..]), ("key", &b"a/${filename}"[..]));
        assert_eq!(found[1].file_name.as_deref(), Some("a;\"b.pdf"));
        assert_eq!(&found[1].content[..], b"%PDF\r\n--b not the end\r\n");
    }

    #[test]
    fn a_form_cut_short_anywhere_is_refused() {
        let body = "--b7\r\nContent-Disposition: form-data; name=\"k\"; filename=\"\\\"\"\r\n\r\nv\r\n--b7--";
        assert_eq!(read(body).unwrap().len(), 1);
        for length in 0..body.len() {
            read(&body[..length]).expect_err("the closing boundary is incomplete");
        }
    }

    #[test]
    fn a_form_that_is_not_well_formed_is_refused() {
        let head = "--b7\r\nContent-Disposition: form-data";
        assert_eq!(read(&format!("{head}; name=\"key\"\r\n\r\nv\r\n")), Err(Error::Unfinished));
        assert_eq!(read(&format!("{head}\r\n\r\nv\r\n--b7--")), Err(Error::NoName));
        assert_eq!(read("no form at all"), Err(Error::Unfinished));
        let long = format!("{head}; name=\"{}\"\r\n\r\nv\r\n--b7--", "k".repeat(HEAD_BYTES_MAX));
        assert_eq!(read(&long), Err(Error::Head { max: HEAD_BYTES_MAX }));
        let many = format!("{}--b7--", format!("{head}; name=\"k\"\r\n\r\nv\r\n").repeat(PARTS_MAX + 1));
        assert_eq!(read(&many), Err(Error::TooManyParts { max: PARTS_MAX }));
        let body = Bytes::from_static(b"--b7--");
        assert_eq!(parts("application/json", &body), Err(Error::NotAForm));
        assert_eq!(parts("multipart/form-data", &body), Err(Error::Boundary));
    }
}
