import { type ApiContext, problemsError } from "../../api/index.ts";
import { type RenderOptions, type RenderTarget, renderIstio, toYaml } from "../../istio/index.ts";

const targets: readonly RenderTarget[] = ["istio", "gateway-api"];

/** Manifests as RenderRoute is asked for them. @throws ConnectError with every problem of the request and the routes */
export const renderManifests: ApiContext["render"] = (states, asked) => {
  const target = targets.find((known) => known === (asked.target || "istio"));
  if (target === undefined)
    throw problemsError([
      {
        code: "unknown-target",
        path: "target",
        message: `target "${asked.target}" must be one of ${targets.join(", ")}`,
      },
    ]);
  const options: RenderOptions = {
    target,
    ...(asked.wasmUrl ? { wasmUrl: asked.wasmUrl } : {}),
    ...(asked.tokenLimitWasmUrl ? { tokenLimitWasmUrl: asked.tokenLimitWasmUrl } : {}),
  };
  const { manifests, problems } = renderIstio(states, options);
  if (problems.length > 0) throw problemsError(problems);
  return toYaml(manifests);
};
