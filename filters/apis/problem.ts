import { CLOSE_BRACE, QUOTE } from "../format/ascii-codes";
import {
  Ascii,
  arenaAlloc,
  beginText,
  Span,
  write,
  writeByte,
  writeBytes,
  written,
  writtenBytes,
} from "../sdk";
import { ANTHROPIC, OLLAMA, OPENAI } from "./api";

// Refusals are problems (RFC 9457), and within them, or around them, what clients
// of the API at hand look for.

const detail = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));

/** Puts the words of a refusal aside, which its body has twice. */
export function keepDetail(): void {
  const bytes = writtenBytes();
  detail.ptr = arenaAlloc(bytes);
  detail.bytes = detail.ptr == 0 ? 0 : bytes;
  memory.copy(detail.ptr, written(), detail.bytes);
}

/** The type of the body of a refusal. */
export function problemType(errors: u8): Ascii {
  return errors == OPENAI ? "application/problem+json" : "application/json";
}

/**
 * Writes a problem but for its end, with the words that were put aside.
 *
 * @param errors in whose words an error is told, see ./api
 * @param start of the problem, up to its members
 */
export function beginApiProblem(
  errors: u8,
  start: Ascii,
  members: Ascii,
  type: Ascii,
  code: Ascii,
): void {
  beginText();
  // Anthropic's clients look for the type of an error where problems have a URI of theirs.
  write(errors == ANTHROPIC ? '{"type":"error",' : start);
  write(members);
  write(',"detail":"');
  writeBytes(detail.ptr, detail.bytes);
  write('","error":');
  if (errors != OLLAMA) {
    write('{"type":"');
    write(type);
    write('","code":"');
    write(code);
    write('","message":');
  }
  writeByte(QUOTE);
  writeBytes(detail.ptr, detail.bytes);
  writeByte(QUOTE);
  if (errors != OLLAMA) writeByte(CLOSE_BRACE);
}
