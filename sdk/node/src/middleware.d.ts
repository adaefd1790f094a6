import type { Demands, LiveVerifier } from "./index.js";

/** Lets only those requests through that have a valid access token, and of it what is demanded. */
export function authenticate(verifier: LiveVerifier, demands?: Demands): (...parts: any[]) => Promise<any>;
