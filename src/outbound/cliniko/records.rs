//! The allowed calls, one function each. Rows of a list are held against what was asked for, because Cliniko ignores a
//! condition it does not know and then returns everything (reference, section 4.3).

use std::collections::BTreeSet;

use hyper::Method;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::formats::cliniko::Id;
use crate::formats::cliniko::read;
use crate::formats::cliniko::read::Page;
use crate::formats::cliniko::upload::PresignedPost;
use crate::formats::cliniko::write::NewAttachment;
use crate::formats::cliniko::write::NewNote;
use crate::outbound::cliniko::Client;
use crate::outbound::cliniko::Error;
use crate::outbound::cliniko::Lane;
use crate::outbound::cliniko::wire::encode;

/// Ten thousand rows; no look-up of ours comes near, so more means that a condition was ignored.
const PAGES_MAX: usize = 100;
const PER_PAGE: &str = "per_page=100";
/// Brings archived rows into an answer: what a person removed still counts as filed.
const ARCHIVED_TOO: &str = "archived_at:*";

impl Client {
    pub async fn user(&self) -> Result<read::User, Error> {
        self.record(Lane::Delivery, "/user", "", "user").await
    }

    pub async fn settings_public(&self) -> Result<read::Settings, Error> {
        self.record(Lane::Delivery, "/settings/public", "", "settings").await
    }

    /// The practitioners that are this user; none means that the key cannot write notes.
    pub async fn practitioners_of(&self, user: &Id) -> Result<Vec<read::Practitioner>, Error> {
        let conditions = [format!("user_id:={user}")];
        let rows = self.list(Lane::Delivery, "/practitioners", &conditions, "practitioners");
        let mut rows: Vec<read::Practitioner> = rows.await?;
        rows.retain(|row| row.user.as_ref().is_none_or(|it| it.id().as_ref() == Some(user)));
        Ok(rows)
    }

    pub async fn note_template(&self, id: &Id) -> Result<read::NoteTemplate, Error> {
        self.record(Lane::Delivery, &format!("/treatment_note_templates/{id}"), "", "treatment_note_template")
            .await
    }

    /// A patient as they are now, archived or not; read again before every write.
    pub async fn patient(&self, lane: Lane, id: &Id) -> Result<read::Patient, Error> {
        let path = format!("/patients/{id}");
        let patient: read::Patient = self.record(lane, &path, &condition(ARCHIVED_TOO), "patient").await?;
        same(&patient.id, id, "patient")?;
        Ok(patient)
    }

    /// Everyone born on that day. The name is not asked for, so that a changed or mistyped one is found too.
    pub async fn patients_born_on(&self, date: Date) -> Result<Vec<read::Patient>, Error> {
        let conditions = [format!("date_of_birth:={date}")];
        let mut rows: Vec<read::Patient> =
            self.list(Lane::Search, "/patients", &conditions, "patients").await?;
        rows.retain(|row| row.date_of_birth == Some(date));
        Ok(unique(rows, |row| &row.id))
    }

    /// Patients whose surname contains the letters; for a person who searches. Empty without two plain letters.
    pub async fn patients_named(&self, surname: &str) -> Result<Vec<read::Patient>, Error> {
        // How `%`, commas and accents are read inside a value is not documented; plain letters are safe.
        let letters =
            surname.split(|c: char| !c.is_ascii_alphabetic()).max_by_key(|part| part.len()).unwrap_or("");
        if letters.len() < 2 {
            return Ok(Vec::new());
        }
        let conditions = [format!("last_name:~{letters}")];
        let mut rows: Vec<read::Patient> =
            self.list(Lane::Search, "/patients", &conditions, "patients").await?;
        let wanted = letters.to_lowercase();
        rows.retain(|row| row.last_name.as_ref().is_some_and(|name| name.to_lowercase().contains(&wanted)));
        Ok(unique(rows, |row| &row.id))
    }

