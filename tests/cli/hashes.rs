//! Hashes of other systems, all of one password.

/// The password of [`HASHES`]; a short one, since others let people have such.
pub const SHORT: &str = "thimble";

/// Hashes of [`SHORT`] with little cost: by argon2-cffi, bcrypt, passlib, Django, Werkzeug and better-auth; for
/// Keycloak, Firebase, Supabase, Spring Security, ASP.NET Identity, Ory Kratos and WordPress 6.8 put together with
/// Python's hashlib, hmac and cryptography. PHP's `$2y$` is another name for `$2b$`.
pub const HASHES: [(&str, &str); 37] = [
    ("argon2-cffi", "$argon2id$v=19$m=256,t=1,p=1$Ez5KRBH6nyUYo7XhyYrXew$gZ/DFrWWbpb2Amk+8N3bTIZkP8SyNtYQVUSCDNiSCPg"),
    ("argon2-cffi-i", "$argon2i$v=19$m=256,t=2,p=2$xQfWa/1RvHo3U8ni2PP5SA$qNB0dwTwmlVxCekuNNz8+MSb/KtM1smr4GhgU4XCEh4"),
    ("bcrypt-2a", "$2a$04$J7P2vKHgl1fzZgtrYiWyVObU8LzZbBVwYbWk08G/ovzRXBhG6p5U."),
    ("bcrypt-2b", "$2b$04$EWlQzF9MLMaRHaUUoG6ZXOIHwZw/3EMmj.MqJN/u2dioyDjjutxgO"),
    ("php-bcrypt", "$2y$04$elXpCw1V.d7Hqck4V1y8l.UYHcyHvwDIJsGyY./Zq08Fi8EWjgi7C"),
    ("passlib-scrypt", "$scrypt$ln=10,r=8,p=1$vJeSkrKW8l5LiZHyfq9Vqg$KHoh1pZ56mpxKfdNO1W/20szMszS6JjqwXgg2MKQtms"),
    ("passlib-pbkdf2-sha256", "$pbkdf2-sha256$1000$CaHUuldKSSklZGwNwVgLwQ$Kxq45M6RvAg8Q6ZGwYI0SjprFhAtql2EtENWTFwwv3I"),
    (
        "passlib-pbkdf2-sha512",
        "$pbkdf2-sha512$1000$SAnhHMPYu9fae./de0/J.Q$SrwhkZvybaJc5Ep10mfNXXH9ArVaZ4.N/qOB/S6OniJ.JFhxSb27UrOeakipycrGtrV6/44nKcloQlbE3yTfoQ",
    ),
    ("django-pbkdf2", "pbkdf2_sha256$1000$Xq0r9PLmV2$XEqze8sJ4AqdrEeT2/jKHedll1mIUITSodMkisEnorU="),
    ("django-bcrypt-sha256", "bcrypt_sha256$$2b$04$F5DStypK3f9UykEN06EtZ.j.VspJBnXo.WKQl3N7X7re9olT9IFiW"),
    (
        "django-scrypt",
        "scrypt$1024$Xq0r9PLmV2$8$1$R1uTo1m2tJFyXZvksm7KfshFXbWtUsDkEfpuSzZx97VmeWjnBwLMg34OizLsh59vF91VrcArqpH/GGb99npWyw==",
    ),
    ("django-argon2", "argon2$argon2id$v=19$m=256,t=1,p=1$WHEwcjlQTG1WMg$Xwv5rOnWoyKW8Son0b4lGWs/g7ktYUELO0Gm/OtPb/s"),
    (
        "keycloak",
        "$pbkdf2-sha512$i=1000,l=64$ZGVmZ2hpamtsbW5vcHFycw==$Gvk0teyCuyDMy0zyeOHQOo3BRLIxRxSqikAqjHQpuXPG/z0Hs4ECNy3uffDy7FZFuKdL38wKovxOO6lVr0IqRg==",
    ),
    (
        "firebase",
        "$firescrypt$ln=10,r=8,p=1$PD0+P0BBQkNERQ==$Ri7gdQdE/UwzrivSXbIChxfnqWYb2BbxMTB/gl+mOD4IeAzVqJZfbxhROSk8qLHLEOMDCqOag5AESqIOPjWX8w==$Bw==$BRAbJjE8R1JdaHN+iZSfqrXAy9bh7PcCDRgjLjlET1plcHuGkZynsr3I097p9P8KFSArNkFMV2JteIOOmaSvug==",
    ),
    ("wordpress", "$P$6M6pLwNZNS2ebBWtwYB4tJykbIL4D4/"),
    ("wordpress-6-8", "$wp$2y$04$8rzF/JW9QhMRLexyUlGG8uop6TyJGV4y/2YmMwoZ6Koi6FoYv13oK"),
    ("phpbb", "$H$6geV2sYDWtx0V04ValUngqZTgIv6RB."),
    (
        "werkzeug-scrypt",
        "scrypt:1024:8:1$TUAWwEBMpPbOXZLo$f7e48423f4f3c4bf5a65087acf31141a438bad778da0cc505b28101e6405f4e5e63614c349807f6e3b486748c08cefab577e8c640d68cfe85d1e250ba24ce3d9",
    ),
    (
        "werkzeug-pbkdf2",
        "pbkdf2:sha256:1000$XjNURkHJCHRPWqiU$41677040045548b0b22ada953ed7990484dcfbb82df6435af00bc4f71e51794e",
    ),
    ("spring-bcrypt", "{bcrypt}$2b$04$6gRMlWHJ0d3X54Treb.NSOhY3Jm92OnX8xwbeb32FIwi1fI4qhtsK"),
    ("spring-pbkdf2", "{pbkdf2}e05dcec34fe58b9d61817304269f4a4ef358cdc19ea7a495b5e5ee9b22475e837b6834e668c50376"),
    (
        "spring-pbkdf2-5-8",
        "{pbkdf2@SpringSecurity_v5_8}b9ee5ce4ae3382c234f417ad122cc68ed7d3db6c9b60f6a9ee927db7b637d637ee70531ca777948556bd88b0f8d3c812",
    ),
    (
        "spring-scrypt",
        "{scrypt}$a0801$3oh0MxYi6G+dwKtKNO/J83uj3n8VLPpfLJbKzwoO0IxECijF1a6XKEmV8trKKHGOkEeu3Q7lvVoeWeZW70Tz4g==$iL9PpA8Rzr4A+pFcZdyxwwX4nHtzDmUwp/3Q8l/POK8=",
    ),
    (
        "spring-argon2",
        "{argon2@SpringSecurity_v5_8}$argon2id$v=19$m=256,t=1,p=1$ClByb8Y8lrhHkN3lsnZSPg$5ZcIEylesD0U8tsx+HvL5369g7IeagCNwXt2N01UWSc",
    ),
    (
        "spring-sha-256",
        "{SHA-256}{YyWZrQfxKv8cd2diBLU7cTuRyBdvICs2h0chUwB/N9U=}d23023a156f4c1730097fe274cd4e44ae2bb284892b3e5a9b464a5b9bcf54607",
    ),
    ("aspnet-2", "APj87TwedbOlfhcezBcCg2O+4Truj1gAH+mG7hrvl6Pduw7QlMEHguMvd0C/B3pRCA=="),
    ("aspnet-3", "AQAAAAIAAAPoAAAAEKRSv7Gc5P0sRW4XaBQevrKh5zUf1xXXIuoelruTaEufsyyjGL+N/mG36c5p5pk/MQ=="),
    (
        "better-auth",
        "aa225994dcd582cc7ff1b56c2556faae:7a68acd81f4ebeac3b151f8dba8465c503323c90c2e34c8aba9e5085f870ed8aaadc774ac1e9d5ebc7f79a1ad380c5d691744c451d0d0339d4dadf54888b606a",
    ),
    ("kratos-scrypt", "$scrypt$ln=1024,r=8,p=1$3gJKhcSPXMZofg4prkAK/w==$Ie3mDs/3F7fS/P9/armM0X7JwBkCFczmEb3qOp2UlWU="),
    (
        "supabase-firebase",
        "$fbscrypt$v=1,n=10,r=8,p=1,ss=Bw==,sk=BRAbJjE8R1JdaHN+iZSfqrXAy9bh7PcCDRgjLjlET1plcHuGkZynsr3I097p9P8KFSArNkFMV2JteIOOmaSvug==$PD0+P0BBQkNERQ==$Ri7gdQdE/UwzrivSXbIChxfnqWYb2BbxMTB/gl+mOD4IeAzVqJZfbxhROSk8qLHLEOMDCqOag5AESqIOPjWX8w==",
    ),
    ("passlib-bcrypt-sha256", "$bcrypt-sha256$v=2,t=2b,r=4$qYmrOYUg4T4DpCP6NY3z7O$ggLrsvqZiNeznT6xZrT/QSN1lCpuMIq"),
    (
        "sha512-crypt",
        "$6$rounds=1000$bmkx790CaOiQi.0f$ScI6vUdvTAS5IosDKv9qjQCLyTJ4aH5dBYrvukOWV8ocJwm2uJ5kNVDYW/8vr.UF3pyDb.sb2YSRMQmkXoruu0",
    ),
    ("sha256-crypt", "$5$rounds=1000$abcd$6k7DyWBc6MCdSjC.4y4CuFj/gUJn7Thdp9sfPzSW8LC"),
    ("ssha", "{SSHA}UYBCCZmX/9HTDK3gGgo9hoRbBzkAwLj3"),
    (
        "ssha512",
        "{SSHA512}lkSZxfAzdLRnSV2gsp3eDtCZG9WuDG8HjVgSxrwHYO7O7td3MXVaMcETn65zc0JnxXgk4TYLIK7jzefy6PDNDHNuTan1fi/l",
    ),
    (
        "directory-crypt",
        "{CRYPT}$6$rounds=1000$vf5f7PmDn13.DnTa$PVCd3shMEf1FpDP6FtfC13KAiTf/hJsKFOOjpJcQ6TBUuDIqPMyB2nHm8PKYqRfcgFdOvCTAODikpbGI7cxWp1",
    ),
    ("directory-pbkdf2", "{PBKDF2-SHA256}1000$4fw/5xxDiHEuhbBWqhXivA$JOLxoi8oo5Ezf.a0twjNbpWZQ3DF9.XGIovBW6eY7yM"),
];
