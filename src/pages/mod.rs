//! The pages that links in emails lead to, the first page and the API explorer.
//!
//! The page of a link explains an operation, has a button for it, and shows the result. Mail scanners follow links, so
//! only the button has an effect. All pages are HTML without scripts, but for the explorer, which sends requests.

pub(crate) mod handlers;
mod question;

use std::sync::{LazyLock, OnceLock};

use actix_web::web::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Environment, HtmlEscape, context};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::config::Config;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const WELCOME_TEMPLATE: &str = include_str!("welcome.html");
const EXPLORER_TEMPLATE: &str = include_str!("docs.html");
const EXPLORER_STYLE: &str = concat!(include_str!("page.css"), include_str!("docs.css"));
const EXPLORER_SCRIPT: &str = include_str!("docs.js");

/// The content security policy of pages: they may use their own style and send their form to this server.
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = digest(STYLE);
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// The content security policy of the API explorer: it may use its own style and script, and call this server.
pub(crate) static EXPLORER_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = digest(EXPLORER_STYLE);
    let script = digest(EXPLORER_SCRIPT);
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
});

fn digest(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

/// A page.
pub(crate) struct Page<'a> {
    /// The title.
    pub title: &'a str,
    /// The paragraphs.
    pub text: Vec<String>,
    /// The form, if the page has a button.
    pub form: Option<Form<'a>>,
}

/// A form, which the button sends to the page's own URL.
pub(crate) struct Form<'a> {
    /// The last part of the page's path.
    pub action: &'a str,
    /// The token of the link.
    pub token: &'a str,
    /// The text of the button.
    pub button: &'a str,
    /// The text of a second button, which sends the field `refused`.
    pub refusal: Option<&'a str>,
    /// The field for a new password, if one is needed.
    pub password: Option<PasswordField<'a>>,
}

/// A field for a new password.
pub(crate) struct PasswordField<'a> {
    /// The account's email address, for password managers.
    pub email: &'a str,
    /// The error of the password that was sent.
    pub error: Option<String>,
}

/// The renderer of pages.
pub(crate) struct Pages {
    environment: Environment<'static>,
    /// The name of the server on pages.
    site: String,
    /// The path of `PUBLIC_URL`, without a trailing slash.
    base: String,
    issuer: String,
    audience: String,
    /// Whether `PUBLIC_URL` leads to the computer that the server runs on.
    is_local: bool,
    has_explorer: bool,
    /// The explorer, once it was rendered.
    explorer: OnceLock<Bytes>,
}

impl Pages {
    /// Creates a renderer for the server with the name `site`.
    pub(crate) fn new(site: &str, config: &Config) -> Self {
        Self {
            environment: environment(),
            site: site.to_owned(),
            base: config.public_url.path().trim_end_matches('/').to_owned(),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            is_local: config.is_local(),
            has_explorer: config.api_docs,
            explorer: OnceLock::new(),
        }
    }

    /// Returns whether the API explorer is shown.
    pub(crate) fn has_explorer(&self) -> bool {
        self.has_explorer
    }

    /// Returns the name of the server.
    pub(crate) fn site(&self) -> &str {
        &self.site
    }

    /// Renders a page as HTML, with all its texts escaped.
    ///
    /// # Errors
    /// The template fails, which is a defect.
    pub(crate) fn render(&self, page: &Page<'_>) -> Result<String, minijinja::Error> {
        let form = page.form.as_ref().map(|form| {
            let password = form.password.as_ref().map(|field| context! { email => field.email, error => &field.error });
            let refusal = form.refusal;
            context! { action => form.action, token => form.token, button => form.button, refusal, password }
        });
        let site = &self.site;
        let style = STYLE;
        let title = page.title;
        let text = &page.text;
        let style = minijinja::Value::from_safe_string(style.to_owned());
        self.environment.get_template("page.html")?.render(context! { site, style, title, text, form })
    }

    /// Renders the first page, at `/`.
    ///
    /// # Errors
    /// The template fails, which is a defect.
    pub(crate) fn render_welcome(&self) -> Result<String, minijinja::Error> {
        let Self { site, base, issuer, audience, is_local, .. } = self;
        let title = if *is_local { "keyturn works" } else { site };
        let has_docs = self.has_explorer;
        let style = minijinja::Value::from_safe_string(STYLE.to_owned());
        let template = self.environment.get_template("welcome.html")?;
        template.render(context! { site, style, title, base, issuer, audience, is_local, has_docs })
    }

    /// Renders the API explorer with the groups of operations that `groups` returns. They are the same for each
    /// request, so this happens once.
    ///
    /// # Errors
    /// The template fails, which is a defect.
    pub(crate) fn render_explorer<G: Serialize>(&self, groups: impl FnOnce() -> G) -> Result<Bytes, minijinja::Error> {
        if let Some(rendered) = self.explorer.get() {
            return Ok(rendered.clone());
        }
        let Self { site, base, .. } = self;
        let title = "API explorer";
        let groups = minijinja::Value::from(minijinja::value::Serde(groups()));
        let style = minijinja::Value::from_safe_string(EXPLORER_STYLE.to_owned());
        let script = minijinja::Value::from_safe_string(EXPLORER_SCRIPT.to_owned());
        let template = self.environment.get_template("docs.html")?;
        let rendered = template.render(context! { site, style, script, title, base, groups })?;
        Ok(self.explorer.get_or_init(|| Bytes::from(rendered)).clone())
    }
}

/// Shows what stands between backticks in a text as code.
fn code(text: &str) -> minijinja::Value {
    let escaped = |text| HtmlEscape(text).to_string();
    let mut html = String::new();
    let mut parts = text.split('`').map(escaped).peekable();
    let mut is_code = false;
    while let Some(part) = parts.next() {
        // The last backtick may have no partner.
        match (is_code, parts.peek().is_some()) {
            (false, _) => html.push_str(&part),
            (true, true) => html.push_str(&format!("<code>{part}</code>")),
            (true, false) => html.push_str(&format!("`{part}")),
        }
        is_code = !is_code;
    }
    minijinja::Value::from_safe_string(html)
}

/// Returns the templates.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.add_filter("code", code);
    for (name, template) in
        [("page.html", TEMPLATE), ("welcome.html", WELCOME_TEMPLATE), ("docs.html", EXPLORER_TEMPLATE)]
    {
        #[expect(clippy::expect_used, reason = "the templates are part of the program, and tests render them")]
        environment.add_template(name, template).expect("a valid template");
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_page_are_escaped() {
        let password = Some(PasswordField { email: "\"<b>@example.com", error: Some("<i>".to_owned()) });
        let form =
            Some(Form { action: "reset-password", token: "\"><script>", button: "Go", refusal: Some("<b>"), password });
        let config = Config::from_settings(&[], &crate::random::Random).unwrap();
        let page = Page { title: "<title>", text: vec!["<script>alert(1)</script>".to_owned()], form };
        let html = Pages::new("auth.example", &config).render(&page).unwrap();
        for markup in ["<script", "<b>", "<i>", "\"\""] {
            assert!(!html.contains(markup), "{markup}: {html}");
        }
        assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
        assert!(html.contains(&format!("<style>{STYLE}</style>")), "the policy has the digest of this style");
    }
}
