import { isTransient, KubeError } from "../../kube/index.ts";
import { errorText } from "../../text/error-text.ts";
import {
  FencedError,
  NotStoredError,
  StaleEtagError,
  StoreRefusedError,
  StoreUnavailableError,
} from "../store.ts";

const own = [FencedError, NotStoredError, StaleEtagError, StoreRefusedError, StoreUnavailableError];

/** What went wrong, in the words of a store. */
export async function translated<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (own.some((kind) => error instanceof kind)) throw error;
    const message = errorText(error);
    if (error instanceof KubeError && !isTransient(error))
      throw new StoreRefusedError(`the cluster refuses ${name || "the request"}: ${message}`);
    throw new StoreUnavailableError(message);
  }
}
