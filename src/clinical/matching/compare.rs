//! How the identity in a report compares with a patient's record, field by field.
//!
//! Names are compared after normalising case, accents, apostrophes, hyphens, spaces and titles.

use jiff::civil::Date;
use serde::Deserialize;
use serde::Serialize;

use crate::clinical::matching::Candidate;
use crate::clinical::matching::Settings;
use crate::clinical::model::Patient;
use crate::clinical::model::PersonName;
use crate::clinical::model::Sex;
use crate::diagnostic::edit_distance;

/// How one field compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// One letter apart, which is how names are mistyped.
    Close,
    Differs,
    Exact,
    /// One side does not say.
    Missing,
    /// A part of a double name is shared: a marriage or a hyphen.
    Related,
    /// Day and month, or surname and given name, stand in each other's place.
    Transposed,
}

impl Agreement {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Differs => "differs",
            Self::Exact => "exact",
            Self::Missing => "missing",
            Self::Related => "related",
            Self::Transposed => "transposed",
        }
    }

    pub const fn agrees(self) -> bool {
        matches!(self, Self::Close | Self::Exact)
    }

    const fn of(same: bool) -> Self {
        if same { Self::Exact } else { Self::Differs }
    }
}

/// Every field of one comparison.
#[derive(Debug, Clone, Copy)]
pub struct Compared {
    pub family: Agreement,
    pub given: Agreement,
    pub birth_date: Agreement,
    pub sex: Agreement,
    pub postcode: Agreement,
    pub nhs_number: Agreement,
}

impl Compared {
    pub fn new(sent: &Patient, candidate: &Candidate, settings: &Settings) -> Self {
        let (family, given) = names(sent, candidate);
        Self {
            family,
            given,
            birth_date: birth_dates(sent, candidate),
            sex: sexes(sent.sex, candidate.sex),
            postcode: postcodes(sent, candidate),
            nhs_number: nhs_numbers(sent, candidate, settings),
        }
    }

    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Agreement)> {
        [
            ("family", self.family),
            ("given", self.given),
            ("birth_date", self.birth_date),
            ("sex", self.sex),
            ("postcode", self.postcode),
            ("nhs_number", self.nhs_number),
        ]
        .into_iter()
    }
}

/// Titles that stand in a name field now and then, and are no part of the name.
const TITLES: [&str; 11] = ["dame", "dr", "lady", "lord", "master", "miss", "mr", "mrs", "ms", "mx", "sir"];

/// The letters of a name: lower case, accents folded, apostrophes, hyphens and titles gone, words joined.
pub fn normalise(name: &str) -> String {
    words(name).concat()
}

/// The words of a name, split at spaces and hyphens, each normalised.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = name
        .split(|c: char| c.is_whitespace() || is_hyphen(c))
        .map(|word| word.chars().flat_map(char::to_lowercase).filter_map(fold).collect::<String>())
        .filter(|word: &String| !word.is_empty())
        .collect();
    if words.len() > 1 && words.first().is_some_and(|first| TITLES.contains(&first.as_str())) {
        words.remove(0);
    }
    words
}

const fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// A lower-case letter without its accent; `None` for marks that are no letters. What is outside Latin stays.
fn fold(c: char) -> Option<char> {
    Some(match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'ď' | 'đ' | 'ð' => 'd',
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => 'e',
        'ğ' | 'ģ' => 'g',
        'ì'..='ï' | 'ī' | 'į' | 'ı' => 'i',
        'ķ' => 'k',
        'ľ' | 'ł' | 'ļ' => 'l',
        'ñ' | 'ń' | 'ň' | 'ņ' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ŕ' | 'ř' => 'r',
        'ś' | 'š' | 'ş' | 'ș' => 's',
        'ť' | 'ţ' | 'ț' => 't',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        // Combining accents, apostrophes of every kind, full stops after initials.
        '\u{300}'..='\u{36f}' => return None,
        other if !other.is_alphanumeric() => return None,
        other => other,
    })
}

/// The surname and given name as sent against the record's. The name that agrees best speaks.
fn names(sent: &Patient, candidate: &Candidate) -> (Agreement, Agreement) {
    let compared = sent.names.iter().map(|name| (family(name, candidate), given(name, candidate)));
    compared
        .min_by_key(|(family, given)| (rank(*family), rank(*given)))
        .unwrap_or((Agreement::Missing, Agreement::Missing))
}

/// Best first.
const fn rank(agreement: Agreement) -> u8 {
    match agreement {
        Agreement::Exact => 0,
        Agreement::Close => 1,
        Agreement::Related => 2,
        Agreement::Transposed => 3,
        Agreement::Differs => 4,
        Agreement::Missing => 5,
    }
}

fn family(name: &PersonName, candidate: &Candidate) -> Agreement {
    let Some(sent) = name.family.as_ref().map(|it| it.expose().as_str()) else { return Agreement::Missing };
    let record = candidate.family.expose();
    let agreement = one_name(sent, record);
    if agreement != Agreement::Differs {
        return agreement;
    }
    let (sent_words, record_words) = (words(sent), words(record));
    let double = sent_words.len() > 1 || record_words.len() > 1;
    if double && sent_words.iter().any(|word| word.len() > 2 && record_words.contains(word)) {
        return Agreement::Related;
    }
    let first_given = name.given.first().map(|it| normalise(it.expose()));
    let crossed = candidate.given.first().is_some_and(|it| normalise(it.expose()) == normalise(sent))
        && first_given == Some(normalise(record));
    if crossed { Agreement::Transposed } else { Agreement::Differs }
}

