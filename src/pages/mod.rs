//! The pages that links in emails lead to. Each explains an operation, has a button for it, and shows the result. They
//! are HTML without scripts. Mail scanners follow links, so only the button has an effect.

pub(crate) mod handlers;
mod question;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Environment, context};
use sha2::{Digest as _, Sha256};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// The content security policy of pages: they may use their own style and send their form to this server.
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

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
}

impl Pages {
    /// Creates a renderer for the server with the name `site`.
    pub(crate) fn new(site: &str) -> Self {
        let mut environment = Environment::new();
        #[expect(clippy::expect_used, reason = "the template is part of the program, and tests render it")]
        environment.add_template("page.html", TEMPLATE).expect("a valid template");
        Self { environment, site: site.to_owned() }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_page_are_escaped() {
        let password = Some(PasswordField { email: "\"<b>@example.com", error: Some("<i>".to_owned()) });
        let form =
            Some(Form { action: "reset-password", token: "\"><script>", button: "Go", refusal: Some("<b>"), password });
        let page = Page { title: "<title>", text: vec!["<script>alert(1)</script>".to_owned()], form };
        let html = Pages::new("auth.example").render(&page).unwrap();
        for markup in ["<script", "<b>", "<i>", "\"\""] {
            assert!(!html.contains(markup), "{markup}: {html}");
        }
        assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
        assert!(html.contains(&format!("<style>{STYLE}</style>")), "the policy has the digest of this style");
    }
}
