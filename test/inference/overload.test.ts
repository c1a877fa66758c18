import { afterAll, beforeAll, it } from "vitest";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "./behind-weir.ts";
import { type Llama, type Models, startLlama, writeModels } from "./llama.ts";
import { expectShed, sheds } from "./shedding.ts";

let models: Models;
let weir: BehindWeir;
/** Works on eight answers at once; it never says in an answer how busy it is. */
let llama: Llama;

beforeAll(async () => {
  models = writeModels();
  weir = await startBehindWeir();
  llama = await startLlama(models.slow, { n_parallel: 8 });
  await weir.apply(
    inferenceRoute(
      "crowded",
      { stable: llama.endpoint },
      { rateLimit: sheds, server: "llama.cpp" },
    ),
  );
});
afterAll(async () => {
  await weir?.stop();
  await llama?.stop();
  models?.remove();
});

it("24 clients that stream from 8 places have bronze refused, and gold never", async () => {
  await expectShed(weir.client, hostOf("crowded"), 8);
}, 120_000);
