//! The states of a case, and what each command does in each of them.
//!
//! A case is one report version under review; a correction is another case. [`decide`] is one exhaustive match without
//! a wildcard for the command, so a new command does not compile until every state has answered it. Nothing here
//! stores or sends: the event is appended with its audit entry, in one transaction, by whoever asked.
//!
//! Invariant (R11): [`State::Releasing`] is reached through [`State::Approved`] alone, [`State::Approved`] through a
//! clinician's approval of exactly the content that was shown, and no event changes the content between them.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", content = "from", rename_all = "snake_case")]
pub enum State {
    Matching,
    Interpreting,
    InReview,
    Approved,
    Releasing,
    Filed,
    Rejected,
    /// A newer version of the lineage exists.
    Superseded,
    /// The laboratory took the report back.
    Withdrawn,
    /// A person must act before it goes on from where it was.
    Held(Step),
}

impl State {
    /// The word of the API, the dashboard and the tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Matching => "matching",
            Self::Interpreting => "interpreting",
            Self::InReview => "in_review",
            Self::Approved => "approved",
            Self::Releasing => "releasing",
            Self::Filed => "filed",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
            Self::Held(_) => "held",
        }
    }
}

/// The states that can be held and taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Matching,
    Interpreting,
    InReview,
    Approved,
    Releasing,
}

impl From<Step> for State {
    fn from(step: Step) -> Self {
        match step {
            Step::Matching => Self::Matching,
            Step::Interpreting => Self::Interpreting,
            Step::InReview => Self::InReview,
            Step::Approved => Self::Approved,
            Step::Releasing => Self::Releasing,
        }
    }
}

/// SHA-256 of what a clinician sees of a case: report version, findings, edits, and both documents marked draft.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentDigest(pub [u8; 32]);

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What somebody asks of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    AddNote,
    /// `shown` is what the clinician saw; `current` is what the case holds in the same transaction.
    Approve {
        shown: ContentDigest,
        current: ContentDigest,
    },
    Edit,
    /// Every planned call has its receipt.
    Filed,
    Hold,
    Interpreted,
    /// A person says who the patient is.
    ManualMatch,
    /// The decision table says who the patient is.
    MatchFound,
    Reject,
    Release,
    Resume,
    Supersede,
    /// A person takes a match back, before anything left.
    Unmatch {
        /// Whether a call to Cliniko has begun, so that something may stand in the patient's record.
        has_begun: bool,
    },
    Withdraw,
}

impl Command {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddNote => "add a note to",
            Self::Approve { .. } => "approve",
            Self::Edit => "edit",
            Self::Filed => "file",
            Self::Hold => "hold",
            Self::Interpreted => "interpret",
            Self::ManualMatch | Self::MatchFound => "match",
            Self::Reject => "reject",
            Self::Release => "release",
            Self::Resume => "resume",
            Self::Supersede => "supersede",
            Self::Unmatch { .. } => "unmatch",
            Self::Withdraw => "withdraw",
        }
    }

    /// Who may give it, in whatever state.
    const fn allowed(self, by: Roles) -> bool {
        match self {
            Self::AddNote | Self::Approve { .. } | Self::Edit | Self::Reject | Self::Release => by.clinician,
            Self::ManualMatch | Self::Unmatch { .. } => by.clinician || by.administrator,
            Self::Hold | Self::Resume => by.clinician || by.administrator || by.integrator || by.gateway,
            Self::Filed | Self::Interpreted | Self::MatchFound | Self::Supersede | Self::Withdraw => {
                by.gateway
            }
        }
    }
}

/// Who gives a command. A person may have several roles; the gateway itself has none of theirs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "a set of five roles, any of which may be held together")]
pub struct Roles {
    pub administrator: bool,
    pub clinician: bool,
    pub gateway: bool,
    pub integrator: bool,
    pub support: bool,
}

impl Roles {
    /// The gateway acting by itself, in a job.
    pub const fn gateway() -> Self {
        Self { administrator: false, clinician: false, gateway: true, integrator: false, support: false }
    }

    pub const fn clinician() -> Self {
        Self { administrator: false, clinician: true, gateway: false, integrator: false, support: false }
    }
}

/// What happened; the only thing that changes a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Approved { content: ContentDigest },
    Edited,
    Filed,
    Held { from: Step },
    Interpreted,
    Matched,
    NoteAdded,
    Rejected,
    Released,
    Resumed { to: Step },
    Superseded,
    Unmatched,
    Withdrawn,
}

/// Why a command does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the role does not allow anybody to {} a case", command.as_str())]
    NotAllowed { command: Command },
    #[error("a case in state `{}` cannot be changed so: {} it", state.as_str(), command.as_str())]
    NotFrom { command: Command, state: State },
    #[error("the content changed after it was shown")]
    Stale,
}

/// What a refusal is, for whichever face tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Who asks may not (HTTP 403).
    Role,
    /// Not in this state (HTTP 409).
    State,
    /// What was shown is no longer what there is (HTTP 412).
    Stale,
}

