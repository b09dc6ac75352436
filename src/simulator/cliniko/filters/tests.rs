//! Every operator, each refusal, and the links of a page.

use serde_json::json;

use super::*;
use crate::simulator::cliniko::query::pairs;

fn row(fields: &Value) -> Row {
    Row::new(fields.as_object().unwrap().clone())
}

fn patients() -> Vec<Row> {
    let patient = |id: &str, last: &str, born: Option<&str>, archived: Option<&str>, created: &str| {
        row(&json!({ "id": id, "last_name": last, "date_of_birth": born, "archived_at": archived,
                     "created_at": created, "accepted_privacy_policy": id == "1" }))
    };
    vec![
        patient("1", "Okafor", Some("1984-02-29"), None, "2025-01-01T00:00:00Z"),
        patient("22222222", "O’Neill", Some("1990-05-17"), None, "2025-01-02T00:00:00Z"),
        patient("1203948571203948576", "van der Okaforsen", None, None, "2025-01-03T00:00:00Z"),
        patient("4", "Gone", Some("1984-02-29"), Some("2025-06-01T00:00:00Z"), "2025-01-04T00:00:00Z"),
    ]
}

/// The last names a query finds, or the text of its 400.
fn check(query: &str) -> Result<Vec<String>, String> {
    let rows = patients();
    let listing = Listing::parse(Resource::Patients, &pairs(query))?;
    let page = listing.apply(rows.iter(), Timestamp::UNIX_EPOCH);
    Ok(page.rows.iter().map(|row| row.text("last_name").to_owned()).collect())
}

#[test]
fn each_operator_finds_what_it_should() {
    let cases: [(&str, &[&str]); 14] = [
        ("", &["Okafor", "O’Neill", "van der Okaforsen"]),
        ("q[]=archived_at:*", &["Okafor", "O’Neill", "van der Okaforsen", "Gone"]),
        ("q[]=archived_at:?", &["Gone"]),
        ("q%5B%5D=archived_at%3A%3E%3D2025-06-01T00%3A00%3A00Z", &["Gone"]),
        ("q[]=last_name:~okafor", &["Okafor", "van der Okaforsen"]),
        ("q[]=last_name:=Okafor", &["Okafor"]),
        ("q[]=last_name:~~van%25sen", &["van der Okaforsen"]),
        ("q=last_name:!=Okafor", &["O’Neill", "van der Okaforsen"]),
        ("q[]=date_of_birth:=****-05-**", &["O’Neill"]),
        ("q[]=date_of_birth:<1985-01-01", &["Okafor"]),
        ("q[]=date_of_birth:!?", &["van der Okaforsen"]),
        ("q[]=id:=1,1203948571203948576", &["Okafor", "van der Okaforsen"]),
        ("q[]=accepted_privacy_policy:=true", &["Okafor"]),
        ("q[]=date_of_birth:=1984-02-29&q[]=archived_at:*&q[]=created_at:>2025-01-01T00:00:00Z", &["Gone"]),
    ];
    for (query, names) in cases {
        assert_eq!(check(query).unwrap(), names, "{query}");
    }
}

#[test]
fn what_cannot_be_filtered_is_refused_and_what_is_unknown_is_ignored() {
    let refused = [
        "q[]=post_code:=LS1",
        "q[]=merged_at:*",
        "q[]=id:=abc",
        "q[]=created_at:=2025-01-01T00:00:00Z",
        "q[]=created_at:>2025-01-01",
        "q[]=date_of_birth:=29/02/1984",
        "q[]=last_name",
        "per_page=101",
        "page=0",
        "sort=post_code",
    ];
    for query in refused {
        check(query).expect_err(query);
    }
    assert_eq!(check("q[]=post_code:=LS1").unwrap_err(), "post_code is not filterable");
    assert_eq!(check("filters[last_name][=]=x").unwrap().len(), 3);
}

#[test]
fn order_is_by_creation_unless_asked_otherwise() {
    assert_eq!(check("sort=created_at:desc").unwrap()[0], "van der Okaforsen");
    assert_eq!(check("order=desc").unwrap()[0], "van der Okaforsen");
    assert_eq!(check("sort=last_name,created_at:desc").unwrap()[0], "Okafor");
}

#[test]
fn pages_carry_the_query_and_link_only_to_neighbours_that_exist() {
    let rows = patients();
    let listing = Listing::parse(Resource::Patients, &pairs("q[]=archived_at:*&per_page=3&page=1")).unwrap();
    let page = listing.apply(rows.iter(), Timestamp::UNIX_EPOCH);
    assert_eq!((page.rows.len(), page.total, page.previous), (3, 4, None));
    assert_eq!(page.next.unwrap(), "page=2&per_page=3&q%5B%5D=archived_at%3A%2A");
    let listing = Listing::parse(Resource::Patients, &pairs("per_page=3&page=2")).unwrap();
    let page = listing.apply(rows.iter(), Timestamp::UNIX_EPOCH);
    assert_eq!((page.rows.len(), page.next), (0, None));
    assert!(page.previous.is_some());
}
