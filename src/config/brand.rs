//! The look of pages and emails: name, logo and colour, with the contrast that WCAG 2.2 asks for.

use std::fmt;
use std::sync::Arc;

use super::parse::Parsed;
use crate::types::Label;

/// The largest file of a logo, in bytes.
const MAX_LOGO: u64 = 64 * 1024;

/// The first bytes of every PNG file (PNG §5.2).
const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The least contrast of text (WCAG 2.2 §1.4.3).
const MIN_CONTRAST: f64 = 4.5;

/// The backgrounds of pages on which the accent stands, as the style sheet has them: the page and a card.
const LIGHT_BACKGROUNDS: [Color; 2] = [Color::new(0xf5, 0xf4, 0xf1), Color::WHITE];
const DARK_BACKGROUNDS: [Color; 2] = [Color::new(0x17, 0x16, 0x14), Color::new(0x22, 0x20, 0x1d)];

/// The look of pages and emails.
#[derive(Clone, Debug)]
pub struct Brand {
    /// The name of the server.
    pub name: String,
    /// The logo.
    pub logo: Option<Logo>,
    /// The colours of links and buttons, if they are not those of the style sheet.
    pub accent: Option<Accent>,
}

/// A logo, which is read at the start. Clones share it.
#[derive(Clone, Debug)]
pub struct Logo {
    /// The kind of image.
    pub kind: LogoKind,
    /// The file.
    pub content: Arc<[u8]>,
}

/// The kind of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoKind {
    /// A raster image.
    Png,
    /// A vector image.
    Svg,
}

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

/// The colours of links and buttons in both themes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    /// The colours in the light theme.
    pub light: Shades,
    /// The colours in the dark theme.
    pub dark: Shades,
}

/// The colours of links and buttons in a theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shades {
    /// The accent.
    pub accent: Color,
    /// A stronger one, for what is pointed at.
    pub strong: Color,
    /// The text on both.
    pub on: Color,
}

impl Default for Accent {
    /// Returns the colours of the style sheet.
    fn default() -> Self {
        let light =
            Shades { accent: Color::new(0x22, 0x50, 0xb5), strong: Color::new(0x19, 0x3f, 0x92), on: Color::WHITE };
        let dark = Shades {
            accent: Color::new(0x9d, 0xbc, 0xff),
            strong: Color::new(0xbe, 0xd2, 0xff),
            on: Color::new(0x10, 0x20, 0x3f),
        };
        Self { light, dark }
    }
}

impl Logo {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is neither PNG nor SVG.
    pub(super) fn open(path: &str) -> Parsed<Self> {
        let unreadable = |error| format!("cannot be read: {error}");
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_LOGO {
            return Err(format!("must have {MAX_LOGO} bytes at the most, has {length}"));
        }
        let content = std::fs::read(path).map_err(unreadable)?;
        let is_svg = || std::str::from_utf8(&content).is_ok_and(|text| text.contains("<svg") && !text.contains('\0'));
        let kind = match &content {
            content if content.starts_with(PNG_SIGNATURE) => LogoKind::Png,
            _ if is_svg() => LogoKind::Svg,
            _ => return Err("must be the path of an image: SVG in UTF-8, or PNG".to_owned()),
        };
        Ok(Self { kind, content: content.into() })
    }
}

impl Color {
    const WHITE: Self = Self::new(0xff, 0xff, 0xff);
    const BLACK: Self = Self::new(0, 0, 0);
    /// The text on light colours.
    const INK: Self = Self::new(0x11, 0x11, 0x11);

