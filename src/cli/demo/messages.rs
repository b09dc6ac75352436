//! What the demonstration's laboratory sends: one of everything that happens to a laboratory's messages.

use crate::simulator::lab::Observation;
use crate::simulator::lab::Person;
use crate::simulator::lab::Sample;

pub(super) const SENDER: &str = "DEMOLAB|DEMO";

/// The door that a message goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    Fhir,
    /// A signed body.
    Json,
    Mllp,
    /// A file.
    Sftp,
}

impl By {
    pub(super) const ALL: [Self; 4] = [Self::Fhir, Self::Json, Self::Mllp, Self::Sftp];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Fhir => "fhir",
            Self::Json => "json",
            Self::Mllp => "mllp",
            Self::Sftp => "sftp",
        }
    }

    /// A message as this door takes it.
    fn encode(self, sample: &Sample) -> Vec<u8> {
        match self {
            Self::Fhir => sample.fhir(),
            Self::Json => sample.webhook(),
            Self::Mllp | Self::Sftp => sample.encode(),
        }
    }
}

/// One message, and what it shows.
pub(super) struct Letter {
    pub(super) by: By,
    pub(super) title: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// A patient the clinic ordered a test for.
pub(super) struct Ordered {
    pub(super) person: Person,
    pub(super) order_number: String,
}

type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// A panel with its results, as code, value, unit, range and flag. Those that go as JSON have the laboratory's own codes.
struct Panel {
    by: By,
    title: &'static str,
    code: &'static str,
    rows: &'static [Row],
}

const FBC: &str = "58410-2^Full blood count^LN";
const UE: &str = "24362-6^Urea and electrolytes^LN";

/// Ordered panels, one for each patient in turn: mapped, matched by their order number, interpreted.
const PANELS: [Panel; 17] = [
    Panel {
        by: By::Mllp,
        title: "full blood count, all in range",
        code: FBC,
        rows: &[
            ("718-7^Haemoglobin^LN", "135", "g/L", "120-150", ""),
            ("6690-2^White cell count^LN", "6.20", "10*9/L", "4.0-10.0", ""),
            ("777-3^Platelets^LN", "250", "10*9/L", "150-410", ""),
            ("787-2^Mean cell volume^LN", "89.5", "fL", "83-101", ""),
        ],
    },
    Panel {
        by: By::Mllp,
        title: "urea and electrolytes, all in range",
        code: UE,
        rows: &[
            ("2951-2^Sodium^LN", "140", "mmol/L", "133-146", ""),
            ("2823-3^Potassium^LN", "4.2", "mmol/L", "3.5-5.3", ""),
            ("22664-7^Urea^LN", "5.10", "mmol/L", "2.5-7.8", ""),
            ("14682-9^Creatinine^LN", "80", "umol/L", "64-104", ""),
        ],
    },
    Panel {
        by: By::Mllp,
        title: "potassium critically high",
        code: UE,
        rows: &[
            ("2823-3^Potassium^LN", "6.8", "mmol/L", "3.5-5.3", "HH"),
            ("2951-2^Sodium^LN", "138", "mmol/L", "133-146", ""),
        ],
    },
    Panel {
        by: By::Mllp,
        title: "haemoglobin critically low",
        code: FBC,
        rows: &[
            ("718-7^Haemoglobin^LN", "65", "g/L", "130-170", "LL"),
            ("787-2^Mean cell volume^LN", "71.0", "fL", "83-101", "L"),
        ],
    },
    Panel {
        by: By::Mllp,
        title: "HbA1c above the range",
        code: "4548-4^HbA1c^LN",
        rows: &[("59261-8^HbA1c (IFCC)^LN", "52", "mmol/mol", "20-41", "H")],
    },
    Panel {
        by: By::Fhir,
        title: "lipids above desirable",
        code: "24331-1^Lipids^LN",
        rows: &[
            ("14647-2^Total cholesterol^LN", "6.4", "mmol/L", "<5.0", "H"),
            ("14646-4^HDL cholesterol^LN", "1.1", "mmol/L", ">1.0", ""),
            ("14927-8^Triglycerides^LN", "1.9", "mmol/L", "<1.7", "H"),
        ],
    },
    Panel {
        by: By::Fhir,
        title: "thyroid: TSH high, FT4 low",
        code: "TFT^Thyroid function^L",
        rows: &[
            ("3016-3^TSH^LN", "12.4", "m[IU]/L", "0.27-4.20", "H"),
            ("14920-3^Free T4^LN", "8.1", "pmol/L", "12.0-22.0", "L"),
        ],
    },
    Panel {
        by: By::Fhir,
        title: "low iron stores with anaemia",
        code: FBC,
        rows: &[
            ("718-7^Haemoglobin^LN", "108", "g/L", "130-170", "L"),
            ("787-2^Mean cell volume^LN", "74.0", "fL", "83-101", "L"),
            ("2276-4^Ferritin^LN", "9", "ug/L", "30-400", "L"),
        ],
    },
    Panel {
        by: By::Json,
        title: "liver tests above the range",
        code: "LFT^Liver function^L",
        rows: &[
            ("ALT^ALT^L", "180", "U/L", "<50", "H"),
            ("ALP^ALP^L", "95", "U/L", "30-130", ""),
            ("BIL^Bilirubin^L", "12", "umol/L", "<21", ""),
            ("ALB^Albumin^L", "41", "g/L", "35-50", ""),
        ],
    },
    Panel {
        by: By::Json,
        title: "vitamin D low",
        code: "VITD^Vitamin D^L",
        rows: &[("VITD^Vitamin D^L", "22", "nmol/L", "50-150", "L")],
    },
    Panel {
        by: By::Json,
        title: "C-reactive protein high",
        code: "CRP^C-reactive protein^L",
        rows: &[("CRP^CRP^L", "120", "mg/L", "<5", "H")],
    },
    Panel {
        by: By::Sftp,
        title: "glucose critically high",
        code: "GLU^Glucose^L",
        rows: &[("14749-6^Glucose^LN", "26.1", "mmol/L", "3.0-7.8", "HH")],
    },
    Panel {
        by: By::Sftp,
        title: "sodium critically low",
        code: UE,
        rows: &[("2951-2^Sodium^LN", "118", "mmol/L", "133-146", "LL")],
    },
    Panel {
        by: By::Sftp,
        title: "a value below the limit of detection",
        code: "TFT^Thyroid function^L",
        rows: &[
            ("3016-3^TSH^LN", "<0.01", "m[IU]/L", "0.27-4.20", "L"),
            ("14920-3^Free T4^LN", "31.0", "pmol/L", "12.0-22.0", "H"),
        ],
    },
    Panel {
        by: By::Mllp,
        title: "a code nobody knows: reported, not interpreted",
        code: "XYZ^Novel marker^L",
        rows: &[("XQ77^Novel marker^L", "3.3", "mmol/L", "1-2", "H")],
    },
    Panel {
        by: By::Mllp,
        title: "a unit nobody knows: reported, not interpreted",
        code: UE,
        rows: &[("2823-3^Potassium^LN", "4.4", "blobs/jug", "3.5-5.3", "")],
    },
    Panel {
        by: By::Mllp,
        title: "a preliminary result",
        code: FBC,
        rows: &[("718-7^Haemoglobin^LN", "141", "g/L", "130-170", "")],
    },
];

/// How many patients need an order before [`letters`] can be written.
pub(super) const ORDERS: usize = PANELS.len();

/// The tests to order for the patient at `index`.
pub(super) fn tests(index: usize) -> Vec<String> {
    let panel = PANELS.get(index).map_or("", |panel| panel.code);
    vec![panel.split('^').nth(1).unwrap_or_default().to_owned()]
}

/// Every message of the demonstration, in the order sent.
///
/// `known` has a confirmed NHS number and no order; `ordered` has one entry for each of [`ORDERS`].
pub(super) fn letters(ordered: &[Ordered], known: &Person, time: &str) -> Vec<Letter> {
    let samples: Vec<(&'static Panel, Sample)> = PANELS
        .iter()
        .zip(ordered)
        .zip(1..)
        .map(|((panel, ordered), number)| (panel, sample(panel, ordered, number, time)))
        .collect();
    let mut letters: Vec<Letter> = samples
        .iter()
        .map(|(panel, sample)| Letter { by: panel.by, title: panel.title, bytes: panel.by.encode(sample) })
        .collect();
    if let [(_, first), (_, second), _, _, (_, fifth), ..] = samples.as_slice() {
        let by_mllp = |title, sample: &Sample| Letter { by: By::Mllp, title, bytes: sample.encode() };
        letters.push(by_mllp("a correction of an earlier result", &corrected(fifth)));
        letters.push(by_mllp("the same bytes again", first));
        let other = Sample { note: Some("Other content.".to_owned()), ..second.clone() };
        letters.push(by_mllp("a control id used for other content", &other));
    }
    let of = |by: By| samples.iter().find(|(panel, _)| panel.by == by).map(|(_, sample)| sample);
    if let (Some(bundle), Some(webhook)) = (of(By::Fhir), of(By::Json)) {
        letters.extend(odd_ones_by_other_doors(bundle, webhook));
    }
    if let Some((_, last)) = samples.last() {
        letters.extend(odd_ones(last, known));
    }
    letters
}

/// What goes wrong at the other doors: the same is kept, answered and told.
fn odd_ones_by_other_doors(bundle: &Sample, webhook: &Sample) -> Vec<Letter> {
    let letter = |by, title, bytes| Letter { by, title, bytes };
    let mut broken = Sample { control_id: "DEMO0301".to_owned(), ..bundle.clone() }.fhir();
    broken.truncate(broken.len() / 2);
    let mut uncoded =
        Sample { control_id: "DEMO0302".to_owned(), filler_number: "26-00302".to_owned(), ..webhook.clone() };
    uncoded.results.truncate(1);
    for result in &mut uncoded.results {
        "ZZ9^Novel marker^L".clone_into(&mut result.code);
    }
    vec![
        letter(By::Fhir, "the same Bundle again", bundle.fhir()),
        letter(By::Fhir, "a Bundle that breaks off", broken),
        letter(By::Json, "a code that the laboratory's table has not: held", uncoded.webhook()),
        letter(By::Sftp, "a file that is no message", b"Results will follow on Monday.\n".to_vec()),
    ]
}

fn sample(panel: &Panel, ordered: &Ordered, number: u32, time: &str) -> Sample {
    let preliminary = panel.title.contains("preliminary");
    let status = if preliminary { "P" } else { "F" };
    let results = panel
        .rows
        .iter()
        .map(|(code, value, unit, range, flag)| Observation {
            status: status.to_owned(),
            ..Observation::number(code, value, unit, range, flag)
        })
        .collect();
    Sample {
        control_id: format!("DEMO{number:04}"),
        sender: SENDER.to_owned(),
        time: time.to_owned(),
        patient: ordered.person.clone(),
        filler_number: format!("26-{number:05}"),
        order_number: ordered.order_number.clone(),
        panel: panel.code.to_owned(),
        status: status.to_owned(),
        results,
        note: None,
    }
}

fn corrected(first: &Sample) -> Sample {
    let mut second = Sample { control_id: "DEMO0101".to_owned(), status: "C".to_owned(), ..first.clone() };
    second.note = Some("Corrected result: the earlier value belonged to another dilution.".to_owned());
    for result in &mut second.results {
        "C".clone_into(&mut result.status);
        "47".clone_into(&mut result.value);
    }
    second
}

/// What goes wrong, and what needs a person.
fn odd_ones(like: &Sample, known: &Person) -> Vec<Letter> {
    let new = |control_id: &str, filler: &str| Sample {
        control_id: control_id.to_owned(),
        filler_number: filler.to_owned(),
        order_number: String::new(),
        status: "F".to_owned(),
        ..like.clone()
    };
    let by_nhs_number = Sample { patient: known.clone(), ..new("DEMO0201", "26-00201") };
    let mut nameless = by_nhs_number.clone();
    nameless.patient.nhs_number.clear();
    let stranger = Sample {
        patient: Person {
            nhs_number: String::new(),
            family: "Nobodyhere".to_owned(),
            given: "Zebedee".to_owned(),
            birth_date: "19610203".to_owned(),
            ..known.clone()
        },
        ..new("DEMO0203", "26-00203")
    };
    let text = |sample: &Sample| String::from_utf8(sample.encode()).unwrap_or_default();
    let without_order = text(&new("DEMO0204", "26-00204"))
        .split_inclusive('\r')
        .filter(|segment| !segment.starts_with("OBR"))
        .collect::<String>();
    let with_z = text(&new("DEMO0205", "26-00205")).replacen(
        "OBX|1|",
        "ZQX|1|something the mapping was never told of\rOBX|1|",
        1,
    );
    let letter = |title, bytes: Vec<u8>| Letter { by: By::Mllp, title, bytes };
    vec![
        letter("no order, matched by a confirmed NHS number", by_nhs_number.encode()),
        letter(
            "name and birth date only: a person decides",
            Sample { control_id: "DEMO0202".to_owned(), filler_number: "26-00202".to_owned(), ..nameless }
                .encode(),
        ),
        letter("nobody in the clinic: waits unmatched", stranger.encode()),
        letter("no OBR: cannot be read as a result", without_order.into_bytes()),
        letter("a segment no rule reads: held", with_z.into_bytes()),
        letter("not HL7 at all", b"GET / HTTP/1.1\r\n".to_vec()),
        letter(
            "a sender nobody configured",
            Sample { sender: "STRANGE|LAB".to_owned(), ..new("DEMO0206", "26-00206") }.encode(),
        ),
        letter(
            "a training message",
            text(&new("DEMO0207", "26-00207")).replacen("|P|2.5.1", "|T|2.5.1", 1).into_bytes(),
        ),
        letter(
            "another major version",
            text(&new("DEMO0208", "26-00208")).replacen("|P|2.5.1", "|P|3.0", 1).into_bytes(),
        ),
        letter(
            "no processing id: held",
            text(&new("DEMO0209", "26-00209")).replacen("|P|2.5.1", "||2.5.1", 1).into_bytes(),
        ),
    ]
}
