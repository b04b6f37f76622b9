//! Where `--record` keeps the records of a rollout.

use std::path::PathBuf;

#[cfg(feature = "object_store")]
use super::bucket::Bucket;
use super::http::HttpOptions;
use super::records::{Folder, RecordProblem, Store, Vendor};

/// Where records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Folder(PathBuf),
    Bucket { vendor: Vendor, name: String, prefix: String },
}

impl Place {
    /// Reads `file:FOLDER`, `s3://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
    ///
    /// # Errors
    /// The text is none of these, or this program was built without object stores.
    pub fn parse(text: &str) -> Result<Place, String> {
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Place::Folder(path.into()));
        }
        if text.starts_with("gs://") {
            return Err("Google's store is not supported; use file:FOLDER, s3://BUCKET/PREFIX or \
                        az://CONTAINER/PREFIX"
                .to_owned());
        }
        for vendor in [Vendor::S3, Vendor::Azure] {
            let Some(rest) = text.strip_prefix(vendor.scheme()) else { continue };
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            let is_plain = |part: &str| {
                let fits = |ch: char| ch.is_ascii_alphanumeric() || "-_.".contains(ch);
                !part.is_empty() && part.chars().all(fits) && !part.chars().all(|ch| ch == '.')
            };
            if !is_plain(name) || !(prefix.is_empty() || prefix.split('/').all(is_plain)) {
                return Err(format!(
                    "it is not {}NAME/PREFIX with letters, digits, -, _ and . between the slashes",
                    vendor.scheme()
                ));
            }
            if !cfg!(feature = "object_store") {
                return Err("this program was built without object stores; build it with \
                            `cargo build --release --features object_store`"
                    .to_owned());
            }
            return Ok(Place::Bucket { vendor, name: name.to_owned(), prefix: prefix.to_owned() });
        }
        Err("it is not file:FOLDER, s3://BUCKET/PREFIX or az://CONTAINER/PREFIX".to_owned())
    }

    /// The values of the variables that a store's credentials are read from. No text may repeat them.
    pub fn credentials(&self) -> Vec<String> {
        let start = match self {
            Place::Folder(_) => return Vec::new(),
            Place::Bucket { vendor: Vendor::S3, .. } => "AWS_",
            Place::Bucket { vendor: Vendor::Azure, .. } => "AZURE_",
        };
        let is_secret = |name: &str| {
            name.starts_with(start)
                && ["SECRET", "TOKEN", "KEY", "SAS"].iter().any(|part| name.contains(part))
                && !["_FILE", "_ID", "_URI", "_URL", "_ENABLED"].iter().any(|end| name.ends_with(end))
        };
        let named = std::env::vars_os();
        let named =
            named.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        named.filter(|(name, _)| is_secret(name)).map(|(_, value)| value).collect()
    }

    /// The records of a fleet in this place.
    ///
    /// # Errors
    /// The folder cannot be made, or nothing says how to reach the store.
    pub fn open(&self, fleet: &str, options: &HttpOptions) -> Result<Box<dyn Store>, RecordProblem> {
        match self {
            Place::Folder(folder) => Ok(Box::new(Folder::open(folder.join(fleet))?)),
            #[cfg(feature = "object_store")]
            Place::Bucket { vendor, name, prefix } => {
                Ok(Box::new(Bucket::open(*vendor, name, prefix, fleet, options)?))
            }
            #[cfg(not(feature = "object_store"))]
            Place::Bucket { .. } => {
                let _ = options;
                Err(RecordProblem::Io("this program was built without object stores".to_owned()))
            }
        }
    }
}