    const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// Parses `#rrggbb`.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let part = |from, to| digits.get(from..to).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (digits.len() == 6).then_some(Self { red: part(0, 2)?, green: part(2, 4)?, blue: part(4, 6)? })
    }

    /// Returns the relative luminance (WCAG 2.2, "relative luminance").
    fn luminance(self) -> f64 {
        let linear = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }

    /// Returns the contrast to another colour, from 1 to 21 (WCAG 2.2, "contrast ratio").
    fn contrast(self, other: Self) -> f64 {
        let own = self.luminance();
        let other = other.luminance();
        (own.max(other) + 0.05) / (own.min(other) + 0.05)
    }

    /// Returns the colour with this percentage of another one.
    fn mixed(self, other: Self, percent: u16) -> Self {
        let mix = |own: u8, other: u8| {
            let sum = u16::from(own) * (100 - percent) + u16::from(other) * percent;
            u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX)
        };
        Self { red: mix(self.red, other.red), green: mix(self.green, other.green), blue: mix(self.blue, other.blue) }
    }

    /// Returns the colour, or the next lighter one that can be read on all backgrounds of the dark theme.
    fn lightened(self) -> Self {
        let shades = (0..=100).step_by(5).map(|percent| self.mixed(Self::WHITE, percent));
        let can_be_read = |shade: &Self| DARK_BACKGROUNDS.iter().all(|ground| shade.contrast(*ground) >= MIN_CONTRAST);
        shades.into_iter().find(can_be_read).unwrap_or(Self::WHITE)
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl Shades {
    /// Returns the shades of an accent. What is pointed at is nearer to `strong`.
    fn new(accent: Color, strong: Color) -> Self {
        let on = if accent.contrast(Color::WHITE) >= accent.contrast(Color::INK) { Color::WHITE } else { Color::INK };
        Self { accent, strong: accent.mixed(strong, 25), on }
    }

    /// Checks that links and buttons can be read.
    fn check(&self, theme: &str, backgrounds: &[Color]) -> Parsed<()> {
        let page = backgrounds.iter().map(|ground| ("the page background", *ground));
        for (what, other) in page.chain([("the text of buttons", self.on)]) {
            let contrast = self.accent.contrast(other);
            if contrast < MIN_CONTRAST {
                // Not rounded up to what would be enough.
                let contrast = (contrast * 100.0).floor() / 100.0;
                return Err(format!(
                    "must have a contrast of {MIN_CONTRAST}:1 to {what} {other} of the {theme} theme, {} has \
                     {contrast:.2}:1",
                    self.accent
                ));
            }
        }
        Ok(())
    }
}

impl Accent {
    /// Parses the accent of both themes (`#2250b5`), or of each (`#2250b5 #9dbcff`). That of the dark theme is
    /// otherwise the given one, or a lighter one where it could not be read.
    ///
    /// # Errors
    /// A colour is malformed, or cannot be read on a page. The error completes a sentence.
    pub(super) fn parse(text: &str) -> Parsed<Self> {
        let malformed =
            || "must be a colour such as #2250b5, or one for the light and one for the dark theme".to_owned();
        let colors: Option<Vec<Color>> =
            text.split([' ', ',']).filter(|part| !part.is_empty()).map(Color::parse).collect();
        let (light, dark) = match colors.as_deref() {
            Some([color]) => (*color, color.lightened()),
            Some([light, dark]) => (*light, *dark),
            _ => return Err(malformed()),
        };
        let accent = Self { light: Shades::new(light, Color::BLACK), dark: Shades::new(dark, Color::WHITE) };
        accent.light.check("light", &LIGHT_BACKGROUNDS)?;
        accent.dark.check("dark", &DARK_BACKGROUNDS)?;
        Ok(accent)
    }
}

/// Parses the name of the server.
pub(super) fn name(text: &str) -> Parsed<String> {
    Label::parse(text).map(Label::into_string).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_wcag() {
        for (one, other, contrast) in [
            ("#000000", "#ffffff", 21.0),
            ("#ffffff", "#ffffff", 1.0),
            ("#777777", "#ffffff", 4.478),
            ("#767676", "#ffffff", 4.542),
            ("#ff0000", "#ffffff", 3.998),
            ("#0000ff", "#000000", 2.443),
            ("#2250b5", "#f5f4f1", 6.623),
        ] {
            let found = Color::parse(one).unwrap().contrast(Color::parse(other).unwrap());
            assert!((found - contrast).abs() < 0.01, "{one} {other}: {found}");
        }
    }

    #[test]
    fn a_colour_that_cannot_be_read_is_refused_with_the_contrast_that_it_lacks() {
        for (text, told) in [
            ("#ffff00", "4.5:1 to the page background #f5f4f1 of the light theme, #ffff00 has 1.02:1"),
            ("#777777", "to the page background #f5f4f1 of the light theme, #777777 has 4.07:1"),
            ("#2250b5 #2250b5", "to the page background #171614 of the dark theme, #2250b5 has 2."),
            ("#2250b5 #9a4dff", "to the page background #171614 of the dark theme, #9a4dff has 4.20:1"),
        ] {
            let error = Accent::parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        for text in
            ["", "red", "2250b5", "#2250b", "#2250b55", "#22g0b5", "#a #b", "#2250b5 #9dbcff #9dbcff", "#\u{e9}50b5"]
        {
            assert!(Accent::parse(text).unwrap_err().starts_with("must be a colour such as #2250b5"), "{text}");
        }
    }

    #[test]
    fn one_colour_serves_both_themes() {
        for text in ["#000000", "#a8201a", "#1c6b3c", "#2250b5", "#5b21b6", "#666666"] {
            let accent = Accent::parse(text).unwrap();
            assert_eq!((accent.light.accent.to_string().as_str(), accent.light.on), (text, Color::WHITE));
            for (shades, backgrounds) in [(accent.light, LIGHT_BACKGROUNDS), (accent.dark, DARK_BACKGROUNDS)] {
                for other in backgrounds.into_iter().chain([shades.on]) {
                    assert!(shades.accent.contrast(other) >= MIN_CONTRAST, "{text} {other}");
                    assert!(shades.strong.contrast(other) >= MIN_CONTRAST, "{text} {other}");
                }
            }
        }
        let two = Accent::parse("#2250B5  #9dbcff").unwrap();
        assert_eq!(
            (two.light.accent, two.dark.accent),
            (Accent::default().light.accent, Accent::default().dark.accent)
        );
    }

    #[test]
    fn the_style_sheet_has_these_colours() {
        let style = include_str!("../pages/assets/style.css");
        let (light, dark) = style.split_once("prefers-color-scheme: dark").unwrap();
        let Accent { light: own, dark: other } = Accent::default();
        for (theme, shades, [ground, surface]) in [(light, own, LIGHT_BACKGROUNDS), (dark, other, DARK_BACKGROUNDS)] {
            for (name, color) in [
                ("ground", ground),
                ("surface", surface),
                ("accent", shades.accent),
                ("accent-strong", shades.strong),
                ("on-accent", shades.on),
            ] {
                assert!(theme.contains(&format!("  --{name}: {color};")), "{name} {color}");
            }
        }
    }
}
