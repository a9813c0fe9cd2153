use std::path::Path;

/// How rows are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Cells divided by one byte, quoted with `"`.
    Delimited(u8),
    /// Cells divided by runs of blanks.
    Blank,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Format {
    /// Reads the name used in mapping files and on the command line.
    pub(crate) fn parse(name: &str, delimiter: Option<u8>) -> Option<Self> {
        Some(match name {
            "csv" => Self::Delimited(delimiter.unwrap_or(b',')),
            "tsv" => Self::Delimited(delimiter.unwrap_or(b'\t')),
            "blank" => Self::Blank,
            "jsonl" | "ndjson" => Self::JsonLines,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }

    /// Guesses from the file's name, after the ending of its compression.
    pub(crate) fn guess(path: &Path, delimiter: Option<u8>) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = [".gz", ".zst", ".zstd"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(&name)
            .to_owned();
        Self::parse(name.rsplit_once('.')?.1, delimiter)
    }
}

impl Compression {
    /// Tells by the first bytes; names lie.
    pub(crate) fn sniff(first_bytes: &[u8]) -> Self {
        match first_bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_format_below_the_compression() {
        let guess = |name: &str| Format::guess(Path::new(name), None);
        assert_eq!(guess("a/orders.CSV.gz"), Some(Format::Delimited(b',')));
        assert_eq!(guess("orders.tsv.zst"), Some(Format::Delimited(b'\t')));
        assert_eq!(guess("x.jsonl"), Some(Format::JsonLines));
        assert_eq!(guess("x.parquet"), Some(Format::Parquet));
        assert_eq!(guess("CDNOW_sample.txt"), None);
    }
}
