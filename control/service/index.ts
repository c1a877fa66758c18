export { startServer } from "./wiring/server.ts";
