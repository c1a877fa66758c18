/** What is wrong with a page or a record of a store's file. */
export class DamageError extends Error {
  override name = "DamageError";
}
