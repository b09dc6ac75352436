//! `gateway mapping resolve`: from a held message to a row in the mapping's table, and on with what waited for it.
//!
//! The row is written into the operator's own folder, at the end of the file and marked with where it comes from, so
//! that it can be reviewed as any change. It is compiled before it is written; if the gateway still refuses it, the file
//! is put back as it was.

mod file;
mod meaning;

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use self::file::Edit;
use self::meaning::Meaning;
use crate::app::Compiled;
use crate::cli::ConfigArguments;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::environment;
use crate::cli::mapping::reload;
use crate::cli::output;
use crate::cli::owner::Missing;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::config::library;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::MissingRow;
use crate::diagnostic::RowKind;
use crate::pipeline::records::MessageId;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: gateway mapping resolve 01JH8Z3K5T6V7W8X9Y0Z1A2B3C --as potassium --dry-run\n          gateway mapping resolve 01JH8Z3K5T6V7W8X9Y0Z1A2B3C --code K+ --as 2823-3\n          gateway mapping resolve 01JH8Z3K5T6V7W8X9Y0Z1A2B3C --unit x10e9/L --as 10*9/L"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The held message, as `gateway message list --state held` prints it.
    #[arg(value_name = "HOLD")]
    message: MessageId,
    /// What it means: for a code an analyte's key or a LOINC code, for a unit a UCUM code.
    #[arg(long = "as", value_name = "KEY")]
    key: String,
    /// Which code, as it was sent, where the message waits for several.
    #[arg(long, value_name = "SENT", conflicts_with = "unit")]
    code: Option<String>,
    /// Which unit, as it was sent, where the message waits for several.
    #[arg(long, value_name = "SENT")]
    unit: Option<String>,
    /// The name to show, where LOINC's code is none of our analytes.
    #[arg(long, value_name = "TEXT", default_value = "")]
    display: String,
    /// Leave the messages that waited for it as they are.
    #[arg(long)]
    no_replay: bool,
    /// Show the change and what it would let go on, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let (config, _) = arguments.config.load()?;
    let directory = config.mappings_directory.clone().ok_or_else(|| refused(embedded()))?;
    runtime()?.block_on(async {
        let is_running = Owner::is_running(&config).await;
        let mut owner = Owner::reach(&config, Missing::Refuse).await?;
        if is_running {
            check_same_folder(&mut owner, &directory).await?;
        }
        let row = missing_row(&mut owner, arguments).await?;
        let edit = edit(&directory, &row, arguments)?;
        if format == Format::Plain {
            edit.show();
        }
        let mut done = json!({ "table": row.table, "kind": row.kind, "sent": row.sent, "added": edit.lines,
            "dry_run": arguments.dry_run, "swapped": [], "replayed": [], "refused": [] });
        if !arguments.dry_run {
            edit.write()?;
            if is_running {
                match reload::ask(&mut owner).await {
                    Ok(answer) if answer.refused.is_empty() => {
                        done["swapped"] = answer.document.get("swapped").cloned().unwrap_or_default();
                    }
                    not_loaded => {
                        edit.put_back()?;
                        let refused = not_loaded?.refused;
                        // The files say again what serves, so nothing is left to complain of.
                        reload::ask(&mut owner).await?;
                        return Err(Failure::Configuration(refused));
                    }
                }
            }
        }
        if !arguments.no_replay {
            replay(&mut owner, &row, arguments.dry_run, &mut done).await?;
        }
        Ok(tell(&done, is_running, arguments, format))
    })
}

fn refused(problem: Diagnostic) -> Failure {
    Failure::Configuration(vec![problem])
}

fn embedded() -> Diagnostic {
    Diagnostic::error(Code::new("C080"), "the mappings are those in the binary, which cannot be changed")
        .fact("nothing was written")
        .help("write them into a folder with `gateway mapping export DIR`, name it in `[mappings] directory`, and start again")
}

/// A row in one folder does nothing for a gateway that reads another.
async fn check_same_folder(owner: &mut Owner, directory: &Path) -> Result<(), Failure> {
    let active = owner.get("/mappings/active").await?;
    let of_gateway = active.get("directory").and_then(Value::as_str).map(PathBuf::from);
    // A relative path was meant from where the gateway was started.
    let is_same = |it: &PathBuf| it == directory || it.canonicalize().ok() == directory.canonicalize().ok();
    if of_gateway.as_ref().is_some_and(is_same) {
        return Ok(());
    }
    let told =
        of_gateway.map_or_else(|| "those in the binary".to_owned(), |it| format!("`{}`", it.display()));
    Err(refused(
        Diagnostic::error(Code::new("C082"), format!("the running gateway's mappings are {told}, not these"))
            .fact("nothing was written")
            .help("leave `--mappings` out, or start the gateway with the same folder"),
    ))
}

