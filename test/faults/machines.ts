import { execFileSync } from "node:child_process";

/**
 * Machines inside this one: network namespaces with an address each, that have one
 * cable to each other and one to this machine. Making them takes root and iproute2.
 */
export interface Machines {
  address(machine: number): string;
  /** What a command starts with so that it runs there. */
  command(machine: number): string[];
  /** Pulls a cable: packets vanish, connections stay as they are. */
  cut(machine: number, cable: Cable): void;
  mend(machine: number, cable: Cable): void;
  close(): void;
}

/** Where a cable leads: to the other machines, or to this one with its proxies and clients. */
export type Cable = "others" | "here";

function ip(lines: readonly string[]): void {
  try {
    execFileSync("ip", ["-batch", "-"], { input: lines.join("\n"), stdio: "pipe" });
  } catch (error) {
    const said = (error as { stderr?: Buffer }).stderr?.toString().trim() ?? String(error);
    throw new Error(`network namespaces, which take root and iproute2: ${said}`);
  }
}

export function startMachines(count: number): Machines {
  const id = process.pid.toString(36);
  // 198.18.0.0/15 is for tests of networks (RFC 2544): no route leads there but these.
  const network = `198.18.${process.pid % 250}`;
  const all = Array.from({ length: count }, (_, machine) => machine);
  const name = (machine: number) => `weir-${id}-${machine}`;
  const address = (machine: number) => `${network}.${10 + machine}`;
  const end = (machine: number, cable: Cable) => `w${cable[0]}${id}m${machine}`;
  const bridge = (cable: Cable) => `w${cable[0]}${id}`;
  const cables: Cable[] = ["here", "others"];

  function close(): void {
    for (const line of [
      ...all.map((machine) => `netns del ${name(machine)}`),
      ...cables.map((cable) => `link del ${bridge(cable)}`),
    ])
      try {
        ip([line]);
      } catch {
        // It had not been made.
      }
  }

  try {
    ip([
      ...cables.map((cable) => `link add ${bridge(cable)} type bridge`),
      ...cables.map((cable) => `link set ${bridge(cable)} up`),
      `addr add ${network}.1/24 dev ${bridge("here")}`,
      ...all.flatMap((machine) => [
        `netns add ${name(machine)}`,
        ...cables.flatMap((cable) => [
          `link add ${end(machine, cable)} type veth peer name ${cable} netns ${name(machine)}`,
          `link set ${end(machine, cable)} master ${bridge(cable)} up`,
        ]),
      ]),
    ]);
    for (const machine of all)
      execFileSync("ip", ["-n", name(machine), "-batch", "-"], {
        input: [
          "link set lo up",
          ...cables.map((cable) => `link set ${cable} up`),
          `addr add ${address(machine)}/24 dev here`,
          ...all
            .filter((other) => other !== machine)
            .map((other) => `route add ${address(other)}/32 dev others src ${address(machine)}`),
        ].join("\n"),
      });
  } catch (error) {
    close();
    throw error;
  }
  return {
    address,
    command: (machine) => ["ip", "netns", "exec", name(machine)],
    cut: (machine, cable) => ip([`link set ${end(machine, cable)} down`]),
    mend: (machine, cable) => ip([`link set ${end(machine, cable)} up`]),
    close,
  };
}
