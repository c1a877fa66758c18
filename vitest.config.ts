import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Real proxies start inside the suites; a slow machine is not a failure.
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
