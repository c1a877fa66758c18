import { describe, expect, it } from "vitest";
import type { RouteState } from "../../control/gen/weir/v1/service_pb.ts";
import { type KubeClient, KubeError } from "../../control/kube/index.ts";
import { draftRoute } from "../../control/route/index.ts";
import { checkDeleted, LossError } from "../../control/store/kube/loss.ts";
import { messageWith } from "../route/documents.ts";

const name = "inference/chat";
const { route, buckets } = draftRoute(messageWith({ stable: 90, canary: 10 }), undefined);
const state = { route, buckets, etag: "1" } as RouteState;

/** Whether a route that is not in the cluster was deleted, where the API server answers so to a write that is only tried. */
function deleted(answer: KubeError | undefined, acceptEmpty = false): Promise<void> {
  const tried: unknown[] = [];
  const create = async (_path: string, object: unknown, options: { dryRun?: boolean }) => {
    tried.push(object);
    expect(options.dryRun).toBe(true);
    if (answer) throw answer;
  };
  const client = { create } as unknown as KubeClient;
  return checkDeleted({ client, states: new Map([[name, state]]), acceptEmpty }, name);
}

const forbidden = new KubeError(403, "Forbidden", 'User "weir" cannot create inferenceroutes');

describe("a route that is not in the cluster any more", () => {
  it.each<[string, KubeError, boolean]>([
    ["Weir may not write routes", forbidden, false],
    ["their kind is gone", new KubeError(404, "NotFound", "the server could not find it"), true],
    ["their kind goes", new KubeError(405, "MethodNotAllowed", "create not allowed"), true],
  ])("stays in use where %s", async (_why, answer, kind) => {
    const error = await deleted(answer).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(LossError);
    expect(error).toMatchObject({ kind, message: expect.stringContaining("stays in use") });
    await deleted(answer, true);
  });

  it.each<[string, KubeError | undefined]>([
    ["it could be written", undefined],
    [
      "its namespace goes",
      new KubeError(403, "Forbidden", "it is being terminated", [
        { reason: "NamespaceTerminating", message: "", field: "" } as never,
      ]),
    ],
    ["its namespace is gone", new KubeError(404, "NotFound", 'namespaces "inference" not found')],
    ["it is there again", new KubeError(409, "AlreadyExists", "already exists")],
  ])("is taken for deleted where %s", async (_why, answer) => {
    await deleted(answer);
  });
});