    /// Patients under that reference number; empty where it holds what a condition cannot carry.
    pub async fn patients_by_reference(&self, reference: &str) -> Result<Vec<read::Patient>, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if reference.is_empty() || !reference.chars().all(plain) {
            return Ok(Vec::new());
        }
        let conditions = [format!("old_reference_id:={reference}")];
        let mut rows: Vec<read::Patient> =
            self.list(Lane::Search, "/patients", &conditions, "patients").await?;
        rows.retain(|row| row.old_reference_id.as_deref() == Some(reference));
        Ok(unique(rows, |row| &row.id))
    }

    /// A signed form for one upload to this patient's temporary folder. Changes nothing.
    pub async fn attachment_presigned_post(&self, patient: &Id) -> Result<PresignedPost, Error> {
        let path = format!("/patients/{patient}/attachment_presigned_post");
        self.record(Lane::Delivery, &path, "", "attachment_presigned_post").await
    }

    /// Registers an uploaded file: **the effect**. Not to be repeated before a look-up says it is not there.
    pub async fn create_attachment(&self, new: &NewAttachment) -> Result<read::Attachment, Error> {
        self.create("/patient_attachments", new, "patient_attachment").await
    }

    pub async fn attachment(&self, id: &Id) -> Result<read::Attachment, Error> {
        let path = format!("/patient_attachments/{id}");
        let found: read::Attachment =
            self.record(Lane::Delivery, &path, &condition(ARCHIVED_TOO), "patient_attachment").await?;
        same(&found.id, id, "patient_attachment")?;
        Ok(found)
    }

    /// This patient's files under the marker, archived ones too. A marker marks in brackets; a description that only
    /// mentions it is another file's.
    pub async fn attachments_marked(
        &self,
        patient: &Id,
        marker: &str,
    ) -> Result<Vec<read::Attachment>, Error> {
        let conditions =
            [format!("patient_id:={patient}"), format!("description:~{marker}"), ARCHIVED_TOO.to_owned()];
        let bracketed = format!("[{marker}]");
        let rows = self.list(Lane::Delivery, "/patient_attachments", &conditions, "patient_attachments");
        let mut rows: Vec<read::Attachment> = rows.await?;
        rows.retain(|row| {
            row.description.as_ref().is_some_and(|text| text.contains(&bracketed))
                && row.patient.as_ref().is_none_or(|it| it.id().as_ref() == Some(patient))
        });
        Ok(unique(rows, |row| &row.id))
    }

    /// Where the content of a processed file can be fetched: a signed link to the object store, for
    /// [Client::content_digest].
    pub async fn attachment_content_url(&self, attachment: &read::Attachment) -> Result<String, Error> {
        let link = attachment.content.as_ref().and_then(|it| it.link()).ok_or(Error::ForeignLink)?;
        let (path, query) = self.within(link).ok_or(Error::ForeignLink)?;
        let reply = self.ask(Lane::Delivery, Method::GET, &path, &query, None).await?;
        if reply.status != 303 {
            return Err(Error::Status { status: reply.status });
        }
        let location = reply.headers.get(hyper::header::LOCATION).and_then(|it| it.to_str().ok());
        location.map(str::to_owned).ok_or(Error::ForeignLink)
    }

    /// Writes a finished note: **the effect**. Not to be repeated before a look-up says it is not there.
    pub async fn create_note(&self, new: &NewNote) -> Result<read::TreatmentNote, Error> {
        self.create("/treatment_notes", new, "treatment_note").await
    }

    pub async fn note(&self, id: &Id) -> Result<read::TreatmentNote, Error> {
        let path = format!("/treatment_notes/{id}");
        let found: read::TreatmentNote =
            self.record(Lane::Delivery, &path, &condition(ARCHIVED_TOO), "treatment_note").await?;
        same(&found.id, id, "treatment_note")?;
        Ok(found)
    }

    /// This patient's notes since that time that carry the marker in their title or text, archived ones too. A note's
    /// text cannot be searched for, so every one is read.
    pub async fn notes_marked(
        &self,
        patient: &Id,
        since: Timestamp,
        marker: &str,
    ) -> Result<Vec<read::TreatmentNote>, Error> {
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
        let conditions =
            [format!("patient_id:={patient}"), format!("created_at:>={since}"), ARCHIVED_TOO.to_owned()];
        let bracketed = format!("[{marker}]");
        let rows = self.list(Lane::Delivery, "/treatment_notes", &conditions, "treatment_notes");
        let mut rows: Vec<read::TreatmentNote> = rows.await?;
        rows.retain(|row| {
            let found = row.title.as_ref().is_some_and(|title| title.contains(&bracketed))
                || row.content.to_string().contains(&bracketed);
            found && row.patient.as_ref().is_none_or(|it| it.id().as_ref() == Some(patient))
        });
        Ok(unique(rows, |row| &row.id))
    }

    async fn record<T: DeserializeOwned>(
        &self,
        lane: Lane,
        path: &str,
        query: &str,
        resource: &'static str,
    ) -> Result<T, Error> {
        let reply = self.ask(lane, Method::GET, path, query, None).await?;
        if reply.status != 200 {
            return Err(Error::Status { status: reply.status });
        }
        Ok(read::record(&reply.body, resource)?)
    }

    async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        resource: &'static str,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|_| Error::NotAllowed)?;
        let reply = self.ask(Lane::Delivery, Method::POST, path, "", Some(body)).await?;
        if reply.status != 201 {
            return Err(Error::Status { status: reply.status });
        }
        read::record(&reply.body, resource).map_err(Error::WrittenUnread)
    }

    /// Every row of every page, following the links the account gives.
    async fn list<T: DeserializeOwned>(
        &self,
        lane: Lane,
        path: &str,
        conditions: &[String],
        resource: &'static str,
    ) -> Result<Vec<T>, Error> {
        let mut query = PER_PAGE.to_owned();
        for it in conditions {
            query.push('&');
            query.push_str(&condition(it));
        }
        let mut rows = Vec::new();
        for _ in 0..PAGES_MAX {
            let reply = self.ask(lane, Method::GET, path, &query, None).await?;
            if reply.status != 200 {
                return Err(Error::Status { status: reply.status });
            }
            let page = Page::decode(&reply.body, resource)?;
            rows.extend(page.rows);
            let Some(next) = page.next else { return Ok(rows) };
            let (next_path, next_query) = self.within(&next).ok_or(Error::ForeignLink)?;
            if next_path != path {
                return Err(Error::ForeignLink);
            }
            query = next_query;
        }
        Err(Error::TooManyPages { pages_max: PAGES_MAX })
    }
}

fn condition(text: &str) -> String {
    format!("q%5B%5D={}", encode(text))
}

/// A record asked for by id must be that record.
fn same(found: &Id, asked: &Id, resource: &'static str) -> Result<(), Error> {
    if found == asked { Ok(()) } else { Err(Error::Shape(read::NotThisShape { resource })) }
}

/// A row that moved between two pages while they were read comes once.
fn unique<T>(rows: Vec<T>, id: impl Fn(&T) -> &Id) -> Vec<T> {
    let mut seen = BTreeSet::new();
    rows.into_iter().filter(|row| seen.insert(id(row).clone())).collect()
}
