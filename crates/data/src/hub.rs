//! MNIST from a hub of data sets, compared with the copy that is shipped (cargo feature `hub`).
//!
//! The two parquet files of `ylecun/mnist` are had at one recorded revision: from the cache where they lie there, else
//! from the network, which fills the cache. Their images are decoded and compared with the shipped ones, pixel by pixel
//! and label by label. Nothing else of the project needs the hub.
//!
//! No token is sent: the set is public. The hub's address and the cache's folder follow the environment variables that
//! other programs use too ([`HubConfig::from_env`]).

mod parquet;

use std::fmt;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};
use sha2::{Digest, Sha256};

use crate::sets::mnist::{LabelledImages, Mnist, Part};
use crate::{Error, Result, idx};

/// The data set on the hub.
pub const REPOSITORY: &str = "ylecun/mnist";

/// The commit of [`REPOSITORY`] that is fetched unless another is asked for. A commit never changes, so what the cache
/// holds of it needs no question to the hub.
pub const REVISION: &str = "77f3279092a1c1579b2250db8eafed0ad422088c";

/// The hub that is asked unless `HF_ENDPOINT` names another.
pub const ENDPOINT: &str = "https://huggingface.co";

/// Length of a commit's name, in hexadecimal digits.
const COMMIT_LEN: usize = 40;

/// Length of a SHA-256, in hexadecimal digits.
const SHA256_LEN: usize = 64;

/// Which hub, which cache, which revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// The hub's address.
    pub endpoint: String,
    /// The folder of the cache, laid out as all clients of the hub do.
    pub cache_dir: PathBuf,
    /// A commit, or a branch such as `main`, which is resolved to the commit that it stands for.
    pub revision: String,
}

/// Where a file came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSource {
    /// It lay in the cache; the hub was not asked.
    Cache,
    /// The hub sent it; it lies in the cache now.
    Network,
}

/// What came of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubReport {
    /// The commit that the files belong to.
    pub revision: String,
    /// The training part, then the test part.
    pub parts: Vec<PartReport>,
}

/// What came of the comparison of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport {
    /// Which part.
    pub part: Part,
    /// The file's name on the hub.
    pub file: &'static str,
    /// Where it lies in the cache.
    pub path: PathBuf,
    /// The SHA-256 of the parquet file.
    pub sha256: String,
    /// Whether it was there already.
    pub source: FileSource,
    /// Number of images on the hub and in the shipped copy.
    pub n_hub: usize,
    /// Number of images in the shipped copy.
    pub n_shipped: usize,
    /// Number of images that both have and that were compared.
    pub n_compared: usize,
    /// Of these, the number with the same pixels and the same label.
    pub n_equal: usize,
    /// The place of the first image that differs.
    pub first_difference: Option<usize>,
}

impl HubConfig {
    /// The pinned revision, at the hub that `HF_ENDPOINT` names, with the cache in `hub/` of the folder that `HF_HOME`
    /// names, or in `.cache/huggingface/hub` of the home folder.
    ///
    /// # Errors
    /// There is neither `HF_HOME` nor a home folder.
    pub fn from_env() -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let endpoint = set("HF_ENDPOINT").map_or(ENDPOINT.to_owned(), |value| value.to_string_lossy().into_owned());
        let home = set("HF_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache").join("huggingface")))
            .ok_or_else(|| Error::Hub {
                what: "the cache of the hub".to_owned(),
                reason: "there is no home folder to keep it in".to_owned(),
                cure: "set HF_HOME to a folder".to_owned(),
            })?;
        Ok(Self { endpoint, cache_dir: home.join("hub"), revision: REVISION.to_owned() })
    }

    fn repo(&self, revision: &str) -> Repo {
        Repo::with_revision(REPOSITORY.to_owned(), RepoType::Dataset, revision.to_owned())
    }

    fn cache(&self) -> Cache {
        Cache::new(self.cache_dir.clone())
    }

    fn api(&self) -> std::result::Result<Api, ApiError> {
        ApiBuilder::from_cache(self.cache())
            .with_endpoint(self.endpoint.trim_end_matches('/').to_owned())
            .with_token(None)
            .with_progress(false)
            .build()
    }
}

