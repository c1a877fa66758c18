export { storedCredentials } from "./credentials.ts";
export { type PushOptions, pushWasm, RegistryError } from "./push.ts";
export { parseReference, type Reference } from "./reference.ts";
