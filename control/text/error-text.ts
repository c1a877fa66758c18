/** The text of an error for a message: its message, or its name if that is empty. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/** What a failed `fetch` says: its own words are the same for every cause. */
export function causeText(error: unknown): string {
  return errorText(error instanceof Error ? (error.cause ?? error) : error);
}
