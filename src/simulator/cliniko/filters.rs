//! Lists: the `q[]` conditions, order and pages of reference sections 4.2 to 4.5.
//!
//! Strict where the reference marks a behaviour as unknown: a `per_page` over 100, a page 0 and an
//! unknown sort field are refused. A parameter nobody knows is ignored, so a misspelt filter
//! returns everything, as it does there.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use crate::simulator::cliniko::query::encode;
use crate::simulator::cliniko::records::Kind;
use crate::simulator::cliniko::records::Resource;
use crate::simulator::cliniko::records::Row;

const PER_PAGE_DEFAULT: usize = 50;
const PER_PAGE_MAX: usize = 100;
/// Longest first: `~~` before `~`, `>=` before `>`, `!?` before `?`.
const OPERATORS: [&str; 11] = ["~~", ">=", "<=", "!=", "!?", "=", "~", ">", "<", "?", "*"];

/// What one list call asks for. The `Err` of its functions is the text of the 400.
#[derive(Debug)]
pub(super) struct Listing {
    conditions: Vec<Condition>,
    order: Vec<(String, Direction)>,
    page: usize,
    per_page: usize,
    /// The parameters that go back into the links, without the page.
    kept_query: String,
}

#[derive(Debug)]
struct Condition {
    field: String,
    kind: Kind,
    operator: &'static str,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

pub(super) struct Page<'a> {
    pub(super) rows: Vec<&'a Row>,
    pub(super) total: usize,
    /// Query strings of this, the previous and the next page.
    pub(super) this: String,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
}

impl Listing {
    pub(super) fn parse(resource: Resource, query: &[(String, String)]) -> Result<Self, String> {
        let last =
            |name: &str| query.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let per_page = count("per_page", last("per_page"), PER_PAGE_DEFAULT)?;
        if per_page > PER_PAGE_MAX {
            return Err(format!("per_page must be between 1 and {PER_PAGE_MAX}"));
        }
        let kept: Vec<String> = query
            .iter()
            .filter(|(name, _)| name != "page" && name != "per_page")
            .map(|(name, value)| format!("{}={}", encode(name, ""), encode(value, "")))
            .collect();
        Ok(Self {
            conditions: conditions(resource, query)?,
            order: order(resource, last("sort"), last("order"))?,
            page: count("page", last("page"), 1)?,
            per_page,
            kept_query: kept.join("&"),
        })
    }

    /// The rows a caller sees at `now`, in order.
    pub(super) fn apply<'a>(&self, rows: impl Iterator<Item = &'a Row>, now: Timestamp) -> Page<'a> {
        let mut found: Vec<&Row> =
            rows.filter(|row| row.listed_at <= now && is_visible(row, &self.conditions)).collect();
        found.sort_by(|a, b| self.compare(a, b));
        let total = found.len();
        let skipped = self.page.saturating_sub(1).saturating_mul(self.per_page);
        let rows = found.into_iter().skip(skipped).take(self.per_page).collect();
        let more = skipped.saturating_add(self.per_page) < total;
        Page {
            rows,
            total,
            this: self.page_query(self.page),
            previous: (self.page > 1).then(|| self.page_query(self.page - 1)),
            next: more.then(|| self.page_query(self.page + 1)),
        }
    }

    fn page_query(&self, page: usize) -> String {
        let separator = if self.kept_query.is_empty() { "" } else { "&" };
        format!("page={page}&per_page={}{separator}{}", self.per_page, self.kept_query)
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        for (field, direction) in &self.order {
            let ordering = sort_key(a, field).cmp(&sort_key(b, field));
            match direction {
                Direction::Ascending if ordering.is_ne() => return ordering,
                Direction::Descending if ordering.is_ne() => return ordering.reverse(),
                _ => {}
            }
        }
        Ordering::Equal
    }
}

/// Parses the `q[]` of a single record, which only knows the conditions on being archived.
pub(super) fn conditions_show(
    resource: Resource,
    query: &[(String, String)],
    row: &Row,
) -> Result<bool, String> {
    Ok(is_visible(row, &conditions(resource, query)?))
}

fn is_visible(row: &Row, conditions: &[Condition]) -> bool {
    let asked = |field: &str| conditions.iter().any(|condition| condition.field == field);
    let hidden = |field: &str| !row.is_null(field) && !asked(field);
    !hidden("archived_at") && !hidden("deleted_at") && conditions.iter().all(|condition| condition.holds(row))
}

fn conditions(resource: Resource, query: &[(String, String)]) -> Result<Vec<Condition>, String> {
    let asked = query.iter().filter(|(name, _)| name == "q[]" || name == "q");
    asked.map(|(_, text)| Condition::parse(resource, text)).collect()
}

fn order(
    resource: Resource,
    sort: Option<&str>,
    order: Option<&str>,
) -> Result<Vec<(String, Direction)>, String> {
    let direction = |text: Option<&str>| match text {
        None | Some("asc") => Ok(Direction::Ascending),
        Some("desc") => Ok(Direction::Descending),
        Some(_) => Err("sort direction must be asc or desc".to_owned()),
    };
    let default = direction(order)?;
    let mut fields = Vec::new();
    for item in sort.unwrap_or("created_at").split(',') {
        let (field, given) = item.split_once(':').map_or((item, None), |(field, given)| (field, Some(given)));
        if resource.filter_kind(field).is_none() {
            return Err(format!("{field} is not sortable"));
        }
        fields.push((field.to_owned(), if given.is_some() { direction(given)? } else { default }));
    }
    Ok(fields)
}

