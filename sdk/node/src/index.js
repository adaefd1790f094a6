// Verifies access tokens of keyturn in a backend, without asking for each, and refuses a token within a second of the
// end of its session. docs/verifiers.md of keyturn is the specification.

export { createVerifier } from "./live.js";
export { Refusal } from "./refusal.js";
export { Verifier, demand } from "./verifier.js";