/// Fetches both parts and compares them with `shipped`.
///
/// # Errors
/// A file is neither in the cache nor to be had from the hub, does not have the checksum under which the hub lists it,
/// or is not a parquet file of 28 × 28 grey PNG images with labels. A difference between the images is no error: the
/// report says so.
pub fn fetch_and_compare(config: &HubConfig, shipped: &Mnist) -> Result<HubReport> {
    let revision = resolve(config)?;
    let parts = [(Part::Train, &shipped.train), (Part::Test, &shipped.test)];
    let parts = parts
        .into_iter()
        .map(|(part, shipped)| {
            let file = file_name(part);
            let (path, source) = fetch(config, &revision, file)?;
            let sha256 = verify(&path)?;
            let on_hub = parquet::read_mnist(&path)?;
            Ok(compare(&on_hub, shipped, PartFile { part, file, path, sha256, source }))
        })
        .collect::<Result<_>>()?;
    Ok(HubReport { revision, parts })
}

impl HubReport {
    /// Whether hub and shipped copy have the same images and labels, all of them.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.parts.iter().all(PartReport::is_equal)
    }
}

impl PartReport {
    /// Whether hub and shipped copy have the same images and labels in this part.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.n_hub == self.n_shipped && self.n_equal == self.n_compared
    }
}

impl fmt::Display for HubReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{REPOSITORY} at revision {}", self.revision)?;
        self.parts.iter().try_for_each(|part| write!(formatter, "\n{part}"))
    }
}

impl fmt::Display for PartReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} of {} images equal", self.file, self.n_equal, self.n_compared)?;
        if let Some(place) = self.first_difference {
            write!(formatter, ", the first difference is image {place}")?;
        }
        if self.n_hub != self.n_shipped {
            write!(formatter, ", {} on the hub but {} shipped", self.n_hub, self.n_shipped)?;
        }
        let source = match self.source {
            FileSource::Cache => "cache",
            FileSource::Network => "network",
        };
        write!(formatter, " (from the {source}, {}, sha256 {})", self.path.display(), self.sha256)
    }
}

fn file_name(part: Part) -> &'static str {
    match part {
        Part::Train => "mnist/train-00000-of-00001.parquet",
        Part::Test => "mnist/test-00000-of-00001.parquet",
    }
}

fn is_commit(revision: &str) -> bool {
    revision.len() == COMMIT_LEN && is_hex(revision)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The commit that a revision stands for: asked of the hub, or as the cache remembers it.
fn resolve(config: &HubConfig) -> Result<String> {
    let revision = &config.revision;
    if is_commit(revision) {
        return Ok(revision.clone());
    }
    // The revision becomes a part of an address and of a path, which must not lead elsewhere.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if revision.is_empty() || revision.starts_with('.') || !revision.chars().all(is_plain) {
        return Err(Error::Setting {
            setting: "revision",
            found: format!("`{revision}`"),
            expected: "a commit of 40 hexadecimal digits, or the name of a branch".to_owned(),
        });
    }
    let repo = config.repo(revision);
    match config.api().and_then(|api| api.repo(repo.clone()).info()) {
        Ok(info) if is_commit(&info.sha) => {
            // Remembering what a branch stood for is what lets the next call do without the hub.
            let remembered = config.cache().repo(repo).create_ref(&info.sha);
            remembered.map_err(|source| Error::io(&config.cache_dir, "write to the cache", source))?;
            Ok(info.sha)
        }
        Ok(info) => Err(unreachable_hub(
            config,
            &format!("{REPOSITORY} at revision {revision}"),
            &format!("the hub named `{}` as its commit", info.sha),
        )),
        Err(error) => {
            let path = config.cache_dir.join(repo.folder_name()).join("refs").join(revision);
            std::fs::read_to_string(path)
                .ok()
                .map(|commit| commit.trim().to_owned())
                .filter(|commit| is_commit(commit))
                .ok_or_else(|| {
                    unreachable_hub(config, &format!("{REPOSITORY} at revision {revision}"), &error.to_string())
                })
        }
    }
}

