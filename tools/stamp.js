// The last step of a build: says which sources it was made from, so that nobody builds them again.
import { writeFileSync } from "node:fs";
import { sourcesDigest, stamp } from "./sources.js";

writeFileSync(stamp, sourcesDigest());
