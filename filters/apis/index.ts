import { Api } from "./api";
import { addChat } from "./chat";
import { addCompletions } from "./completions";
import { addEmbeddings } from "./embeddings";
import { addLlama } from "./llama";
import { addMedia } from "./media";
import { addMessages } from "./messages";
import { addOllama } from "./ollama";
import { addResponses } from "./responses";
import { addServerCalls, openUnknown } from "./servers";

export {
  ANTHROPIC,
  Api,
  FLAT,
  FREE,
  UNKNOWN_CALL,
  WRITES,
} from "./api";
export { isEncoded } from "./encoding";
export { apiOf } from "./paths";
export { beginApiProblem, keepDetail, problemType } from "./problem";
export {
  addNames,
  findName,
  findScanned,
  meaningOf,
  nameBytesOf,
  nameOf,
  openTable,
  placeOf,
} from "./table";

addServerCalls();
addEmbeddings();
addMedia();
addOllama();
addLlama();
addMessages();
addResponses();
addCompletions();
addChat();

/** What a call is that no path tells. */
export const unknownApi: Api = openUnknown();
