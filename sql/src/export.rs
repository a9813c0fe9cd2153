use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Date32Type, Int64Type},
};
use atalaya_model::Currency;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, XlsxError};

use crate::{Answer, SqlError};

fn texts(column: &ArrayRef) -> Result<ArrayRef, SqlError> {
    cast(column, &DataType::Utf8).map_err(|error| SqlError::Export {
        format: "text",
        reason: error.to_string(),
    })
}

/// As CSV. A cell of text that a spreadsheet would take for a formula gets an apostrophe in front.
pub fn to_csv(answer: &Answer) -> Result<String, SqlError> {
    let quoted = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let header: Vec<String> = answer
        .schema
        .fields()
        .iter()
        .map(|field| quoted(field.name()))
        .collect();
    let mut csv = header.join(",") + "\n";
    for batch in &answer.batches {
        let columns = batch.columns().iter().map(texts).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns
                .iter()
                .enumerate()
                .map(|(index, column)| {
                    let column = column.as_string::<i32>();
                    if column.is_null(row) {
                        return String::new();
                    }
                    let text = column.value(row);
                    let is_text = matches!(batch.column(index).data_type(), DataType::Utf8 | DataType::LargeUtf8);
                    if is_text && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
                        quoted(&format!("'{text}"))
                    } else {
                        quoted(text)
                    }
                })
                .collect();
            csv.push_str(&cells.join(","));
            csv.push('\n');
        }
    }
    Ok(csv)
}

/// As a Parquet file.
pub fn to_parquet(answer: &Answer) -> Result<Vec<u8>, SqlError> {
    let bad = |error: parquet::errors::ParquetError| SqlError::Export {
        format: "Parquet",
        reason: error.to_string(),
    };
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, answer.schema.clone(), None).map_err(bad)?;
    for batch in &answer.batches {
        writer.write(batch).map_err(bad)?;
    }
    writer.close().map_err(bad)?;
    Ok(bytes)
}

/// As an Excel workbook: dates as dates; amounts in major units with the currency's decimals, beside the exact minor units.
pub fn to_xlsx(answer: &Answer, title: &str) -> Result<Vec<u8>, SqlError> {
    workbook(answer, title).map_err(|error| SqlError::Export {
        format: "XLSX",
        reason: error.to_string(),
    })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a spreadsheet has floats only; the exact minor units stand beside"
)]
fn workbook(answer: &Answer, title: &str) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    // A fixed date, so that the same rows are the same bytes.
    workbook.set_properties(
        &DocProperties::new()
            .set_title(title)
            .set_creation_datetime(&ExcelDateTime::from_ymd(2020, 1, 1)?),
    );
    let bold = Format::new().set_bold();
    let date = Format::new().set_num_format("yyyy-mm-dd");
    let sheet = workbook.add_worksheet();
    sheet.set_name(
        title
            .chars()
            .filter(|sign| !"[]:*?/\\".contains(*sign))
            .take(31)
            .collect::<String>(),
    )?;
    sheet.set_freeze_panes(1, 0)?;
    let amount_column = answer.schema.index_of("value_minor").ok();
    let currency_column = answer.schema.index_of("currency").ok();
    let width = answer.schema.fields().len();
    for (index, field) in (0_u16..).zip(answer.schema.fields()) {
        sheet.write_string_with_format(0, index, field.name(), &bold)?;
    }
    let extra = u16::try_from(width).unwrap_or(u16::MAX);
    if amount_column.is_some() && currency_column.is_some() {
        sheet.write_string_with_format(0, extra, "value", &bold)?;
    }
    let mut line = 0;
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            line += 1;
            for (index, column) in (0_u16..).zip(batch.columns()) {
                if column.is_null(row) {
                    continue;
                }
                match column.data_type() {
                    DataType::Int64 => {
                        sheet.write_number(line, index, column.as_primitive::<Int64Type>().value(row) as f64)?;
                    }
                    DataType::Date32 => {
                        use chrono::Datelike;
                        let day = Date32Type::to_naive_date_opt(column.as_primitive::<Date32Type>().value(row))
                            .unwrap_or_default();
                        let at = ExcelDateTime::from_ymd(
                            u16::try_from(day.year()).unwrap_or(1900),
                            u8::try_from(day.month()).unwrap_or(1),
                            u8::try_from(day.day()).unwrap_or(1),
                        )?;
                        sheet.write_datetime_with_format(line, index, &at, &date)?;
                    }
                    _ => {
                        if let Ok(text) = cast(column, &DataType::Utf8) {
                            sheet.write_string(line, index, text.as_string::<i32>().value(row))?;
                        }
                    }
                }
            }
            if let (Some(amount), Some(currency)) = (amount_column, currency_column) {
                let code = batch
                    .column(currency)
                    .as_string_opt::<i32>()
                    .map(|codes| codes.value(row).to_owned())
                    .unwrap_or_default();
                if let (Ok(currency), Some(minor)) = (
                    Currency::parse(&code),
                    batch.column(amount).as_primitive_opt::<Int64Type>(),
                ) {
                    let places = usize::from(currency.exponent());
                    let pattern = if places == 0 {
                        "#,##0".to_owned()
                    } else {
                        format!("#,##0.{}", "0".repeat(places))
                    };
                    let format = Format::new().set_num_format(pattern);
                    sheet.write_number_with_format(
                        line,
                        extra,
                        minor.value(row) as f64 / currency.minor_per_major() as f64,
                        &format,
                    )?;
                }
            }
        }
    }
    sheet.autofit();
    workbook.save_to_buffer()
}
