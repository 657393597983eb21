//! CSV as spreadsheets write and read it.
//!
//! Out: UTF-8 with the mark Excel needs, and an apostrophe before what a spreadsheet would run or round:
//! formulas, numbers of twelve digits or more, numbers that begin with zero. In: that, or GBK, or the
//! UTF-16 of "Unicode text", with commas, semicolons or tabs.

use super::guard::{guarded, without_guard};
use super::table::{CELL_BYTES_MAX, CellWrong, Line, Table, TableError};
use fenbu_protocol::sheet::{COLUMNS_MAX, ROWS_MAX};

const MARK: &str = "\u{feff}";

/// Reads a file.
pub fn read(bytes: &[u8]) -> Result<Table, TableError> {
    let text = decode(bytes)?;
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(&text))
        .from_reader(text.as_bytes());
    let mut lines = Vec::new();
    for (at, record) in reader.records().enumerate() {
        let row = at + 1;
        if lines.len() > ROWS_MAX {
            return Err(TableError::Rows);
        }
        let record = record.map_err(|e| TableError::Csv { row, why: e.to_string() })?;
        let filled = (0..record.len()).rev().find(|at| !record[*at].trim().is_empty());
        let last = filled.map_or(0, |at| at + 1);
        if last > COLUMNS_MAX {
            return Err(TableError::Columns { row, column: last, max: COLUMNS_MAX });
        }
        let mut line = Line { row, ..Line::default() };
        for (at, cell) in record.iter().take(last).enumerate() {
            if cell.len() > CELL_BYTES_MAX {
                line.wrong.push((at, CellWrong::Long));
            }
            line.cells.push(without_guard(cell).replace("\r\n", "\n"));
        }
        lines.push(line);
    }
    Ok(Table::of(lines.into_iter()))
}

/// A file of these rows.
pub fn write<'a>(rows: impl Iterator<Item = &'a [String]>) -> Result<Vec<u8>, TableError> {
    let failed = |e: &dyn std::fmt::Display| TableError::Write { why: e.to_string() };
    let mut writer = ::csv::WriterBuilder::new()
        .terminator(::csv::Terminator::CRLF)
        .from_writer(MARK.as_bytes().to_vec());
    for row in rows {
        writer.write_record(row.iter().map(|cell| guarded(cell))).map_err(|e| failed(&e))?;
    }
    writer.into_inner().map_err(|e| failed(&e))
}

/// Text of whichever encoding it is in.
fn decode(bytes: &[u8]) -> Result<String, TableError> {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(TableError::Packed);
    }
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        let (text, broken) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return if broken { Err(TableError::Encoding) } else { Ok(text.into_owned()) };
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    // What Chinese spreadsheets write where nothing else is asked for; GB 18030 contains GBK.
    let (text, broken) = encoding_rs::GB18030.decode_without_bom_handling(bytes);
    if broken || text.contains('\0') { Err(TableError::Encoding) } else { Ok(text.into_owned()) }
}

/// What stands between the names of the heading.
fn delimiter(text: &str) -> u8 {
    let heading = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |byte: u8| heading.bytes().filter(|b| *b == byte).count();
    // Of equals the last; none at all is a sheet of one column.
    [b';', b'\t', b','].into_iter().max_by_key(|byte| count(*byte)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::super::guard::begins_formula;
    use super::*;
    use proptest::prelude::*;

    fn table(rows: &[&[&str]]) -> Vec<u8> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|r| r.iter().map(|c| (*c).to_owned()).collect()).collect();
        write(rows.iter().map(Vec::as_slice)).unwrap()
    }

    proptest! {
        #[test]
        fn every_text_survives_and_none_is_run(
            cells in prop::collection::vec("['=+\\-@\t0-9Xa\u{4e00},;\"\n ]{0,14}", 1..6)
        ) {
            let names: Vec<_> = (0..cells.len()).map(|at| format!("c{at}")).collect();
            let bytes = write([names.as_slice(), cells.as_slice()].into_iter()).unwrap();
            let table = read(&bytes).unwrap();
            let mut back = table.lines.first().map(|l| l.cells.clone()).unwrap_or_default();
            back.resize(cells.len(), String::new());
            for (told, cell) in back.iter().zip(&cells) {
                // Blank cells at the end are no cells.
                prop_assert!(told == cell || cell.trim().is_empty(), "{told:?} {cell:?}");
                let out = guarded(cell);
                let harmless = out.parse::<i64>().is_ok() || !begins_formula(&out);
                prop_assert!(harmless, "{out:?}");
            }
        }

        #[test]
        fn no_file_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }

    #[test]
    fn excel_gets_its_mark_and_long_numbers_stay_whole() {
        let bytes =
            table(&[&["姓名", "身份证号"], &["张伟", "11010119900307123X"], &["-5", "007"]]);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, "\u{feff}姓名,身份证号\r\n张伟,'11010119900307123X\r\n-5,'007\r\n");
    }

    #[test]
    fn gbk_semicolons_and_unicode_text_are_understood() {
        let text = "姓名;电话\r\n张伟;13800138000\r\n";
        let (gbk, _, broken) = encoding_rs::GBK.encode(text);
        assert!(!broken);
        let told = read(&gbk).unwrap();
        assert_eq!(told.names, ["姓名", "电话"]);
        assert_eq!(told.lines[0].cells, ["张伟", "13800138000"]);
        assert_eq!(told.lines[0].row, 2);
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend("姓名\t电话\n张伟\t1".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(read(&utf16).unwrap().lines[0].cells, ["张伟", "1"]);
    }

    #[test]
    fn what_is_no_csv_says_so() {
        assert_eq!(read(b"PK\x03\x04...."), Err(TableError::Packed));
        assert_eq!(read(b"\xff\xff\xff"), Err(TableError::Encoding));
        let many = "a\n".repeat(ROWS_MAX + 2);
        assert_eq!(read(many.as_bytes()), Err(TableError::Rows));
        let wide = format!("{}x\n", ",".repeat(COLUMNS_MAX));
        assert!(matches!(read(wide.as_bytes()), Err(TableError::Columns { .. })));
    }
}
