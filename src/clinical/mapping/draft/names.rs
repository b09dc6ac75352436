//! What the names of columns and members usually say.

use crate::clinical::mapping::language::Field;

/// A field, or the words beside a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Field(Field),
    PanelName,
    ResultName,
}

use Meaning::Field as Is;

/// Names as they are compared, small letters and digits; the likelier first.
const NAMES: &[(Meaning, &[&str])] = &[
    (Is(Field::NhsNumber), &["nhsnumber", "nhsno", "nhs", "patientnhsnumber"]),
    (
        Is(Field::Family),
        &[
            "patientlastname",
            "patientsurname",
            "patientfamilyname",
            "family",
            "familyname",
            "surname",
            "lastname",
        ],
    ),
    (
        Is(Field::Given),
        &[
            "patientfirstname",
            "patientforename",
            "patientgivenname",
            "given",
            "givenname",
            "forename",
            "firstname",
        ],
    ),
    (
        Is(Field::BirthDate),
        &[
            "patientdob",
            "patientdateofbirth",
            "patientbirthdate",
            "dob",
            "dateofbirth",
            "birthdate",
            "birthday",
        ],
    ),
    (Is(Field::Sex), &["patientgender", "patientsex", "sex", "gender"]),
    (
        Is(Field::Identifiers),
        &["patientid", "patientnumber", "patientidentifier", "partneruserid", "hospitalnumber", "mrn", "pid"],
    ),
    (Is(Field::Addresses), &["patientpostcode", "patientaddress", "postcode", "address"]),
    (
        Is(Field::Telecoms),
        &["patientphonenumber", "patientemail", "patientphone", "phone", "telephone", "mobile", "email"],
    ),
    (
        Is(Field::FillerNumber),
        &[
            "reportnumber",
            "reportid",
            "laboratoryorderid",
            "accessionnumber",
            "accession",
            "labnumber",
            "labno",
            "labid",
            "sampleid",
            "samplenumber",
            "specimenid",
            "specimennumber",
            "resultid",
        ],
    ),
    (
        Is(Field::OrderNumber),
        &["ordernumber", "orderid", "partnerorderid", "requestnumber", "requestid", "placernumber"],
    ),
    (Is(Field::ControlId), &["messageid", "vendororderid", "controlid", "id"]),
    (
        Is(Field::PanelCode),
        &["panelcode", "profilecode", "batterycode", "orderedtestcode", "panel", "profile"],
    ),
    (Meaning::PanelName, &["panelname", "profilename", "batteryname"]),
    (
        Is(Field::PanelCollectedAt),
        &[
            "collectedat",
            "collectiondate",
            "collecteddate",
            "specimencollectiondate",
            "specimencollectiondatetime",
            "datecollected",
            "sampledate",
            "takenat",
            "collected",
            "collection",
        ],
    ),
    (
        Is(Field::PanelReceivedAt),
        &["receivedat", "receiveddate", "datereceived", "testinglabspecimenreceiveddate", "received"],
    ),
    (
        Is(Field::PanelReportedAt),
        &["reportedat", "reportdate", "datereported", "dateresultreleased", "issued", "reported"],
    ),
    (Is(Field::Requester), &["requester", "clinician", "orderedby", "doctor", "consultant"]),
    (
        Is(Field::ResultCode),
        &[
            "testcode",
            "resultcode",
            "code",
            "testresultcode",
            "testperformedcode",
            "analytecode",
            "loinc",
            "loinccode",
            "observationcode",
        ],
    ),
    (
        Meaning::ResultName,
        &[
            "testname",
            "analyte",
            "analytename",
            "test",
            "name",
            "biomarker",
            "parameter",
            "observation",
            "description",
        ],
    ),
    (Is(Field::ResultValue), &["result", "value", "resultvalue", "testresult", "observationvalue", "od450"]),
    (Is(Field::ResultUnit), &["unit", "units", "resultunits", "resultunit", "uom", "unitofmeasure"]),
    (
        Is(Field::ResultRange),
        &["range", "referencerange", "refrange", "reference", "normalrange", "referenceinterval"],
    ),
    (Is(Field::ResultFlags), &["flag", "flags", "abnormalflag", "abnormal", "interpretation"]),
    (
        Is(Field::ResultStatus),
        &[
            "resultstatus",
            "testresultstatus",
            "observationresultstatus",
            "status",
            "orderstatuscode",
            "orderstatus",
        ],
    ),
    (Is(Field::ResultObservedAt), &["testresultdate", "testdate", "resultdate", "observedat", "datetime"]),
    (Is(Field::ResultMethods), &["method", "methods", "equipmentmodelname"]),
    (Is(Field::PerformingLab), &["performinglab", "testinglabname", "laboratory", "labname", "lab"]),
    (Is(Field::SpecimenKind), &["specimentype", "sampletype", "specimentypecode", "specimen"]),
    (Is(Field::SpecimenPlacerNumber), &["kitbarcode", "kitid", "barcode"]),
    (Is(Field::NoteText), &["comment", "comments", "note", "notes", "remarks", "warning"]),
];

/// Of a person, a place or a sender, and so of no result.
const BESIDE_RESULTS: &[&str] = &[
    "patient",
    "provider",
    "facility",
    "street",
    "city",
    "state",
    "zip",
    "county",
    "phone",
    "email",
    "race",
    "ethnicity",
    "language",
    "doctor",
    "ward",
    "bed",
    "operator",
    "department",
    "serial",
    "software",
    "firmware",
    "address",
    "user",
    "partner",
    "employed",
    "pregnant",
    "resident",
    "healthcare",
];

/// What a name means, and how likely: the place in the list of names for it.
pub(super) fn meanings(name: &str) -> Vec<(Meaning, usize)> {
    let name = plain(name);
    let likely =
        |(meaning, names): &(Meaning, &[&str])| Some((*meaning, names.iter().position(|it| *it == name)?));
    NAMES.iter().filter_map(likely).collect()
}

pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

pub(super) fn is_beside_results(name: &str) -> bool {
    let name = plain(name);
    BESIDE_RESULTS.iter().any(|part| name.contains(part))
}
