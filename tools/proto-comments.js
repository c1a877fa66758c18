import { execFileSync } from "node:child_process";

/**
 * What the protos of weir.v1 say: their messages by name, each with its comment, the entries of its
 * maps, and its fields with theirs. A comment is one line.
 */
export function protoMessages() {
  const image = execFileSync("node_modules/.bin/buf", ["build", "proto", "-o", "-#format=json"], {
    maxBuffer: 64 << 20,
  });
  const { file } = JSON.parse(image.toString("utf8"));
  const messages = new Map();
  for (const each of file.filter((each) => each.package === "weir.v1")) collect(each, messages);
  return messages;
}

/** Adds the messages of a file; descriptor paths number them as descriptor.proto does: 4 is message_type, 2 is field. */
function collect(file, messages) {
  const comments = new Map(
    (file.sourceCodeInfo?.location ?? []).map(({ path, leadingComments }) => [
      (path ?? []).join(),
      (leadingComments ?? "").trim().replaceAll(/\s*\n\s*/g, " "),
    ]),
  );
  (file.messageType ?? []).forEach((message, m) => {
    messages.set(message.name, {
      comment: comments.get(`4,${m}`) ?? "",
      entries: new Map((message.nestedType ?? []).map((nested) => [nested.name, nested])),
      fields: (message.field ?? []).map((field, f) => ({
        ...field,
        comment: comments.get(`4,${m},2,${f}`) ?? "",
      })),
    });
  });
}
