//! What a rule says beside where it reads: `when` it is read, and what becomes of its text (`transform`).

use toml::de::DeTable;

use crate::clinical::mapping::compile::CONTRADICTION;
use crate::clinical::mapping::compile::Compiler;
use crate::clinical::mapping::compile::Node;
use crate::clinical::mapping::compile::TOO_MANY;
use crate::clinical::mapping::condition::Condition;
use crate::clinical::mapping::condition::Test;
use crate::clinical::mapping::language::verb::CONDITION;
use crate::clinical::mapping::language::verb::CONDITIONS_MAX;
use crate::clinical::mapping::transform;
use crate::clinical::mapping::transform::Argument;
use crate::clinical::mapping::transform::STEPS_MAX;
use crate::clinical::mapping::transform::Step;

impl Compiler<'_> {
    /// `when = { path = "OBX-2", is = "NM" }`, or a list of such.
    pub(super) fn conditions(&mut self, node: &Node<'_>) -> Vec<Condition> {
        let one = std::slice::from_ref(node);
        let items = node.get_ref().as_array().map_or(one, |items| items);
        if items.is_empty() || items.len() > CONDITIONS_MAX {
            let message = format!("`when` has {} conditions", items.len());
            let help = format!("give it one to {CONDITIONS_MAX}; all must hold");
            self.error(TOO_MANY, node.span(), message, "these", help);
            return Vec::new();
        }
        items.iter().filter_map(|item| self.condition(item)).collect()
    }

    fn condition(&mut self, node: &Node<'_>) -> Option<Condition> {
        let table = self.table(node, "when")?;
        let known = CONDITION.map(|(name, ..)| name);
        self.check_keys(table, &known, "`when`");
        let Some(path) = table.get("path") else {
            self.missing(node.span(), "path", "path = \"OBX-2\"");
            return None;
        };
        let spelling = self.string(path, "path")?;
        let path = self.field_path(spelling, &path.span())?;
        let tests: Vec<_> = table.iter().filter(|(key, _)| key.get_ref().as_ref() != "path").collect();
        let [(key, value)] = tests.as_slice() else {
            let message = "a condition asks one thing of its path";
            let help =
                "say `exists = true`, `is = \"…\"` or `is_not = \"…\"`; give `when` a list for more than one";
            self.error(CONTRADICTION, node.span(), message, "one of three belongs here", help);
            return None;
        };
        let test = match key.get_ref().as_ref() {
            "exists" => Test::Exists(self.flag(value, "exists")?),
            "is" => Test::Is(self.texts(value, "is")),
            "is_not" => Test::IsNot(self.texts(value, "is_not")),
            _ => return None,
        };
        Some(Condition { path, test })
    }

    fn texts(&mut self, node: &Node<'_>, key: &str) -> Vec<String> {
        self.strings(node, key).into_iter().map(|(text, _)| text).collect()
    }

    /// `transform = ["trim", { strip_prefix = "LAB-" }]`, or one alone.
    pub(super) fn steps(&mut self, node: &Node<'_>) -> Vec<Step> {
        let one = std::slice::from_ref(node);
        let items = node.get_ref().as_array().map_or(one, |items| items);
        if items.is_empty() || items.len() > STEPS_MAX {
            let message = format!("`transform` has {} steps", items.len());
            self.error(TOO_MANY, node.span(), message, "these", format!("give it one to {STEPS_MAX}"));
            return Vec::new();
        }
        items.iter().filter_map(|item| self.step(item)).collect()
    }

    fn step(&mut self, node: &Node<'_>) -> Option<Step> {
        let names: Vec<&str> = transform::STEPS.iter().map(|it| it.name).collect();
        if let Some(word) = node.get_ref().as_str() {
            if !self.known_word(word, &names, node.span(), "transform") {
                return None;
            }
            let definition = transform::find(word)?;
            if definition.argument != Argument::None {
                self.missing(node.span(), word, &example(definition));
                return None;
            }
            return Some(Step::new(definition, "", "", 0));
        }
        let table = self.table(node, "transform")?;
        let Some(definition) = table.keys().find_map(|key| transform::find(key.get_ref().as_ref())) else {
            self.check_keys(table, &names, "`transform`");
            return None;
        };
        self.step_of(definition, table, node)
    }

    fn step_of(
        &mut self,
        definition: &'static transform::Definition,
        table: &DeTable<'_>,
        node: &Node<'_>,
    ) -> Option<Step> {
        let name = definition.name;
        let second = match definition.argument {
            Argument::TextAndText(key) | Argument::TextAndNumber(key) => Some(key),
            Argument::None | Argument::Text => None,
        };
        let known: Vec<&str> = std::iter::once(name).chain(second).collect();
        self.check_keys(table, &known, &format!("`{name}`"));
        let own = table.get(name)?;
        if definition.argument == Argument::None {
            let help = format!("write it as `\"{name}\"`");
            self.error(CONTRADICTION, own.span(), format!("`{name}` takes no words"), "not needed", help);
            return None;
        }
        let text = self.string(own, name)?;
        if text.is_empty() {
            let help = format!("write the text: `{}`", example(definition));
            self.error(CONTRADICTION, own.span(), format!("`{name}` has no text to look for"), "empty", help);
            return None;
        }
        let Some(key) = second else { return Some(Step::new(definition, text, "", 0)) };
        let Some(value) = table.get(key) else {
            self.missing(node.span(), key, &example(definition));
            return None;
        };
        if definition.argument == Argument::TextAndText(key) {
            let by = self.string(value, key)?;
            return Some(Step::new(definition, text, by, 0));
        }
        let number = super::integer(value).and_then(|it| usize::try_from(it).ok()).filter(|it| *it > 0);
        if number.is_none() {
            self.wrong_type(value.span(), key, "a number, counted from 1");
        }
        Some(Step::new(definition, text, "", number?))
    }
}

/// A step to paste.
fn example(definition: &transform::Definition) -> String {
    let name = definition.name;
    match definition.argument {
        Argument::None => format!("\"{name}\""),
        Argument::Text => format!("{{ {name} = \"LAB-\" }}"),
        Argument::TextAndText(second) => format!("{{ {name} = \"_\", {second} = \" \" }}"),
        Argument::TextAndNumber(second) => format!("{{ {name} = \"^\", {second} = 1 }}"),
    }
}
