//! What a temporary branch has not: members of its own, and elections. Its people stay on the rosters they
//! come from, and its leaders are appointed.

use super::doc::Record;
use super::edits::{EditError, Edits};

impl Record {
    /// Whether a record that is about to say this may. `here` says whether its space is a temporary
    /// branch's, `is_temporary` which codes are those of temporary branches.
    ///
    /// # Errors
    /// It admits to a temporary branch, or elects there.
    pub fn check_temporary(
        &self,
        edits: &Edits,
        here: bool,
        is_temporary: impl Fn(&str) -> bool,
    ) -> Result<(), EditError> {
        let text = |field: &str| edits.text_of(field).or_else(|| self.scalar_text(field));
        let names = |field: &str| text(field).is_some_and(|code| is_temporary(&code));
        match self.schema().name {
            "member" if here || names("branch") => Err(EditError::Admits),
            "transfer" if names("to_branch") => Err(EditError::Admits),
            "meeting" if here || names("branch") => match text("kind").as_deref() {
                Some("election") => Err(EditError::Elects),
                _ => Ok(()),
            },
            "term" if names("branch") && text("basis").as_deref() == Some("elected") => {
                Err(EditError::Elects)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema_named;
    use super::*;
    use serde_json::{Value, json};

    fn check(kind: &str, fields: &Value, here: bool) -> Result<(), EditError> {
        let schema = schema_named(kind).unwrap();
        let edits = Edits::from_json(schema, fields).unwrap();
        Record::new(schema).check_temporary(&edits, here, |code| code == "T1")
    }

    #[test]
    fn a_temporary_branch_neither_admits_nor_elects() {
        let (admits, elects) = (Err(EditError::Admits), Err(EditError::Elects));
        assert_eq!(check("member", &json!({"name": "n", "branch": "T1"}), false), admits);
        assert_eq!(check("member", &json!({"name": "n", "branch": "nt-1"}), true), admits);
        assert_eq!(check("member", &json!({"name": "n", "branch": "nt-1"}), false), Ok(()));
        assert_eq!(check("transfer", &json!({"to_branch": "T1"}), false), admits);
        assert_eq!(check("meeting", &json!({"kind": "election", "branch": "T1"}), false), elects);
        assert_eq!(check("meeting", &json!({"kind": "election", "branch": "x"}), true), elects);
        assert_eq!(check("meeting", &json!({"kind": "rally", "branch": "T1"}), true), Ok(()));
        assert_eq!(check("meeting", &json!({"kind": "election", "branch": "x"}), false), Ok(()));
        let term =
            |basis| json!({"person": "n", "branch": "T1", "post": "secretary", "basis": basis});
        assert_eq!(check("term", &term("elected"), false), elects);
        assert_eq!(check("term", &term("appointed"), false), Ok(()));
    }
}
