//! The style sheets, scripts and logo of pages, at paths that have the hash of their content.

use std::io::Write as _;

use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, VARY,
};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::Pages;
use crate::config::{Brand, LogoKind, Shades};
use crate::http::Problem;
use crate::http::accept::accepts;

/// The path below which the files are.
const FOLDER: &str = "/assets/";

/// The name of the logo, before its hash.
const LOGO: &str = "logo";

/// The bytes of the hash that a file's name has.
const HASH_LENGTH: usize = 8;

/// How long a file at a path with its hash may be kept: it never changes.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The policy of a vector image: it is shown as it is, wherever it is opened, and runs nothing.
const IMAGE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'");

/// A file.
struct Asset {
    stem: &'static str,
    extension: &'static str,
    content: Bytes,
    /// The content in the encoding `gzip`, if that is smaller.
    compressed: Option<Bytes>,
    hash: String,
}

/// The files of a server.
pub(super) struct Assets {
    files: Vec<Asset>,
}

impl Asset {
    fn new(stem: &'static str, extension: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let digest = Sha256::digest(&content);
        let hash = digest.iter().take(HASH_LENGTH).map(|byte| format!("{byte:02x}")).collect();
        let compressed = gzip(&content).filter(|compressed| compressed.len() < content.len());
        Self { stem, extension, content, compressed, hash }
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
            "svg" => "image/svg+xml",
            "png" => "image/png",
            _ => "text/javascript; charset=utf-8",
        }
    }
}

impl Assets {
    /// Collects the files, with the colours and the logo of the brand.
    pub(super) fn new(brand: &Brand) -> Self {
        let mut files = vec![
            Asset::new("style", "css", include_str!("assets/style.css").to_owned() + &colors(brand)),
            Asset::new("account", "js", include_str!("assets/account.js")),
            Asset::new("docs", "css", include_str!("assets/docs.css")),
            Asset::new("docs", "js", include_str!("assets/docs.js")),
        ];
        if let Some(logo) = &brand.logo {
            let extension = match logo.kind {
                LogoKind::Png => "png",
                LogoKind::Svg => "svg",
            };
            files.push(Asset::new(LOGO, extension, Bytes::copy_from_slice(&logo.content)));
        }
        Self { files }
    }

    /// Returns the path of a file by its name without the hash, below that of `PUBLIC_URL`.
    pub(super) fn path(&self, base: &str, name: &str) -> Option<String> {
        let (stem, extension) = name.split_once('.')?;
        let asset = self.files.iter().find(|asset| asset.stem == stem && asset.extension == extension)?;
        Some(format!("{base}{FOLDER}{}", asset.name()))
    }

    /// Returns the path of the logo, if there is one.
    pub(super) fn logo(&self, base: &str) -> Option<String> {
        let logo = self.files.iter().find(|asset| asset.stem == LOGO)?;
        Some(format!("{base}{FOLDER}{}", logo.name()))
    }
}

/// Returns the rules by which the brand's colours replace those of the style. They are in the same file, so that the
/// first paint has them.
fn colors(brand: &Brand) -> String {
    let Some(accent) = brand.accent else { return String::new() };
    let rule = |Shades { accent, strong, on }: Shades| {
        format!(":root {{ --accent: {accent}; --accent-strong: {strong}; --on-accent: {on}; }}")
    };
    let light = rule(accent.light);
    let dark = rule(accent.dark);
    format!("\n{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n")
}

/// Returns the style, a script or the logo of the pages.
#[utoipa::path(get, path = "/assets/{name}", tag = "Pages", security(()),
    params(("name" = String, Path, description = "The name of the file, with the hash of its content")),
    responses(
        (status = 200, description = "The file", content((String = "text/css"), (String = "text/javascript"),
            (String = "image/svg+xml"), (String = "image/png")))))]
pub(crate) async fn get_asset(request: HttpRequest, pages: Data<Pages>) -> Result<HttpResponse, Problem> {
    let name = request.match_info().get("name").unwrap_or_default();
    let assets = &pages.look.assets.files;
    let asset = assets.iter().find(|asset| asset.is_named(name)).ok_or_else(Problem::not_found)?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, asset.content_type())).append_header((VARY, "accept-encoding"));
    // The page may be of a server with another version, behind the same proxy: this file is the best that there is.
    if asset.name() == name {
        response.insert_header((CACHE_CONTROL, IMMUTABLE));
    }
    if asset.extension == "svg" {
        response.insert_header((CONTENT_SECURITY_POLICY, IMAGE_POLICY));
    }
    let accepted = request.headers().get(ACCEPT_ENCODING);
    Ok(match &asset.compressed {
        Some(compressed) if accepts(accepted, "gzip") => {
            response.insert_header((CONTENT_ENCODING, "gzip")).body(compressed.clone())
        }
        _ => response.body(asset.content.clone()),
    })
}

/// Compresses a file. Pages are not compressed: their length would tell of what stands in them.
fn gzip(content: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
