//! The apostrophe before what a spreadsheet would run or round.
//!
//! In CSV it stands before formulas, numbers of twelve digits or more, with an exponent, or that begin with zero.
//! Such a file opened in a spreadsheet and saved as a workbook still has it, so it is taken away
//! whatever the file is.

/// From so many digits on, spreadsheets show powers of ten; from sixteen they round.
const LONG_DIGITS: usize = 12;

/// What a spreadsheet, or a shell it starts, would run: the signs a formula begins with, also in their
/// full width.
pub(super) fn begins_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a spreadsheet would do something to it.
fn is_at_risk(text: &str) -> bool {
    let id_like = text.strip_suffix(['X', 'x']).unwrap_or(text);
    let long = is_digits(id_like) && text.len() >= LONG_DIGITS;
    let zero = is_digits(text) && text.len() > 1 && text.starts_with('0');
    let number = text.strip_prefix('-').is_some_and(|n| is_digits(n) && n.len() < LONG_DIGITS);
    // `12e5` is a number to them, and some ids and codes look like that.
    let power = text.split_once(['e', 'E']).is_some_and(|(n, e)| is_digits(n) && is_digits(e));
    (begins_formula(text) && !number) || long || zero || power
}

/// With an apostrophe where one is needed, which [`without_guard`] takes away.
pub(super) fn guarded(text: &str) -> String {
    let bare = text.trim_start_matches('\'');
    let guard = is_at_risk(bare);
    if guard { format!("'{text}") } else { text.to_owned() }
}

pub(super) fn without_guard(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if is_at_risk(rest.trim_start_matches('\'')) => rest,
        _ => text,
    }
}

/// For cells that are text whatever they say: only what would lose an apostrophe of its own gets one.
pub(super) fn kept(text: &str) -> String {
    if without_guard(text) == text { text.to_owned() } else { format!("'{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_before_a_text_is_what_is_taken_away(text in "['=+@0-9ae\u{4e00}-]{0,16}") {
            for out in [guarded(&text), kept(&text)] {
                prop_assert_eq!(without_guard(&out), &text);
            }
        }
    }
}
