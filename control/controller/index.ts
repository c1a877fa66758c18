export { customResources } from "./crd.ts";
