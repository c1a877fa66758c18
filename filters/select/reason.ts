import { BROKEN, EMPTY, MISSPELLED, NOT_TEXT, TOO_DEEP, TOO_LONG, TWICE } from "../model-name";
import { Ascii } from "../sdk";

/** Why the model of a body cannot be told, of a state of its reader. */
export function reasonOf(state: u8): Ascii {
  if (state == NOT_TEXT) return "model is not a string";
  if (state == EMPTY) return "model is empty";
  if (state == TOO_LONG) return "model has more than 256 bytes";
  if (state == TWICE) return "model stands in the body more than once";
  if (state == MISSPELLED) return "model must be written in lower-case letters";
  if (state == TOO_DEEP) return "objects and arrays stand in each other more than 512 deep";
  if (state == BROKEN) return "the body is neither a whole JSON object in UTF-8 nor a form";
  return "";
}
