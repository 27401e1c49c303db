//! MNIST from a small hub that the test itself serves on the loopback interface.
//!
//! The server answers as the real hub does: a question for a file is redirected to a store, with the commit and the
//! checksum in the redirection's headers; the store answers ranges; the repository's state is told as JSON.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use multigen_data::hub::{self, FileSource, HubConfig, HubReport};
use multigen_data::{LabelledImages, Mnist, MnistSource, Result};
use polars::prelude::{
    BinaryChunked, DataFrame, IntoColumn, IntoSeries, NamedFrom, NewChunkedArray, ParquetCompression, ParquetWriter,
    Series, StringChunked, StructChunked,
};
use sha2::{Digest, Sha256};

const TRAIN: &str = "mnist/train-00000-of-00001.parquet";
const TEST: &str = "mnist/test-00000-of-00001.parquet";

/// A hub with one repository.
struct LoopbackHub {
    address: SocketAddr,
    files: Arc<Mutex<BTreeMap<&'static str, Vec<u8>>>>,
    n_requests: Arc<AtomicUsize>,
    /// Whether the store hangs up in the middle of a file.
    hangs_up: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LoopbackHub {
    fn start(files: [(&'static str, Vec<u8>); 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let files = Arc::new(Mutex::new(BTreeMap::from(files)));
        let n_requests = Arc::new(AtomicUsize::new(0));
        let hangs_up = Arc::new(AtomicBool::new(false));
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (files, n_requests) = (files.clone(), n_requests.clone());
            let (hangs_up, is_over) = (hangs_up.clone(), is_over.clone());
            move || {
                for stream in listener.incoming() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    n_requests.fetch_add(1, Ordering::SeqCst);
                    // A client that hangs up early is no concern of the server.
                    let _ = answer(stream.unwrap(), address, &files.lock().unwrap(), hangs_up.load(Ordering::SeqCst));
                }
            }
        });
        Self { address, files, n_requests, hangs_up, is_over, thread: Some(thread) }
    }

    fn replace(&self, file: &'static str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(file, bytes);
    }

    fn config(&self, cache: &Path) -> HubConfig {
        HubConfig {
            // A slash at the end is a common way of writing it.
            endpoint: format!("http://{}/", self.address),
            cache_dir: cache.to_path_buf(),
            revision: hub::REVISION.to_owned(),
        }
    }

    fn n_requests(&self) -> usize {
        self.n_requests.load(Ordering::SeqCst)
    }

    /// Stops listening: from here on a connection is refused.
    fn stop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // The thread waits for a connection; this is its last.
            let _ = TcpStream::connect(self.address);
            thread.join().unwrap();
        }
    }
}

impl Drop for LoopbackHub {
    fn drop(&mut self) {
        self.stop();
    }
}

fn answer(
    mut stream: TcpStream,
    address: SocketAddr,
    files: &BTreeMap<&str, Vec<u8>>,
    hangs_up: bool,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        assert!(!line.starts_with("authorization:"), "a token was sent");
        range = line.strip_prefix("range: bytes=").map(str::to_owned).or(range);
    }
    let commit = hub::REVISION;
    let resolve = format!("/datasets/{}/resolve/{commit}/", hub::REPOSITORY);
    let (head, body): (String, &[u8]) = if let Some(file) = path.strip_prefix(&resolve) {
        match files.get(file) {
            Some(bytes) => (
                format!(
                    "302 Found\r\nLocation: http://{address}/store/{file}\r\nX-Repo-Commit: {commit}\r\n\
                     X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\nETag: \"other\"",
                    sha256(bytes),
                    bytes.len()
                ),
                b"",
            ),
            None => ("404 Not Found".to_owned(), b""),
        }
    } else if let Some(bytes) = path.strip_prefix("/store/").and_then(|file| files.get(file)) {
        let (start, end) = range.as_deref().and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
        let start: usize = start.parse().unwrap();
        let end = end.parse().map_or(bytes.len(), |last: usize| bytes.len().min(last + 1));
        (
            format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{}", end.max(1) - 1, bytes.len()),
            &bytes[start..end],
        )
    } else if path == format!("/api/datasets/{}/revision/main", hub::REPOSITORY) {
        let body = r#"{"sha": "77f3279092a1c1579b2250db8eafed0ad422088c", "siblings": []}"#;
        assert!(body.contains(commit));
        ("200 OK\r\nContent-Type: application/json".to_owned(), body.as_bytes())
    } else {
        ("404 Not Found".to_owned(), b"")
    };
    write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    // One byte is what a client asks for that only wants to know the size.
    let n_sent = if hangs_up && body.len() > 1 { body.len() / 2 } else { body.len() };
    stream.write_all(&body[..n_sent])
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first images of both parts of the shipped copy.
fn shipped() -> Mnist {
    let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    let whole = Mnist::load(&MnistSource::Embedded { datasets }).unwrap();
    let first = |images: &LabelledImages, n: usize| LabelledImages {
        pixels: images.pixels[..n * 784].to_vec(),
        labels: images.labels[..n].to_vec(),
    };
    Mnist { train: first(&whole.train, 40), test: first(&whole.test, 15) }
}

