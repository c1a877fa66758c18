export { eased, isPressed, notePods } from "./pressure";
export { onPressureTick } from "./worker";
