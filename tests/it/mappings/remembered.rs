//! Every mapping that was loaded is remembered with its files, and compiles from them to the same digest.

use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::pipeline::records::mapping;
use serde_json::Value;

use crate::harness::TestGateway;

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_is_remembered_once_and_compiles_from_what_is_remembered() {
    let mut gateway = TestGateway::start().await;
    let listed = mapping::list(gateway.store(), "").unwrap();
    let of_lab = listed.iter().find(|it| it.lab == "standard").unwrap();
    assert_eq!(of_lab.files, ["labs/standard/mapping.toml", "labs/standard/units.csv"]);
    gateway.restart().await;
    assert_eq!(mapping::list(gateway.store(), "").unwrap(), listed, "once, and it outlives a restart");
    for it in &listed {
        let remembered = mapping::load(gateway.store(), &it.digest).unwrap().unwrap();
        let compiled = Mapping::compile(&remembered.lab, &remembered.files).unwrap();
        assert_eq!((compiled.lab(), compiled.digest()), (it.lab.as_str(), it.digest.as_str()));
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_socket_lists_them_and_gives_their_files() {
    let gateway = TestGateway::start().await;
    let listed = gateway.operate("GET", "/mappings", &Value::Null).await.done();
    let of_lab = listed.as_array().unwrap().iter().find(|it| it["lab"] == "inuvi").unwrap();
    let digest = of_lab["digest"].as_str().unwrap();
    for asked in [digest, &digest[..8]] {
        let shown = gateway.operate("GET", &format!("/mappings/{asked}"), &Value::Null).await.done();
        assert_eq!((&shown["digest"], &shown["lab"]), (&of_lab["digest"], &of_lab["lab"]));
        let names: Vec<&String> = shown["files"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["labs/inuvi/codes.csv", "labs/inuvi/mapping.toml", "labs/inuvi/units.csv"]);
    }
    for (asked, status) in [("00000000", 404), ("0", 422)] {
        let refused = gateway.operate("GET", &format!("/mappings/{asked}"), &Value::Null).await;
        assert_eq!(refused.status, status, "{asked}");
    }
    gateway.finish().await;
}