fn png(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = image::GrayImage::from_raw(width, height, pixels.to_vec()).unwrap();
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A table in the hub's form from PNG files and labels.
fn table(pngs: &[Vec<u8>], labels: &[i64]) -> Vec<u8> {
    let bytes = BinaryChunked::from_iter_values("bytes".into(), pngs.iter().map(Vec::as_slice)).into_series();
    let paths = StringChunked::from_iter_values("path".into(), pngs.iter().map(|_| "x.png")).into_series();
    let image = StructChunked::from_series("image".into(), pngs.len(), [bytes, paths].iter()).unwrap();
    let labels = Series::new("label".into(), labels);
    write_parquet(DataFrame::new(pngs.len(), vec![image.into_series().into_column(), labels.into_column()]).unwrap())
}

fn write_parquet(mut table: DataFrame) -> Vec<u8> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Snappy).finish(&mut table).unwrap();
    bytes
}

fn parquet(images: &LabelledImages) -> Vec<u8> {
    let pngs: Vec<Vec<u8>> = (0..images.len()).map(|place| png(images.image(place).unwrap(), 28, 28)).collect();
    let labels: Vec<i64> = images.labels.iter().map(|&label| i64::from(label)).collect();
    table(&pngs, &labels)
}

fn hub_of(mnist: &Mnist) -> LoopbackHub {
    LoopbackHub::start([(TRAIN, parquet(&mnist.train)), (TEST, parquet(&mnist.test))])
}

fn sources(report: &HubReport) -> Vec<FileSource> {
    report.parts.iter().map(|part| part.source).collect()
}

