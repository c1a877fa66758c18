export { EnvoyMissingError, findEnvoy } from "./find.ts";
export { type Envoy, startEnvoy } from "./start.ts";
