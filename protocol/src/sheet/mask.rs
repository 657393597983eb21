//! What lists and sheets show of a personal value: enough to tell two people apart, too little to use.

/// Stands for what is not shown.
const HIDDEN: &str = "****";

/// `110101********1234` of an id number, `138****8000` of a phone number, four stars of anything else.
pub fn mask(text: &str) -> String {
    let id_like = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'X' | b'x'));
    match (id_like, text.len()) {
        (true, 15 | 18) => {
            format!("{}{}{}", &text[..6], "*".repeat(text.len() - 10), &text[text.len() - 4..])
        }
        (true, 11) => format!("{}{HIDDEN}{}", &text[..3], &text[7..]),
        (_, 0) => String::new(),
        _ => HIDDEN.to_owned(),
    }
}

/// Whether a text is a mask, not a value.
pub(super) fn is_mask(text: &str) -> bool {
    text.contains(HIDDEN)
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'X' | b'x'))
}