impl Refusal {
    pub const fn kind(&self) -> RefusalKind {
        match self {
            Self::NotAllowed { .. } => RefusalKind::Role,
            Self::NotFrom { .. } => RefusalKind::State,
            Self::Stale => RefusalKind::Stale,
        }
    }

    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed { .. } => "W001",
            Self::NotFrom { .. } => "W002",
            Self::Stale => "W003",
        }
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let help = match self {
            Self::NotAllowed { .. } => "ask a clinician of the clinic, or have the role added under Users",
            Self::NotFrom { .. } => "open the case again; somebody or something moved it on",
            Self::Stale => "open the case again, read what changed, and approve that",
        };
        Diagnostic::error(Code::new(self.code()), self.to_string()).help(help)
    }
}

/// Decides what a command does to a case, or why it may not.
///
/// # Errors
/// The role is looked at first, so that nobody learns a state they may not act on.
pub fn decide(state: State, command: Command, by: Roles) -> Result<Event, Refusal> {
    use State as S;
    if !command.allowed(by) {
        return Err(Refusal::NotAllowed { command });
    }
    let step = open_step(state);
    match (state, command) {
        (S::InReview, Command::AddNote) => Ok(Event::NoteAdded),
        (S::InReview, Command::Approve { shown, current }) if shown != current => Err(Refusal::Stale),
        (S::InReview, Command::Approve { current, .. }) => Ok(Event::Approved { content: current }),
        (S::InReview, Command::Edit) => Ok(Event::Edited),
        (S::Releasing, Command::Filed) => Ok(Event::Filed),
        (S::Interpreting, Command::Interpreted) => Ok(Event::Interpreted),
        (S::Matching, Command::MatchFound)
        | (S::Matching | S::Held(Step::Matching), Command::ManualMatch) => Ok(Event::Matched),
        // An approval can be taken back until it is released; after that only a correction follows.
        (S::InReview | S::Approved, Command::Reject) => Ok(Event::Rejected),
        (S::Approved, Command::Release) => Ok(Event::Released),
        (S::Held(from), Command::Resume) => Ok(Event::Resumed { to: from }),
        (
            S::Interpreting
            | S::InReview
            | S::Approved
            | S::Held(Step::Interpreting | Step::InReview | Step::Approved | Step::Releasing),
            Command::Unmatch { has_begun: false },
        ) => Ok(Event::Unmatched),
        (_, Command::Hold) => {
            step.map(|from| Event::Held { from }).ok_or(Refusal::NotFrom { command, state })
        }
        (S::Superseded | S::Withdrawn, Command::Supersede | Command::Withdraw) => {
            Err(Refusal::NotFrom { command, state })
        }
        (_, Command::Supersede) => Ok(Event::Superseded),
        (_, Command::Withdraw) => Ok(Event::Withdrawn),
        (
            state,
            Command::AddNote
            | Command::Approve { .. }
            | Command::Edit
            | Command::Filed
            | Command::Interpreted
            | Command::ManualMatch
            | Command::MatchFound
            | Command::Reject
            | Command::Release
            | Command::Resume
            | Command::Unmatch { .. },
        ) => Err(Refusal::NotFrom { command, state }),
    }
}

/// The state after an event that [`decide`] gave in `state`.
pub fn apply(state: State, event: Event) -> State {
    match event {
        Event::Approved { .. } => State::Approved,
        Event::Edited | Event::NoteAdded => state,
        Event::Filed => State::Filed,
        Event::Held { from } => State::Held(from),
        Event::Interpreted => State::InReview,
        Event::Matched => State::Interpreting,
        Event::Rejected => State::Rejected,
        Event::Released => State::Releasing,
        Event::Resumed { to } => to.into(),
        Event::Superseded => State::Superseded,
        Event::Unmatched => State::Matching,
        Event::Withdrawn => State::Withdrawn,
    }
}

