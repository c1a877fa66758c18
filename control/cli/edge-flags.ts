import { type Command, InvalidArgumentError } from "commander";
import { durationMs } from "../load/duration.ts";
import { type EdgeOptions, edgeDefaults } from "../xds/resources/options.ts";

/** Flags for how the Envoys treat clients, as commander names them. */
export interface EdgeFlags {
  gatewayTrustedHops: number;
  gatewayProxyProtocol?: boolean;
  gatewayHeadersTimeout: number;
  gatewayIdleTimeout: number;
  gatewayStreamTimeout: number;
}

const maxHops = 16;

export function withEdgeFlags(command: Command): void {
  const { headersTimeoutMs, idleTimeoutMs, streamIdleTimeoutMs } = edgeDefaults;
  command
    .option(
      "--gateway-trusted-hops <count>",
      "number of proxies in front of the Envoys whose x-forwarded-for entries are trusted",
      (text) => wholeNumber(text, 0, maxHops),
      0,
    )
    .option(
      "--gateway-proxy-protocol",
      "require a PROXY protocol header on every connection; close connections without one",
    )
    .option(
      "--gateway-headers-timeout <duration>",
      "time limit for receiving a request's headers",
      parseDuration,
      headersTimeoutMs,
    )
    .option(
      "--gateway-idle-timeout <duration>",
      "time after which an idle connection is closed",
      parseDuration,
      idleTimeoutMs,
    )
    .option(
      "--gateway-stream-timeout <duration>",
      "time after which a request or response without progress is ended",
      parseDuration,
      streamIdleTimeoutMs,
    );
  for (const option of command.options)
    if (typeof option.defaultValue === "number" && option.flags.includes("<duration>"))
      option.default(option.defaultValue, `${option.defaultValue / 1000}s`);
}

export function edgeOf(flags: EdgeFlags): EdgeOptions {
  return {
    trustedHops: flags.gatewayTrustedHops,
    proxyProtocol: flags.gatewayProxyProtocol ?? false,
    headersTimeoutMs: flags.gatewayHeadersTimeout,
    idleTimeoutMs: flags.gatewayIdleTimeout,
    streamIdleTimeoutMs: flags.gatewayStreamTimeout,
  };
}

/** Reads a flag's number. @throws InvalidArgumentError that names the limits */
export function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new InvalidArgumentError(`give a whole number from ${min} to ${max}.`);
  return value;
}

/** Reads a flag's duration as milliseconds. @throws InvalidArgumentError that shows the form */
export function parseDuration(text: string): number {
  try {
    return durationMs(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
