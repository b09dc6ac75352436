//! After filing: each file's content is fetched once and compared with what was approved.

use std::time::Duration;

use crate::audit;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::pipeline::accounts::Account;
use crate::pipeline::deliver::Ended;
use crate::pipeline::deliver::Error;
use crate::pipeline::hex;
use crate::pipeline::records::call;
use crate::pipeline::records::call::Call;
use crate::pipeline::records::call::Phase;
use crate::pipeline::records::call::What;
use crate::pipeline::records::case::Stored;
use crate::store::Change;

/// Cliniko processes a file in seconds, mostly.
pub(super) const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Between looks at a file that is not processed yet.
const NEXT_LOOK: Duration = Duration::from_secs(30);

pub(super) async fn run(
    pipeline: &Pipeline,
    account: &Account,
    stored: &Stored,
    calls: Vec<Call>,
) -> Result<Ended, Error> {
    for (number, mut call) in (0u8..).zip(calls) {
        let (What::Attachment { sha256, .. }, Phase::Confirmed { cliniko_id, verified: false, at, found_by }) =
            (&call.what, &call.phase)
        else {
            continue;
        };
        let attachment = account.client.attachment(cliniko_id).await?;
        if attachment.processing_completed != Some(true) {
            return Ok(Ended::Retry { after: NEXT_LOOK, failed: true });
        }
        let location = account.client.attachment_content_url(&attachment).await?;
        let digest = account.client.content_digest(&location).await?;
        if hex(&digest) != *sha256 {
            let problem =
                Diagnostic::error(Code::new("D107"), "a filed document differs from the approved one");
            tracing::error!(case.id = %stored.case.id, diagnostic.code = problem.code.as_str(), "a filed document differs");
            return Ok(Ended::hold(
                problem.help("compare the file in Cliniko with the case's document; tell the clinic"),
            ));
        }
        call.phase =
            Phase::Confirmed { cliniko_id: cliniko_id.clone(), at: *at, found_by: *found_by, verified: true };
        let case = &stored.case;
        let mut change = Change::new();
        call::put(&mut change, &case.clinic, case.id, number, &call);
        change.audit(
            audit::Entry::new(pipeline.clock.now(), "gateway", "call.verified", case.id.to_string())
                .of_clinic(case.clinic.clone())
                .with("call", call.id.clone()),
        );
        pipeline.store.commit(change).await?;
    }
    Ok(Ended::Stopped)
}