/// The first given name, against the record's given names and the preferred one.
fn given(name: &PersonName, candidate: &Candidate) -> Agreement {
    let Some(sent) = name.given.first().map(|it| it.expose().as_str()) else { return Agreement::Missing };
    candidate
        .given
        .iter()
        .chain(&candidate.preferred)
        .flat_map(|it| [one_name(first_word(sent), first_word(it.expose())), one_name(sent, it.expose())])
        .min_by_key(|agreement| rank(*agreement))
        .unwrap_or(Agreement::Missing)
}

/// `Mary Jane` in one field is the given name Mary; a second given name is often left out.
fn first_word(name: &str) -> &str {
    name.split_whitespace().next().unwrap_or(name)
}

fn one_name(a: &str, b: &str) -> Agreement {
    let (a, b) = (normalise(a), normalise(b));
    if a.is_empty() || b.is_empty() {
        Agreement::Missing
    } else if a == b {
        Agreement::Exact
    } else if edit_distance(&a, &b) <= 1 && a.chars().count().min(b.chars().count()) > SHORT_NAME_CHARS {
        Agreement::Close
    } else {
        Agreement::Differs
    }
}

/// At this length one letter is most of the name: Li and Lu are two families.
const SHORT_NAME_CHARS: usize = 2;

fn birth_dates(sent: &Patient, candidate: &Candidate) -> Agreement {
    let sent = sent.birth_date.as_ref().and_then(|it| it.expose().date());
    let (Some(sent), Some(record)) = (sent, candidate.birth_date.as_ref().map(|it| *it.expose())) else {
        return Agreement::Missing;
    };
    if sent == record {
        Agreement::Exact
    } else if Date::new(sent.year(), sent.day(), sent.month()).is_ok_and(|swapped| swapped == record) {
        Agreement::Transposed
    } else {
        Agreement::Differs
    }
}

/// `Other` against `Female` or `Male` is neither the same nor a conflict: it is recorded differently.
const fn sexes(sent: Option<Sex>, record: Option<Sex>) -> Agreement {
    match (sent, record) {
        (None | Some(Sex::Unknown), _) | (_, None | Some(Sex::Unknown)) => Agreement::Missing,
        (Some(Sex::Female), Some(Sex::Female)) | (Some(Sex::Male), Some(Sex::Male)) => Agreement::Exact,
        (Some(Sex::Other), _) | (_, Some(Sex::Other)) => Agreement::Related,
        (Some(Sex::Female | Sex::Male), Some(Sex::Female | Sex::Male)) => Agreement::Differs,
    }
}

fn postcodes(sent: &Patient, candidate: &Candidate) -> Agreement {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
    };
    let Some(record) = candidate.postcode.as_ref().map(|it| letters(it.expose())) else {
        return Agreement::Missing;
    };
    let mut sent = sent.addresses.iter().filter_map(|address| address.postcode.as_ref()).peekable();
    if sent.peek().is_none() || record.is_empty() {
        return Agreement::Missing;
    }
    Agreement::of(sent.any(|it| letters(it.expose()) == record))
}

/// Only a number whose check digit held is compared (the mapping checked it); the record's needs no check of its own,
/// since it agrees only if it is the same ten digits.
fn nhs_numbers(sent: &Patient, candidate: &Candidate, settings: &Settings) -> Agreement {
    let digits =
        |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace() && !is_hyphen(*c)).collect() };
    let Some(sent) = sent.nhs_number().map(|it| digits(it.expose())) else { return Agreement::Missing };
    if sent.starts_with('9') && !settings.dangerous_test_nhs_numbers {
        return Agreement::Missing;
    }
    match &candidate.nhs_number {
        Some(record) if digits(record.value.expose()) == sent => Agreement::Exact,
        // A number nobody verified may be a slip of the clinic's: it is a reason to look, not a contradiction.
        Some(record) if record.verified => Agreement::Differs,
        Some(_) => Agreement::Related,
        None => Agreement::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::Agreement;
    use super::normalise;
    use super::one_name;
    use super::sexes;
    use crate::clinical::model::Sex;

    #[test]
    fn case_accents_apostrophes_hyphens_and_titles_do_not_matter() {
        for (a, b) in [
            ("O'Brien", "OBRIEN"),
            ("O’Brien", "o brien"),
            ("Quill-Feather", "Quill Feather"),
            ("Dr Søren Nuñez", "soren nunez"),
            ("Zoe\u{308}", "Zoë"),
            ("J. R.", "JR"),
        ] {
            assert_eq!(normalise(a), normalise(b), "{a} {b}");
        }
        assert_eq!(normalise("Master"), "master", "a title alone is a name");
    }

    #[test]
    fn one_letter_is_close_unless_it_is_most_of_the_name() {
        assert_eq!(one_name("Quillfeather", "Quilfeather"), Agreement::Close);
        assert_eq!(one_name("Li", "Lu"), Agreement::Differs);
        assert_eq!(one_name("", "Lu"), Agreement::Missing);
    }

    #[test]
    fn only_female_against_male_is_a_conflict_of_sex() {
        assert_eq!(sexes(Some(Sex::Female), Some(Sex::Male)), Agreement::Differs);
        assert_eq!(sexes(Some(Sex::Other), Some(Sex::Male)), Agreement::Related);
        assert_eq!(sexes(Some(Sex::Unknown), Some(Sex::Male)), Agreement::Missing);
    }
}
