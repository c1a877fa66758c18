export { type DrillExpiry, expireDrills } from "./expiry.ts";
