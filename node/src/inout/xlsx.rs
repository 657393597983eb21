//! XLSX as Excel, WPS and LibreOffice write and read it.
//!
//! Out: every cell is text, so nothing is run, rounded or turned into a date; codes have drop-down lists.
//! In: the first sheet that is shown. Dates and numbers become the text they stand for; a formula is
//! refused, and so is a number of more digits than a spreadsheet keeps.

use super::guard::{kept, without_guard};
use super::pack::{self, PackError, UNPACKED_MIB_MAX};
use super::table::{CELL_BYTES_MAX, CellWrong, Line, Table, TableError};
use calamine::{DataRef, ExcelDateTime, Reader, SheetVisible, Xlsx};
use fenbu_protocol::sheet::{COLUMNS_MAX, LEFT_OUT, ROWS_MAX, zoned};
use rust_xlsxwriter::{DataValidation, Format, Workbook, Worksheet, XlsxError};
use std::collections::BTreeMap;
use std::io::Cursor;

/// Characters (UTF-16) a cell may hold; the format's own bound.
const CELL_UNITS_MAX: usize = 32_767;
/// From here on, not every whole number has a double of its own that shows all its digits.
const EXACT_MAX: f64 = 1e15;
/// Day number of 1970-01-01.
const EPOCH_DAYS: f64 = 25_569.0;
/// Days between the two systems of day numbers.
const SYSTEM_1904_DAYS: f64 = 1462.0;
/// Texts a drop-down list may hold together, with the commas between; the format's own bound.
const CHOICES_UNITS_MAX: usize = 255;

/// Reads the first sheet that is shown.
pub fn read(bytes: &[u8]) -> Result<Table, TableError> {
    let broken = |e: &dyn std::fmt::Display| TableError::Workbook { why: e.to_string() };
    match pack::open(bytes, UNPACKED_MIB_MAX) {
        Ok(_) => {}
        Err(PackError::Bomb) => return Err(TableError::Bomb { max: UNPACKED_MIB_MAX }),
        Err(PackError::Broken(why)) => return Err(TableError::Workbook { why }),
    }
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
    let shown = book.sheets_metadata().iter().find(|s| s.visible == SheetVisible::Visible);
    let name = shown.ok_or(TableError::NoSheet)?.name.clone();
    // Cell by cell: the library's own table would be as large as its farthest cell says.
    let mut cells = book.worksheet_cells_reader(&name).map_err(|e| broken(&e))?;
    let mut lines: BTreeMap<u32, Line> = BTreeMap::new();
    while let Some(cell) = cells.next_cell_with_formula().map_err(|e| broken(&e))? {
        let (row, column) = cell.pos;
        let text = text_of(&cell.value);
        let formula = cell.formula.is_some_and(|f| !f.is_empty());
        if matches!(&text, Ok(text) if text.trim().is_empty()) && !formula {
            continue;
        }
        place(&mut lines, (row, column), if formula { Err(CellWrong::Formula) } else { text })?;
    }
    Ok(Table::of(lines.into_values()))
}

fn place(
    lines: &mut BTreeMap<u32, Line>,
    (row, column): (u32, u32),
    text: Result<String, CellWrong>,
) -> Result<(), TableError> {
    let (number, at) = (row as usize + 1, column as usize);
    if at >= COLUMNS_MAX {
        let column = at + 1;
        return Err(TableError::Columns { row: number, column, max: COLUMNS_MAX });
    }
    let line = lines.entry(row).or_insert_with(|| Line { row: number, ..Line::default() });
    if line.cells.len() <= at {
        line.cells.resize(at + 1, String::new());
    }
    match text {
        Ok(text) if text.len() > CELL_BYTES_MAX => line.wrong.push((at, CellWrong::Long)),
        Ok(text) => line.cells[at] = without_guard(&text).replace("\r\n", "\n"),
        Err(wrong) => {
            // A row of nothing but mistakes is a row.
            "?".clone_into(&mut line.cells[at]);
            line.wrong.push((at, wrong));
        }
    }
    if lines.len() > ROWS_MAX + 1 { Err(TableError::Rows) } else { Ok(()) }
}