/// The row that the message waits for, and that the arguments mean.
async fn missing_row(owner: &mut Owner, arguments: &Arguments) -> Result<MissingRow, Failure> {
    let message = owner.get(&format!("/messages/{}", arguments.message)).await?;
    let said = message.get("diagnostics").cloned().unwrap_or_default();
    let said: Vec<Diagnostic> = serde_json::from_value(said).unwrap_or_default();
    let mut rows: Vec<MissingRow> = Vec::new();
    for row in said.into_iter().filter(Diagnostic::is_error).filter_map(|it| it.row) {
        let is_meant = |sent: &Option<String>, kind| row.kind == kind && sent.as_ref() == Some(&row.sent);
        let chosen = arguments.code.is_none() && arguments.unit.is_none()
            || is_meant(&arguments.code, RowKind::Code)
            || is_meant(&arguments.unit, RowKind::Unit);
        if chosen && !rows.contains(&row) {
            rows.push(*row);
        }
    }
    if rows.len() > 1 {
        return Err(refused(several(&rows)));
    }
    rows.pop().ok_or_else(|| {
        refused(
            Diagnostic::error(Code::new("M220"), "the message waits for no such row of a table")
                .fact("nothing was written")
                .help(format!("look why it is held: `gateway message show {}`; one that was held by an older version says more once it is replayed", arguments.message)),
        )
    })
}

fn several(rows: &[MissingRow]) -> Diagnostic {
    let found = Diagnostic::error(Code::new("M221"), format!("the message waits for {} rows", rows.len()));
    let found = rows.iter().fold(found, |found, row| {
        found.fact(format!("--{} '{}' of {}", row.kind.as_str(), row.sent, row.table))
    });
    found.help("say which, with `--code` or `--unit` as above; then the next")
}

/// The change to the table's file, compiled with everything else.
fn edit(directory: &Path, row: &MissingRow, arguments: &Arguments) -> Result<Edit, Failure> {
    let files = library::library(Some(directory)).map_err(Failure::Configuration)?;
    let name = row.table.strip_prefix("mappings/").unwrap_or(&row.table);
    let path = directory.join(name);
    let text = files.get(name).filter(|_| path.is_file()).ok_or_else(|| refused(embedded()))?;
    let compiled = Compiled::compile(&files).map_err(Failure::Configuration)?;
    let meaning = Meaning::of(&arguments.key, row.kind, &arguments.display, &compiled.knowledge);
    let meaning = meaning.map_err(refused)?;
    let edit = Edit::new(path, text, row, &meaning, &remark(arguments.message)).map_err(refused)?;
    let mut changed = files.clone();
    changed.insert(name.to_owned(), edit.after().to_owned());
    Compiled::compile(&changed).map_err(Failure::Configuration)?;
    Ok(edit)
}

/// Who, when and why, for whoever reads the table next.
fn remark(message: MessageId) -> String {
    const NAME_CHARS_MAX: usize = 64;
    let environment = environment();
    let user = ["USER", "LOGNAME"].iter().find_map(|name| environment.get(*name)).map_or("", String::as_str);
    let user: String = user.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    let user = if user.is_empty() { "an operator" } else { &user };
    let day = SystemClock::new().now().strftime("%Y-%m-%d");
    format!("resolved {day} by {user} from message {message}")
}

/// Lets every message that waited for the row be read again, or says which would be.
async fn replay(owner: &mut Owner, row: &MissingRow, dry_run: bool, done: &mut Value) -> anyhow::Result<()> {
    let waiting = owner.post("/mappings/waiting", row).await?;
    let ids = waiting.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut replayed, mut refused) = (Vec::new(), Vec::new());
    for id in ids {
        let path = format!("/messages/{}/replay?dry_run={dry_run}", id.as_str().unwrap_or_default());
        match owner.try_post(&path, &Value::Null).await? {
            Ok(_) => replayed.push(id),
            Err(why) => refused.push(json!({ "id": id, "error": why.get("error"), "code": why.get("code") })),
        }
    }
    done["replayed"] = replayed.into();
    done["refused"] = refused.into();
    Ok(())
}

fn tell(done: &Value, is_running: bool, arguments: &Arguments, format: Format) -> Outcome {
    let count = |key: &str| done.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    let (replayed, refused) = (count("replayed"), count("refused"));
    if format == Format::Json {
        output::json(done);
        return Outcome::from(refused == 0);
    }
    let messages = if replayed == 1 { "message" } else { "messages" };
    output::note(&match (arguments.dry_run, arguments.no_replay, is_running) {
        (true, true, _) => "dry run: nothing was done".to_owned(),
        (true, false, _) => format!("dry run: nothing was done; {replayed} {messages} would be read again"),
        (false, true, _) => "written; the messages that waited for it are left as they are".to_owned(),
        (false, false, true) => format!("written and loaded; {replayed} {messages} to be read again"),
        (false, false, false) => {
            format!("written; no gateway runs, so {replayed} {messages} will be read at its next start")
        }
    });
    if refused > 0 {
        output::note(&format!(
            "{refused} were not read again; `gateway message list --state held` names them"
        ));
    }
    Outcome::from(refused == 0)
}