/// A file at a commit: from the cache if it lies there, else from the hub.
fn fetch(config: &HubConfig, commit: &str, file: &str) -> Result<(PathBuf, FileSource)> {
    let repo = config.repo(commit);
    // Looked up by commit and not by reference: other clients keep no reference for a commit.
    let cached = config.cache().repo(repo.clone()).pointer_path(commit).join(file);
    if cached.is_file() {
        return Ok((cached, FileSource::Cache));
    }
    match config.api().and_then(|api| api.repo(repo).download(file)) {
        Ok(path) if path == cached => Ok((path, FileSource::Network)),
        Ok(path) => Err(Error::content(
            &path,
            format!("the file at commit {commit}"),
            "one at another commit, as the hub answered",
            "set HF_ENDPOINT to a hub that knows this commit",
        )),
        Err(ApiError::IoError(source)) if is_about_the_disk(&source) => {
            Err(Error::io(&config.cache_dir, "write to the cache", source))
        }
        Err(error) => {
            Err(unreachable_hub(config, &format!("{REPOSITORY}/{file} at revision {commit}"), &error.to_string()))
        }
    }
}

/// Whether an input or output error came from the cache's folder: a broken connection is one too, and needs another cure.
fn is_about_the_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        AlreadyExists, NotADirectory, NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    matches!(
        error.kind(),
        AlreadyExists | NotADirectory | NotFound | PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull
    )
}

fn unreachable_hub(config: &HubConfig, what: &str, reason: &str) -> Error {
    let reason = reason.replace(['\n', '\r'], " ");
    Error::Hub {
        what: what.to_owned(),
        reason: format!(
            "not in the cache {} and not to be had from {} ({reason})",
            config.cache_dir.display(),
            config.endpoint
        ),
        cure: "connect to the network, set HF_ENDPOINT to a hub that can be reached, or set HF_HOME to a folder that \
               holds the cache; everything but this comparison works with the shipped copy"
            .to_owned(),
    }
}

/// The SHA-256 of a file in the cache, compared with the one under which the hub lists it.
///
/// Large files lie in the cache under their SHA-256, and the name that they go by is a link to it. Where the cache
/// holds no such link (a system without links, a small file), there is nothing to compare with.
fn verify(path: &Path) -> Result<String> {
    let io = |source| Error::io(path, "read the file from the cache", source);
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).map_err(io)?;
    let found = idx::hex(&hasher.finalize());
    let blob = path.canonicalize().map_err(io)?;
    let listed =
        blob.file_name().and_then(|name| name.to_str()).filter(|name| name.len() == SHA256_LEN && is_hex(name));
    match listed {
        Some(listed) if listed != found => Err(Error::content(
            path,
            format!("content with sha256 {listed}"),
            format!("sha256 {found}"),
            "delete the file and fetch it again",
        )),
        _ => Ok(found),
    }
}

/// The file of a part, before anything was compared.
struct PartFile {
    part: Part,
    file: &'static str,
    path: PathBuf,
    sha256: String,
    source: FileSource,
}

fn compare(on_hub: &LabelledImages, shipped: &LabelledImages, file: PartFile) -> PartReport {
    let n_compared = on_hub.len().min(shipped.len());
    let is_equal =
        |&place: &usize| on_hub.image(place) == shipped.image(place) && on_hub.labels[place] == shipped.labels[place];
    PartReport {
        part: file.part,
        file: file.file,
        path: file.path,
        sha256: file.sha256,
        source: file.source,
        n_hub: on_hub.len(),
        n_shipped: shipped.len(),
        n_compared,
        n_equal: (0..n_compared).filter(is_equal).count(),
        first_difference: (0..n_compared).find(|place| !is_equal(place)),
    }
}