fn sort_key(row: &Row, field: &str) -> (Option<i64>, String) {
    let text = match row.fields.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    (text.parse().ok(), text)
}

fn count(name: &str, given: Option<&str>, default: usize) -> Result<usize, String> {
    match given.map(str::parse::<usize>) {
        None => Ok(default),
        Some(Ok(number)) if number > 0 => Ok(number),
        Some(_) => Err(format!("{name} must be a number greater than 0")),
    }
}

impl Condition {
    fn parse(resource: Resource, text: &str) -> Result<Self, String> {
        let (field, rest) = text.split_once(':').ok_or_else(|| format!("{text} is not a filter"))?;
        let kind = resource.filter_kind(field).ok_or_else(|| format!("{field} is not filterable"))?;
        let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator));
        let allowed: &[&str] = match kind {
            Kind::Date => &["=", ">=", ">", "<=", "<", "?", "!?"],
            Kind::DateTime => &[">=", ">", "<=", "<", "?", "!?", "*"],
            Kind::Flag => &["=", "!="],
            Kind::Number => &["=", "!=", ">=", ">", "<=", "<", "?", "!?"],
            Kind::Text => &["=", "!=", "~", "~~", "?", "!?"],
        };
        let operator = operator
            .filter(|operator| allowed.contains(operator))
            .ok_or_else(|| format!("Filter operator for {field} is not valid"))?;
        let value = rest.get(operator.len()..).unwrap_or_default().to_owned();
        let condition = Self { field: field.to_owned(), kind, operator, value };
        match condition.value_is_wrong() {
            Some(wanted) => Err(format!("Filter value for {field} must be {wanted}")),
            None => Ok(condition),
        }
    }

    fn value_is_wrong(&self) -> Option<&'static str> {
        let value = self.value.as_str();
        let (right, wanted) = match (self.kind, self.operator) {
            (_, "?" | "!?" | "*") => (value.is_empty(), "empty"),
            (Kind::Date, "=") if value.contains('*') => (is_date_pattern(value), "a date"),
            (Kind::Date, _) => (value.parse::<Date>().is_ok(), "a date"),
            (Kind::DateTime, _) => {
                (value.ends_with('Z') && value.parse::<Timestamp>().is_ok(), "a UTC date-time")
            }
            (Kind::Flag, _) => (matches!(value, "true" | "false"), "true or false"),
            (Kind::Number, "=") => (value.split(',').all(|part| part.parse::<i64>().is_ok()), "a number"),
            (Kind::Number, _) => (value.parse::<i64>().is_ok(), "a number"),
            (Kind::Text, _) => (true, ""),
        };
        (!right).then_some(wanted)
    }

    fn holds(&self, row: &Row) -> bool {
        let stored = row.fields.get(&self.field).unwrap_or(&Value::Null);
        match self.operator {
            "*" => return true,
            "?" => return !stored.is_null(),
            "!?" => return stored.is_null(),
            _ if stored.is_null() => return self.operator == "!=",
            _ => {}
        }
        let text = stored.as_str().map_or_else(|| stored.to_string(), str::to_owned);
        match self.kind {
            Kind::Date if self.value.contains('*') => matches_digits(&self.value, &text),
            Kind::Date => self.ordered(text.parse::<Date>().ok(), self.value.parse().ok()),
            Kind::DateTime => self.ordered(text.parse::<Timestamp>().ok(), self.value.parse().ok()),
            Kind::Number if self.operator == "=" => {
                self.value.split(',').any(|part| part.parse::<i64>().ok() == text.parse().ok())
            }
            Kind::Number => self.ordered(text.parse::<i64>().ok(), self.value.parse().ok()),
            Kind::Flag => (text == self.value) == (self.operator == "="),
            Kind::Text => match self.operator {
                "=" => text == self.value,
                "!=" => text != self.value,
                // Reference section 5.6 finds `Okafor` by `~okafor`, so containment ignores case.
                "~" => text.to_lowercase().contains(&self.value.to_lowercase()),
                _ => matches_wildcard(&self.value.to_lowercase(), '%', &text.to_lowercase()),
            },
        }
    }

    fn ordered<T: Ord>(&self, stored: Option<T>, wanted: Option<T>) -> bool {
        let Some(ordering) = stored.zip(wanted).map(|(stored, wanted)| stored.cmp(&wanted)) else {
            return false;
        };
        match self.operator {
            "=" => ordering.is_eq(),
            "!=" => ordering.is_ne(),
            ">=" => ordering.is_ge(),
            ">" => ordering.is_gt(),
            "<=" => ordering.is_le(),
            _ => ordering.is_lt(),
        }
    }
}

fn is_date_pattern(pattern: &str) -> bool {
    pattern.len() == 10
        && pattern.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte == b'*' || byte.is_ascii_digit(),
        })
}

fn matches_digits(pattern: &str, date: &str) -> bool {
    pattern.len() == date.len()
        && pattern.bytes().zip(date.bytes()).all(|(wanted, found)| wanted == b'*' || wanted == found)
}

/// `any` stands for any run of characters.
pub(super) fn matches_wildcard(pattern: &str, any: char, text: &str) -> bool {
    let mut pieces = pattern.split(any);
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
