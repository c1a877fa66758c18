export { callInterceptor } from "./interceptor.ts";
export { createLog, type Log } from "./log.ts";
export { sparse } from "./sparse.ts";
export { createTracing } from "./tracing.ts";
