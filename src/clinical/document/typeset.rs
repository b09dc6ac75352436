//! The typesetter: one of our templates and one value in, PDF bytes out.
//!
//! The templates are ours and embedded; everything else reaches them as a JSON value whose strings are shown and
//! never evaluated, so nothing a laboratory or a patient wrote can act as markup. There are no packages, files,
//! network, environment or clock here: a template that asks for today's date fails.
//! The bytes depend on the value and the moment alone.

use std::sync::LazyLock;

use serde_json::Value as Json;
use typst::Library;
use typst::LibraryExt;
use typst::World;
use typst::diag::FileError;
use typst::diag::FileResult;
use typst::foundations::Bytes;
use typst::foundations::Datetime;
use typst::foundations::Duration;
use typst::foundations::Smart;
use typst::syntax::FileId;
use typst::syntax::RootedPath;
use typst::syntax::Source;
use typst::syntax::VirtualPath;
use typst::syntax::VirtualRoot;
use typst::text::Font;
use typst::text::FontBook;
use typst::utils::LazyHash;
use typst_layout::PagedDocument;
use typst_pdf::PdfOptions;
use typst_pdf::PdfStandard;
use typst_pdf::PdfStandards;
use typst_pdf::Timestamp;

use crate::clinical::document::Error;
use crate::clinical::document::letters;

/// The most JSON that is typeset, a few seconds of work: a thousand results with notes fit, a flood of text does not.
pub(crate) const CONTENT_BYTES_MAX: usize = 1024 * 1024;

const THEME: &str = include_str!("theme.typ");

/// One of the embedded templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Template {
    Clinician,
    Form,
    Patient,
}

impl Template {
    const fn text(self) -> &'static str {
        match self {
            Self::Clinician => include_str!("clinician.typ"),
            Self::Form => include_str!("form.typ"),
            Self::Patient => include_str!("patient.typ"),
        }
    }
}

/// Typesets `content` with `template`. `moment` becomes the PDF's creation date.
pub(crate) fn pdf(template: Template, mut content: Json, moment: Option<Datetime>) -> Result<Vec<u8>, Error> {
    letters::make_safe(&mut content, &covered);
    let missing = content.to_string().contains(letters::MISSING);
    content["letters_missing"] = missing.into();
    let data = content.to_string();
    if data.len() > CONTENT_BYTES_MAX {
        return Err(Error::TooLong { bytes: data.len(), max: CONTENT_BYTES_MAX });
    }
    let desk = Desk { template, data: Bytes::from_string(data) };
    let pages = typst::compile::<PagedDocument>(&desk).output.map_err(|errors| Error::typeset(&errors))?;
    // PDF/A asks for a date, which a draft of an undated message has not.
    let strict: &[PdfStandard] =
        if moment.is_some() { &[PdfStandard::A_2a, PdfStandard::Ua_1] } else { &[PdfStandard::Ua_1] };
    // A rare cluster of marks may lack a glyph although each character has one; the standards then refuse the
    // whole file. The same pages as a plain tagged PDF are better than none.
    export(&pages, strict, moment).or_else(|_| export(&pages, &[], moment))
}

fn export(
    pages: &PagedDocument,
    standards: &[PdfStandard],
    moment: Option<Datetime>,
) -> Result<Vec<u8>, Error> {
    let standards = PdfStandards::new(standards).expect("PDF/A-2a and PDF/UA-1 agree on PDF 1.7");
    let options = PdfOptions {
        creator: Smart::Custom(Some("haemosync-gateway".to_owned())),
        timestamp: moment.map(Timestamp::new_utc),
        standards,
        ..PdfOptions::default()
    };
    typst_pdf::pdf(pages, &options).map_err(|errors| Error::typeset(&errors))
}

/// Whether one of the embedded faces can draw the character.
fn covered(character: char) -> bool {
    let code = u32::from(character);
    PRESS.faces.iter().any(|face| face.info().coverage.contains(code))
}

/// What every document shares, made once.
static PRESS: LazyLock<Press> = LazyLock::new(Press::new);

struct Press {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    faces: Vec<Font>,
    main: FileId,
    theme: FileId,
    data: FileId,
}

impl Press {
    fn new() -> Self {
        // Our own text face first; those of the library are there for characters it lacks.
        let own: [&'static [u8]; 2] =
            [include_bytes!("fonts/Inter-Regular.otf"), include_bytes!("fonts/Inter-SemiBold.otf")];
        let faces: Vec<Font> = own
            .into_iter()
            .chain(typst_assets::fonts())
            .flat_map(|bytes| Font::iter(Bytes::new(bytes)))
            .collect();
        let file = |name: &str| {
            let path = VirtualPath::new(name).expect("a plain file name is a path");
            FileId::new(RootedPath::new(VirtualRoot::Project, path))
        };
        Self {
            library: LazyHash::new(Library::default()),
            book: LazyHash::new(FontBook::from_fonts(&faces)),
            faces,
            main: file("main.typ"),
            theme: file("theme.typ"),
            data: file("data.json"),
        }
    }
}

/// The world of one document: its template, the theme and its data, and nothing else.
struct Desk {
    template: Template,
    data: Bytes,
}

impl World for Desk {
    fn library(&self) -> &LazyHash<Library> {
        &PRESS.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &PRESS.book
    }

    fn main(&self) -> FileId {
        PRESS.main
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        let text = if id == PRESS.main {
            self.template.text()
        } else if id == PRESS.theme {
            THEME
        } else {
            return Err(FileError::AccessDenied);
        };
        Ok(Source::new(id, text.to_owned()))
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        if id == PRESS.data { Ok(self.data.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn font(&self, index: usize) -> Option<Font> {
        PRESS.faces.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}
