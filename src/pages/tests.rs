use super::page::PasswordField;
use super::*;
use crate::texts::Text;

fn pages(languages: &str) -> Pages {
    let settings = [("UI_LANGUAGES", languages), ("BRAND_NAME", "auth.example")];
    Pages::new(&Config::from_settings(&settings, &crate::random::Random).unwrap()).unwrap()
}

#[test]
fn texts_of_a_page_are_escaped() {
    let password = Some(PasswordField { email: "\"<b>@example.com", error: vec![Text::of("account")] });
    let refusal = Some(Text::of("verify-refuse"));
    let form = Form { action: "reset-password", token: "\"><script>", button: Text::of("account"), refusal, password };
    let text = Text::of("welcome-people").with("site", "<script>alert(1)</script>");
    let mut page = Page::new(Text::of("account"), vec![text]).with_form(form);
    page.details = vec![(Text::of("name"), Detail::Chosen("<i>".to_owned()))];
    let html = pages("en").render(&page, Language::English, "").unwrap();
    for markup in ["<script", "<b>", "<i>", "\"\""] {
        assert!(!html.contains(markup), "{markup}: {html}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)") && html.contains("<bdi>&lt;i&gt;</bdi>"), "{html}");
}

/// Renders a template that uses the components as a page does.
fn gallery(language: Language) -> String {
    let brand = config::Brand { name: "auth.example".to_owned(), logo: None, accent: None };
    let look = Look { site: brand.name.clone(), base: "/auth".to_owned(), assets: Assets::new(&brand) };
    let mut environment = templates::environment(language, &Arc::new(look));
    environment.add_template("gallery.html", include_str!("tests/gallery.html")).unwrap();
    environment.get_template("gallery.html").unwrap().render(context! { text => "<&\">" }).unwrap()
}

#[test]
fn components_escape_their_texts_and_name_what_they_are() {
    let html = gallery(Language::German);
    assert!(!html.contains("<&") && html.contains("&lt;&amp;&quot;&gt;"), "{html}");
    for part in [
        "aria-invalid=\"true\" aria-describedby=\"code-error code-hint\"",
        "<p class=\"error\" id=\"code-error\">",
        "autocomplete=\"one-time-code\" inputmode=\"numeric\"",
        "role=\"img\" aria-label=\"Telefon\"",
        "aria-current=\"page\"",
        "role=\"alert\" tabindex=\"-1\" autofocus>",
        "<caption>",
        "rel=\"next\"",
        "href=\"/auth/assets/style.",
        "&amp;page=2",
    ] {
        assert!(html.replace("&#x2f;", "/").contains(part), "{part}: {html}");
    }
    assert!(!html.contains("value=\"secret\""), "a password is never repeated: {html}");
    assert_eq!(html.matches(" autofocus").count(), 1, "{html}");
}

#[test]
fn every_language_renders_every_component() {
    for language in Language::ALL {
        assert!(gallery(language).contains(&format!(
            "<html lang=\"{}\" dir=\"{}\">",
            language.tag(),
            language.direction()
        )));
    }
}
