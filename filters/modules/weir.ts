import { nameFilter, openRequest } from "../plugin";
import { decide } from "./decide";
import { registerAll } from "./members";

export * from "./callbacks";

nameFilter("all");
registerAll();

export function proxy_on_request_headers(context: u32, _count: u32, endOfStream: u32): i32 {
  return decide(openRequest(), endOfStream != 0, context);
}
