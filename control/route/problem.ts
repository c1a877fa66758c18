/** One thing wrong with a document; all problems of a document are reported at once. */
export interface Problem {
  /** Stable identifier, e.g. "weights-sum". */
  code: string;
  /** Where, in the document's own words, e.g. "spec.variants[1].weight". */
  path: string;
  /** Lower case; names the field, the value and the limit. */
  message: string;
}

/** Takes one problem at a time. */
export type Report = (code: string, path: string, message: string) => void;
