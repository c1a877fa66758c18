import { openApi, READS } from "./api";
import { addPaths } from "./paths";
import { addNames } from "./table";

/** What reads text and answers with numbers: embeddings, ranks, scores and classes. */
export function addEmbeddings(): void {
  const api = openApi(READS);
  addNames(api.request, "a input:q");
  // Cohere's ranks tell their tokens under meta.
  addNames(api.answer, "a meta:f f tokens:e");
  addPaths(api, "embeddings embedding rerank reranking score classify pooling moderations");
}
