/** Header in which the filters write the variant, and by which rules match it. */
export const variantHeader = "x-weir-variant";

/** Headers that only Weir may set. */
export const controlHeaders = [variantHeader, "x-weir-tenant", "x-weir-tier"];

/** Header in which route-select.wasm writes which route of a shared host a request is for. */
export const routeHeader = "x-weir-route";
/** Header in which it writes the model that the request names. */
export const modelHeader = "x-weir-model";
