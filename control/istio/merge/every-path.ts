/** Whether a regular expression is one of those that people write for every path: ".*", "^/.*$", ".+". */
export function isEveryPath(regex: unknown): boolean {
  return typeof regex === "string" && /^\^?(\/?\(?\.\*\)?|\(?\.\+\)?)\$?$/.test(regex);
}
