//! A wrapper for what must never reach a log, an error or a panic.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// A patient's field or a secret. `Debug` and `Display` print `[redacted]`; reading it takes a visible word.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whoever calls this answers for where it goes.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::Sensitive;

    #[test]
    fn neither_debug_nor_display_shows_the_value() {
        let name = Sensitive::new("Quillfeather".to_owned());
        assert_eq!(format!("{name} {name:?}"), "[redacted] [redacted]");
        assert_eq!(name.expose(), "Quillfeather");
    }
}