fn one_line(result: Result<HubReport>) -> String {
    let message = result.unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// Where the cache keeps a file of the pinned revision.
fn cached(cache: &Path, file: &str) -> PathBuf {
    cache.join("datasets--ylecun--mnist/snapshots").join(hub::REVISION).join(file)
}

#[test]
fn first_from_the_network_then_from_the_cache_also_when_the_hub_is_gone() {
    let shipped = shipped();
    let mut hub = hub_of(&shipped);
    let cache = tempfile::tempdir().unwrap();
    let config = hub.config(cache.path());

    let report = hub::fetch_and_compare(&config, &shipped).unwrap();
    assert!(report.is_equal(), "{report}");
    assert_eq!(report.revision, hub::REVISION);
    assert_eq!(sources(&report), [FileSource::Network; 2]);
    let [train, test] = report.parts.as_slice() else { panic!("{report}") };
    assert_eq!((train.n_hub, train.n_shipped, train.n_compared, train.n_equal), (40, 40, 40, 40));
    assert_eq!((test.n_hub, test.n_shipped, test.n_compared, test.n_equal), (15, 15, 15, 15));
    assert_eq!(train.path, cached(cache.path(), TRAIN));
    assert_eq!(train.sha256, sha256(&std::fs::read(&train.path).unwrap()));
    let text = report.to_string();
    assert!(text.contains("at revision 77f3279092a1c1579b2250db8eafed0ad422088c"), "{text}");
    assert!(text.contains("train-00000-of-00001.parquet: 40 of 40 images equal (from the network, "), "{text}");

    // The second time nobody asks the hub.
    let n_requests = hub.n_requests();
    assert!(n_requests > 0);
    let again = hub::fetch_and_compare(&config, &shipped).unwrap();
    assert_eq!(sources(&again), [FileSource::Cache; 2]);
    assert_eq!(hub.n_requests(), n_requests);

    // Another client's cache, which keeps no reference for a commit, serves as well.
    std::fs::remove_dir_all(cache.path().join("datasets--ylecun--mnist/refs")).unwrap();
    hub.stop();
    let offline = hub::fetch_and_compare(&config, &shipped).unwrap();
    assert!(offline.is_equal());
    assert_eq!(offline, again);
}

#[test]
fn without_hub_and_without_cache_the_message_says_what_is_missing() {
    let shipped = shipped();
    let mut hub = hub_of(&shipped);
    hub.stop();
    let cache = tempfile::tempdir().unwrap();
    let config = hub.config(cache.path());
    let message = one_line(hub::fetch_and_compare(&config, &shipped));
    assert!(message.starts_with("ylecun/mnist/mnist/train-00000-of-00001.parquet at revision 77f32790"), "{message}");
    assert!(
        message.contains(&format!("not in the cache {} and not to be had from http://127", cache.path().display()))
    );
    assert!(message.contains("set HF_ENDPOINT") && message.contains("works with the shipped copy"), "{message}");
    // Nothing half-made lies about.
    assert!(!cached(cache.path(), TRAIN).exists());

    let nonsense = HubConfig { endpoint: "no address at all".to_owned(), ..config };
    assert!(one_line(hub::fetch_and_compare(&nonsense, &shipped)).contains("not to be had from no address at all"));
}

#[test]
fn a_branch_is_resolved_to_its_commit_and_remembered() {
    let shipped = shipped();
    let mut hub = hub_of(&shipped);
    let cache = tempfile::tempdir().unwrap();
    let config = HubConfig { revision: "main".to_owned(), ..hub.config(cache.path()) };
    assert_eq!(hub::fetch_and_compare(&config, &shipped).unwrap().revision, hub::REVISION);
    hub.stop();
    let offline = hub::fetch_and_compare(&config, &shipped).unwrap();
    assert_eq!((offline.revision.as_str(), sources(&offline)), (hub::REVISION, vec![FileSource::Cache; 2]));

    let other = HubConfig { revision: "other".to_owned(), ..config.clone() };
    assert!(one_line(hub::fetch_and_compare(&other, &shipped)).starts_with("ylecun/mnist at revision other: not in"));
    for revision in ["", "../../x", "a b", ".."] {
        let bad = HubConfig { revision: revision.to_owned(), ..config.clone() };
        assert!(one_line(hub::fetch_and_compare(&bad, &shipped)).contains("a commit of 40 hexadecimal digits"));
    }
}

#[test]
fn an_unknown_commit_is_reported() {
    let shipped = shipped();
    let hub = hub_of(&shipped);
    let cache = tempfile::tempdir().unwrap();
    let config = HubConfig { revision: "0".repeat(40), ..hub.config(cache.path()) };
    let message = one_line(hub::fetch_and_compare(&config, &shipped));
    assert!(message.contains("at revision 0000") && message.contains("404"), "{message}");
}

#[test]
fn one_changed_pixel_one_changed_label_and_a_missing_image_are_seen() {
    let shipped = shipped();
    let mut on_hub = shipped.clone();
    on_hub.train.pixels[7 * 784 + 300] ^= 1;
    on_hub.train.labels[12] = (on_hub.train.labels[12] + 1) % 10;
    on_hub.test.pixels.truncate(14 * 784);
    on_hub.test.labels.truncate(14);
    let hub = hub_of(&on_hub);
    let cache = tempfile::tempdir().unwrap();
    let report = hub::fetch_and_compare(&hub.config(cache.path()), &shipped).unwrap();
    assert!(!report.is_equal());
    let [train, test] = report.parts.as_slice() else { panic!("{report}") };
    assert_eq!((train.n_compared, train.n_equal, train.first_difference), (40, 38, Some(7)));
    assert_eq!((test.n_hub, test.n_shipped, test.n_compared, test.n_equal), (14, 15, 14, 14));
    assert!(!test.is_equal());
    assert!(report.to_string().contains("38 of 40 images equal, the first difference is image 7"));
    assert!(report.to_string().contains("14 of 14 images equal, 14 on the hub but 15 shipped"));
}

#[test]
fn a_truncated_or_damaged_file_is_one_line() {
    let shipped = shipped();
    let whole = parquet(&shipped.train);
    // The hub itself has a truncated file.
    for len in [0, 3, 8, whole.len() / 2, whole.len() - 1] {
        let hub = hub_of(&shipped);
        hub.replace(TRAIN, whole[..len].to_vec());
        let cache = tempfile::tempdir().unwrap();
        let message = one_line(hub::fetch_and_compare(&hub.config(cache.path()), &shipped));
        assert!(message.contains("train-00000-of-00001.parquet"), "{len} bytes: {message}");
    }
    // The cache has one: seen by its checksum, gone when the file was deleted, as the message says.
    let hub = hub_of(&shipped);
    let cache = tempfile::tempdir().unwrap();
    let config = hub.config(cache.path());
    hub::fetch_and_compare(&config, &shipped).unwrap();
    let path = cached(cache.path(), TRAIN);
    for damaged in [whole[..whole.len() / 2].to_vec(), [&whole[..500], &[whole[500] ^ 1], &whole[501..]].concat()] {
        std::fs::write(&path, damaged).unwrap();
        let message = one_line(hub::fetch_and_compare(&config, &shipped));
        assert!(message.contains("expected content with sha256 ") && message.ends_with("fetch it again"), "{message}");
    }
    std::fs::remove_file(&path).unwrap();
    let report = hub::fetch_and_compare(&config, &shipped).unwrap();
    assert!(report.is_equal());
    assert_eq!(sources(&report), [FileSource::Network, FileSource::Cache]);
}

#[test]
fn a_table_of_another_form_is_refused() {
    let shipped = shipped();
    let pixels = shipped.test.image(0).unwrap();
    let good = png(pixels, 28, 28);
    let no_image = {
        let label = Series::new("label".into(), [1_i64]);
        write_parquet(DataFrame::new(1, vec![label.into_column()]).unwrap())
    };
    let plain_image = {
        let image = BinaryChunked::from_iter_values("image".into(), [good.as_slice()].into_iter()).into_series();
        let label = Series::new("label".into(), [1_i64]);
        write_parquet(DataFrame::new(1, vec![image.into_column(), label.into_column()]).unwrap())
    };
    for (bytes, expected) in [
        (no_image, "expected a parquet file with the columns image and label"),
        (plain_image, "expected image: struct of bytes and path, label: integer"),
        (table(std::slice::from_ref(&good), &[10]), "expected labels from 0 to 9, found another in row 0"),
        (table(&[good.clone(), png(&pixels[..756], 28, 27)], &[1, 1]), "found 27 × 28 pixels of type L8 in row 1"),
        (table(&[good[..60].to_vec()], &[1]), "found no PNG file ("),
        (b"<!DOCTYPE html>".to_vec(), "expected a parquet file with the columns image and label"),
    ] {
        let hub = hub_of(&shipped);
        hub.replace(TEST, bytes);
        let cache = tempfile::tempdir().unwrap();
        let message = one_line(hub::fetch_and_compare(&hub.config(cache.path()), &shipped));
        assert!(message.contains("test-00000-of-00001.parquet") && message.contains(expected), "{message}");
    }
}

#[test]
fn a_connection_that_breaks_in_the_middle_is_resumed_the_next_time() {
    let shipped = shipped();
    let hub = hub_of(&shipped);
    hub.hangs_up.store(true, Ordering::SeqCst);
    let cache = tempfile::tempdir().unwrap();
    let config = hub.config(cache.path());
    let message = one_line(hub::fetch_and_compare(&config, &shipped));
    assert!(message.contains("not to be had from http://127"), "{message}");
    assert!(!cached(cache.path(), TRAIN).exists());
    hub.hangs_up.store(false, Ordering::SeqCst);
    let report = hub::fetch_and_compare(&config, &shipped).unwrap();
    assert!(report.is_equal());
    assert_eq!(sources(&report), [FileSource::Network; 2]);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let shipped = shipped();
    let hub = hub_of(&shipped);
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let message = one_line(hub::fetch_and_compare(&hub.config(&in_the_way.join("hub")), &shipped));
    assert!(message.starts_with(&format!("{}/file/hub: cannot write to the cache: ", folder.path().display())));
}

#[test]
fn a_flipped_byte_never_reaches_the_reader_of_parquet() {
    let shipped = shipped();
    let hub = hub_of(&shipped);
    let cache = tempfile::tempdir().unwrap();
    let config = hub.config(cache.path());
    hub::fetch_and_compare(&config, &shipped).unwrap();
    let path = cached(cache.path(), TRAIN);
    let whole = std::fs::read(&path).unwrap();
    for place in (0..whole.len()).step_by(whole.len() / 100) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x15;
        std::fs::write(&path, damaged).unwrap();
        let message = one_line(hub::fetch_and_compare(&config, &shipped));
        assert!(message.contains(&format!("expected content with sha256 {}, found sha256 ", sha256(&whole))));
    }
}
