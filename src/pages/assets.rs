//! The style sheets and scripts of pages: files of the program, at paths that have the hash of their content.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest as _, Sha256};

use crate::http::Problem;

/// The path below which the files are.
const FOLDER: &str = "/assets/";

/// The bytes of the hash that a file's name has.
const HASH_LENGTH: usize = 8;

/// How long a file at a path with its hash may be kept: it never changes.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A file.
struct Asset {
    stem: &'static str,
    extension: &'static str,
    content: &'static str,
    hash: String,
}

impl Asset {
    fn new(stem: &'static str, extension: &'static str, content: &'static str) -> Self {
        let digest = Sha256::digest(content.as_bytes());
        let hash = digest.iter().take(HASH_LENGTH).map(|byte| format!("{byte:02x}")).collect();
        Self { stem, extension, content, hash }
    }

    /// Returns whether the file has this name, with whatever hash.
    fn is_named(&self, name: &str) -> bool {
        let hash = name.strip_prefix(self.stem).and_then(|name| name.strip_suffix(self.extension));
        let hash = hash.and_then(|hash| hash.strip_prefix('.')?.strip_suffix('.'));
        hash.is_some_and(|hash| hash.len() == HASH_LENGTH * 2 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()))
    }

    fn name(&self) -> String {
        format!("{}.{}.{}", self.stem, self.hash, self.extension)
    }

    fn content_type(&self) -> &'static str {
        match self.extension {
            "css" => "text/css; charset=utf-8",
            _ => "text/javascript; charset=utf-8",
        }
    }
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        Asset::new("style", "css", include_str!("assets/style.css")),
        Asset::new("account", "js", include_str!("assets/account.js")),
        Asset::new("docs", "css", include_str!("assets/docs.css")),
        Asset::new("docs", "js", include_str!("assets/docs.js")),
    ]
});

/// Returns the path of a file by its name without the hash, below that of `PUBLIC_URL`.
pub(super) fn path(base: &str, name: &str) -> Option<String> {
    let (stem, extension) = name.split_once('.')?;
    let asset = ASSETS.iter().find(|asset| asset.stem == stem && asset.extension == extension)?;
    Some(format!("{base}{FOLDER}{}", asset.name()))
}

/// Returns the style or a script of the pages.
#[utoipa::path(get, path = "/assets/{name}", tag = "Pages", security(()),
    params(("name" = String, Path, description = "The name of the file, with the hash of its content")),
    responses(
        (status = 200, description = "The file", content((String = "text/css"), (String = "text/javascript")))))]
pub(crate) async fn get_asset(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let name = request.match_info().get("name").unwrap_or_default();
    let asset = ASSETS.iter().find(|asset| asset.is_named(name)).ok_or_else(Problem::not_found)?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, asset.content_type()));
    // The page may be of a server with another version, behind the same proxy: this file is the best that there is.
    if asset.name() == name {
        response.insert_header((CACHE_CONTROL, IMMUTABLE));
    }
    Ok(response.body(asset.content))
}
