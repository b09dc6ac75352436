//! Documents inside messages: shown with their case, byte for byte, or held; never a broken file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use haemosync_gateway::pipeline::records::MessageId;
use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::simulator::lab::Observation;
use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Table;

use crate::harness::CLINIC;
use crate::harness::ELSEWHERE;
use crate::harness::TestGateway;
use crate::harness::path_of;

const PDF: &[u8] = b"%PDF-1.7\n1 0 obj << /Type /Invented >> endobj\ntrailer << >>\n%%EOF\n";

fn embedded(data: &str) -> Observation {
    Observation {
        code: "11502-2^Laboratory report^LN".to_owned(),
        kind: "ED".to_owned(),
        value: format!("^AP^PDF^Base64^{data}"),
        status: "F".to_owned(),
        ..Observation::default()
    }
}

fn sodium() -> Observation {
    Observation::number("2951-2^Sodium^LN", "140", "mmol/L", "133-146", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_had_with_its_case_and_by_clinicians_of_its_clinic_only() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Bartholomew", "Snodgrass-Oyelaran").await;
    let broken = STANDARD.encode(PDF).as_bytes().chunks(20).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let sent = String::from_utf8(broken.join(b"\\.br\\".as_slice())).unwrap();
    gateway.deliver(&gateway.sample("A1", &ordered, &[sodium(), embedded(&sent)])).await;

    let case = gateway.only_case(&clinician, "").await;
    let listed = &case["attachments"][0];
    assert_eq!(listed["bytes"], PDF.len());
    assert_eq!((&listed["position"], &listed["media_type"]), (&"OBX[2]".into(), &"application/pdf".into()));
    let href = listed["href"].as_str().unwrap();
    let had = gateway.get(href, &clinician).await;
    assert!(had.status == 200 && had.body == PDF, "{}", had.status);

    let base = path_of(&case);
    for number in ["0", "2", "x", "99999"] {
        let refused = gateway.get(&format!("{base}/attachments/{number}"), &clinician).await.refusal();
        assert_eq!(refused, (404, "W103".to_owned()), "{number}");
    }
    let support = gateway.sign_in(CLINIC, "support").await;
    assert_eq!(gateway.get(href, &support).await.status, 403);
    let stranger = gateway.sign_in(ELSEWHERE, "clinician").await;
    assert_eq!(gateway.get(href, &stranger).await.status, 404, "R10");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_24_a_report_of_a_document_alone_opens_a_case_that_says_so() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Bartholomew", "Snodgrass-Oyelaran").await;
    gateway.deliver(&gateway.sample("D1", &ordered, &[embedded(&STANDARD.encode(PDF))])).await;
    let case = gateway.only_case(&clinician, "").await;
    assert_eq!(case["attachments"].as_array().unwrap().len(), 1);
    let said = case["not_assessed"].to_string();
    assert!(said.contains("it is a document"), "{said}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_not_whole_holds_its_message_with_its_place() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Bartholomew", "Snodgrass-Oyelaran").await;
    let whole = STANDARD.encode(PDF);
    for (number, data, code) in [
        (1, "PDF to follow", "M180"),
        (2, "", "M180"),
        (3, &whole[..whole.len() - 3], "M117"),
        (4, &STANDARD.encode(&PDF[..40]), "M183"),
        (5, "SGVsbG8sIHdvcmxkLg==", "M182"),
    ] {
        let sample = gateway.sample(&format!("H{number}"), &ordered, &[sodium(), embedded(data)]);
        gateway.deliver(&sample).await;
        let rows = gateway.store().scan_plain(&Scan::all(Table::MessageStates)).unwrap();
        let id = MessageId::try_from(rows.last().unwrap().0.as_slice()).unwrap();
        assert!(gateway.codes(id).iter().any(|it| it == code), "{data}: {:?}", gateway.codes(id));
    }
    assert_eq!(gateway.counted(State::Held), 5);
    assert!(gateway.cases(&clinician, "").await.is_empty());
    gateway.finish().await;
}
