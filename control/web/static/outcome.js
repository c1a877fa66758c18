import { useEffect, useState } from "preact/hooks";

/** Whether the page hears from the control service; what every call of it tells. */

let trouble;
const listeners = new Set();

/** The answers that concern the connection, not the question. */
const about = ["unauthenticated", "unavailable", "deadline_exceeded", "resource_exhausted"];

/** Notes how a call ended; an error of the question alone shows that there is a connection. */
export function noteOutcome(error) {
  const isAnswer =
    error?.code !== undefined && !about.includes(error.code) && typeof error.code === "string";
  const next = error === undefined || isAnswer ? undefined : error;
  if (next === trouble) return;
  trouble = next;
  for (const listener of listeners) listener(trouble);
}

let hold;
const holdListeners = new Set();

/** Notes why the service sends proxies nothing, as the newest answer told it; null when it sends. */
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
    return () => holdListeners.delete(setNow);
  }, []);
  return now;
}

/** What is wrong with the connection, as the newest call found it. */
export function useTrouble() {
  const [now, setNow] = useState(trouble);
  useEffect(() => {
    listeners.add(setNow);
    setNow(trouble);
    return () => listeners.delete(setNow);
  }, []);
  return now;
}
