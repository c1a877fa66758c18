/** Sum of a metric of the control service over what has all of these labels. */
export async function counted(server: string, name: string, ...labels: string[]): Promise<number> {
  const text = await (await fetch(`${server}/metrics`)).text();
  return text
    .split("\n")
    .flatMap((line) => {
      const [, found, of = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return found === name && labels.every((label) => of.includes(label)) ? [Number(value)] : [];
    })
    .reduce((sum, value) => sum + value, 0);
}
