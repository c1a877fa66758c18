import { Ascii, reserve } from "../sdk";
import { addNames, openTable } from "./table";

// What differs between the APIs that models are asked through. Each has a file
// beside this one, which says it in tables: the filter itself knows none of them.
//
// Letters of requests. Levels: a the body, b options of the stream, c of thinking,
// d options of the model, e prompts, f what is in them, g messages.
//   m a maximum      j one that only some servers of the API know
//   l a number below which no maximum may come        t one at which it may not even stand
//   n how many       s whether it streams                          u whether usage is told
//   k true: the answer comes later, by another request
//   b, c, d these levels                                           p prompts, q messages or one prompt
//
// Letters of answers. Levels: a the answer, b its choices, c one of them, d what is
// written, e usage, f the answer within an event, g usage in detail, h an error,
// i why it is incomplete; m words of status, n of finish reasons, o of types.
//   0 prompt tokens, 1 completion, 2 both, 3 cached of the prompt, 4 cached beside it,
//   5 written to a cache beside it, 6 reasoning, 7 seconds of sound
//   F a finish reason, G why incomplete, V a status, Y a type, D done   X text, Z no text
//   I number of the block, Q of the event                               H ends an event's head
//   L only llama.cpp says this, whose usage is that of one of several answers
// Words of answers: s stop, l length, t tool_calls, c content_filter, f function_call,
// o other; D the stream is done, E it failed.

/** Runs no model. */
export const FREE: u8 = 0;
/** Costs what it reads: the answer has no text. */
export const READS: u8 = 1;
/** Writes tokens, as many as a maximum says. */
export const WRITES: u8 = 2;
/** Writes what is no text; costs a flat price where no usage is told. */
export const FLAT: u8 = 3;
/** Nobody knows what it does: costs what its text and its answer are long. */
export const UNKNOWN_CALL: u8 = 4;

/** In whose words an error is told. */
export const OPENAI: u8 = 0;
export const ANTHROPIC: u8 = 1;
export const OLLAMA: u8 = 2;

@unmanaged
export class Api {
  price: u8;
  errors: u8;
  /** Streams tell usage where stream_options ask for it. */
  asksUsage: bool;
  /** An event is a line of JSON. */
  isLines: bool;
  /** Its requests may be no JSON: forms with files. */
  takesForms: bool;
  /** A maximum is only put into requests that have messages or prompts. */
  needsPrompt: bool;
  /** See ./table. */
  request: usize;
  answer: usize;
  /** What names a maximum before the number, and what follows it. */
  maximum: Ascii;
  afterMaximum: Ascii;
  /** What names it within level d, where that is there. */
  innerMaximum: Ascii;
  /** The last events of a stream that ends early, see ../token-limit/answer/finish-early; and its form where the answer is text. */
  end: Ascii;
  /** Level at which the head of an event begins, and the letter of the name that ends it. */
  headLevel: u32;
  headEnd: u32;
}

/** An API whose tables are still empty. */
export function openApi(price: u8, errors: u8 = OPENAI): Api {
  const api = changetype<Api>(reserve(offsetof<Api>()));
  api.price = price;
  api.errors = errors;
  api.maximum = "";
  api.afterMaximum = "";
  api.innerMaximum = "";
  api.end = "";
  api.request = openTable();
  api.answer = openTable();
  // What servers of any API read, whatever it is called there.
  addNames(
    api.request,
    "a n_cmpl:n best_of:n n_predict:j max_completion_tokens:j max_tokens:j n:n",
  );
  addNames(
    api.answer,
    "a timings:L error:h usage:e e prompt_cache_hit_tokens:3 seconds:7 input_token_details:g input_tokens_details:g prompt_tokens_details:g output_tokens_details:g completion_tokens_details:g cache_creation_input_tokens:5 cache_read_input_tokens:4 total_tokens:2 output_tokens:1 input_tokens:0 completion_tokens:1 prompt_tokens:0 g reasoning_tokens:6 cached_tokens:3",
  );
  return api;
}
