export { storedCredentials } from "./credentials.ts";
export { pushWasm, RegistryError } from "./push.ts";
export { parseReference } from "./reference.ts";
