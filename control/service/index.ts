export { type ControlServer, type ServerOptions, startServer } from "./wiring/server.ts";
