// URLs, and whether the token goes to them where https://auth.example and https://api.example are listed. No parser of
// URLs may be fooled, whoever wrote it.
export const ORIGINS = [
  ["https://auth.example/api", true],
  ["https://AUTH.example/api", true],
  ["https://auth.example:443/api", true],
  ["https://api.example/orders?of=me", true],
  ["https://api.example", true],
  ["https://api.example#top", true],
  ["http://api.example/", false],
  ["https://api.example:8443/", false],
  ["https://api.example.evil.test/", false],
  ["https://evil.test/https://api.example/", false],
  ["https://api.example@evil.test/", false],
  ["https://api.example:443@evil.test/", false],
  ["https://evil.test?https://api.example", false],
  ["https://xapi.example/", false],
  ["https://www.api.example/", false],
  ["https://evil.test\\@api.example/", false],
  ["//api.example/", false],
  ["/orders", false],
  ["data:text/plain,https://api.example", false],
  ["blob:https://api.example/1", false],
];
