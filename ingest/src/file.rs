use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::{IngestError, format::Compression};

/// Opens a file and decompresses it on the way. `on_read` hears how many bytes of the file on disk were read.
pub(crate) fn open<'a>(
    path: &Path,
    on_read: impl FnMut(u64) + Send + 'a,
) -> Result<Box<dyn Read + Send + 'a>, IngestError> {
    let unreadable = |error: std::io::Error| IngestError::file(path, None, format!("cannot be read: {error}"));
    let mut first = [0_u8; 4];
    let mut file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(IngestError::file(path, None, "is a folder; name a file"));
    }
    let mut filled = 0;
    while filled < first.len() {
        let read = file.read(&mut first[filled..]).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    let compression = Compression::sniff(&first[..filled]);
    let counted = Counted {
        inner: File::open(path).map_err(unreadable)?,
        on_read,
    };
    let buffered = BufReader::with_capacity(1 << 18, counted);
    Ok(match compression {
        Compression::Plain => Box::new(buffered),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(buffered)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(buffered).map_err(unreadable)?),
    })
}

/// SHA-256 of the decompressed content: the file's identity, however it is packed or named.
pub(crate) fn content_hash(path: &Path, on_read: impl FnMut(u64) + Send) -> Result<String, IngestError> {
    let mut reader = open(path, on_read)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 18];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) => return Err(IngestError::file(path, None, describe_read_error(&error))),
        }
    }
}

/// What a failed read means to the person who named the file.
pub(crate) fn describe_read_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    if error.kind() == std::io::ErrorKind::UnexpectedEof || text.contains("incomplete frame") {
        "the compressed stream ends too early: the file is truncated".to_owned()
    } else {
        format!("cannot be read: {text}")
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

struct Counted<R, F> {
    inner: R,
    on_read: F,
}

impl<R: Read, F: FnMut(u64)> Read for Counted<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.on_read)(read as u64);
        Ok(read)
    }
}
