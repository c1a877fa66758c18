/** So many requests to the API server at once. */
const sideBySide = 16;

/** Does the work for each item, in order, several side by side. */
export async function eachOf<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items].reverse();
  const worker = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(sideBySide, left.length) }, worker));
}