/// The step a case is at, if it can be held there.
const fn open_step(state: State) -> Option<Step> {
    match state {
        State::Matching => Some(Step::Matching),
        State::Interpreting => Some(Step::Interpreting),
        State::InReview => Some(Step::InReview),
        State::Approved => Some(Step::Approved),
        State::Releasing => Some(Step::Releasing),
        State::Filed | State::Rejected | State::Superseded | State::Withdrawn | State::Held(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTENT: ContentDigest = ContentDigest([7; 32]);
    const APPROVE: Command = Command::Approve { shown: CONTENT, current: CONTENT };

    #[track_caller]
    fn check(state: State, command: Command, by: Roles, expected: Result<State, RefusalKind>) {
        let after =
            decide(state, command, by).map(|event| apply(state, event)).map_err(|refusal| refusal.kind());
        assert_eq!(after, expected, "{state:?} {command:?}");
    }

    #[test]
    fn a_case_goes_from_matching_to_filed() {
        let (gateway, clinician) = (Roles::gateway(), Roles::clinician());
        let mut state = State::Matching;
        for (command, by, next) in [
            (Command::MatchFound, gateway, State::Interpreting),
            (Command::Interpreted, gateway, State::InReview),
            (Command::Edit, clinician, State::InReview),
            (APPROVE, clinician, State::Approved),
            (Command::Release, clinician, State::Releasing),
            (Command::Hold, gateway, State::Held(Step::Releasing)),
            (Command::Resume, clinician, State::Releasing),
            (Command::Filed, gateway, State::Filed),
            (Command::Supersede, gateway, State::Superseded),
        ] {
            check(state, command, by, Ok(next));
            state = next;
        }
    }

    #[test]
    fn refusals_say_role_state_or_stale() {
        let everyone_else =
            Roles { clinician: false, administrator: true, support: true, integrator: true, gateway: true };
        for command in [APPROVE, Command::Release, Command::Reject, Command::Edit, Command::AddNote] {
            check(State::InReview, command, everyone_else, Err(RefusalKind::Role));
        }
        check(State::Filed, APPROVE, Roles::clinician(), Err(RefusalKind::State));
        check(State::Approved, Command::Edit, Roles::clinician(), Err(RefusalKind::State));
        check(State::InReview, Command::Release, Roles::clinician(), Err(RefusalKind::State));
        check(State::Releasing, Command::Reject, Roles::clinician(), Err(RefusalKind::State));
        check(State::Superseded, Command::Supersede, Roles::gateway(), Err(RefusalKind::State));
        check(State::Filed, Command::Hold, Roles::gateway(), Err(RefusalKind::State));
        let stale = Command::Approve { shown: ContentDigest([8; 32]), current: CONTENT };
        check(State::InReview, stale, Roles::clinician(), Err(RefusalKind::Stale));
        let refusal = decide(State::Filed, APPROVE, Roles::clinician()).unwrap_err();
        assert_eq!(refusal.to_string(), "a case in state `filed` cannot be changed so: approve it");
        assert!(crate::diagnostic::codes::find(refusal.code()).is_some());
    }

    #[test]
    fn a_held_release_is_unmatched_only_while_nothing_has_left() {
        let releasing = State::Held(Step::Releasing);
        for by in [Roles::clinician(), Roles { administrator: true, ..Roles::default() }] {
            check(releasing, Command::Unmatch { has_begun: false }, by, Ok(State::Matching));
            check(releasing, Command::Unmatch { has_begun: true }, by, Err(RefusalKind::State));
        }
        let by = Roles::clinician();
        check(State::Releasing, Command::Unmatch { has_begun: false }, by, Err(RefusalKind::State));
        check(State::Filed, Command::Unmatch { has_begun: false }, by, Err(RefusalKind::State));
    }

    #[test]
    fn a_state_survives_the_store() {
        for (state, text) in [
            (State::InReview, r#"{"state":"in_review"}"#),
            (State::Held(Step::Matching), r#"{"state":"held","from":"matching"}"#),
        ] {
            assert_eq!(serde_json::to_string(&state).unwrap(), text);
            assert_eq!(serde_json::from_str::<State>(text).unwrap(), state);
        }
    }

    fn commands() -> impl Strategy<Value = Command> {
        let digest = (0..3_u8).prop_map(|n| ContentDigest([n; 32]));
        prop_oneof![
            3 => (digest.clone(), digest).prop_map(|(shown, current)| Command::Approve { shown, current }),
            12 => proptest::sample::select(vec![
                Command::AddNote, Command::Edit, Command::Filed, Command::Hold, Command::Interpreted,
                Command::ManualMatch, Command::MatchFound, Command::Reject, Command::Release, Command::Resume,
                Command::Supersede, Command::Unmatch { has_begun: false },
                Command::Unmatch { has_begun: true }, Command::Withdraw,
            ]),
        ]
    }

    fn roles() -> impl Strategy<Value = Roles> {
        any::<[bool; 5]>().prop_map(|[administrator, clinician, gateway, integrator, support]| Roles {
            administrator,
            clinician,
            gateway,
            integrator,
            support,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        /// R11, against a model that knows one thing: which content a clinician approved and nothing changed since.
        #[test]
        fn r11_nothing_leaves_without_a_clinicians_approval_of_that_content(
            steps in proptest::collection::vec((commands(), roles()), 1..60),
        ) {
            let mut state = State::Matching;
            let mut approved: Option<ContentDigest> = None;
            for (command, by) in steps {
                let Ok(event) = decide(state, command, by) else { continue };
                match event {
                    Event::Approved { content } => {
                        prop_assert!(by.clinician);
                        prop_assert_eq!(command, Command::Approve { shown: content, current: content });
                        approved = Some(content);
                    }
                    // Whatever changes the content or who it belongs to takes the approval with it.
                    Event::Edited | Event::NoteAdded | Event::Unmatched | Event::Rejected => approved = None,
                    Event::Released => prop_assert!(by.clinician),
                    _ => {}
                }
                state = apply(state, event);
                let left = matches!(
                    state,
                    State::Approved | State::Releasing | State::Filed | State::Held(Step::Approved | Step::Releasing)
                );
                prop_assert!(!left || approved.is_some(), "{:?} without approval", state);
            }
        }
    }
}
