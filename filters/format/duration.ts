import { write, writeByte, writeUint } from "../sdk";
import { DOT } from "./ascii-codes";

/** Writes a duration as Go prints it and OpenAI's reset headers carry it: 12ms, 1.5s, 6m0s, 1h0m0s. */
export function writeGoDuration(ms: u64): void {
  if (ms < 1000) {
    writeUint(ms);
    write(ms == 0 ? "s" : "ms");
    return;
  }
  const hours = ms / 3600000;
  const minutes = (ms / 60000) % 60;
  if (hours > 0) {
    writeUint(hours);
    write("h");
  }
  if (hours > 0 || minutes > 0) {
    writeUint(minutes);
    write("m");
  }
  writeUint((ms / 1000) % 60);
  let rest = ms % 1000;
  if (rest > 0) {
    writeByte(DOT);
    for (let digit: u64 = 100; rest > 0; digit /= 10) {
      writeByte(<u8>(48 + rest / digit));
      rest %= digit;
    }
  }
  write("s");
}
