export { fleetMetrics, isReporter } from "./fleet.ts";
export { metricsInterceptor } from "./interceptor.ts";
export { registeredMetrics } from "./registered.ts";
export { createMetrics, type Metrics } from "./registry.ts";
export { reportedMetrics } from "./reported.ts";
export { roomMetrics } from "./room.ts";
export { saturationMetrics } from "./saturation.ts";
