//! The idx file format of MNIST, plain or gzip-compressed.
//!
//! ```text
//! byte 0, 1   0
//! byte 2      type of the numbers; 0x08 = unsigned byte, the only one read here
//! byte 3      number of dimensions d
//! 4 · d bytes the sizes, big-endian 32-bit
//! then        the numbers, row-major, exactly the product of the sizes
//! ```
//!
//! Whether a file is compressed is told by its first two bytes, not by its name. At most as much is read as the header
//! announces, plus one byte that shows that more would follow, so a small file cannot ask for a large allocation.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The largest number of values that a file may announce (MNIST's largest file has 47 million).
const MAX_VALUES: usize = 1 << 29;

/// Number of dimensions of a file of images and of a file of labels.
const IMAGES_RANK: u8 = 3;
const LABELS_RANK: u8 = 1;

/// An idx file of unsigned bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The sizes, outermost first.
    pub dims: Vec<usize>,
    /// The numbers, row-major.
    pub data: Vec<u8>,
    /// The bytes before the numbers, kept for the checksum.
    header: Vec<u8>,
}

impl Idx {
    /// The SHA-256 of the uncompressed file, as hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.header);
        hasher.update(&self.data);
        hex(&hasher.finalize())
    }
}

/// Reads a file of images: three dimensions (images, rows, columns).
///
/// # Errors
/// The file cannot be read, or is not exactly such a file; the message ends with `cure`.
pub fn read_images(path: &Path, cure: &str) -> Result<Idx> {
    read(path, IMAGES_RANK, cure)
}

/// Reads a file of labels: one dimension.
///
/// # Errors
/// The file cannot be read, or is not exactly such a file; the message ends with `cure`.
pub fn read_labels(path: &Path, cure: &str) -> Result<Idx> {
    read(path, LABELS_RANK, cure)
}

/// Reads idx bytes, plain or compressed, that come from anywhere; `path` serves the messages alone.
///
/// # Errors
/// The bytes are not exactly an idx file of unsigned bytes with `rank` dimensions; the message ends with `cure`.
pub fn parse(bytes: &[u8], path: &Path, rank: u8, cure: &str) -> Result<Idx> {
    read_detected(bytes, bytes.starts_with(&GZIP_MAGIC), &Request { path, rank, cure })
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What is read and whom to blame.
struct Request<'a> {
    path: &'a Path,
    rank: u8,
    cure: &'a str,
}

fn read(path: &Path, rank: u8, cure: &str) -> Result<Idx> {
    let mut file = BufReader::new(File::open(path).map_err(|source| Error::io(path, "open the idx file", source))?);
    let mut start = Vec::with_capacity(GZIP_MAGIC.len());
    Read::by_ref(&mut file)
        .take(GZIP_MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(|source| Error::io(path, "read the idx file", source))?;
    let is_gzip = start == GZIP_MAGIC;
    read_detected(start.as_slice().chain(file), is_gzip, &Request { path, rank, cure })
}

fn read_detected(raw: impl Read, is_gzip: bool, request: &Request<'_>) -> Result<Idx> {
    if is_gzip { read_plain(MultiGzDecoder::new(raw), is_gzip, request) } else { read_plain(raw, is_gzip, request) }
}

fn read_plain(mut source: impl Read, is_gzip: bool, request: &Request<'_>) -> Result<Idx> {
    let header_len = 4 + 4 * usize::from(request.rank);
    let mut header = Vec::with_capacity(header_len);
    read_at_most(&mut source, header_len, &mut header, is_gzip, request)?;
    let dims = parse_header(&header, request)?;
    let n_values = dims
        .iter()
        .try_fold(1_usize, |product, &dim| product.checked_mul(dim))
        .filter(|&n_values| n_values <= MAX_VALUES)
        .ok_or_else(|| {
            request.error(format!("at most {MAX_VALUES} values"), format!("a header that announces {}", sizes(&dims)))
        })?;
    let mut data = Vec::new();
    read_at_most(&mut source, n_values + 1, &mut data, is_gzip, request)?;
    let n_found = data.len();
    if n_found != n_values {
        let found = if n_found > n_values {
            "more bytes after them".to_owned()
        } else {
            format!("{n_found} bytes: the file is cut off")
        };
        return Err(request.error(format!("{n_values} bytes ({}) after the header", sizes(&dims)), found));
    }
    Ok(Idx { dims, data, header })
}

fn read_at_most(
    source: &mut impl Read,
    n_bytes: usize,
    into: &mut Vec<u8>,
    is_gzip: bool,
    request: &Request<'_>,
) -> Result<()> {
    source.take(n_bytes as u64).read_to_end(into).map_err(|error| {
        if is_gzip {
            request.error("a whole gzip file".to_owned(), format!("a broken or cut-off one ({error})"))
        } else {
            Error::io(request.path, "read the idx file", error)
        }
    })?;
    Ok(())
}

/// Sizes of the dimensions, after the magic number was checked.
fn parse_header(header: &[u8], request: &Request<'_>) -> Result<Vec<usize>> {
    let rank = request.rank;
    let header_len = 4 + 4 * usize::from(rank);
    let magic = [0, 0, 0x08, rank];
    let kind = match rank {
        IMAGES_RANK => "idx images",
        LABELS_RANK => "idx labels",
        _ => "idx bytes",
    };
    let expected = format!("{kind}, magic number 0x{}", hex(&magic));
    match header {
        [0, 0, 0x08, found_rank, ..] if *found_rank == rank => {}
        [0, 0, 0x08, LABELS_RANK, ..] => {
            return Err(request.error(expected, "a file of labels (0x00000801)".into()));
        }
        [0, 0, 0x08, IMAGES_RANK, ..] => {
            return Err(request.error(expected, "a file of images (0x00000803)".into()));
        }
        [a, b, c, d, ..] => {
            return Err(request.error(expected, format!("0x{}", hex(&[*a, *b, *c, *d]))));
        }
        _ => return Err(request.error(expected, format!("a file of {} bytes", header.len()))),
    }
    if header.len() < header_len {
        return Err(request
            .error(format!("a header of {header_len} bytes"), format!("{} bytes: the file is cut off", header.len())));
    }
    let (sizes, _) = header[4..].as_chunks::<4>();
    Ok(sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect())
}

impl Request<'_> {
    fn error(&self, expected: String, found: String) -> Error {
        Error::content(self.path, expected, found, self.cure)
    }
}

