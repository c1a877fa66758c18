export { createFilterCode } from "./filter-code.ts";
export { createHold } from "./hold-empty.ts";
export { createPublisher, type Published, type Publisher } from "./publish.ts";
