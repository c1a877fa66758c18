/** Header in which the filters write the variant, and by which rules match it. */
export const variantHeader = "x-weir-variant";

/** Headers that only Weir may set. */
export const controlHeaders = [variantHeader, "x-weir-tenant", "x-weir-tier"];
