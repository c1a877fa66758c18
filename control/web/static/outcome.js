import { useEffect, useState } from "preact/hooks";

/** Whether the page hears from the control service; what every call of it tells. */

/**
 * Why a call did not succeed; `code` and `problems` are there when the service said so.
 * @typedef {Error & { code?: string, problems?: { message?: string }[] }} Failure
 * @typedef {(failure: Failure | undefined) => void} OnTrouble
 * @typedef {(why: string | undefined) => void} OnHold
 */

/** What was thrown, as an error. @param {unknown} thrown @returns {Failure} */
export function failureOf(thrown) {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** @type {Failure | undefined} */
let trouble;
/** @type {Set<OnTrouble>} */
const listeners = new Set();

/** The answers that concern the connection, not the question. */
const about = ["unauthenticated", "unavailable", "deadline_exceeded", "resource_exhausted"];

/** Notes how a call ended; an error of the question alone shows that there is a connection. @param {Failure} [error] */
export function noteOutcome(error) {
  const isAnswer =
    error?.code !== undefined && !about.includes(error.code) && typeof error.code === "string";
  const next = error === undefined || isAnswer ? undefined : error;
  if (next === trouble) return;
  trouble = next;
  for (const listener of listeners) listener(trouble);
}

/** @type {string | undefined} */
let hold;
/** @type {Set<OnHold>} */
const holdListeners = new Set();

/** Notes why the service sends proxies nothing, as the newest answer told it; null when it sends. @param {string | null} header */
export function noteHold(header) {
  const next = header ? decodeURI(header) : undefined;
  if (next === hold) return;
  hold = next;
  for (const listener of holdListeners) listener(hold);
}

/** Why proxies are sent nothing; undefined while they are served. */
export function useHold() {
  const [now, setNow] = useState(hold);
  useEffect(() => {
    holdListeners.add(setNow);
    setNow(hold);
    return () => {
      holdListeners.delete(setNow);
    };
  }, []);
  return now;
}

/** What is wrong with the connection, as the newest call found it. */
export function useTrouble() {
  const [now, setNow] = useState(trouble);
  useEffect(() => {
    listeners.add(setNow);
    setNow(trouble);
    return () => {
      listeners.delete(setNow);
    };
  }, []);
  return now;
}
