export { createClient } from "./client.js";
export type { CallOptions, Client, ClientOptions, SignIn, SignUp, StepUp } from "./client.js";
export type { Clock } from "./clock.js";
export { isKeyturnError } from "./errors.js";
export type { Failure, FinalCode, KeyturnError, Problem, SignedOutReason } from "./errors.js";
export type { Events, User } from "./session.js";
export { asyncStorage, memoryStorage, webStorage } from "./storage.js";
export type { AsyncStore, TokenStorage } from "./storage.js";
export type { components } from "./wire.js";