/// A cell's value as the text it stands for.
fn text_of(value: &DataRef<'_>) -> Result<String, CellWrong> {
    Ok(match value {
        DataRef::Empty => String::new(),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(n) => n.to_string(),
        DataRef::Float(n) if n.abs() >= EXACT_MAX => return Err(CellWrong::LongNumber),
        DataRef::Float(n) => n.to_string(),
        DataRef::Bool(true) => "是".to_owned(),
        DataRef::Bool(false) => "否".to_owned(),
        DataRef::DateTime(at) => date_of(at)?,
        DataRef::DateTimeIso(text) => text.trim_end_matches("T00:00:00").to_owned(),
        DataRef::DurationIso(_) => return Err(CellWrong::TimeAlone),
        DataRef::Error(_) => return Err(CellWrong::Error),
    })
}

/// `2018-12-11`, with a time of day where there is one.
fn date_of(at: &ExcelDateTime) -> Result<String, CellWrong> {
    let days = at.as_f64() + if is_1904(at) { SYSTEM_1904_DAYS } else { 0.0 };
    // Below are times of day, and the days before March 1900 that the format counts wrongly.
    if at.is_duration() || !(61.0..=2_958_465.0).contains(&days) {
        return Err(CellWrong::TimeAlone);
    }
    // Doubles hold a day number to a fraction of a millisecond; people mean whole seconds.
    let seconds = ((days - EPOCH_DAYS) * 86_400.0).round() as i64;
    let text = zoned(seconds * 1000, 0);
    Ok(text.strip_suffix(" 00:00").map(str::to_owned).unwrap_or(text))
}

/// Whether its day numbers count from 1904: then the library's reading of it is four years later.
fn is_1904(at: &ExcelDateTime) -> bool {
    let plain = ExcelDateTime::new(at.as_f64(), calamine::ExcelDateTimeType::DateTime, false);
    at.to_ymd_hms_milli() != plain.to_ymd_hms_milli()
}

/// A column of a sheet to be written.
#[derive(Debug, Clone)]
pub struct ColumnForm {
    pub name: String,
    /// What may be chosen, if it is a closed list.
    pub choices: Vec<String>,
    /// In characters.
    pub width: u16,
}

/// A workbook: a sheet of these columns and rows, and one that explains, if there is anything to explain.
pub fn write<'a>(
    title: &str,
    columns: &[ColumnForm],
    rows: impl Iterator<Item = &'a [String]>,
    notes: (&str, &[Vec<String>]),
) -> Result<Vec<u8>, TableError> {
    let failed = |e: XlsxError| TableError::Write { why: e.to_string() };
    let mut book = Workbook::new();
    sheet(book.add_worksheet(), title, columns, rows).map_err(failed)?;
    let (name, lines) = notes;
    if !lines.is_empty() {
        let widths = [18, 60, 60];
        let columns = lines[0].iter().zip(widths).map(|(name, width)| ColumnForm {
            name: name.clone(),
            choices: Vec::new(),
            width,
        });
        let columns: Vec<_> = columns.collect();
        let rows = lines[1..].iter().map(Vec::as_slice);
        sheet(book.add_worksheet(), name, &columns, rows).map_err(failed)?;
    }
    book.save_to_buffer().map_err(failed)
}

fn sheet<'a>(
    sheet: &mut Worksheet,
    name: &str,
    columns: &[ColumnForm],
    rows: impl Iterator<Item = &'a [String]>,
) -> Result<(), XlsxError> {
    // Of type text, so that what a person types into an empty cell stays what it is too.
    let text = Format::new().set_num_format("@").set_text_wrap();
    let heading = Format::new().set_num_format("@").set_bold();
    sheet.set_name(name)?.set_freeze_panes(1, 0)?;
    for (at, column) in (0..).zip(columns) {
        sheet.set_column_format(at, &text)?.set_column_width(at, f64::from(column.width))?;
        sheet.write_string_with_format(0, at, &column.name, &heading)?;
        let units = column.choices.iter().map(|c| c.encode_utf16().count() + 1).sum::<usize>();
        if !column.choices.is_empty() && units <= CHOICES_UNITS_MAX {
            let list = DataValidation::new().allow_list_strings(&column.choices)?;
            sheet.add_data_validation(1, at, ROWS_MAX as u32, at, &list)?;
        }
    }
    for (row, cells) in (1..).zip(rows) {
        for (at, cell) in (0..).zip(cells) {
            let cell = kept(cell);
            let fits = cell.encode_utf16().count() <= CELL_UNITS_MAX;
            if !cell.is_empty() {
                let cell = if fits { cell.as_str() } else { LEFT_OUT };
                sheet.write_string_with_format(row, at, cell, &text)?;
            }
        }
    }
    Ok(())
}
