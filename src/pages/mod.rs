//! The pages that links in mails lead to: what will happen, a button that does it, and what came of it. Plain HTML without
//! script: mail scanners follow links, so only the button acts.

pub mod http;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Environment, context};
use sha2::{Digest as _, Sha256};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// What a page may do: show itself in its own style and send its form to where it came from.
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// A page about one matter.
pub struct Page<'a> {
    pub title: &'a str,
    pub text: Vec<String>,
    pub form: Option<Form<'a>>,
}

/// The button, and what goes with it to the page's own address.
pub struct Form<'a> {
    /// The last part of the page's path.
    pub action: &'a str,
    pub token: &'a str,
    pub button: &'a str,
    pub password: Option<PasswordField<'a>>,
}

/// A field for a new password.
pub struct PasswordField<'a> {
    /// The account's address, for password managers.
    pub email: &'a str,
    /// What is wrong with the password that was sent.
    pub error: Option<String>,
}

/// Writes pages.
pub struct Pages {
    environment: Environment<'static>,
    /// What the pages call the place that they belong to.
    site: String,
}

impl Pages {
    pub fn new(site: &str) -> Self {
        let mut environment = Environment::new();
        #[expect(clippy::expect_used, reason = "it is part of the program, and every page's test fills it")]
        environment.add_template("page.html", TEMPLATE).expect("the template is right");
        Self { environment, site: site.to_owned() }
    }

    pub fn site(&self) -> &str {
        &self.site
    }

    /// The page as HTML; whatever it says is escaped.
    ///
    /// # Errors
    /// The template does not fit, which is a defect.
    pub fn render(&self, page: &Page<'_>) -> Result<String, minijinja::Error> {
        let form = page.form.as_ref().map(|form| {
            let password = form.password.as_ref().map(|field| context! { email => field.email, error => &field.error });
            context! { action => form.action, token => form.token, button => form.button, password }
        });
        let (site, style, title, text) = (&self.site, STYLE, page.title, &page.text);
        let style = minijinja::Value::from_safe_string(style.to_owned());
        self.environment.get_template("page.html")?.render(context! { site, style, title, text, form })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_says_is_no_markup() {
        let password = Some(PasswordField { email: "\"<b>@example.com", error: Some("<i>".to_owned()) });
        let form = Some(Form { action: "reset-password", token: "\"><script>", button: "Go", password });
        let page = Page { title: "<title>", text: vec!["<script>alert(1)</script>".to_owned()], form };
        let html = Pages::new("auth.example").render(&page).unwrap();
        for markup in ["<script", "<b>", "<i>", "\"\""] {
            assert!(!html.contains(markup), "{markup}: {html}");
        }
        assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
        assert!(html.contains(&format!("<style>{STYLE}</style>")), "the policy names the style as it stands");
    }
}
