export { createFilterCode } from "./filter-code.ts";
export { createHold } from "./hold-empty.ts";
export { createPublisher } from "./publish.ts";
