import { fuzz } from "./fuzz.ts";

// A file of its own: it runs beside the other modules' on another core.
fuzz(["weir"], 0.5);