fn sizes(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder};

    use super::*;

    const CURE: &str = "get the file again";

    /// Two images of 2 × 3 pixels.
    fn images() -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend(1..=12);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn parse_images(bytes: &[u8]) -> Result<Idx> {
        parse(bytes, Path::new("t/images"), 3, CURE)
    }

    fn message(bytes: &[u8]) -> String {
        let message = parse_images(bytes).unwrap_err().to_string();
        assert!(message.starts_with("t/images: expected ") && message.ends_with("; get the file again"), "{message}");
        assert!(!message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn plain_and_compressed_bytes_give_the_same() {
        let plain = parse_images(&images()).unwrap();
        assert_eq!(plain.dims, [2, 2, 3]);
        assert_eq!(plain.data, (1..=12).collect::<Vec<u8>>());
        let packed = parse_images(&gzip(&images())).unwrap();
        assert_eq!(packed, plain);
        assert_eq!(packed.sha256(), hex(&Sha256::digest(images())));
    }

    #[test]
    fn the_first_bytes_of_a_file_decide_and_not_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plainly-named");
        std::fs::write(&path, gzip(&images())).unwrap();
        assert_eq!(read_images(&path, CURE).unwrap().dims, [2, 2, 3]);
        let path = folder.path().join("not-really.gz");
        std::fs::write(&path, images()).unwrap();
        assert_eq!(read_images(&path, CURE).unwrap().dims, [2, 2, 3]);
        let absent = read_labels(&folder.path().join("absent"), CURE).unwrap_err().to_string();
        assert!(absent.contains("absent: cannot open the idx file: "), "{absent}");
        for (n_bytes, bytes) in [(0, vec![]), (1, vec![0x1f])] {
            std::fs::write(&path, bytes).unwrap();
            let short = read_images(&path, CURE).unwrap_err().to_string();
            assert!(short.contains(&format!("found a file of {n_bytes} bytes")), "{short}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = images();
        for len in 0..bytes.len() {
            assert!(parse_images(&bytes[..len]).is_err(), "{len} bytes");
        }
        let packed = gzip(&bytes);
        for len in 0..packed.len() {
            assert!(parse_images(&packed[..len]).is_err(), "{len} compressed bytes");
        }
        assert!(message(&bytes[..20]).contains("expected 12 bytes (2 × 2 × 3) after the header, found 4 bytes: "));
        assert!(message(&bytes[..10]).contains("expected a header of 16 bytes, found 10 bytes: the file is cut off"));
        assert!(message(&packed[..30]).contains("expected a whole gzip file, found a broken or cut-off one"));
    }

    #[test]
    fn every_flipped_bit_is_an_error_or_harmless() {
        let bytes = images();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A flipped bit in a header of uncompressed bytes always contradicts the length; in a pixel nobody can see it.
            assert_eq!(parse_images(&flipped).is_err(), bit / 8 < 16, "bit {bit}");
        }
        let packed = gzip(&bytes);
        let expected = parse_images(&bytes).unwrap();
        let mut n_refused = 0;
        for bit in 0..packed.len() * 8 {
            let mut flipped = packed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match parse_images(&flipped) {
                Ok(idx) => assert_eq!(idx, expected, "bit {bit} changed the content unseen"),
                Err(_) => n_refused += 1,
            }
        }
        // Of the ten bytes before the compressed data, time, level and system are nobody's concern; all else is.
        assert!(n_refused >= (packed.len() - 7) * 8 - 8, "{n_refused} of {}", packed.len() * 8);
    }

    #[test]
    fn wrong_files_are_named_for_what_they_are() {
        let mut labels = vec![0, 0, 8, 1, 0, 0, 0, 20];
        labels.extend([7; 20]);
        assert!(message(&labels).contains("expected idx images, magic number 0x00000803, found a file of labels"));
        let as_labels = parse(&images(), Path::new("x"), 1, CURE).unwrap_err().to_string();
        assert!(as_labels.contains("expected idx labels, magic number 0x00000801, found a file of images"));
        assert!(message(b"<!DOCTYPE html>").contains("found 0x3c21444f"));
        let mut floats = images();
        floats[2] = 0x0d;
        assert!(message(&floats).contains("found 0x00000d03"));
        let mut longer = images();
        longer.push(0);
        assert!(message(&longer).contains("found more bytes after them"));
        assert!(message(&gzip(&longer)).contains("found more bytes after them"));
        let mut garbage_behind = gzip(&images());
        garbage_behind.extend(b"garbage");
        assert!(message(&garbage_behind).contains("expected a whole gzip file"));
        let mut huge = images();
        huge[4..16].fill(0xff);
        assert!(message(&huge).contains("at most 536870912 values, found a header that announces 4294967295 × "));
    }

    #[test]
    fn an_empty_file_of_images_is_allowed_by_the_format() {
        let bytes = [0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28];
        assert_eq!(parse_images(&bytes).unwrap().dims, [0, 28, 28]);
    }
}
