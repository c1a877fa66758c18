/** Headers that only Weir may set. */
export const controlHeaders = ["x-weir-variant", "x-weir-tenant", "x-weir-tier"];
