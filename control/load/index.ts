export {
  drive,
  type LoadOptions,
  type LoadResult,
  type Progress,
  type StageResult,
} from "./drive.ts";
export { durationMs } from "./duration.ts";
export { htmlReport } from "./html-report.ts";
export { judge, type Objective, type ObjectiveResult, parseObjective } from "./objective.ts";
export { type DrillObjective, type ProbeResult, type ProbeWindow, probe } from "./probe.ts";
export { chatQuestions, parseHeader, type QuestionOptions } from "./question.ts";
export { parseStages, type Stage } from "./stages.ts";
export { progressLine, textReport } from "./text-report.ts";
