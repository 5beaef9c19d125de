//! Columns as a Parquet file, for notebooks and databases: the same as the CSV, with types.

use super::columns::{Column, Values};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::sync::Arc;

/// The columns as one row group, compressed with Snappy. The bytes depend on nothing but the columns.
///
/// # Errors
/// If the file cannot be encoded.
pub fn write(columns: &[Column]) -> Result<Vec<u8>, ParquetError> {
    let fields = columns.iter().map(|c| field(c).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder("sweep").with_fields(fields).build()?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("brownout {}", env!("CARGO_PKG_VERSION")));
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build()))?;
    let mut group = writer.next_row_group()?;
    for column in columns {
        let Some(mut into) = group.next_column()? else { break };
        match &column.values {
            Values::Numbers(values) => {
                let present: Vec<f64> = values.iter().copied().flatten().collect();
                let levels: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
                into.typed::<DoubleType>().write_batch(&present, Some(&levels), None)?;
            }
            Values::Counts(values) => {
                let values: Vec<i64> = values.iter().map(|v| i64::try_from(*v).unwrap_or(i64::MAX)).collect();
                into.typed::<Int64Type>().write_batch(&values, None, None)?;
            }
            Values::Texts(values) => {
                let values: Vec<ByteArray> = values.iter().map(|v| ByteArray::from(v.as_str())).collect();
                into.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
            Values::Flags(values) => {
                into.typed::<BoolType>().write_batch(values, None, None)?;
            }
        }
        into.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let (physical, repetition, logical) = match &column.values {
        Values::Numbers(_) => (Physical::DOUBLE, Repetition::OPTIONAL, None),
        Values::Counts(_) => (Physical::INT64, Repetition::REQUIRED, None),
        Values::Texts(_) => (Physical::BYTE_ARRAY, Repetition::REQUIRED, Some(LogicalType::String)),
        Values::Flags(_) => (Physical::BOOLEAN, Repetition::REQUIRED, None),
    };
    let builder = Type::primitive_type_builder(&column.name, physical);
    builder.with_repetition(repetition).with_logical_type(logical).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    #[test]
    fn what_was_written_reads_back() {
        let column = |name: &str, values| Column { name: name.into(), values };
        let columns = [
            column("point", Values::Counts(vec![1, 2, 3])),
            column(
                "p(99) of clients.users.latency mean",
                Values::Numbers(vec![Some(0.25), None, Some(-1e-9)]),
            ),
            column("variant", Values::Texts(vec!["before".into(), "täglich".into(), String::new()])),
            column("overloaded", Values::Flags(vec![false, true, false])),
        ];
        let bytes = write(&columns).unwrap();
        assert_eq!(bytes, write(&columns).unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let reader = SerializedFileReader::try_from(file.path()).unwrap();
        let names: Vec<String> = reader
            .metadata()
            .file_metadata()
            .schema()
            .get_fields()
            .iter()
            .map(|f| f.name().to_string())
            .collect();
        assert_eq!(names[1], "p(99) of clients.users.latency mean");
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!((rows[2].get_long(0).unwrap(), rows[2].get_double(1).unwrap()), (3, -1e-9));
        assert!(rows[1].get_double(1).is_err() && rows[1].get_bool(3).unwrap());
        assert_eq!(rows[1].get_string(2).unwrap(), "täglich");
    }
}
