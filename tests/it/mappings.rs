//! Mappings of a running gateway: what is remembered of them, and how they change while it runs.

mod command;
mod live;
mod remembered;
mod replay;

use std::fs;
use std::path::PathBuf;

use haemosync_gateway::config::library;
use tempfile::TempDir;

use crate::harness::CLINIC;
use crate::harness::ELSEWHERE;
use crate::harness::Setup;

const UNITS: &str = "labs/inuvi/units.csv";
const CODES: &str = "labs/inuvi/codes.csv";

/// An operator's folder of mappings.
struct Folder(TempDir);

impl Folder {
    /// What the binary embeds, in files.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in library::library(None).unwrap() {
            folder.write(&name, &text);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "a test changes its own folder of mappings")]
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "a test changes its own folder of mappings")]
    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, line: &str) {
        self.write(name, &format!("{}{line}\n", self.read(name)));
    }

    /// A gateway that reads these mappings, with a feed of `inuvi` that serves two clinics.
    fn setup(&self) -> Setup {
        let more = format!(
            "[mappings]\ndirectory = {:?}\n[[lab]]\nname = \"inuvi\"\nmapping = \"inuvi\"\n\
             clinics = [\"{CLINIC}\", \"{ELSEWHERE}\"]\n\
             [[lab.feed]]\nname = \"inuvi-mllp\"\nkind = \"mllp\"\nsenders = [\"INUVI|INUVI\"]\n",
            self.0.path()
        );
        Setup { more, ..Setup::default() }
    }
}

/// A report of one potassium, as this laboratory would write it.
fn potassium(control_id: &str, code: &str, unit: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|INUVI|INUVI|GATEWAY|CLINIC|20260316101500+0000||ORU^R01^ORU_R01|{control_id}|P|2.4\r\
         PID|1||||Nobodyhere^Zebedee||19610203|M\r\
         OBR|1||L26-{control_id}|UE^Urea and electrolytes|||20260316083000|||||||||||||||20260316101000|||F\r\
         OBX|1|ST|{code}^Potassium||4.1|{unit}|3.5-5.3||||F|||20260316083000\r"
    )
    .into_bytes()
}
