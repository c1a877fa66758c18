export { begin, type Command, command } from "./commands.ts";
export { parseRollout, parseRolloutText } from "./document.ts";
export { createEngine, type Engine, type EngineOptions, nameOf } from "./engine.ts";
export { hasEnded, type Phase, phases } from "./phase.ts";
export { type Stage, showStage, stageAt, stagesOf } from "./stages.ts";
export { type Sources, validateRollout } from "./validate.ts";
export { writeRollout } from "./write.ts";
