/** The page talks to the same Connect API as every other client, as JSON over POST. */

const tokenKey = "weir-token";

export function setToken(token) {
  sessionStorage.setItem(tokenKey, token);
}

/** An answer of the API that is not a success; `code` is Connect's. */
export class ApiError extends Error {
  constructor(code, message, problems) {
    super(message);
    this.code = code;
    this.problems = problems;
  }
}

/**
 * Calls one unary method, e.g. call("RouteService/ListRoutes").
 * Throws ApiError, or TypeError when the server cannot be reached.
 */
export async function call(method, request = {}, timeoutMs = 5000) {
  const token = sessionStorage.getItem(tokenKey);
  const response = await fetch(`/weir.v1.${method}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "connect-protocol-version": "1",
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const detail = (body.details ?? []).find((each) => each.type === "weir.v1.Problems");
    throw new ApiError(
      body.code ?? `http ${response.status}`,
      body.message ?? response.statusText,
      detail?.debug?.problems ?? [],
    );
  }
  return body;
}
