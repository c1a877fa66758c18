/** A line of progress on standard error: rewritten in place on a terminal, one line each elsewhere. */
export interface Progress {
  show(line: string): void;
  /** Leaves the terminal clean for what is printed next. */
  end(): void;
}

export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  let shown = false;
  return {
    show(line) {
      if (!stream.isTTY) {
        stream.write(`${line}\n`);
        return;
      }
      shown = true;
      stream.write(`\r\x1b[K${line.slice(0, (stream.columns || 80) - 1)}`);
    },
    end() {
      if (shown) stream.write("\r\x1b[K");
      shown = false;
    },
  };
}
