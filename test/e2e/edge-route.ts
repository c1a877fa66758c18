/** A route of one variant with one pod, for what is about the gateway in front of it. */
export function edgeRoute(endpoint: string, spec: object = {}): object {
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: "chat", namespace: "inference" },
    spec: {
      hosts: ["chat.example.com"],
      service: { name: "llm", port: 8000 },
      variants: [{ name: "stable", weight: 100, labels: { version: "v1" }, endpoints: [endpoint] }],
      ...spec,
    },
  };
}
