import { execFileSync } from "node:child_process";

/**
 * What `buf build` writes of the protos, as far as it is read here.
 * @typedef {object} Field
 * @property {string} name
 * @property {string} jsonName
 * @property {string} type
 * @property {string} [typeName]
 * @property {string} [label]
 * @property {{ "[weir.v1.limit]"?: Limit }} [options]
 *
 * @typedef {object} Limit
 * @property {boolean} [required]
 * @property {string[]} [in]
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [multipleOf]
 * @property {number} [maxItems]
 * @property {number} [maxLength]
 * @property {string} [expects]
 *
 * @typedef {{ name: string, field?: Field[], nestedType?: MessageType[] }} MessageType
 * @typedef {{ path?: number[], leadingComments?: string }} Location
 * @typedef {{ package: string, messageType?: MessageType[], sourceCodeInfo?: { location: Location[] } }} ProtoFile
 *
 * @typedef {object} Message
 * @property {string} comment
 * @property {Map<string, MessageType>} entries of its maps, by name
 * @property {(Field & { comment: string })[]} fields
 *
 * @typedef {Map<string, Message>} Messages
 */

/**
 * What the protos of weir.v1 say: their messages by name, each with its comment, the entries of its
 * maps, and its fields with theirs. A comment is one line.
 *
 * @returns {Messages}
 */
export function protoMessages() {
  const image = execFileSync("node_modules/.bin/buf", ["build", "proto", "-o", "-#format=json"], {
    maxBuffer: 64 << 20,
  });
  /** @type {{ file: ProtoFile[] }} */
  const { file } = JSON.parse(image.toString("utf8"));
  /** @type {Messages} */
  const messages = new Map();
  for (const each of file.filter((each) => each.package === "weir.v1")) collect(each, messages);
  return messages;
}

/** Messages of a file by name, each with the comments of its fields. @param {ProtoFile} file @param {Messages} messages */
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
