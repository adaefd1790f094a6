//! Password hashes imported from other systems. At the owner's next login each is replaced by a hash of Argon2id.

mod bcrypt;
mod digests;
mod pbkdf2;
mod phpass;
mod scrypt;
mod text;

use self::bcrypt::BcryptHash;
use self::digests::{SaltedDigest, ShaCryptHash};
use self::pbkdf2::Pbkdf2Hash;
use self::phpass::PhpassHash;
use self::scrypt::ScryptHash;
use self::text::{base64, hex, in_braces, strip_ignoring_case};

/// The maximum length of a hash, in bytes of text.
const MAX_TEXT: usize = 1024;

/// Why a text is not accepted as an account's password hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    /// The form is unknown.
    #[error("has no known form")]
    Unknown,
    /// The text is a password, marked as such (`{noop}`).
    #[error("is a password in plain text: hash it first, for example with bcrypt, or leave it out")]
    PlainText,
    /// The hash of the named algorithm is malformed.
    #[error("is not a well-formed hash of {0}")]
    Malformed(&'static str),
    /// Verifying a password would cost too much. The text states the bounds.
    #[error("costs too much to verify: {0}")]
    TooCostly(&'static str),
}

/// A hash of another algorithm than Argon2.
#[derive(Clone)]
pub(super) enum ImportedHash {
    /// A hash of bcrypt.
    Bcrypt(BcryptHash),
    /// A hash of scrypt.
    Scrypt(ScryptHash),
    /// A hash of PBKDF2.
    Pbkdf2(Pbkdf2Hash),
    /// A hash of phpass.
    Phpass(PhpassHash),
    /// A hash of SHA-crypt.
    ShaCrypt(ShaCryptHash),
    /// A digest of password and salt.
    Digest(SaltedDigest),
}

impl ImportedHash {
    /// Parses a hash in one of the forms that the table in `docs/operations.md` lists, with Base64 in any alphabet,
    /// padded or not.
    ///
    /// # Errors
    /// The form is unknown, the hash is malformed, or verifying would cost too much.
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        if text.len() > MAX_TEXT {
            return Err(HashError::Unknown);
        }
        match in_braces(text) {
            Some((scheme, rest)) => Self::parse_scheme(scheme, rest),
            None => Self::parse_bare(text),
        }
    }

    /// Parses a hash whose scheme stands before it in braces, as Spring Security and directories (RFC 2307) write it.
    fn parse_scheme(scheme: &str, rest: &str) -> Result<Self, HashError> {
        match scheme {
            "noop" => return Err(HashError::PlainText),
            // Spring Security's adapter for directories puts this before their own scheme.
            "ldap" => {
                let (scheme, rest) = in_braces(rest).ok_or(HashError::Unknown)?;
                return SaltedDigest::parse_directory(scheme, rest).map(Self::Digest);
            }
            "bcrypt" => return Self::parse_bare(rest),
            "pbkdf2" | "pbkdf2@SpringSecurity_v5_8" => {
                return Pbkdf2Hash::parse_spring(scheme, rest).map(Self::Pbkdf2);
            }
            "scrypt" | "scrypt@SpringSecurity_v5_8" => return ScryptHash::parse_spring(rest).map(Self::Scrypt),
            "sha256" => return SaltedDigest::parse_spring_standard(rest).map(Self::Digest),
            _ => {}
        }
        if scheme.eq_ignore_ascii_case("crypt") {
            return Self::parse_bare(rest);
        }
        if strip_ignoring_case(scheme, "pbkdf2").is_some() {
            return Pbkdf2Hash::parse_directory(scheme, rest).map(Self::Pbkdf2);
        }
        if let Some((salt, digest)) = in_braces(rest) {
            return SaltedDigest::parse_spring(scheme, salt, digest).map(Self::Digest);
        }
        SaltedDigest::parse_directory(scheme, rest).map(Self::Digest)
    }

    /// Parses a hash with nothing before it.
    fn parse_bare(text: &str) -> Result<Self, HashError> {
        let parts: Vec<&str> = text.split('$').collect();
        match parts[..] {
            ["", "2a" | "2b" | "2y", cost, body] | ["bcrypt", "", "2a" | "2b" | "2y", cost, body] => {
                BcryptHash::parse(cost, body).map(Self::Bcrypt)
            }
            ["bcrypt_sha256", "", "2a" | "2b" | "2y", cost, body] => {
                BcryptHash::parse_django(cost, body).map(Self::Bcrypt)
            }
            ["", "wp", "2a" | "2b" | "2y", cost, body] => BcryptHash::parse_wordpress(cost, body).map(Self::Bcrypt),
            ["", "bcrypt-sha256", params, salt, output] => {
                BcryptHash::parse_passlib(params, salt, output).map(Self::Bcrypt)
            }
            ["", "scrypt", params, salt, output] => ScryptHash::parse(params, salt, output).map(Self::Scrypt),
            ["scrypt", n, salt, r, p, output] => {
                ScryptHash::parse_with_text_salt([n, r, p], salt, base64(output)).map(Self::Scrypt)
            }
            ["", "firescrypt", params, salt, output, separator, key] => {
                ScryptHash::parse_firebase(params, [salt, separator], output, key).map(Self::Scrypt)
            }
            ["", "fbscrypt", params, salt, output] => ScryptHash::parse_gotrue(params, salt, output).map(Self::Scrypt),
            ["", name, params, salt, output] if name.starts_with("pbkdf2") => {
                Pbkdf2Hash::parse(name, params, salt, output).map(Self::Pbkdf2)
            }
            ["", "P" | "H", body] => PhpassHash::parse(body).map(Self::Phpass),
            ["", "S", body] => PhpassHash::parse_drupal(body).map(Self::Phpass),
            ["", "5" | "6", ..] => ShaCryptHash::parse(&parts).map(Self::ShaCrypt),
            [name, iterations, salt, output] if name.starts_with("pbkdf2_") => {
                Pbkdf2Hash::parse_with_text_salt([name, iterations], salt, base64(output)).map(Self::Pbkdf2)
            }
            [method, salt, output] if method.contains(':') => Self::parse_werkzeug(method, salt, output),
            [text] if text.contains(':') => ScryptHash::parse_better_auth(text).map(Self::Scrypt),
            [text] => Pbkdf2Hash::parse_aspnet(text).map(Self::Pbkdf2),
            _ => Err(HashError::Unknown),
        }
    }

    /// Parses a hash of Werkzeug, with which Flask's applications hash.
    fn parse_werkzeug(method: &str, salt: &str, output: &str) -> Result<Self, HashError> {
        let parts: Vec<&str> = method.split(':').collect();
        match parts[..] {
            ["scrypt", n, r, p] => ScryptHash::parse_with_text_salt([n, r, p], salt, hex(output)).map(Self::Scrypt),
            ["pbkdf2", digest, iterations] => {
                Pbkdf2Hash::parse_with_text_salt([digest, iterations], salt, hex(output)).map(Self::Pbkdf2)
            }
            _ => Err(HashError::Unknown),
        }
    }

    /// Returns whether this is the hash of `password`, compared in constant time. Returns `None` if the hash cannot be
    /// computed. May take a second.
    pub(super) fn matches(&self, password: &[u8]) -> Option<bool> {
        match self {
            Self::Bcrypt(hash) => hash.matches(password),
            Self::Scrypt(hash) => hash.matches(password),
            Self::Pbkdf2(hash) => Some(hash.matches(password)),
            Self::Phpass(hash) => Some(hash.matches(password)),
            Self::ShaCrypt(hash) => Some(hash.matches(password)),
            Self::Digest(hash) => Some(hash.matches(password)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(hash: &str, password: &str) -> bool {
        let hash = ImportedHash::parse(hash).unwrap_or_else(|refusal| panic!("{hash} {refusal}"));
        hash.matches(password.as_bytes()).unwrap()
    }

    fn refusal(hash: &str) -> HashError {
        ImportedHash::parse(hash).err().unwrap_or_else(|| panic!("{hash} was accepted"))
    }

    #[track_caller]
    fn assert_knows(password: &str, hash: &str) {
        assert!(matches(hash, password), "{hash}");
        let wrong =
            [&format!("{password} "), &password[1..], &password.to_uppercase(), ""].map(|wrong| matches(hash, wrong));
        assert_eq!(wrong, [false; 4], "{hash}");
    }

    #[test]
    fn the_published_test_vectors_are_right() {
        // RFC 7914 §12.
        assert_knows(
            "pleaseletmein",
            "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$\
             cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw",
        );
        // RFC 7914 §11.
        assert_knows(
            "Password",
            "$pbkdf2-sha256$i=80000,l=64$TmFDbA$\
             TdzY9guYviGDDO5e8icB+WQaRBjQTAQUrv8Ih2s0q1ah1CWhIlgzVJrbhBtRybMXaicr3ruh0HhHj2Kzl/M8jQ",
        );
        // RFC 6070 §2.
        assert_knows(
            "passwordPASSWORDpassword",
            "$pbkdf2-sha1$i=4096,l=25$c2FsdFNBTFRzYWx0U0FMVHNhbHRTQUxUc2FsdFNBTFRzYWx0$\
             PS7sT+QchJuAyNg2YsDkSospGpZM8vBwOA==",
        );
        // The example of https://github.com/firebase/scrypt.
        assert_knows(
            "user1password",
            "$firescrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$\
             lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==$Bw==$\
             jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
        );
    }

    #[test]
    fn hashes_of_python_s_libraries_know_their_password() {
        // By bcrypt 5.0, passlib 1.7.4 and Django 5.2, with little cost.
        for hash in [
            "$2a$04$O6hlT1KkG5jIr6cDtJi1Ce/gLEjK2j/3V2h5fFgci9wrXNc4k29ca",
            "$2b$04$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS",
            "$2y$04$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS",
            "$pbkdf2$1000$vHfOWUsJQUhprfWecy5lTA$ufRtHHGsIHqNAdTnyGqDwRm9TuA",
            "$pbkdf2-sha256$1000$ZKy1llJKCUFo7R1DKAXA2A$KnIuzCM3X1n.rdsJ/qlhHmK.h8UBoMrHtMe5aaLbt/I",
            "$pbkdf2-sha512$1000$IOScMwaA0Hrvfa8VolQKQQ$\
             VMDX9Q0CGjkYF0LeVIImV7M/uay28CnI2UjljIW5wKB5Hv/q6RHqb6KfgFiHtt.ZfjTaaDceE09FQ9kTfG/v.A",
            "$scrypt$ln=10,r=8,p=1$de49R2gtZSwlxJhzDgEgJA$VlRnMkyq3NPe/V4Lz41cwmtqG9JwvXG/sTs6bmwnQRw",
            "pbkdf2_sha256$10000$NdJ3kRq0WmZ1$XWgj+QIyMRHerT/A3RybI3kELp4uGryqDirKovqbp30=",
            "pbkdf2_sha1$10000$NdJ3kRq0WmZ1$fFii8gjHGPl5vWwOCHJcb4Uetsk=",
            "bcrypt_sha256$$2b$05$0CD9zhSMRWa6zL5JYtItxus9AZp41k8bySug.jgI3DqkeKT4I3s2u",
            "bcrypt$$2b$05$lEt.92CaNVtYonDn/CJWceis8nWPkHuzRH/tQRDvTVSRcurUcx/fW",
            "scrypt$1024$NdJ3kRq0WmZ1$8$5$\
             C0HQ5S7ptg516vTyWIyP+aGpbEAfMhDy9sN0VK004XsW9e5jeHJUuf+Dly5opmzHXMTlixzEWVYLuVT5VJjL/g==",
        ] {
            assert_knows("anvil thimble", hash);
        }
    }

    #[test]
    fn hashes_put_together_from_an_export_know_their_password() {
        // Made with Python's hashlib and cryptography: Keycloak's 64 bytes of PBKDF2, and Firebase's scrypt in the
        // alphabet of its command line and in that of its SDK.
        let firebase = "$firescrypt$ln=10,r=8,p=1$KCkqKywtLi8wMQ==$\
            mrl0c5H2Av11Db7zHlcXu7HxLy+H+B4hfTf3jE6uNKHii6870GpdbaOWgNxN+GtJUhM70FS5qsJiYunQiGgLYA==$Bw==$\
            AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dzj6vH4/wYNFBsiKTA3PkVMU1phaG92fYSLkpmgp661vA==";
        for hash in [
            "$pbkdf2-sha256$i=27500,l=64$AAECAwQFBgcICQoLDA0ODw==$\
             zwf9KirkOhLuFI7L0iXmdEiGu35Kv26jVRo0m8t7lSm6PET6WUfL2INYjkwlN7cGtG+O2Q5VMbIcP5hOUGZTRA==",
            "$pbkdf2-sha512$i=2100$AAECAwQFBgcICQoLDA0ODw==$\
             PfWJyjl1GghAONqfr55Z3i0XNuf11dnH18UAn4csq3Uf9eBwqDySatMUdZra076EUb42B/rI0d15IQBs/+fk7w==",
            firebase,
            &firebase.replace('+', "-").replace('/', "_"),
        ] {
            assert_knows("anvil thimble", hash);
        }
    }

    #[test]
    fn hashes_of_other_frameworks_know_their_password() {
        for hash in [
            // phpass of WordPress and phpBB, by passlib 1.7.4.
            "$P$6an0hIncI1qkm3CdsfV1Kv80EiUYM3/",
            "$H$6Z4Z4.z6uF8VOHHYEb3bH3Ybta8yeM/",
            // Werkzeug 3.1.9.
            "scrypt:1024:8:1$ae2K9vlyNQa5pwWi$03c49b741110cf7b2162f00d75607e22b73542eaab46c7d5a025dbd\
             9d6605d6fe0258307c01ad9cf77ae7cf0e56dc2ffe0f2fc72e4a4d3b1e5c7940739ca2085",
            "pbkdf2:sha256:1000$FX17YL2cisIh4xWF$6d4ab610011868b6d90da1806418ec98bf3e5317a18c3bc0608d590570f48d2d",
            "pbkdf2:sha512:1000$t3lOkwZxp9XaibEU$843bd6b7e95da4de41bf4d5f7fca121cf4fc37eea08a91921373\
             619637cb37a4445ab648a75aade099414385d247e76fc1d6aef773b69c8a8453e111838df8aa",
            "pbkdf2:sha1:1000$hzhAYRzoJODNT6DH$4747eb8cedb93e6b3800b33ab2934ec4b256bd9f",
            // passlib 1.7.4.
            "$bcrypt-sha256$v=2,t=2b,r=4$VuekGING0qzqxfJu1cvmzO$me5ERft8i0CJWb4UI4yAUFaxECIs6lC",
            "$bcrypt-sha256$2b,4$DbPXFNzcmGVJxg430xJ3Uu$zJoKJZmCV4X5qoOZsnWj3D933U9FfYq",
            "$6$dREBjYVaeYd4K85v$BZN7nfn/UU01SHPY0RZ9QCUFN4Dzk.EWgxU0bpa3d00mJxOsqUJYo8krf1n/Y2Aqziy2\
             LQ1gYb.5bB5BTO6ED.",
            "$6$rounds=1000$t3gD9j3f97rN4/jU$yhoHSo10ktm9Vq1XzOpwtWjr4moIRnoQu4O5SXgH3G4JPeF5TNa3aDAY\
             4D/f/BeYJH5trRVZ8EWLgldgqnQxm1",
            "$5$2AUJbfBYLXeVTJoP$771tLR6ilvWnAZOXrYiBn.G7iXNmLDacMmo5N5NlZ3C",
            "$5$rounds=1000$abcd$qXV8bJPTlCCvZ0KKhs6kc4/tsxQh4hYbz8FzTEZK9E9",
            "{SSHA}aBVd+FkkqV/FIdwkxR9xPMLH32g7BwBg",
            "{SSHA256}zHP7hKijGKMCG7V07wf3tO2rFNaaotEJflb1tmYAgr597x3DOGfsPQ==",
            "{SSHA512}tL8iE+aBCxJeTGN2acg4IBc8EzK5X2SuEbXokimAxOWa+3hyCT0FuetUkK3w6j+oUU/p5TiRv23Mw+1\
             nYBYOTVHK+T+nFML4",
            "{SMD5}yszSubzPB9qjOi7rfMLS6WGMMQY=",
            "{CRYPT}$6$rounds=1000$MV.NzSUoHi6CBNxB$x8ZX6D0BWtNfXpAOIGYIJJ5GpISixrWKPQ3WRwDr/987qjLSw\
             OIaqLg7DEYWFoeGZGyGCDINtdh2ISUltOcs0.",
            "{CRYPT}$2b$04$B.sq13y6P2dcMHzI2/K7.OiZUVSLpflJPYSMlC0E8/VsF0b2zaYgy",
            "{PBKDF2-SHA256}1000$3Nv7f08JIYSw1jpn7B1jrA$yzfJ4H86QLur2CpPFxxqt8o3hqOG.3pZe0ImS3rTldw",
            // bcrypt 4.3, argon2-cffi and hashlib, in the forms of Spring Security, ASP.NET Identity and Ory Kratos.
            "{bcrypt}$2b$04$mNlYrCZBSYgR5veVeJoA8ePlpYRIPHOtyQ4M24QShfEVsBJeJoaUa",
            "{pbkdf2}0a1c33a6279b9de66bd206d40b3440aec385f073d082ac7e4a15c8d4f4ce56905f2f8b1fd5eb54ab",
            "{pbkdf2@SpringSecurity_v5_8}081b8913613834f1d8e87be7fe45503475af094843d666c4e26a63075046\
             e9b929bdacc359e9434eab838e3cac76fcf2",
            "{scrypt}$a0801$I/vi7uYgdFD3q1JVEMlkZOBIjQgZsvbmWPvKNPRJ2s3XxuEKzHq44DvhBv9B+x/fL3e+azMUD\
             v/UeHfMh3KJhw==$jrAKq0ldzC3xJW9omYTSmA90xHwWYYN6oI4lEvy0qnc=",
            "{scrypt@SpringSecurity_v5_8}$100801$ihbs2kzV4SwITm3Ag30Xmw==$Swa+huBceb//N+J6C22rcNoy+PJ\
             QcjBXBs1HxOzTOpg=",
            "{SHA-256}{fAes2N7uxKGEQaF6KIeTXTMjDuVE2qEsO9NmjhpuVqM=}c2a580c5aec842bf1640556aebbbdf269\
             3cc69343d04e6942eaafa6068c4dc69",
            "{MD5}{fAes2N7uxKGEQaF6KIeTXTMjDuVE2qEsO9NmjhpuVqM=}77cf200eea20c890bbbd0a949af855ac",
            "AFy2+9w7L31URJkKjoKJ56w32fn6hRl7YiN9WbojKcC/dG3X7Hj31SDRvgbfl87grg==",
            "AQAAAAIAAAPoAAAAEGBG+c3mlxLqQi/USv01FKem6Qrt3gXm/ZYnKx4NvugyOVK+yuYk4WPBZdbuBc2YmQ==",
            "AQAAAAEAAAPoAAAAEKTj/BQBW0DUqena2aclwb2cbFo0Xm8qGHSo0zVQq8c94aq7mOnNLWjKASjqdmoRcw==",
            "$scrypt$ln=1024,r=8,p=1$aHH9Xx6fHQeHUml3ea0dzA==$bYCpz8w/TrYYrq1S8DMHx0NjnYmLGjgmGMsCQZtSrSM=",
            // better-auth 1.7.25.
            "0bea4fb29298781fda7b590f67f59626:7885890822347a0ab880812656c9a147afebc4830bc7bdba4cd95db\
             c926b1f5f4dbc9dc621c299fceef736bd97be57f800fb356360a3360de1eddee9aaf91da5",
        ] {
            assert_knows("anvil thimble", hash);
        }
    }

    #[test]
    fn the_vectors_that_other_systems_publish_are_right() {
        for (password, hash) in [
            // The examples in Spring Security's documentation.
            ("password", "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"),
            ("password", "{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc"),
            (
                "password",
                "{scrypt}$e0801$8bWJaSu2IKSn9Z9kM+TPXfOc/9bdYSrN1oD9qfVThWEwdRTnO7re7Ei+fUZRJ68k9lTyuTeUp4of4g24hHnazw==\
                 $OAOec05+bXxvuu/1qZ6NUR+xQYvYv7BeL1QxwRpY5Pc=",
            ),
            ("password", "{sha256}97cde38028ad898ebc02e690819fa220e88c62e0699403e94fff291cfffaf8410849f27605abcbc0"),
            // The tests of ASP.NET Identity.
            ("my password", "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg=="),
            (
                "my password",
                "AQAAAAIAAAD6AAAAIJbVi5wbMR+htSfFp8fTw8N8GOS/Sje+S/4YZcgBfU7EQuqv4OkVYmc4VJl9AGZzmRTxSkP7LtVi9IWyUxX8\
                 IAAfZ8v+ZfhjCcudtC1YERSqE1OEdXLW9VukPuJWBBjLuw==",
            ),
            // The examples of hashcat.
            ("hashcat", "$P$984478476IagS59wHZvyQMArzfx58u."),
            ("hashcat", "$S$C33783772bRXEx1aCsvY.dqgaaSu76XmVlKrW9Qu8IQlvxHlmzLf"),
            ("hashcat", "$5$rounds=5000$GX7BopJZJxPc/KEK$le16UF8I2Anb.rOrn22AUPWvzUETDGefUmAV8AZkGcD"),
            (
                "hashcat",
                "$6$52450745$k5ka2p8bFuSmoVT1tzOyyuaREkkKBcCNqoDKzYiJL9RaE8yMnPgh2XzzF0NDrUhgrcLwg78xs1w5pJiypEdFX/",
            ),
            // The tests of Supabase's auth server and of Ory Kratos.
            (
                "mytestpassword",
                "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,\
                 sk=ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw==\
                 $C0sHCg9ek77hsg==\
                 $zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+CfEFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw==",
            ),
            (
                "test",
                "$scrypt$ln=16384,r=8,p=1$2npRo7P03Mt8keSoMbyD/tKFWyUzjiQf2svUaNDSrhA=\
                 $MiCzNcIplSMqSBrm4HckjYqYhaVPPjTARTzwB1cVNYE=",
            ),
        ] {
            assert_knows(password, hash);
        }
    }

    #[test]
    fn a_password_is_read_as_its_system_reads_it() {
        // WordPress trims it; better-auth composes it (NFKC). The first was made with Python's hmac and bcrypt 4.3.
        let wordpress = "$wp$2y$04$X2hryL/te07NR8ieFcO7B.Rc6xsa1EKcmzWitKgmQ0lfsfi0BJ1NC";
        assert!(matches(wordpress, " anvil thimble\n") && !matches(wordpress, "\u{a0}anvil thimble"));
        let better_auth = "0bea4fb29298781fda7b590f67f59626:7885890822347a0ab880812656c9a147afebc4830bc7bdba4cd95db\
             c926b1f5f4dbc9dc621c299fceef736bd97be57f800fb356360a3360de1eddee9aaf91da5";
        assert!(matches(better_auth, "\u{ff41}nvil thimble"));
        // SHA-crypt's work grows with the password.
        let long = "long pass word ".repeat(12);
        let sha_crypt = "$5$rounds=1000$pgZgUemmtmHvWIvm$XFs6Ys6T48l26Sx2YVbLJCVTCQJJSiyY6dI8S2MwIZA";
        assert!(matches(sha_crypt, &long) && !matches(sha_crypt, &"long pass word ".repeat(18)));
    }

    #[test]
    fn bcrypt_reads_72_bytes_and_no_more() {
        let hash = "$2b$04$mns6RRjWeOdpbMbof7ZtceEDR1aeiwxCaMqBtcZOkouxCT6VgpdAe";
        let digits = "0123456789".repeat(8);
        assert!(matches(hash, &digits[..72]) && matches(hash, &digits));
        assert!(!matches(hash, &digits[..71]));
    }

    #[test]
    fn bits_that_bcrypt_s_last_characters_have_too_many_are_ignored() {
        let hash = "$2b$04$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS";
        assert!(matches(&hash.replace("LlOE3Z", "LlPE3Z"), "anvil thimble"));
        assert!(!matches(&hash.replace("LlOE3Z", "LluE3Z"), "anvil thimble"));
    }

    #[test]
    fn what_costs_too_much_is_refused_and_what_others_recommend_is_not() {
        let bcrypt = |cost: &str| format!("$2b${cost}$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS");
        let salt = "AAECAwQFBgcICQoLDA0ODw";
        let output = "KnIuzCM3X1n.rdsJ/qlhHmK.h8UBoMrHtMe5aaLbt/I";
        let scrypt = |params: &str| format!("$scrypt${params}${salt}${output}");
        let firebase = |params: &str| format!("$firescrypt${params}${salt}${output}$Bw==${output}");
        let pbkdf2 = |params: &str| format!("$pbkdf2-sha256${params}${salt}${output}");
        let django = |cost: &str| format!("scrypt${cost}$8$1${output}");
        for hash in [
            bcrypt("15"),
            bcrypt("31"),
            scrypt("ln=19,r=8,p=1"),
            scrypt("ln=18,r=8,p=3"),
            scrypt("ln=1,r=1048576,p=1048576"),
            scrypt("ln=1,r=4294967295,p=4294967295"),
            scrypt("ln=63,r=8,p=1"),
            scrypt("ln=4294967295,r=8,p=1"),
            firebase("ln=31,r=8,p=1"),
            firebase("ln=14,r=1024,p=1"),
            django("1048576$salt"),
            pbkdf2("4000001"),
            pbkdf2("i=4294967295"),
            format!("pbkdf2_sha256$4294967295$salt${output}"),
            bcrypt("15").replace("$2b$", "$wp$2y$"),
            bcrypt("20").replace("$2b$", "{bcrypt}$2b$"),
            format!("$bcrypt-sha256$v=2,t=2b,r=15$tH.bReaWYdiRau/tHhzLlO${}", "E".repeat(31)),
            scrypt("ln=1073741824,r=8,p=1"),
            format!("scrypt:1048576:8:1$salt${}", "0".repeat(128)),
            format!("pbkdf2:sha256:4000001$salt${}", "0".repeat(64)),
            format!("{{scrypt}}$140801${salt}${output}"),
            format!("$fbscrypt$v=1,n=20,r=8,p=1,ss=Bw==,sk={output}${salt}${output}"),
            format!("$P$Q{}", "0".repeat(30)),
            format!("$S$z{}", "0".repeat(51)),
            format!("$6$rounds=1000001$salt${}", "0".repeat(86)),
            format!("$5$rounds=999999999$salt${}", "0".repeat(43)),
            // 4,294,967,295 iterations.
            "AQAAAAL/////AAAAEJssVXaWGqvEfZ05z8YSqxRzKr6gGFsg5Q8eXYzwrfJBfGuOeXcy3QB/SDZMYZCtUA==".to_owned(),
            // Four blocks of SHA-1.
            format!("$pbkdf2-sha1$i=1000001${salt}${}", "A".repeat(86)),
        ] {
            assert!(matches!(refusal(&hash), HashError::TooCostly(_)), "{hash}");
        }
        for hash in [
            bcrypt("14"),
            scrypt("ln=17,r=8,p=1"),
            scrypt("ln=18,r=8,p=2"),
            firebase("ln=14,r=8,p=1"),
            django("16384$salt"),
            pbkdf2("1200000"),
            pbkdf2("i=4000000,l=32"),
        ] {
            assert!(ImportedHash::parse(&hash).is_ok(), "{hash}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let bcrypt = "tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS";
        let salt = "AAECAwQFBgcICQoLDA0ODw";
        let output = "KnIuzCM3X1n.rdsJ/qlhHmK.h8UBoMrHtMe5aaLbt/I";
        for hash in [
            format!("$2b$4${bcrypt}"),
            format!("$2b$004${bcrypt}"),
            format!("$2b$+4${bcrypt}"),
            format!("$2b$03${bcrypt}"),
            format!("$2b$32${bcrypt}"),
            format!("$2b$04${}", &bcrypt[1..]),
            format!("$2b$04${bcrypt}."),
            format!("$2b$04${}é", &bcrypt[2..]),
            format!("$2b$04${}é{}", &bcrypt[..21], &bcrypt[23..]),
            format!("$2b$04${}=", &bcrypt[1..]),
            format!("$scrypt$ln=10,r=8${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=1,p=1${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=1,x=1${salt}${output}"),
            format!("$scrypt$ln=,r=8,p=1${salt}${output}"),
            format!("$scrypt$ln=-1,r=8,p=1${salt}${output}"),
            format!("$scrypt$ln=0,r=8,p=1${salt}${output}"),
            format!("$scrypt$ln=10,r=0,p=1${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=0${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=1$${output}"),
            format!("$scrypt$ln=10,r=8,p=1${salt}$"),
            format!("$scrypt$ln=10,r=8,p=1${salt}$AAAA"),
            format!("$scrypt$ln=10,r=8,p=1${salt}${}", "A".repeat(88)),
            format!("$scrypt$ln=10,r=8,p=1${salt}$!{}", &output[1..]),
            format!("scrypt$1000$salt$8$1${output}"),
            format!("scrypt$0$salt$8$1${output}"),
            format!("pbkdf2_sha256$0$salt${output}"),
            format!("pbkdf2_sha256$$salt${output}"),
            "pbkdf2_sha256$1000$salt$".to_owned(),
            format!("$pbkdf2-sha256$i=0${salt}${output}"),
            format!("$pbkdf2-sha256$l=32${salt}${output}"),
            format!("$pbkdf2-sha256$i=1000,l=31${salt}${output}"),
            format!("$pbkdf2-sha256$i=4294967296${salt}${output}"),
            format!("$pbkdf2-sha256$1000${}${output}", "A".repeat(400)),
            format!("$firescrypt$ln=10,r=8,p=1${salt}${output}$Bw==$AAAA"),
            format!("$firescrypt$ln=10,r=8,p=1${salt}${output}$?$${output}").replace("$$", "$"),
        ] {
            assert!(matches!(refusal(&hash), HashError::Malformed(_)), "{hash}: {:?}", refusal(&hash));
        }
    }

    #[test]
    fn a_hash_of_a_framework_that_is_not_well_formed_is_refused() {
        let bcrypt = "tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS";
        let salt = "AAECAwQFBgcICQoLDA0ODw";
        let output = "KnIuzCM3X1n.rdsJ/qlhHmK.h8UBoMrHtMe5aaLbt/I";
        for hash in [
            format!("$fbscrypt$v=1,n=10,r=8,p=1,ss=Bw==${salt}${output}"),
            format!("$fbscrypt$v=2,n=10,r=8,p=1,ss=Bw==,sk={output}${salt}${output}"),
            format!("$scrypt$ln=1024,r=8,p=1${salt}$AAAA"),
            format!("scrypt:1000:8:1$salt${}", "0".repeat(128)),
            format!("scrypt:1024:8:1$salt${}", "0".repeat(30)),
            format!("pbkdf2:sha256:1000$salt${}", "0".repeat(63)),
            "pbkdf2:sha256:1000$salt$".to_owned(),
            format!("$wp$2y$04${}", &bcrypt[1..]),
            format!("$bcrypt-sha256$v=3,t=2b,r=4$tH.bReaWYdiRau/tHhzLlO${}", "E".repeat(31)),
            format!("$bcrypt-sha256$v=2,t=2b,r=4$tH.bReaWYdiRau/tHhzLl${}", "E".repeat(32)),
            format!("{{bcrypt}}$2b$04${}", &bcrypt[1..]),
            format!("{{scrypt}}$e0801${salt}$"),
            format!("{{scrypt}}$+0801${salt}${output}"),
            format!("{{pbkdf2}}{}", "0".repeat(78)),
            format!("{{pbkdf2@SpringSecurity_v5_8}}{}", "0".repeat(80)),
            format!("{{sha256}}{}", "0".repeat(64)),
            format!("{{SHA-256}}{{salt}}{}", "0".repeat(62)),
            "{SSHA}".to_owned(),
            "{SSHA}aBVd+FkkqV/FIdwkxR9xPMLH32g=".to_owned(),
            format!("$P$6{}", "0".repeat(29)),
            format!("$P$4{}", "0".repeat(30)),
            format!("$P$6{}!", "0".repeat(29)),
            format!("$S$C{}", "0".repeat(50)),
            format!("$6$salt${}", "0".repeat(85)),
            format!("$5$salt${}", "0".repeat(86)),
            format!("$6$rounds=999$salt${}", "0".repeat(86)),
            format!("$6$rounds=$salt${}", "0".repeat(86)),
            format!("$6$${}", "0".repeat(86)),
            format!("$6${}${}", "s".repeat(17), "0".repeat(86)),
            "AQAAAAIAAYagAAAAEJssVXaWGqvEfZ05z8YSqxQ=".to_owned(),
            "AQAAAAIAAYag/////5ssVXaWGqvEfZ05z8YSqxRzKr6gGFsg5Q8eXYzwrfJBfGuOeXcy3QB/SDZMYZCtUA==".to_owned(),
            "AQAAAAkAAYagAAAAEJssVXaWGqvEfZ05z8YSqxRzKr6gGFsg5Q8eXYzwrfJBfGuOeXcy3QB/SDZMYZCtUA==".to_owned(),
        ] {
            assert!(matches!(refusal(&hash), HashError::Malformed(_)), "{hash}: {:?}", refusal(&hash));
        }
    }

    #[test]
    fn a_text_that_no_known_system_writes_is_unknown() {
        let bcrypt = "tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS";
        let salt = "AAECAwQFBgcICQoLDA0ODw";
        let output = "KnIuzCM3X1n.rdsJ/qlhHmK.h8UBoMrHtMe5aaLbt/I";
        for hash in [
            String::new(),
            "!".to_owned(),
            "anvil thimble".to_owned(),
            "5f4dcc3b5aa765d61d8327deb882cf99".to_owned(),
            "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/".to_owned(),
            // Digests without salt, or of Joomla.
            "{MD5}X03MO1qnZdYdgyfeuILPmQ==".to_owned(),
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_owned(),
            "{SHA-256}5e884898da28047151d0e56f8dc6292773603d0d6aabbd62a11ef721d1542d8".to_owned(),
            "5f4dcc3b5aa765d61d8327deb882cf99:0123456789abcdef0123456789abcdef".to_owned(),
            "{unknown}x".to_owned(),
            "{CRYPT}$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/".to_owned(),
            "{".to_owned(),
            "$y$j9T$salt$hash".to_owned(),
            "AAAA".to_owned(),
            format!("$2x$04${bcrypt}"),
            format!("$2$04${bcrypt}"),
            format!("$pbkdf2-md5$1000${salt}${output}"),
            format!("pbkdf2_md5$1000$salt${output}"),
            format!("$pbkdf2-sha256$1000${}${output}", "A".repeat(1024)),
        ] {
            assert_eq!(refusal(&hash), HashError::Unknown, "{hash}");
        }
        assert_eq!(refusal("{noop}secret"), HashError::PlainText);
    }
}
