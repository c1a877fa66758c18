import { beginForm, endForm, readForm } from "./form";
import { endJson, readJson } from "./json";
import { BROKEN, isRefused, ModelReader, refuse, resetReader } from "./reader";

export {
  ABSENT,
  BROKEN,
  EMPTY,
  FOUND,
  isRefused,
  MISSPELLED,
  MODEL_READER_BYTES,
  ModelReader,
  modelBytes,
  modelPtr,
  NOT_TEXT,
  READING,
  TOO_DEEP,
  TOO_LONG,
  TWICE,
} from "./reader";

/** Begins to read a JSON body. */
export function openModelReader(reader: ModelReader): void {
  resetReader(reader);
}

/**
 * Begins to read a form.
 *
 * @param contentType where the value of its Content-Type stands; names in it are made small
 */
export function openFormReader(reader: ModelReader, contentType: usize, bytes: usize): void {
  resetReader(reader);
  reader.isForm = true;
  if (!beginForm(reader, contentType, bytes)) refuse(reader, BROKEN);
}

/** Reads the next piece of the body; returns the state that the reader has then. */
export function readModel(reader: ModelReader, ptr: usize, bytes: usize): u8 {
  if (reader.isForm) readForm(reader, ptr, ptr + bytes);
  else readJson(reader, ptr, ptr + bytes);
  return reader.state;
}

/** Tells that the body is whole; returns FOUND, ABSENT or a refusal. */
export function endModel(reader: ModelReader): u8 {
  if (isRefused(reader)) return reader.state;
  if (reader.isForm) endForm(reader);
  else endJson(reader);
  return reader.state;
}
