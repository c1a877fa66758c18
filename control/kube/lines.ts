/** Lines of a byte stream, without their ends; the last one needs none. */
export async function* readLines(stream: AsyncIterable<Buffer | string>): AsyncIterable<string> {
  const pending: Buffer[] = [];
  for await (const chunk of stream) {
    let rest = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      pending.push(rest.subarray(0, end));
      yield Buffer.concat(pending.splice(0)).toString("utf8");
      rest = rest.subarray(end + 1);
    }
    if (rest.length > 0) pending.push(rest);
  }
  if (pending.length > 0) yield Buffer.concat(pending).toString("utf8");
}
